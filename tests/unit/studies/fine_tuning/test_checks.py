import pandas as pd
import pytest

from bitskept.studies.fine_tuning import checks as module
from bitskept.studies.fine_tuning.checks import matched, prior_bits, targets

FREQUENCIES = pd.Series({"m": 9.5})
VALUES = {"recoverability": {"named": (0.2, 0.9), "cross_entropy": (9.0, 8.9)},
          "continued": {"named": (0.1, 0.3), "cross_entropy": (9.0, 7.0)},
          "permuted": {"named": (0.0, 0.3), "cross_entropy": (15.0, 10.0)},
          "sentence": {"named": (0.0, 0.01), "cross_entropy": (14.0, 9.0)}}  # fmt: skip


def curves(changed, arm="recoverability", arms=("recoverability", "continued"), spread=0.0):
    """Learning curves whose first rate is 0.1, with the last steps first; those of one arm `changed`, and the seeds so
    far from their mean.
    """
    values = {name: VALUES[name] | (changed if name == arm else {}) for name in arms}
    rows = [{"model": "m", "arm": name, "rate": rate, "step": step, "quantity": quantity, "estimate": ends[step > 0]}
            for rate in (0.1, 0.05) for name in arms for quantity, ends in values[name].items()
            for step in (60, 0)]  # fmt: skip
    table = pd.DataFrame(rows)
    table.loc[(table["rate"] == 0.05) & (table["step"] == 60), "estimate"] = 0.0  # only the first rate counts
    return pd.concat([table.assign(seed=seed, estimate=table["estimate"] + away)
                      for seed, away in enumerate((-spread, spread))])  # fmt: skip


def kept(recoverability=0.95, ridge=0.1, **others):
    shares = {"before": 0.5, "recoverability": recoverability, "continued": 0.6} | others
    index = pd.MultiIndex.from_product([["m"], shares], names=["model", "arm"])
    return pd.DataFrame({"centroid": list(shares.values()), "ridge": ridge}, index)


def checks(curves, last_layer, frequencies):
    return module.checks(targets(curves, frequencies), last_layer)


def test_the_ends_of_the_first_rate_stand_beside_what_the_last_layer_keeps():
    table = checks(curves({}), kept(), FREQUENCIES)
    assert table.index.tolist() == [("m", "recoverability"), ("m", "continued")]
    row = table.loc[("m", "continued")]
    assert row[["named_before", "named", "bits_before", "bits"]].tolist() == [0.1, 0.3, 9.0, 7.0]
    assert row[["frequencies", "centroid", "ridge", "lifted", "masked"]].tolist() == [9.5, 0.6, 0.1, True, False]
    assert row[["centroid_before", "ridge_before"]].tolist() == pytest.approx([0.5, 0.1])
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
    assert checks(curves(changed), kept(keeps), FREQUENCIES).loc[("m", "recoverability"), "learned"] == learned


@pytest.mark.parametrize("arm", ["continued", "permuted", "sentence"])
@pytest.mark.parametrize(
    ("bits", "learned"),
    [((9.0, 8.85), True), ((9.0, 8.95), False), ((14.0, 9.35), True), ((14.0, 9.45), False)],
)
def test_other_arms_have_learned_if_surprisal_falls_below_what_it_was_and_what_frequencies_leave(arm, bits, learned):
    changed = {"cross_entropy": bits, "named": (0.0, 0.09)}
    table = curves(changed, arm, arms=("recoverability", "continued", "permuted", "sentence"))
    shares = kept(permuted=0.6, sentence=0.6)
    assert checks(table, shares, FREQUENCIES).loc[("m", arm), "learned"] == learned


@pytest.mark.parametrize("arm", ["continued", "permuted"])
@pytest.mark.parametrize(
    ("bits", "named", "spread", "falls"),
    [(9.35, 0.0, 0.1, 1), (9.45, 0.0, 0.1, 1), (9.45, 0.11, 0.0, 0)],  # in the last, it names more all the same
)
def test_of_a_control_whose_seeds_or_measures_disagree_it_cannot_be_told(arm, bits, named, spread, falls):
    changed = {"cross_entropy": (14.0, bits), "named": (0.0, named)}
    table = curves(changed, arm, arms=("recoverability", "continued", "permuted"), spread=spread)
    row = checks(table, kept(permuted=0.6), FREQUENCIES).loc[("m", arm)]
    assert pd.isna(row["learned"])
    assert row[["seeds", "falls"]].tolist() == [2, falls]


