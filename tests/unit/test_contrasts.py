import numpy as np
import pandas as pd
import pytest

from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import holm
from bitskept.training.contrasts import contrast_sentences, contrasts, learned

ERROR = 0.05
ENTROPY = 8.0


def checkpoints(late, *, steps=(0, 64), probes=("centroid",), error=ERROR, size=64, start=0.0):
    """Late forgetting by twin: one number a seed at the last step, `start` before."""
    facts = {"size": size, "amount": 100, "layer": None, "k": None}
    rows = []
    for twin, values in late.items():
        for seed, value in enumerate(values):
            for step in steps:
                run = facts | {"twin": twin, "seed": seed, "step": step, "unit": "bits per token"}
                one = value if step == steps[-1] else start
                for probe in probes:
                    ends = {"estimate": one, "low": one - 1.96 * error, "high": one + 1.96 * error}
                    rows.append(run | ends | {"quantity": "late_forgetting", "probe": probe})
                    rows.append(run | {"quantity": "entropy", "probe": probe, "estimate": ENTROPY})
    return pd.DataFrame(rows).astype({"layer": "Int64", "k": "Int64", "probe": "str"})


def in_bits(table):
    return table[table["unit"] == "bits per token"].set_index("other")


def test_seeds_are_paired_and_the_errors_of_items_combined():
    found = contrasts(checkpoints({"causal": [1.0, 2.0, 3.0], "masked": [0.5, 1.5, 2.6]}))
    row = in_bits(found).loc["masked"]
    known = mean_over_runs(np.array([0.5, 0.5, 0.4]), ERROR * 2**0.5)
    assert row[["estimate", "low", "high", "p"]].tolist() == pytest.approx(known, rel=1e-6)
    assert row[["step", "runs", "missing", "sure"]].tolist() == [64, 3, 0, "more"]
    assert row[["more", "less"]].tolist() == pytest.approx([2, 4.6 / 3])
    share = found[found["unit"] == "share of H(X)"].iloc[0]
    assert share[["estimate", "low", "high"]].tolist() == pytest.approx([x / ENTROPY for x in known[:3]], rel=1e-6)
    assert share["sure"] == "more"


def test_p_is_adjusted_for_the_number_of_opponents_within_a_size_and_probe():
    late = {"causal": [1.0], "masked": [0.85], "diffusion": [0.86], "state-space": [1.0]}
    both = contrasts(pd.concat([checkpoints(late, probes=("centroid", "ridge")), checkpoints(late, size=128)]))
    for _, rows in both.groupby(["size", "probe", "unit"]):
        assert len(rows) == 3
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].to_numpy(float)).tolist())
    one = both[(both["size"] == 128) & (both["other"] == "masked")]
    assert (one["p"] < 0.05).all()
    assert (one["sure"] == "").all()


def test_only_seeds_and_steps_that_both_have_count():
    table = checkpoints({"causal": [1.0, 1.0], "masked": [0.0, 0.0, 0.0]}, steps=(0, 64))
    longer = checkpoints({"causal": [5.0]}, steps=(128,))
    row = in_bits(contrasts(pd.concat([table, longer]))).loc["masked"]
    assert row[["step", "runs", "estimate"]].tolist() == [64, 2, 1]
    table.loc[(table["twin"] == "causal") & (table["seed"] == 1), "estimate"] = np.nan
    row = in_bits(contrasts(table)).loc["masked"]
    assert row[["runs", "missing", "estimate"]].tolist() == [1, 1, 1]


def test_of_layers_the_last_counts():
    layers = [
        checkpoints({"causal": [value], "masked": [0.0]}).assign(layer=layer) for layer, value in ((1, 9.0), (6, 1.0))
    ]
    assert in_bits(contrasts(pd.concat(layers).astype({"layer": "Int64"}))).loc["masked", "estimate"] == 1


