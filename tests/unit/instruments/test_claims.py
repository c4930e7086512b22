import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bitskept.instruments import claims
from bitskept.theory.statistics import holm

NAN = np.nan


def row(**changes):
    """A significant difference of half a bit."""
    usual = {
        "paper": "P1",
        "claim": "Late layers forget",
        "reading": "token",
        "probe": "centroid",
        "train_sentences": 3000,
        "model": "A",
        "estimate": 0.5,
        "low": 0.3,
        "high": 0.7,
        "p": 0.001,
        "family": None,
        "unit": "bits per token",
        "clusters": 250,
        "detectable": 0.25,
    }
    return usual | changes


UNSURE = {"estimate": 0.05, "low": -0.2, "high": 0.3, "p": 0.4}
NONE = {"estimate": 0.01, "low": -0.03, "high": 0.05, "p": 0.4}
TOO_FEW = {"low": NAN, "high": NAN, "p": NAN, "detectable": NAN, "clusters": 6}
UNTESTED = dict.fromkeys(["estimate", "low", "high", "p", "detectable", "clusters", "model", "unit"], NAN)


def table(*rows):
    return claims.table(rows, relevant=0.1)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0.5, 0.3, 0.7, 0.001), "yes"),
        ((0.1, 0.05, 0.15, 0.04), "yes"),
        ((0.5, 0.3, 0.7, 0.05), "cannot tell"),  # after Holm
        ((0.09, 0.01, 0.17, 0.001), "cannot tell"),  # it may be too small to matter
        ((0.05, 0.01, 0.09, 0.001), "no"),  # significant, and too small to matter
        ((-0.5, -0.7, -0.3, 1.0), "no"),
        ((0.0, -0.1, 0.1, 0.5), "cannot tell"),
        ((0.5, NAN, NAN, NAN), "cannot tell"),
        ((0.5, 0.3, NAN, 0.001), "cannot tell"),
    ],
)
def test_three_outcomes(numbers, expected):
    assert claims.outcome(*numbers, relevant=0.1) == expected


def ends(estimate, below=0.05, above=0.05):
    return {"estimate": estimate, "low": estimate - below, "high": estimate + above}


def test_p_is_that_of_the_interval():
    assert claims.effect(ends(0.05))["p"] == pytest.approx(0.025)
    assert claims.effect(ends(0.15), least=0.1)["p"] == pytest.approx(0.025)
    assert claims.effect(ends(-0.05))["p"] == pytest.approx(0.975)
    either = claims.effect(ends(-0.05), sides=2)
    assert (either["estimate"], either["low"], either["high"]) == pytest.approx((0.05, 0.0, 0.1))
    assert either["p"] == pytest.approx(0.05)


def test_the_longer_side_of_an_interval_counts_where_it_lies_towards_the_least():
    """A one-sided p under .025 goes with an interval above 0, however skewed the interval is."""
    assert claims.effect(ends(0.05, below=0.05, above=0.01))["p"] == pytest.approx(0.025)
    assert claims.effect(ends(0.05, below=0.01, above=0.05))["p"] == pytest.approx(
        norm.sf(0.05 / 0.03 * norm.isf(0.025))
    )


@pytest.mark.parametrize("low", [NAN, 0.5])
def test_no_interval_no_p(low):
    told = claims.effect({"estimate": 0.5, "low": low, "high": 0.5})
    assert told["estimate"] == 0.5
    assert np.isnan([told[name] for name in ("low", "high", "p", "detectable")]).all()


@pytest.mark.parametrize("sides", [1, 2])
def test_the_effect_that_would_have_been_seen_is_seen_four_times_in_five(sides):
    """Normal estimates with a known error."""
    error, draw = 0.05 / norm.isf(0.025), np.random.default_rng(0)
    for least in (0.0, 0.1) if sides == 1 else (0.0,):
        options = {"least": least, "sides": sides}
        true = claims.effect(ends(0.0), **options)["detectable"]
        seen = [claims.effect(ends(value), **options)["p"] < 0.05 for value in draw.normal(true, error, 4000)]
        assert np.mean(seen) == pytest.approx(0.8, abs=0.02)