def test_targets_are_those_of_each_rate_with_the_way_there():
    middle = curves({}).query("step == 60").assign(step=32)
    middle["estimate"] = middle["estimate"].mask(middle["quantity"] == "cross_entropy", 9.2)
    table = targets(pd.concat([curves({}), middle]), FREQUENCIES)
    arms = ["recoverability", "continued"]
    assert table.index.tolist() == [("m", arm, rate) for rate in (0.1, 0.05) for arm in arms]
    ways = table[["bits_before", "bits_most", "bits_previous", "bits"]].xs("continued", level="arm")
    assert ways.to_numpy().tolist() == [[9.0, 9.2, 9.2, 7.0], [9.0, 9.2, 9.2, 0.0]]
    assert table["learned"].tolist() == [True, True, False, True], "at the second rate recoverability names nothing"
    assert table[["seeds", "falls"]].xs("continued", level="arm").to_numpy().tolist() == [[2, 2], [2, 2]]


def test_the_sentence_arm_is_a_claim_and_has_not_learned_where_it_cannot_be_told():
    table = curves({"cross_entropy": (14.0, 9.35)}, "sentence", arms=("recoverability", "sentence"), spread=0.1)
    assert checks(table, kept(sentence=0.6), FREQUENCIES).loc[("m", "sentence"), "learned"] == False  # noqa: E712


def test_of_a_control_that_leaves_targets_visible_the_hidden_ones_count():
    masked = {"masked_cross_entropy": (14.0, 9.45), "named": (0.0, 0.0)}
    row = checks(curves(masked, "continued"), kept(), FREQUENCIES).loc[("m", "continued")]
    assert row[["bits_before", "bits", "masked", "learned"]].tolist() == [14.0, 9.45, True, False]
    assert row[["bits_of_all", "learned_by_all", "seeds", "falls"]].tolist() == [7.0, True, 2, 0]
    hidden = VALUES["permuted"] | {"masked_cross_entropy": (14.0, 1.0)}
    row = checks(curves(hidden, "permuted", ("recoverability", "permuted")), kept(permuted=0.6), FREQUENCIES)
    assert not row.loc[("m", "permuted"), "masked"], "its targets are those of all tokens"
    assert row.loc[("m", "permuted"), "bits"] == 10.0


@pytest.mark.parametrize(("centroid", "ridge", "lifted"), [(0.54, 0.1, False), (0.56, 0.1, True), (0.5, 0.2, True)])
def test_a_last_layer_is_lifted_if_either_probe_finds_more(centroid, ridge, lifted):
    shares = kept(continued=centroid)
    shares.loc[("m", "continued"), "ridge"] = ridge
    assert checks(curves({}), shares, FREQUENCIES).loc[("m", "continued"), "lifted"] == lifted


@pytest.mark.parametrize(
    ("centroid", "ridge", "alike"), [(0.76, 0.56, True), (0.74, 0.54, False), (0.76, 0.54, None), (0.74, 0.56, None)]
)
def test_two_last_layers_match_only_if_both_probes_say_so(centroid, ridge, alike):
    shares, others = pd.Series({"centroid": 0.8, "ridge": 0.6}), pd.Series({"centroid": centroid, "ridge": ridge})
    assert matched(shares, others) is alike
    assert matched(others, shares) is alike


def test_what_frequencies_leave_is_what_a_probe_leaves_and_makes_usable():
    rows = [
        (layer, quantity, bits, "centroid", "token", "before", None)
        for layer, ends in {0: (4.0, 6.0), 6: (9.0, 1.0)}.items()
        for quantity, bits in zip(("cross_entropy", "usable"), ends, strict=True)
    ]
    usual = (0, "usable", 1.0, "centroid", "token", "before", None)
    changed = [(3, "ridge"), (4, "word"), (5, "permuted"), (1, "error"), (6, "a group")]
    others = [tuple(value if place == at else usual[place] for place in range(7)) for at, value in changed]
    columns = ["layer", "quantity", "estimate", "probe", "reading", "arm", "group"]
    table = pd.DataFrame([*others, *rows], columns=columns).assign(model="m")
    assert prior_bits(table).to_dict() == {"m": 10.0}


def test_models_are_checked_each_by_itself():
    both = pd.concat([curves({}), curves({"named": (0.2, 0.25)}).assign(model="n")])
    shares = kept()
    shares = pd.concat([shares, shares.rename(index={"m": "n"})])
    table = checks(both, shares, pd.Series({"m": 9.5, "n": 5.0}))
    assert table["learned"].tolist()[:3] == [True, True, False]
    assert pd.isna(table["learned"].iloc[3]), "names more, but knows less than the frequencies"
