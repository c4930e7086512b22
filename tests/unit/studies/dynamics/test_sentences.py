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
        ([0, -0.001], "0.00 bits per token (1 run). **It has not learned, so there is no verdict on it.**"),
        (
            [1, 3.0, 1.0],
            "1.00 to 3.00 bits per token (2 runs). **Only 1 of 2 have learned, so there is no verdict on the others.**",
        ),
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


def effect(name, sure, estimate=0.3, *, probe="centroid", runs=3, varies=""):
    ends = {"smallest": estimate - 0.1, "largest": estimate + 0.1}
    return {"effect": name, "probe": probe, "sure": sure, "runs": runs, "estimate": estimate, "varies": varies} | ends


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [effect("mask", "less", -0.2), effect("norm", "more", 0.1), effect("scale", "", 0.9)],
            "**the mask makes the largest difference on average.** Also sure: the norm (single pairs from "
            "+0.00 to +0.20).",
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
    assert sentences.built_in(pd.DataFrame(rows)) == f"- By the centroid: {said}"


def test_each_probe_has_its_ingredients():
    rows = [effect("mask", "more"), effect("mask", "", probe="ridge")]
    lines = sentences.built_in(pd.DataFrame(rows)).splitlines()
    assert [line.partition("**")[0] for line in lines] == ["- By the centroid: ", "- By the ridge: "]
    none = sentences.built_in(pd.DataFrame(rows)[:0])
    assert none == "No two untrained networks differ in one ingredient only."


def phase(name, start, end, seen, *, twin="one", runs=3, unit="bits per token"):
    facts = {"twin": twin, "unit": unit, "runs": runs, "phase": name, "from_step": start, "to_step": end}
    return facts | {"estimate": 0.2, "seen": seen} | ENDS


CHANGE = "+0.200 bits per token [+0.100, +0.300]"
OPEN = "at its last step the curve has not turned, so the compression cannot be judged"


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
            f"- **one**, 3 seeds: fitting from step 0 to 8: {CHANGE}, not seen; {OPEN}. **None of them is surely "
            "there.**",
        ),
        (
            [phase("fitting", 0, 8, True), phase("compression", 8, 8, False)],
            f"- **one**, 3 seeds: fitting from step 0 to 8: {CHANGE}, seen; {OPEN}. **Seen: the fitting.**",
        ),
        (
            [phase("fall", 0, 0, False), phase("fitting", 0, 8, True), phase("compression", 8, 8, False)],
            f"- **one**, 3 seeds: no fall; fitting from step 0 to 8: {CHANGE}, seen; {OPEN}. **Seen: the fitting; not "
            "the fall.**",
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
            "these too large. The interval is over items and holds for this run only, so there is no "
            "verdict.",
        ),
        (
            [phase("collapse", 0, 8, True, unit="directions")],
            "- **one**, 3 seeds: collapse from step 0 to 8: +0.2 directions [+0.1, +0.3], seen. **All phases are "
            "seen**, in this order.",
        ),
    ],
)
def test_the_phases_of_a_curve(rows, said):
    assert sentences.phases(pd.DataFrame(rows), []) == said


def test_each_twin_has_its_curve():
    rows = [phase("fitting", 0, 8, True, twin=twin) for twin in ("other", "one")]
    lines = sentences.phases(pd.DataFrame(rows), []).splitlines()
    assert [line.partition(",")[0] for line in lines] == ["- **other**", "- **one**"]
    lines = sentences.phases(pd.DataFrame(rows), ["other"]).splitlines()
    assert lines[0] == "- **other**: no verdict, as it has not learned."
    assert lines[1].startswith("- **one**, 3 seeds")
    assert sentences.phases(pd.DataFrame(), []) == "There is no curve to look at."


