"""What single ingredients change on languages with a truth: tables, the figure and every branch of the sentences."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.training.builds import Build
from bitskept.studies.dynamics import language_effect_sentences as sentences
from bitskept.studies.dynamics import language_effects, language_figures
from bitskept.studies.dynamics.language_arms import BERT, FIRST, MASK, NEXT, Arm
from bitskept.studies.dynamics.language_effects import FEWER, HEAD, ITEMS, KEPT, NOT_ENOUGH, NOTHING, SEEDS
from bitskept.studies.dynamics.language_runs import Language, Plan, Sizes
from bitskept.theory.corruption import Corruption

PLAN = Plan(
    Language(2, 2, 1.0, 0), Corruption(0.3), Build("llama", 16, 2, 2, 24), Sizes(1, 1, 1, (), 1, 2, 2, 2)
)  # fmt: skip
PAIRS = [
    *(Arm(f"{share} % kept", PLAN, "kept", MASK) for share in (3, 10)),
    Arm("10 % replaced", PLAN, "replaced", MASK),
    *(Arm(f"{name}, own head", PLAN, "own head", name) for name in (NEXT, MASK)),
    *(Arm(f"{name}, untied", PLAN, "tied", name) for name in (NEXT, MASK, BERT)),
    Arm(NEXT, PLAN),
]
USUAL = {NEXT: [1.4, 1.42], MASK: [0.1, 0.2, 0.15, 0.2], BERT: [1.9, 1.91]}


def by_run(bits, unlearned=(), ridge=0.0):
    """Bits about the synonym at the last layer of each run, by the centroid, and by so many more the `ridge`."""
    rows = []
    for (arm, values), probe in itertools.product(bits.items(), ("centroid", "ridge")):
        for seed, value in enumerate(values):
            estimate = value + ridge * (probe == "ridge")
            rows.append(
                {"arm": arm, "seed": seed, "learned": arm not in unlearned, "probe": probe, "estimate": estimate}
            )
    facts = {"language": FIRST, "reading": "token", "quantity": "synonym_bits"}
    table = pd.DataFrame(rows).assign(**facts, train_sentences=pd.array([100] * len(rows), "Int64"), exact=2.0)
    return table.assign(low=table["estimate"] - 0.02, high=table["estimate"] + 0.02)


def factors(bits, **options):
    chosen = [arm for arm in PAIRS if arm.name in bits]
    return language_effects.factors(by_run(USUAL | bits, **options), chosen)


def test_an_effect_is_that_of_all_runs_with_an_interval_over_seeds_where_there_are_several():
    found = factors({"10 % kept": [1.9, 1.9], "10 % replaced": [0.1]}).set_index(["arm", "probe"])
    kept = found.loc[("10 % kept", "centroid")]
    assert kept["estimate"] == pytest.approx(1.9 - 0.1625)
    names = ["over", "runs", "runs_against", "second", "lowest", "highest"]
    assert kept[names].tolist() == [SEEDS, 2, 4, pytest.approx(0.1625), 0.1, 0.2]
    error = np.hypot(np.std(USUAL[MASK], ddof=1) / 2, 2**0.5 * 0.02 / 1.96)
    assert kept["high"] - kept["low"] > 2 * 1.96 * error  # Student's law
    assert kept["detectable"] > 2.8 * error
    one = found.loc[("10 % replaced", "ridge")]
    assert one["estimate"] == pytest.approx(0.1 - 0.1625)
    assert one["high"] - one["low"] == pytest.approx(2 * 2**0.5 * 0.02, rel=1e-3)
    assert one["over"] == ITEMS
    assert np.isnan([one["p"], one["detectable"]]).all()


def test_effects_are_told_with_what_their_intervals_are_over():
    table = factors({"10 % kept": [1.9, 1.9], "10 % replaced": [0.12], "3 % kept": [0.3]})
    lines = sentences.factors(table).splitlines()
    assert lines[0].startswith(
        "The largest effect is +1.74 bits about the synonym by the centroid: 10 % kept against mask"
    )
    assert "differ by less" not in lines[0]
    assert lines[2].endswith(
        "(1 against 4 runs, interval over sentences). The runs of the other arm range from 0.10 to 0.20 by the "
        "centroid (this run lies outside) and from 0.10 to 0.20 by the ridge (this run lies outside)."
    )
    assert "(2 against 4 runs, interval over seeds)." in lines[3]
    assert lines[4].endswith("by the ridge (this run lies within).")
    assert lines[-1].startswith("An interval over sentences holds for these runs")
    same = sentences.factors(table.assign(estimate=1.8)).splitlines()[0]
    assert same.startswith(
        "The largest effects are +1.80 bits about the synonym by the centroid: 3 % kept against mask"
    )
    assert same.endswith("; 10 % replaced against mask only. They differ by less than 0.05 bits.")


def test_an_effect_that_may_be_none_says_what_would_have_been_seen():
    text = sentences.factors(factors({"10 % replaced": [0.1, 0.2]}))
    assert "centroid -0.01 [-0.31, +0.28] (an effect of 0.42 would have been seen); ridge" in text
    assert "holds for these runs" not in text


def test_an_ingredient_of_a_network_that_did_not_learn_gets_no_verdict():
    table = factors({"10 % kept": [1.9, 1.9]}, unlearned=[MASK])
    assert not table["learned"].any()
    assert sentences.factors(table) == (
        "- **kept**, 10 % kept against mask only: no verdict: of at least one of the two, no run has learned."
    )


ALL = {
    "3 % kept": [1.5, 1.52],
    "10 % kept": [1.92, 1.92],
    "10 % replaced": [0.15, 0.16],
    f"{NEXT}, own head": [1.95, 1.95],
    f"{MASK}, own head": [1.94, 1.95],
}


def predicted(bits, **options):
    chosen = [arm for arm in PAIRS if arm.name in bits]
    return language_effects.predictions(by_run(USUAL | bits, **options), chosen, 0.1)


def outcomes(bits, **options):
    table = predicted(bits, **options)
    rows = table[table["probe"] == "centroid"]
    return dict(zip(zip(rows["prediction"], rows["arm"], strict=True), rows["outcome"], strict=True))


def test_predictions_hold_fail_or_cannot_be_told():
    found = outcomes(ALL)
    assert found == {
        (KEPT, "10 % kept"): "holds",
        (FEWER, "3 % kept"): "does not hold",
        (NOTHING, "10 % replaced"): "holds",
        (NOT_ENOUGH, "10 % replaced"): "does not hold",
        (HEAD, f"{NEXT}, own head"): "holds",
        (HEAD, f"{MASK}, own head"): "holds",
    }
    assert list(dict.fromkeys(name for name, _ in found)) == [KEPT, FEWER, NOTHING, NOT_ENOUGH, HEAD]
    assert outcomes({"10 % replaced": [0.6, 0.61]})[NOTHING, "10 % replaced"] == "does not hold"
    assert outcomes({"10 % replaced": [0.1, 0.9]})[NOTHING, "10 % replaced"] == "cannot tell"
    assert outcomes({"10 % kept": [1.92]})[KEPT, "10 % kept"] == "cannot tell"
    assert outcomes({"10 % kept": [1.92, 1.92]}, unlearned=[BERT])[KEPT, "10 % kept"] == "cannot tell"


def test_less_than_with_masks_alone_is_not_nothing():
    low = USUAL | {MASK: [1.0, 1.01, 1.0, 1.01], "10 % replaced": [0.5, 0.51]}
    table = language_effects.predictions(by_run(low), PAIRS[2:3], 0.1)
    assert table.loc[table["prediction"] == NOTHING, "outcome"].unique().tolist() == ["does not hold"]


def test_each_prediction_has_a_sentence():
    lines = sentences.predictions(predicted(ALL)).splitlines()
    assert lines[0].startswith(
        "- Leaving 10 % as they are does all that BERT's rule does: **holds**. This holds for 10 % kept (+0.02"
    )
    assert lines[1].startswith(
        "- Leaving another share does all that BERT's rule does. This does not hold for 3 % kept (-0.39"
    )
    assert lines[2].startswith("- Replacing does nothing: **holds**.")
    assert lines[3].startswith("- Replacing alone does all that BERT's rule does: **does not hold**.")
    assert lines[4].startswith(
        "- A second head does all that BERT's rule does, for any objective: **holds**. This holds for next token"
    )
    assert " bits against BERT's rule) and mask only, own head (" in lines[4]
    half = sentences.predictions(predicted(ALL | {f"{MASK}, own head": [0.2, 0.2]})).splitlines()[4]
    assert "**does not hold**. This holds for next token, own head (" in half
    assert "; this does not hold for mask only, own head (" in half
    open_ = sentences.predictions(predicted(ALL | {f"{MASK}, own head": [1.2, 1.9]})).splitlines()[4]
    assert "**cannot tell**" in open_
    assert "this cannot be told for mask only, own head (" in open_
    assert "; an effect of " in open_
    assert "would have been seen by a test on its own)" in open_
    table = predicted(ALL)
    rest = table.assign(outcome="cannot tell", low=table["estimate"] - 0.01, high=table["estimate"] + 0.01, p=0.09)
    assert "bits against BERT's rule; p = 0.09 after the correction)" in sentences.predictions(rest)
    one = sentences.predictions(predicted({"10 % kept": [1.92]})).splitlines()[0]
    assert (
        "**cannot tell**. This cannot be told for 10 % kept (1 against 2 runs, interval over sentences: +0.02 [-0.0"
        in one
    )
    failed = sentences.predictions(predicted({"10 % kept": [1.92, 1.92]}, unlearned=["10 % kept"])).splitlines()[0]
    assert failed.endswith("10 % kept (of it or of BERT's rule, no run has learned).")


def test_predictions_without_networks_and_of_another_probe():
    assert sentences.predictions(predicted({})).splitlines() == [
        "- Leaving 10 % as they are does all that BERT's rule does: **not tested**, as no such networks were trained.",
        "- Replacing does nothing: **not tested**, as no such networks were trained.",
        "- A second head does all that BERT's rule does, for any objective: **not tested**, as no such networks were "
        "trained.",
    ]
    table = predicted({"10 % kept": [1.92, 1.92]})
    turned = table.assign(outcome=["holds", "does not hold"])
    assert " By the ridge, this does not hold for 10 % kept (" in sentences.predictions(turned)


def test_the_figure_has_a_line_for_each_pair():
    table = factors({"10 % kept": [1.9, 1.9], "10 % replaced": [0.1]}, unlearned=["10 % replaced"])
    axes = language_figures.language_factors(table).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        *("10 % kept − mask only", "10 % replaced − mask only (1 run)"),
    ]


def test_what_tying_does_to_the_claims():
    """The bits about the token are those about the synonym here."""
    table = by_run({NEXT: [1.0, 1.2], BERT: [1.9, 1.9], f"{NEXT}, untied": [1.8], f"{BERT}, untied": [1.9]})
    said = sentences.untied(table.assign(quantity="kept"))
    assert said == (
        "Where the output has a table of its own: *BERT's rule* − *next token* +0.10 bits per token (1 against 1 "
        "runs), tied +0.80."
    )
    assert sentences.untied(table[~table["arm"].str.contains("untied")].assign(quantity="kept")) == ""