def test_where_no_possible_effect_would_have_been_seen_the_words_say_so():
    few = {"estimate": 0.8, "low": 0.2, "high": 0.95}
    told = claims.effect(few, least=0.7, most=1.0)
    assert np.isinf(told["detectable"])
    assert claims.effect(few, least=0.7)["detectable"] > 1
    result = claims.table([row(**told)], relevant=0.7)
    assert claims.words(result).splitlines()[-1].endswith("| cannot tell | 0.80 [0.20, 0.95] bits per token | 250 "
                                                          "| too small a sample to see any |")  # fmt: skip
    assert claims.verdict(result) == "cannot tell for A (too small a sample to see any)"


def test_the_table_has_exactly_its_columns_and_says_what_was_not_tested():
    result = table(row(), row(claim="Encoders keep more: it takes pairs of models", **UNTESTED))
    assert list(result.columns) == claims.COLUMNS
    assert result["outcome"].tolist() == ["yes", "not tested"]
    assert result.loc[0, ["estimate", "low", "high", "detectable"]].tolist() == [0.5, 0.3, 0.7, 0.25]


def test_p_is_adjusted_within_a_family_and_not_across():
    rows = [
        row(p=p, family=family) for p, family in [(0.02, "a"), (0.03, "a"), (0.04, "b"), (0.04, None), (0.04, None)]
    ]
    # Holm: 0.02 becomes 0.04, and 0.03 as well; had all five been one family, none would be significant.
    assert table(*rows)["outcome"].tolist() == ["yes"] * 5
    together = table(*(member | {"family": "a"} for member in rows))
    assert together["outcome"].tolist() == ["cannot tell"] * 5


def test_what_would_have_been_seen_is_large_enough_for_a_yes():
    """A small effect that is sure may stay below what counts: nothing of that size could have come out as a yes."""
    sure = table(row(estimate=0.08, low=0.04, high=0.12, p=0.001, detectable=0.05))
    assert sure["outcome"].tolist() == ["cannot tell"]
    error = 0.04 / 1.96
    assert sure["detectable"].item() == pytest.approx(0.1 + 0.8416 * error, rel=1e-3)
    estimates = np.random.default_rng(0).normal(sure["detectable"].item(), error, 20_000)
    assert (estimates >= 0.1).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("sides", [1, 2])
def test_what_is_detectable_in_a_family_is_seen_four_times_in_five_beside_nothing_else(sides):
    alone = (norm.isf(0.05 / sides) + norm.isf(0.2)) * 0.1  # of an estimate with a standard error of 0.1
    members = [row(family="a", p=0.9, claim=str(place), detectable=alone) for place in range(10)]
    detectable = claims.table(members, relevant=0.1, sides=sides)["detectable"].iloc[0]
    z = np.random.default_rng(0).normal(size=(4000, 10))
    z[:, 0] += detectable / 0.1
    seen = np.mean([holm(np.minimum(1, sides * norm.sf(draw)))[0] < 0.05 for draw in z])
    assert seen == pytest.approx(0.8, abs=0.02)
    assert table(row(detectable=0.25))["detectable"].tolist() == [0.25]
    beyond = [member | {"detectable": 0.1 + alone, "least": 0.1} for member in members]
    raised = claims.table(beyond, relevant=0.1, sides=sides)["detectable"]
    assert raised.tolist() == pytest.approx([0.1 + detectable] * 10)


def test_the_sides_of_a_row_are_those_of_its_own_p():
    """Rows with other tests may share a table, and a family."""
    pair = [row(family="a", detectable=0.2, sides=sides) for sides in (1, NAN)]
    mixed = claims.table(pair, relevant=0.1, sides=2)["detectable"].tolist()
    by_sides = [
        claims.table([row(family="a", detectable=0.2)] * 2, relevant=0.1, sides=sides)["detectable"].iloc[0]
        for sides in (1, 2)
    ]
    assert mixed == pytest.approx(by_sides)
    assert by_sides[0] > by_sides[1] > 0.2