def test_in_how_many_twins_all_phases_are_seen():
    one = pd.DataFrame([phase("collapse", 0, 8, True), phase("expansion", 8, 16, True)])
    other = pd.DataFrame([phase("collapse", 0, 8, True, twin="a"), phase("expansion", 8, 9, False, twin="a")])
    both = pd.concat([one, other])
    said = "All phases of *collapse, expansion, compression* are seen in"
    assert sentences.seen(both, []) == f"{said} 1 of 2 twins."
    assert sentences.seen(both, ["one"]) == f"{said} 0 of 1 twins."
    rising = pd.DataFrame([phase("collapse", 0, 8, True, twin="b"), phase("expansion", 8, 8, False, twin="b")])
    assert sentences.seen(pd.concat([both, rising]), []) == (
        f"{said} 1 of 3 twins; in 1 the last one cannot be judged, as the curve has not turned at its last step."
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
    assert lines[:2] == [f"Among networks that have learned, what the last layer keeps changes most {said}", ""]
    assert len(lines) == 2 + 3 * 2


def test_another_twin_may_keep_most_at_the_other_end():
    kept = "retained_cross_entropy"
    both = varied(kept, lambda size, amount: size / 1024), varied(kept, lambda size, amount: 0.5, twin="mask only")
    table = pd.concat(both, ignore_index=True)
    turned = "**The order of the twins turns** with the width of the network: *mask only* keeps most at 24, but "
    assert (
        sentences.size_and_data(table, -np.inf).splitlines()[0].endswith(f" {turned}*next token* keeps most at 1,024.")
    )


def test_another_twin_may_forget_most_at_the_other_end():
    late = varied("late_forgetting", lambda size, amount: size / 1024)
    others = varied("late_forgetting", lambda size, amount: 0.5, twin="mask only")
    kept = varied("retained_cross_entropy", lambda size, amount: 0.9)
    first = sentences.size_and_data(pd.concat([late, others, kept], ignore_index=True), -np.inf).splitlines()[0]
    assert first.endswith(": *mask only* forgets most late at 24, but *next token* forgets most late at 1,024.")


def test_networks_that_have_not_learned_change_nothing_and_are_marked():
    kept = varied("retained_cross_entropy", lambda size, amount: size / 1024 + amount / 1e4)
    gain = varied("unigram_gain", lambda size, amount: size)
    gain["low"] = np.where(gain["size"] == gain["size"].min(), 1.0, 3.0)
    lines = sentences.size_and_data(pd.concat([kept, gain], ignore_index=True), 2.0).splitlines()
    assert lines[0].endswith(" changes most for **next token**, by width of the network: by +0.95 of $H(X)$.")
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


def score(name, better=False, **others):
    row = {"score": name, "chance": 0.5, "estimate": 0.6, "low": 0.4, "high": 0.8, "smallest": 0.3, "largest": 0.9}
    return row | {"runs": 20, "better": better} | others


def test_what_is_done_no_better_than_by_guessing_is_said_with_its_numbers():
    none = sentences.guessing(pd.DataFrame([score("lee spearman", chance=0.0, runs=19), score("blimp pair_accuracy")]))
    assert none.splitlines() == [
        "**No task is surely done better than by guessing**, on average over 20 runs that have learned (intervals over "
        "runs and items), so correlations with these scores say nothing:",
        "",
        "- *lee spearman*: 0.60 [0.40, 0.80]; runs from 0.30 to 0.90, guessing gives 0",
        "- *blimp pair accuracy*: 0.60 [0.40, 0.80]; runs from 0.30 to 0.90, guessing gives 0.5",
    ]
    some = sentences.guessing(pd.DataFrame([score("a accuracy"), score("b accuracy", True)])).splitlines()
    assert some[0].startswith("**Surely better than guessing**, on average over 20 runs")
    assert some[2].startswith("- *b accuracy*")
    assert some[4] == "Not surely better, so that correlations with these scores say nothing:"
    assert some[6].startswith("- *a accuracy*")
    every = sentences.guessing(pd.DataFrame([score("b accuracy", True)]))
    assert "Not surely" not in every
    assert sentences.guessing(pd.DataFrame([score("b accuracy")])[:0]) == "There are no scores."


def test_a_change_without_an_interval_says_so():
    row = phase("fitting", 0, 1024, False) | {"low": float("nan"), "high": float("nan")}
    assert "+0.200 bits per token (no interval), not seen" in sentences.phases(pd.DataFrame([row]), [])
