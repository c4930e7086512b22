"""Every sentence on estimators, texts, runs and models, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck import comparison_sentences as sentences
from bitskept.studies.bottleneck.over_runs import COST


def exactness_table(covered, late):
    """Bias of raw and corrected optimality at 10 and 80 sentences."""
    rows = [
        {"source": "s", "sentences": n, "quantity": quantity, "kind": kind, "bias": bias, "exact": 0.25}
        | {"covered": covered, "repeats": 4}
        for n, biases in ((10, (2.0, -0.5)), (80, late))
        for quantity in ("complexity", "optimality")
        for kind, bias in zip(("raw", "corrected"), biases, strict=True)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("late", "nearest"),
    [((0.8, -0.1), "nearest at both is corrected"), ((0.05, -0.1), "nearest is corrected, and then raw")],
)
@pytest.mark.parametrize(("covered", "held"), [(0, "no interval"), (0.5, "8 of 16 intervals")])
def test_bias_from_few_and_from_much_text(late, nearest, covered, held):
    said = sentences.exactness(exactness_table(covered, late)).splitlines()
    assert said[0].startswith("- **s** (exact optimality 0.250): from 10 to 80 sentences, the bias is")
    assert f"raw +200% to {late[0]:+.0%}; {nearest}." in said[0]
    assert said[0].endswith(f"The exact value lies in {held}.")
    assert f"raw {late[0]:+.0%} to {late[0]:+.0%}" in said[1]


def test_a_bias_that_rounds_to_zero_has_no_minus():
    table = exactness_table(0, (-0.001, -0.1))
    assert sentences.exactness(table).endswith("raw +0% to +0%.")


def codes_table(older, soft):
    rows = [("a", 2.0, soft[0], 0.5), ("b", 2.0, soft[1], 0.25), ("c", 1.0, older, np.inf)]
    table = pd.DataFrame(rows, columns=["code", "complexity", "expressivity", "shannon optimality"])
    return table.assign(language="L", optimality=[soft[0] / 2, soft[1] / 2, np.inf], best=[0.6, 0.25, np.nan])


@pytest.mark.parametrize(
    ("older", "said"),
    [
        (1.5, "for 2 of 3 codes. It fails for “c” in the language of L."),
        (0.5, "3 of 3 codes. It fails for none of them."),
    ],
)
@pytest.mark.parametrize(("soft", "order"), [((1.0, 0.2), "in the same way"), ((0.2, 1.0), "differently")])
def test_where_the_bound_holds(older, said, soft, order):
    words = sentences.codes(codes_table(older, soft))
    assert said in words
    assert f"order these codes {order}." in words
    assert words.endswith("no code has a ratio above 0.60.")


def test_the_distance_of_each_kind_of_model():
    rows = [
        {
            "model": model,
            "kind": kind,
            "layer": layer,
            "width": width,
            "quantity": quantity,
            "estimate": value + layer / 10,
            "low": value + layer / 10 - 0.01,
            "high": value + layer / 10 + 0.01,
        }
        for model, kind, value in (("e", "encoder", 0.1), ("d", "decoder", 0.3), ("f", "decoder", 0.4))
        for layer in (0, 2)
        for width, quantity in ((1, "optimality"), (1, "optimality_corrected"), (4, "optimality"))
    ]
    unknown = {"model": "d", "kind": "decoder", "layer": 2, "width": 4, "quantity": "optimality_corrected"}
    said = sentences.distance(pd.DataFrame([*rows, unknown | {"estimate": np.nan}])).splitlines()
    assert said[0].startswith("- **encoders** (they have seen the output): token labels 0.30 raw")
    assert said[1].startswith("- **decoders**: token labels 0.50 to 0.60 raw and 0.50 to 0.60 corrected;")
    assert said[1].endswith("quadgram labels 0.50 to 0.60 raw and not estimable corrected.")
    assert said[2:] == ["", said[3]]
    assert said[3].endswith("are both below 0.9, so that the answer does not depend on the correction.")


@pytest.mark.parametrize(
    ("raw", "corrected", "said"),
    [
        (0.8, 0.6, "are both below 0.9, so that the answer does not"),
        (0.99, 0.95, "are both above 0.9, so that the answer does not"),
        (0.95, 0.6, "are not both clearly below or above 0.9: the answer depends"),
        (0.8, 0.89, "are not both clearly below or above 0.9: the answer depends"),
        (0.8, np.nan, "are not both clearly below or above 0.9: the answer depends"),
    ],
)
def test_whether_the_answer_depends_on_the_correction(raw, corrected, said):
    rows = [
        {"model": "d", "kind": "decoder", "layer": 2, "width": width, "quantity": f"optimality{end}"}
        | {"estimate": value, "low": value - 0.02, "high": value + 0.02}
        for width, values in ((1, (raw, corrected)), (4, (0.99, 0.2)))
        for end, value in zip(("", "_corrected"), values, strict=True)
    ]
    table = pd.DataFrame(rows)
    assert said in sentences.distance(table).splitlines()[-1]
    assert len(sentences.distance(table.assign(kind="encoder")).splitlines()) == 1


@pytest.mark.parametrize("left_out", ["", "It is left out."])
def test_other_texts(left_out):
    values = {"unique_input": 0.9, "optimality": 0.95, "optimality_corrected": 0.25}
    rows = [
        {
            "corpus": corpus,
            "longest": 64,
            "n": 1200,
            "width": width,
            "quantity": name,
            "estimate": value if corpus == "a" else known,
        }
        for corpus in ("a", "b")
        for width in (1, 3)
        for name, value in values.items()
        for known in [value if name == "unique_input" else np.nan]
    ]
    *first, a, b = sentences.documents(pd.DataFrame(rows), left_out).splitlines()
    assert first == ([left_out, ""] if left_out else [])
    assert ", up to 64 tokens, 1,200 places: 90% of" in a
    assert a.endswith("90% of the trigram labels occur once; optimality is 0.95 raw and 0.25 corrected.")
    assert b.endswith("optimality is not estimable raw and not estimable corrected.")


def runs_table(p, number=24, listed=30, able=True):
    row = {"target": COST, "able": True, "measure": "rankme", "estimate": -0.7, "low": -0.9, "high": -0.4}
    row |= {"p_holm": p, "detectable": 0.6, "tests": 2, "listed": listed, "n": number, "twins": "a; b"}
    score = {"target": SCORE, "able": able, "p_holm": p if pd.isna(p) or able else np.nan, "n": 24}
    return pd.DataFrame([row, row | score, row | score | {"p_holm": 1.0 if able and pd.notna(p) else np.nan}])


SCORE = "blimp accuracy"


def learned(*accuracies):
    return pd.DataFrame({SCORE: accuracies})


SCORES = learned(*np.linspace(0.6, 0.7, 24))


def test_what_survives_over_runs():
    words = sentences.runs(runs_table(0.01, number=11), "The 30 runs are those of X.", SCORES)
    head, _, cost, score = words.splitlines()
    assert head == "The 30 runs are those of X. 24 of them have learned."
    found = "after Holm's correction over 2 tests: rankme -0.70 [-0.90, -0.40]"
    seen = "; the smallest that would have been seen 80 % of the time is 0.60."
    assert cost == f"- **bits per byte**, 11 runs (a; b): {found} (negative is good: a cost){seen}"
    accuracies = "0.60 to 0.70, a mean of 0.65 [0.64, 0.66], where guessing gives 0.50; "
    assert score == f"- **blimp accuracy**, 24 runs: {accuracies}{found}{seen}"


def test_what_does_not_survive_over_runs():
    cost = sentences.runs(runs_table(0.2), "X.", SCORES).splitlines()[2]
    assert cost.startswith(
        "- **bits per byte**, 24 runs: none survives 2 tests; the smallest that would have been seen"
    )
    score = sentences.runs(runs_table(0.01, able=False), "X.", learned(*[0.4, 0.6] * 12)).splitlines()[3]
    assert "0.40 to 0.60, a mean of 0.50 [0.46, 0.54], where guessing gives 0.50; nothing is tested, because" in score
    assert "would have been seen" not in score


def test_no_runs_and_few_runs():
    assert sentences.runs(runs_table(np.nan, 0, 0), "Run 05 first.", learned()) == "Run 05 first."
    none = sentences.runs(runs_table(np.nan, 0), "Those.", learned())
    assert none == "Those. None of them has learned, so nothing can be said."
    for number, head in ((1, "1 run (a; b)"), (0, "0 runs")):
        few = sentences.runs(runs_table(np.nan, number), "Few.", learned(0.5, np.nan))
        assert f"- **bits per byte**, {head}: too few for a p-value." in few
    missing = sentences.runs(runs_table(np.nan, 5), "Few.", learned(np.nan))
    assert "guessing gives" not in missing


@pytest.mark.parametrize(
    ("raw", "corrected", "verdict"),
    [
        (0.1, 0.0, "No correlation of raw optimality"),
        (0.95, 0.1, "and not once it is corrected."),
        (0.95, -0.95, "so does corrected optimality, in the opposite order."),
        (0.95, 0.95, "so does corrected optimality, in the same order."),
    ],
)
def test_what_the_floor_alone_gives(raw, corrected, verdict):
    rows = [
        {
            "varied": varied,
            "kind": kind,
            "size": np.nan,
            "n": 20,
            "estimate": value,
            "low": value - 0.1,
            "high": value + 0.1,
        }
        for varied in ("vocabulary", "text")
        for kind, value in (("raw", raw), ("corrected", corrected))
    ]
    rows.append({"varied": "text", "kind": "extrapolated", "size": np.nan, "n": 2, "estimate": np.nan})
    said = sentences.floor_alone(pd.DataFrame(rows))
    assert f"With **the number of types**, all else equal: raw {raw:+.2f} [" in said
    assert "extrapolated not estimable." in said
    assert verdict in said
    assert "even a small trend" not in said
    models = [{"varied": "vocabulary", "kind": "raw", "size": n, "estimate": n / 100} for n in (20, 45)]
    moved = sentences.floor_alone(pd.DataFrame([*rows, *models]))
    assert moved.endswith("even a small trend sorts them: optimality is 0.20 to 0.45 raw.")
