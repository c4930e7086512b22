import pandas as pd
import pytest

from bitskept.studies.fine_tuning.checks import checks

ENTROPY = pd.Series({"m": 9.5})
VALUES = {"recoverability": {"named": (0.2, 0.9), "cross_entropy": (9.0, 8.9)},
          "continued": {"named": (0.1, 0.3), "cross_entropy": (9.0, 7.0)},
          "permuted": {"named": (0.0, 0.3), "cross_entropy": (15.0, 10.0)},
          "sentence": {"named": (0.0, 0.01), "cross_entropy": (14.0, 9.0)}}  # fmt: skip


def curves(changed, arm="recoverability", arms=("recoverability", "continued")):
    """Learning curves whose first rate is 0.1, with the last steps first; those of one arm `changed`."""
    values = {name: VALUES[name] | (changed if name == arm else {}) for name in arms}
    rows = [{"model": "m", "arm": name, "rate": rate, "step": step, "quantity": quantity, "estimate": ends[step > 0]}
            for rate in (0.1, 0.05) for name in arms for quantity, ends in values[name].items()
            for step in (60, 0)]  # fmt: skip
    table = pd.DataFrame(rows)
    table.loc[(table["rate"] == 0.05) & (table["step"] == 60), "estimate"] = 0.0  # only the first rate counts
    return table


def kept(recoverability=0.95, **others):
    shares = {"before": 0.5, "recoverability": recoverability, "continued": 0.6} | others
    index = pd.MultiIndex.from_product([["m"], shares], names=["model", "arm"])
    return pd.DataFrame({"centroid": list(shares.values()), "ridge": 0.1}, index)


def test_the_ends_of_the_first_rate_stand_beside_what_the_last_layer_keeps():
    table = checks(curves({}), kept(), ENTROPY)
    assert table.index.tolist() == [("m", "recoverability"), ("m", "continued")]
    row = table.loc[("m", "continued")]
    assert row[["named_before", "named", "bits_before", "bits"]].tolist() == [0.1, 0.3, 9.0, 7.0]
    assert row[["frequencies", "kept_before", "kept"]].tolist() == [9.5, 0.5, 0.6]
    assert table["learned"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("changed", "keeps", "learned"),
    [
        ({"named": (0.2, 0.31)}, 0.56, True),
        ({"named": (0.2, 0.29)}, 0.95, False),
        ({}, 0.54, False),  # the head learned to name, the layer keeps what it did
        ({"cross_entropy": (9.0, 12.0)}, 0.95, True),
    ],
)
def test_recoverability_has_learned_if_it_names_more_and_keeps_more(changed, keeps, learned):
    assert checks(curves(changed), kept(keeps), ENTROPY).loc[("m", "recoverability"), "learned"] == learned


@pytest.mark.parametrize(("share", "learned"), [(0.11, True), (0.09, False)])
def test_the_permuted_arm_has_learned_if_it_names_more_whatever_it_keeps(share, learned):
    table = curves({"named": (0.0, share)}, "permuted", arms=("recoverability", "permuted"))
    assert checks(table, kept(permuted=0.4), ENTROPY).loc[("m", "permuted"), "learned"] == learned


@pytest.mark.parametrize("arm", ["continued", "sentence"])
@pytest.mark.parametrize(
    ("bits", "learned"),
    [((9.0, 8.85), True), ((9.0, 8.95), False), ((14.0, 9.35), True), ((14.0, 9.45), False)],
)
def test_other_arms_have_learned_if_surprisal_falls_below_what_it_was_and_what_frequencies_leave(arm, bits, learned):
    table = curves({"cross_entropy": bits}, arm, arms=("recoverability", "continued", "sentence"))
    assert checks(table, kept(sentence=0.6), ENTROPY).loc[("m", arm), "learned"] == learned


def test_models_are_checked_each_by_itself():
    both = pd.concat([curves({}), curves({"named": (0.2, 0.25)}).assign(model="n")])
    shares = kept()
    shares = pd.concat([shares, shares.rename(index={"m": "n"})])
    table = checks(both, shares, pd.Series({"m": 9.5, "n": 5.0}))
    assert table["learned"].tolist() == [True, True, False, False]
