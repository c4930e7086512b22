"""What the numbers of notebook 05 say: every branch of every sentence."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics import sentences

ENDS = {"low": 0.1, "high": 0.3}


def test_how_much_was_measured():
    table = pd.DataFrame({"id": ["a", "a", "b"] * 400})
    said = sentences.measured(table, {"sick": "sick: cannot be had: no network"})
    assert said == "2 checkpoints, 1,200 numbers.\n\n- left out, sick: no network"


def runs(**gains):
    """Runs of each twin: its gains, and how many of the first have learned."""
    rows = [
        {"twin": twin, "estimate": gain, "learned": place < passed}
        for twin, (passed, *some) in gains.items()
        for place, gain in enumerate(some)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([2, 2.5, 3.25], "2.50 to 3.25 bits per token (2 runs)."),
        ([1, 3.25], "3.25 bits per token (1 run)."),
        ([2, 3.251, 3.254], "3.25 bits per token (2 runs)."),
        ([0, -0.001], "0.00 bits per token (1 run). **0 of 1 learned; there is no verdict on the rest.**"),
        ([1, 3.0, 1.0], "1.00 to 3.00 bits per token (2 runs). **1 of 2 learned; there is no verdict on the rest.**"),
    ],
)
def test_what_was_learned(gains, said):
    lines = sentences.learned(runs(one=gains, other=[1, 9.0]), 2.0).splitlines()
    assert lines == [
        "A twin has learned if its tokens cost at least 2.0 bits less than by their frequency alone, by the whole "
        "interval over sentences.",
        "",
        f"- **one**: {said}",
        "- **other**: 9.00 bits per token (1 run).",
    ]


def test_what_is_kept_in_the_end_and_at_a_gain():
    rows = [("one", 0, "centroid", 3.0, 0.5), ("one", 0, "ridge", 3.0, 0.4), ("one", 1, "centroid", 4.0, 0.7),
            ("one", 1, "ridge", 4.0, 0.6), ("other", 0, "centroid", 1.0, 0.9)]  # fmt: skip
    last = pd.DataFrame(rows, columns=["twin", "seed", "probe", "gain", "estimate"])
    equal = last[last["twin"] == "one"].assign(estimate=[0.8, 0.7, 0.8, 0.7])[::-1]  # the order is that of `last`
    lines = [
        "- **one**: after the last step, with a gain of 3.50 bits, the last layer keeps 60.0% by the centroid and "
        "50.0% by the ridge of $H(X)$; when the gain was 2.0 bits, 80.0% by the centroid and 70.0% by the "
        "ridge (2 seeds).",
        "- **other**: after the last step, with a gain of 1.00 bits, the last layer keeps 90.0% by the centroid of "
        "$H(X)$ (one seed).",
    ]
    assert sentences.kept(last, equal, 2.0).splitlines() == lines
    assert "when the gain was" not in sentences.kept(last, equal[:0], 2.0)


def effect(name, sure, estimate=0.3, *, probe="centroid", pairs=6, runs=3, varies=""):
    return {"effect": name, "probe": probe, "unit": "share of H(X)", "sure": sure, "pairs": pairs, "runs": runs,
            "estimate": estimate, "smallest": 0.1, "smallest_pair": "roberta", "largest": 0.5, "largest_pair": "llama",
            "varies": varies} | ENDS  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            effect("mask", "less"),
            "- **mask**, under centroid: a causal mask instead of none keeps surely less, +30.0 % of H(X) "
            "[+10.0, +30.0], over 6 pairs and 3 seeds; from +10.0 % of H(X) (roberta) to +50.0 % of H(X) (llama). No "
            "pair surely differs from the others.",
        ),
        (
            effect("norm", "", varies="size", runs=1),
            "- **norm**, under centroid: the norm before each part instead of after it makes no sure difference, "
            "+30.0 % of H(X) [+10.0, +30.0], over 6 pairs and one seed; from +10.0 % of H(X) (roberta) to +50.0 % of "
            "H(X) (llama). **Its size depends on the rest of the architecture.**",
        ),
        (
            effect("scale", "more", varies="sign"),
            "- **scale**, under centroid: the largest scale of the initial weights instead of the smallest keeps "
            "surely more, +30.0 % of H(X) [+10.0, +30.0], over 6 pairs and 3 seeds; from +10.0 % of H(X) (roberta) to "
            "+50.0 % of H(X) (llama). **Its sign depends on the rest of the architecture**, so the mean says little.",
        ),
        (
            effect("mask", "more", pairs=1),
            "- **mask**, under centroid: a causal mask instead of none keeps surely more, +30.0 % of H(X) "
            "[+10.0, +30.0], in one pair (roberta), 3 seeds.",
        ),
    ],
)
def test_an_ingredient(row, said):
    assert sentences.built_in(pd.DataFrame([row])).splitlines()[0] == said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [effect("mask", "less", -0.2), effect("norm", "more", 0.1), effect("scale", "", 0.9)],
            "**the mask makes the largest difference on average.** Also sure: the norm.",
        ),
        (
            [effect("mask", "less", -0.2), effect("scale", "", varies="sign"), effect("norm", "", varies="size")],
            "**the mask makes the largest difference on average.** It is the only sure one. The sign of the effect of "
            "the scale depends on the rest.",
        ),
        (
            [effect("mask", "", runs=1), effect("norm", "", runs=1)],
            "**no ingredient makes a sure difference on average.** There is one seed, so this holds for these "
            "networks only.",
        ),
        (
            [effect("mask", "", runs=1), effect("norm", "", runs=2)],
            "**no ingredient makes a sure difference on average.**",
        ),
    ],
)
def test_the_largest_ingredient(rows, said):
    assert sentences.built_in(pd.DataFrame(rows)).splitlines()[-1] == f"- Under centroid: {said}"


def test_each_probe_has_its_ingredients():
    rows = [effect("mask", "more"), effect("mask", "", probe="ridge")]
    lines = sentences.built_in(pd.DataFrame(rows)).splitlines()
    assert [line[:20] for line in lines] == [
        *("- **mask**, under ce", "- Under centroid: **", "- **mask**, under ri", "- Under ridge: **no "),
    ]
    none = sentences.built_in(pd.DataFrame(rows)[:0])
    assert none == "No two untrained networks differ in one ingredient only."


def phase(name, start, end, seen, *, twin="one", runs=3, unit="bits per token"):
    facts = {"twin": twin, "unit": unit, "runs": runs, "phase": name, "from_step": start, "to_step": end}
    return facts | {"estimate": 0.2, "seen": seen} | ENDS


CHANGE = "+0.200 bits per token [+0.100, +0.300]"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [phase("fitting", 0, 1024, True), phase("compression", 1024, 2048, True)],
            f"- **one**, 3 seeds: fitting from step 0 to 1,024: {CHANGE}, seen; compression from step 1,024 to "
            f"2,048: {CHANGE}, seen. **All phases are seen**, in this order.",
        ),
        (
            [phase("fitting", 0, 0, False), phase("compression", 0, 8, True)],
            f"- **one**, 3 seeds: no fitting; compression from step 0 to 8: {CHANGE}, seen. **Seen: the "
            "compression; not the fitting.**",
        ),
        (
            [phase("fitting", 0, 8, False), phase("compression", 8, 8, False)],
            f"- **one**, 3 seeds: fitting from step 0 to 8: {CHANGE}, not seen; no compression. **None of them is "
            "surely there.**",
        ),
        (
            # Steps are chosen on the mean of all seeds, changes on the seeds left out: these may be seen all the same.
            [phase("fitting", 4, 4, True)],
            f"- **one**, 3 seeds: fitting from step 4 to 4: {CHANGE}, seen. **All phases are seen**, in this order.",
        ),
        (
            [phase("fall", 0, 1, True), phase("rise", 1, 2, False), phase("end", 2, 4, True)],
            f"- **one**, 3 seeds: fall from step 0 to 1: {CHANGE}, seen; rise from step 1 to 2: {CHANGE}, not "
            f"seen; end from step 2 to 4: {CHANGE}, seen. **Seen: the fall and the end; not the rise.** As nothing is "
            "sure between them, two phases of the same direction may be one phase.",
        ),
        (
            [phase("fall", 0, 1, True), phase("rise", 1, 2, False), phase("end", 2, 4, False)],
            f"- **one**, 3 seeds: fall from step 0 to 1: {CHANGE}, seen; rise from step 1 to 2: {CHANGE}, not "
            f"seen; end from step 2 to 4: {CHANGE}, not seen. **Seen: the fall; not the rise and the end.**",
        ),
        (
            [phase("fall", 0, 1, False), phase("rise", 1, 1, False), phase("end", 1, 4, True)],
            f"- **one**, 3 seeds: fall from step 0 to 1: {CHANGE}, not seen; no rise; end from step 1 to 4: "
            f"{CHANGE}, seen. **Seen: the end; not the fall and the rise.**",
        ),
        (
            [phase("fall", 0, 1, True), phase("rise", 1, 2, True), phase("end", 2, 4, True)],
            f"- **one**, 3 seeds: fall from step 0 to 1: {CHANGE}, seen; rise from step 1 to 2: {CHANGE}, seen; "
            f"end from step 2 to 4: {CHANGE}, seen. **All phases are seen**, in this order.",
        ),
        (
            [phase("fitting", 0, 8, True, runs=1)],
            f"- **one**, one seed: fitting from step 0 to 8: {CHANGE}, seen. **All phases are seen**, in this "
            "order. The turning points were chosen on the same curve on which the changes are measured, which makes "
            "these too large. The interval is over items and holds for this run only.",
        ),
        (
            [phase("collapse", 0, 8, True, unit="directions")],
            "- **one**, 3 seeds: collapse from step 0 to 8: +0.2 directions [+0.1, +0.3], seen. **All phases are "
            "seen**, in this order.",
        ),
    ],
)
def test_the_phases_of_a_curve(rows, said):
    assert sentences.phases(pd.DataFrame(rows)) == said


def test_each_twin_has_its_curve():
    rows = [phase("fitting", 0, 8, True, twin=twin) for twin in ("other", "one")]
    lines = sentences.phases(pd.DataFrame(rows)).splitlines()
    assert [line.partition(",")[0] for line in lines] == ["- **other**", "- **one**"]
    assert sentences.phases(pd.DataFrame()) == "There is no curve to look at."


def test_in_how_many_twins_all_phases_are_seen():
    one = pd.DataFrame([phase("collapse", 0, 8, True), phase("expansion", 8, 16, True)])
    other = pd.DataFrame([phase("collapse", 0, 8, True, twin="a"), phase("expansion", 8, 9, False, twin="a")])
    assert sentences.seen(pd.concat([one, other])) == (
        "All phases of *collapse, expansion, compression* are seen in 1 of 2 twins."
    )


POINTS = [(48, 64), (1024, 64), (24, 64), (48, 16), (48, 2048)]


def varied(quantity, estimate, twin="next token"):
    """A quantity at each of `POINTS`: width and sentences."""
    rows = [
        {"twin": twin, "quantity": quantity, "size": size, "amount": amount, "estimate": estimate(size, amount)}
        for size, amount in POINTS
    ]
    return pd.DataFrame(rows).assign(low=1.0, high=2.0, runs=3)


def test_by_size_and_by_amount_of_text():
    table = varied("unigram_gain", lambda size, amount: size + amount / 1e4)
    assert sentences.size_and_data(table, -np.inf).splitlines() == [
        "- **next token**, gain (bits per token), by width of the network: 24.01 [1.00, 2.00] at 24 (3 runs), "
        "1024.01 [1.00, 2.00] at 1,024 (3 runs).",
        "- **next token**, gain (bits per token), by training sentences: 48.00 [1.00, 2.00] at 16 (3 runs), 48.20 "
        "[1.00, 2.00] at 2,048 (3 runs).",
    ]


@pytest.mark.parametrize(
    ("slope", "said"),
    [
        (0.1, "for **next token**, by width of the network: by +0.54 of $H(X)$."),
        (-0.1, "for **next token**, by width of the network: by -0.54 of $H(X)$."),
        (0.01, "for **mask only**, by training sentences: by -0.21 of $H(X)$."),
    ],
)
def test_the_largest_change_of_what_is_kept_comes_first(slope, said):
    kept = "retained_cross_entropy"
    tables = [
        varied(kept, lambda size, amount: slope * np.log2(size)),
        varied(kept, lambda size, amount: -0.03 * np.log2(amount), twin="mask only"),
        varied("unigram_gain", lambda size, amount: size),
    ]
    lines = sentences.size_and_data(pd.concat(tables, ignore_index=True), -np.inf).splitlines()
    assert lines[:2] == [f"What the last layer keeps changes most {said}", ""]
    assert len(lines) == 2 + 3 * 2


def test_another_twin_may_keep_most_at_the_other_end():
    kept = "retained_cross_entropy"
    both = varied(kept, lambda size, amount: size / 1024), varied(kept, lambda size, amount: 0.5, twin="mask only")
    table = pd.concat(both, ignore_index=True)
    turned = "**The order of the twins turns** with the width of the network: *mask only* keeps most at 24, but "
    assert (
        sentences.size_and_data(table, -np.inf).splitlines()[0].endswith(f" {turned}*next token* keeps most at 1,024.")
    )


def test_networks_that_have_not_learned_change_nothing_and_are_marked():
    kept = varied("retained_cross_entropy", lambda size, amount: size / 1024 + amount / 1e4)
    gain = varied("unigram_gain", lambda size, amount: size)
    gain["low"] = np.where(gain["size"] == gain["size"].min(), 1.0, 3.0)
    lines = sentences.size_and_data(pd.concat([kept, gain], ignore_index=True), 2.0).splitlines()
    assert (
        lines[0]
        == "What the last layer keeps changes most for **next token**, by width of the network: by +0.95 of $H(X)$."
    )
    assert [" at 24 (3 runs, not learned), " in line for line in lines[2:]] == [True, False, True, False]


def test_a_single_run_says_nothing_of_other_seeds():
    table = varied("unigram_gain", lambda size, amount: size)
    said = sentences.size_and_data(table.assign(runs=1), -np.inf)
    assert "at 24 (1 run)" in said
    assert said.endswith("The interval of a single run is over sentences alone and says nothing of other seeds.")


def correlation(measure, estimate, sure, *, target="unigram_gain", p=0.01):
    return {"target": target, "measure": measure, "estimate": estimate, "low": 0.1, "high": 0.9, "p_holm": p,
            "sure": sure, "runs": 12, "twins": 2, "detectable": 0.8}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [correlation("rankme", 0.5, True), correlation("alpha_req", 0.2, False)],
            "+0.50 [+0.10, +0.90] (12 runs of 2 twins, p = 0.010 after Holm). **That is significant after Holm's "
            "correction.**",
        ),
        (
            [correlation("rankme", -0.5, True), correlation("alpha_req", 0.2, True), correlation("retained", 0, False)],
            "-0.50 [+0.10, +0.90] (12 runs of 2 twins, p = 0.010 after Holm). **That is significant after Holm's "
            "correction.** So is that of *alpha req*.",
        ),
        (
            [correlation("rankme", 0.5, False, p=0.2), correlation("alpha_req", 0.2, False)],
            "+0.50 [+0.10, +0.90] (12 runs of 2 twins, p = 0.200 after Holm). **No measure surely goes with it.**",
        ),
        (
            [correlation("rankme", 0.5, False, p=0.2), correlation("alpha_req", 0.4, True)],
            "+0.50 [+0.10, +0.90] (12 runs of 2 twins, p = 0.200 after Holm). That is not significant after Holm's "
            "correction, **but that of *alpha req* is.**",
        ),
    ],
)
def test_what_goes_with_a_target_over_runs(rows, said):
    assert sentences.between_runs(pd.DataFrame(rows)) == (
        f"- **unigram gain**: *rankme* goes with it most closely, {said} A rank correlation of 0.80 would have been "
        "seen."
    )


def test_each_target_has_its_measure():
    rows = [correlation("rankme", 0.5, True), correlation("retained", 0.3, True, target="lee spearman")]
    lines = sentences.between_runs(pd.DataFrame(rows)).splitlines()
    assert [line.partition(" goes")[0] for line in lines] == [
        "- **unigram gain**: *rankme*",
        "- **lee spearman**: *retained*",
    ]
    assert sentences.between_runs(pd.DataFrame(rows)[:0]) == "There are too few runs of one twin to compare."


def predictor(measure, kind="spearman", estimate=-0.9, *, low=-0.95, high=-0.8, target="bits_per_byte", **others):
    """A row of `over_runs`: by default 5 runs that agree."""
    row = {"target": target, "measure": measure, "kind": kind, "estimate": estimate, "low": low, "high": high,
           "smallest": -0.99, "largest": -0.7, "runs": 5, "agree": 5, "missing": 0, "p_holm": 0.01}  # fmt: skip
    return row | others


RANGE = "on average, from -0.99 to -0.70 over 5 runs, 5 of them with this sign"
BEST = f"- **bits per byte**: *rankme* is most closely correlated with it, -0.90 [-0.95, -0.80] {RANGE}."
SURVIVES = f"**That survives**: given the step it is -0.50 [-0.60, -0.40] {RANGE}."
PARTIAL = {"kind": "partial", "estimate": -0.5, "low": -0.6, "high": -0.4}


def said(*rows):
    return sentences.predictors(pd.DataFrame(rows))


def test_the_best_predictor_is_named_and_survives():
    weaker = predictor("alpha_req", estimate=0.5), predictor("alpha_req", **PARTIAL | {"estimate": 0.1})
    assert said(predictor("rankme"), predictor("rankme", **PARTIAL), *weaker) == f"{BEST} {SURVIVES}"


@pytest.mark.parametrize(
    ("partial", "survival"),
    [
        (
            {"runs": 0},
            "**Whether it says more than the step is open**: given the step, no correlation is defined.",
        ),
        (
            {"runs": 2, "agree": 2},
            "**Whether that survives is open with so few runs**: given the step it is -0.50 on average, from "
            "-0.99 to -0.70 over 2 runs, 2 of them with this sign, and not defined in 3 of 5 runs.",
        ),
        (
            {"runs": 1, "agree": 1},
            "**Whether that survives is open with so few runs**: given the step it is -0.50 in the one run "
            "where it is defined, and not defined in 4 of 5 runs.",
        ),
        (
            {"runs": 3, "agree": 3},
            "**That survives**: given the step it is -0.50 [-0.60, -0.40] on average, from -0.99 to -0.70 over 3 "
            "runs, 3 of them with this sign, and not defined in 2 of 5 runs.",
        ),
        (
            {"agree": 4},
            "**That does not survive**: given the step it is -0.50 [-0.60, -0.40] on average, from -0.99 to -0.70 "
            "over 5 runs, 4 of them with this sign. Both may merely change with training.",
        ),
        (
            {"estimate": 0.5, "low": 0.4, "high": 0.6},
            f"**That does not survive**: given the step it is +0.50 [+0.40, +0.60] {RANGE}. Both may merely "
            "change with training.",
        ),
        (
            {"p_holm": 0.111},
            f"**That does not surely survive**: given the step it is -0.50 [-0.60, -0.40] {RANGE}; p = 0.111 after "
            "Holm.",
        ),
    ],
)
def test_whether_the_best_predictor_survives_the_step(partial, survival):
    assert said(predictor("rankme"), predictor("rankme", **PARTIAL | partial)) == f"{BEST} {survival}"


def test_a_correlation_above_0_survives_by_the_same_rule():
    row = predictor("rankme", estimate=0.9, low=0.8, high=0.95)
    for p, words in ((0.06, "**That does not surely survive**"), (0.04, "**That survives**")):
        assert words in said(row, predictor("rankme", "partial", 0.5, low=0.1, high=0.6, p_holm=p))


def test_a_mean_without_an_interval_does_not_survive():
    none = PARTIAL | dict.fromkeys(("low", "high", "p_holm"), float("nan"))
    text = said(predictor("rankme"), predictor("rankme", **none))
    assert "**That does not surely survive**: given the step it is -0.50 (no interval) on average" in text


def test_a_change_without_an_interval_says_so():
    row = phase("fitting", 0, 1024, False) | {"low": float("nan"), "high": float("nan")}
    assert "+0.200 bits per token (no interval), not seen" in sentences.phases(pd.DataFrame([row]))


def test_runs_that_do_not_agree_predict_nothing():
    first = predictor("rankme", agree=4)
    assert said(first, predictor("rankme", **PARTIAL)).endswith(
        " The runs disagree on the sign, so it is no predictor in general. Given the step, that of *rankme* is -0.50 "
        f"[-0.60, -0.40] {RANGE}."
    )


def test_a_measure_that_some_runs_lack_is_not_considered():
    scarce = predictor("alpha_req", estimate=-1.0, runs=4), predictor("alpha_req", **PARTIAL | {"runs": 4})
    assert said(predictor("rankme"), predictor("rankme", **PARTIAL), *scarce) == (
        f"{BEST} Not considered, because not defined in all of these runs: alpha req. {SURVIVES}"
    )


def test_the_step_is_named_but_is_no_predictor():
    step = predictor("step", estimate=-1.0, missing=2), predictor("step", **PARTIAL | {"estimate": -1.0})
    rows = predictor("rankme"), predictor("rankme", **PARTIAL)
    assert said(*rows, *step) == f"{BEST} The correlation with the step itself is -1.00. {SURVIVES}"
    assert "The correlation with the step" not in said(*rows, step[0] | {"runs": 0, "estimate": np.nan}, step[1])


@pytest.mark.parametrize(("p", "words"), [(0.04, "surely"), (0.06, "but not surely")])
def test_another_measure_may_be_closer_given_the_step(p, words):
    rival = predictor("alpha_req", estimate=-0.2), predictor("alpha_req", "partial", p_holm=p)
    assert said(predictor("rankme"), predictor("rankme", **PARTIAL), *rival) == (
        f"{BEST} {SURVIVES} Given the step, *alpha req* is most closely correlated with it, {words}: -0.90 "
        f"[-0.95, -0.80] {RANGE}."
    )


def test_checkpoints_without_a_value_are_counted_once():
    rows = predictor("rankme", missing=2), predictor("rankme", **PARTIAL | {"missing": 2})
    other = predictor("alpha_req", estimate=0.1, missing=1), predictor("alpha_req", **PARTIAL | {"estimate": 0.1})
    assert said(*rows, *other).endswith("Checkpoints left out because a value is missing: rankme 2 and alpha req 1.")


def test_targets_without_a_correlation_and_none():
    rows = [predictor("rankme", kind, np.nan, target="lee", runs=0) for kind in ("spearman", "partial")]
    lines = said(*rows, predictor("rankme"), predictor("rankme", **PARTIAL)).splitlines()
    assert lines == ["- **lee**: no run has enough checkpoints with values that differ.", f"{BEST} {SURVIVES}"]
    assert sentences.predictors(pd.DataFrame(rows)[:0]) == "No target was measured."