def test_what_could_not_be_tested_still_counts_in_its_family():
    pair = [row(p=0.03, family="a"), row(family="a", **TOO_FEW)]
    assert table(pair[0])["outcome"].tolist() == ["yes"]
    assert table(*pair)["outcome"].tolist() == ["cannot tell", "cannot tell"]


def test_what_is_relevant_may_depend_on_the_unit():
    rows = [row(estimate=0.05, low=0.03, high=0.07, unit=unit) for unit in ("bits per token", "score")]
    result = claims.table(rows, relevant={"bits per token": 0.1, "score": 0.02})
    assert result["outcome"].tolist() == ["no", "yes"]


def test_rows_may_come_from_several_tables():
    parts = pd.concat([pd.DataFrame([row(p=0.5, family="a")]), pd.DataFrame([row(p=0.001, family="a")])])
    assert claims.table(parts, relevant=0.1)["outcome"].tolist() == ["cannot tell", "yes"]


def test_what_cannot_be_told_has_to_say_what_could():
    with pytest.raises(
        ValueError, match=r"“Late layers forget” \(A, token, centroid, 3,000 sentences\) cannot be told f"
    ):
        table(row(detectable=NAN, **UNSURE))
    assert table(row(**TOO_FEW))["outcome"].tolist() == ["cannot tell"]


def test_an_interval_needs_a_p():
    with pytest.raises(ValueError, match="has an interval but no p"):
        table(row(p=NAN))


def test_the_table_in_words():
    result = table(row(), row(claim="a|b", model=NAN, unit="score", **(UNSURE | TOO_FEW)), row(claim="X", **UNTESTED))
    lines = claims.words(result).splitlines()
    assert lines[2] == (
        "| Late layers forget | token, centroid, 3,000 sentences | A | yes | 0.50 [0.30, 0.70] bits per token | 250 "
        "| 0.25 bits per token |"
    )
    assert lines[3] == (
        r"| a\|b | token, centroid, 3,000 sentences |  | cannot tell | 0.050 (no interval) score | 6 |  |"
    )
    assert lines[4] == "| X | token, centroid, 3,000 sentences |  | not tested |  |  |  |"
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert claims.words(result, papers=True).splitlines()[4].startswith("| P1 | X | ")


def test_a_verdict_names_the_models_by_outcome():
    models = {"A": {}, "B": {}, "C": UNSURE, "D": NONE, "E": TOO_FEW}
    result = table(*(row(model=model) | changes for model, changes in models.items()))
    assert claims.verdict(result) == (
        "yes for A, B; no for D; cannot tell for C (a difference of 0.25 bits per token would have been seen), "
        "E (no interval)"
    )


def test_a_verdict_of_no_model():
    assert claims.verdict(table(row(model=NAN))) == "yes"
    told = claims.verdict(table(row(model=NAN, **UNSURE)))
    assert told == "cannot tell (a difference of 0.25 bits per token would have been seen)"
    share = table(row(model=NAN, **UNSURE)).assign(unit="share of H(X)")
    assert claims.verdict(share) == "cannot tell (a difference of 25.0% of H(X) would have been seen)"
    mixed = claims.verdict(table(row(model=NAN), row(model=NAN, probe="ridge", **NONE)))
    assert mixed == "mixed (yes in 1, no in 1)"


def test_the_largest_detectable_difference_would_have_been_seen_in_every_row():
    result = table(row(**UNSURE), row(probe="ridge", **(UNSURE | {"detectable": 0.4})))
    assert claims.verdict(result) == "cannot tell for A (a difference of 0.40 bits per token would have been seen)"