def test_what_was_learned_is_less_what_was_built_in():
    table = pd.concat(
        [checkpoints({"causal": [1.0, 1.1]}, start=0.8), checkpoints({"masked": [0.5, 0.5]}, start=0.1)],
        ignore_index=True,
    )
    found = learned(table)
    late = found[found["quantity"] == "late_forgetting"]
    assert set(found["step"]) == {64}
    assert late["estimate"].tolist() == pytest.approx([0.2, 0.3, 0.4, 0.4])
    assert ((late["high"] - late["low"]) / 3.92).tolist() == pytest.approx([ERROR * 2**0.5] * 4)
    assert in_bits(contrasts(table)).loc["masked", "estimate"] == pytest.approx(0.55)
    compared = contrasts(found)
    assert in_bits(compared).loc["masked", "estimate"] == pytest.approx(-0.15)
    assert compared["estimate"].iloc[1] == pytest.approx(-0.15 / ENTROPY), "the entropy of the text is not learned"


@pytest.mark.parametrize(("runs", "own"), [(1, 0.0), (2, 0.1), (3, 0.0)])
def test_twins_that_do_not_differ_are_seldom_told_apart(runs, own):
    """Also where the items err in the same way for all seeds."""
    random, tables = np.random.default_rng(0), []
    for size in range(1, 41):
        late = {twin: ERROR * random.normal() + own * random.normal(size=runs) for twin in ("causal", "masked")}
        tables.append(checkpoints(late, size=size, steps=(64,)))
    found = in_bits(contrasts(pd.concat(tables)))
    assert len(found) == 40
    assert (found["sure"] != "").mean() <= 0.1
    assert ((found["low"] <= 0) & (found["high"] >= 0)).mean() >= 0.9


def said(late, **options):
    return contrast_sentences(contrasts(checkpoints(late, **options)))


def test_the_cause_is_named_where_all_comparisons_agree():
    late = {"causal": [1.0, 1.02], "masked": [0.1, 0.1], "diffusion": [0.2, 0.21], "state-space": [1.0, 1.0]}
    lines = said(late, probes=("centroid", "ridge"), error=0.01)
    assert len(lines) == 4
    assert lines[0].startswith(
        "- **causal** less *masked*, late forgetting at step 64, 2 seeds: under centroid surely more, "
        "+0.910 bits per token ["
    )
    assert "] or +11.4 % of H(X) [" in lines[0]
    assert "(1.01 against 0.1); under ridge surely more" in lines[0]
    assert "under centroid not told apart" in lines[2]
    assert lines[3] == (
        "- **causal**: **late forgetting goes with next-token prediction**: there is surely more than under *masked* "
        "and *diffusion*, whatever the probe. *causal* and *state-space* both predict the next token, and differ in "
        "the build."
    )


@pytest.mark.parametrize(
    ("masked", "diffusion", "words"),
    [
        ([2.0], [2.0], "does not come of next-token prediction**: there is surely less"),
        ([1.0], [1.05], "is not shown to come of next-token prediction**: it is not told apart"),
        ([0.0], [1.0], "is open**: of 2 comparisons with *masked* and *diffusion*, it is surely more in 1 and surely"),
    ],
)
def test_the_verdict_follows_the_numbers(masked, diffusion, words):
    last = said({"causal": [1.0], "masked": masked, "diffusion": diffusion})[-1]
    assert words in last
    assert last.endswith("There is one seed: the intervals are over items, and speak of these runs only.")


def test_without_another_objective_nothing_is_said_of_it():
    assert "says nothing of the objective" in said({"causal": [1.0], "state-space": [0.0]})[-1]
    assert len(contrast_sentences(contrasts(checkpoints({"masked": [1.0], "diffusion": [0.0]}), "masked"))) == 1
    assert contrast_sentences(contrasts(checkpoints({"causal": [1.0]}))) == [
        "No two twins were measured at the same step: there is nothing to compare."
    ]


def test_sizes_are_told_where_there_are_several():
    late = {"causal": [1.0], "masked": [0.0]}
    lines = contrast_sentences(contrasts(pd.concat([checkpoints(late), checkpoints(late, size=1024)])))
    assert [line.split(" less")[0].split(": ")[0] for line in lines] == [
        *["- **causal**, width 64"] * 2,
        *["- **causal**, width 1,024"] * 2,
    ]