@pytest.mark.parametrize(
    ("detectable", "said"),
    [(0.0042, "-0.0003 [-0.0017, 0.0011] bits per token | 250 | 0.0042 bits"), (0.02, "0.00 [0.00, 0.00] bits")],
)
def test_thousandths_of_a_bit_have_four_decimals(detectable, said):
    result = table(row(estimate=-0.0003, low=-0.0017, high=0.0011, p=0.6, detectable=detectable))
    assert said in claims.words(result)


def test_a_verdict_that_depends_on_the_setting_is_none():
    result = table(row(), row(probe="ridge"), row(train_sentences=375, **NONE), row(model="B"))
    assert claims.verdict(result) == "yes for B; mixed for A (yes in 2, no in 1)"
    near = result.assign(outcome=["no", claims.BORDER, "no", claims.BORDER])
    assert claims.verdict(near) == "too near the border for B; mixed for A (no in 2, too near the border in 1)"


def test_the_readme_has_a_line_for_each_tested_claim_of_a_paper():
    control = row(claim="Exchanged labels", paper=claims.CONTROL)
    result = table(row(), row(model="B"), row(claim="a|b (x)"), row(claim="a|b (y)", model="B", **UNSURE), control)
    others = table(row(claim="X", **UNTESTED), row(claim="Y (to be tested: more)", **UNTESTED))
    lines = claims.readme({"02_layer_sweep": result, "03_fine_tuning": others}).splitlines()
    notebook = "[`02`](notebooks/02_layer_sweep.ipynb)"
    assert lines[2] == f"| Late layers forget | P1 | yes for A, B | {notebook} |"
    seen = "cannot tell for B (a difference of 0.25 bits per token would have been seen)"
    assert lines[3] == rf"| a\|b | P1 | yes for A; {seen} | {notebook} |"
    link = "[`03`](notebooks/03_fine_tuning.ipynb)"
    told = [line for line in lines[4:] if line and not line.startswith("<")]
    assert told == [f"- X, {link}", f"- Y (to be tested: more), {link}"]


@pytest.mark.parametrize("model", ["A", NAN])
def test_the_readme_says_where_most_other_settings_disagree(model):
    def line(*others, planned=1):
        result = table(*[row(model=model)] * planned, *others)
        result["primary"] = [True] * planned + [False] * len(others)
        return claims.readme({"02": result}).splitlines()[2]

    start = "| Late layers forget | P1 | yes" + (" for A" if model == "A" else "")
    differs, agrees = row(model=model, probe="ridge", **NONE), row(model=model, probe="ridge")
    elsewhere = row(model="B", probe="ridge", **NONE)
    assert line(differs).startswith(f"{start} (0 of 1 other settings agree) |")
    assert line(differs, agrees, elsewhere, row(claim="X", **NONE)).startswith(f"{start} |")
    alike, ridges = row(model=model, **NONE), [agrees] * 3
    assert line(alike, *ridges).startswith(f"{start} |"), "one setting more with the same probe is none too many"
    said = line(alike, alike, *ridges)
    assert said.startswith(f"{start} (0 of 2 with the same probe and as much text agree) |")
    for planned in (1, 2):
        said = line(differs, differs, agrees, planned=planned)
        assert said.startswith(f"{start} (1 of 3 other settings agree) |")


def test_a_readme_without_claims_is_empty():
    assert claims.readme({}) == ""
    assert claims.readme({"08_uncertainty_at_the_output": table(row(paper="Meister 2022"))}) == ""


def test_what_it_would_take_is_said_only_where_no_row_of_a_claim_was_tested():
    silent = row(claim="Late layers forget (to be tested: a better probe)", probe="ridge") | UNTESTED | {"model": "A"}
    (line,) = claims.readme({"02": table(row(), silent)}).splitlines()[2:]
    assert line.startswith("| Late layers forget | P1 | yes for A |")
    assert "(to be tested: a better probe)" in claims.readme({"02": table(silent)})
