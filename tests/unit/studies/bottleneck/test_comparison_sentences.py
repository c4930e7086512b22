"""Every sentence on estimators, texts, runs and models, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck import comparison_sentences as sentences
from bitskept.studies.bottleneck.over_runs import COST, EVERYONE, PLAIN, RUN, SAVED


def exactness_table(covered, late, error=0.01):
    """Bias of raw and corrected optimality at 10 and 80 sentences."""
    rows = [
        {"source": "s", "sentences": n, "quantity": quantity, "kind": kind, "bias": bias, "exact": 0.25}
        | {"covered": covered, "repeats": 4, "low": 0.25 * (1 + bias - error), "high": 0.25 * (1 + bias + error)}
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


@pytest.mark.parametrize(
    ("late", "error", "said"),
    [
        ((0.08, -0.1), 0.015, "nearest is corrected, and then raw (within error of corrected)."),
        ((0.0, -0.1), 0.11, "nearest is corrected, and then raw (within error of corrected)."),
        ((0.08, -0.1), 0.005, "nearest is corrected, and then raw."),
        ((0.8, -0.6), 2.0, "nearest at both is corrected (within error of raw)."),
    ],
)
def test_what_is_as_near_within_error_is_said(late, error, said):
    assert f" to {late[0]:+.0%}; {said} The" in sentences.exactness(exactness_table(0, late, error)).splitlines()[0]


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
    assert f"order the 2 with a finite ratio {order}." in words
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
    assert said[3].endswith("is below 0.9, so that the answer does not depend on the correction.")


@pytest.mark.parametrize(
    ("raw", "corrected", "said"),
    [
        (0.8, 0.6, "is below 0.9, so that the answer does not"),
        (0.8, np.nan, "is below 0.9, so that the answer does not"),
        (0.99, 0.95, "is not clearly below 0.9: the answer depends"),
        (0.89, 0.6, "is not clearly below 0.9: the answer depends"),
        (np.nan, 0.6, "is not clearly below 0.9: the answer depends"),
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
            "low": value - 0.01,
            "high": value + 0.01,
        }
        for corpus in ("a", "b")
        for width in (1, 3)
        for name, value in values.items()
        for known in [value if name == "unique_input" else np.nan]
    ]
    *first, a, b, _, compared = sentences.documents(pd.DataFrame(rows), left_out).splitlines()
    assert first == ([left_out, ""] if left_out else [])
    assert ", up to 64 tokens, 1,200 places: 90% of the places have a token label that occurs once;" in a
    assert a.endswith("optimality is 0.950 [0.940, 0.960] raw and 0.250 [0.240, 0.260] corrected.")
    assert b.endswith("optimality is not estimable raw and not estimable corrected.")
    assert compared.startswith("No source is here both as documents and as sentences")


def texts_table(**corpora):
    """Places and corrected optimality by corpus; of a wider label it is 0.9."""
    return pd.DataFrame(
        {"corpus": name.replace("_", "-"), "longest": 64, "n": n, "width": width, "quantity": quantity}
        | {"estimate": known, "low": known - 0.01, "high": known + 0.01}
        for name, (n, value) in corpora.items()
        for width, known in ((1, value), (2, 0.9))
        for quantity in ("unique_input", "optimality", "optimality_corrected")
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0.3, "0.300 [0.290, 0.310] in documents and 0.200 [0.190, 0.210] in sentences: documents have more."),
        (0.1, "0.100 [0.090, 0.110] in documents and 0.200 [0.190, 0.210] in sentences: documents have less."),
        (0.21, "in sentences: the intervals overlap, so this sample cannot tell them apart."),
        (np.nan, "not estimable in documents and 0.200 [0.190, 0.210] in sentences: the intervals overlap"),
    ],
)
def test_documents_beside_sentences_of_the_same_source(value, found):
    pair = {"c4": (1000, 0.2), "c4_documents": (1100, value)}
    said = sentences.documents(texts_table(**pair, w=(1200, 0.5)), "").splitlines()[-1]
    assert said.startswith("Corrected optimality of c4 is ")
    assert " That is 1 source, one sample and one draw of the anchors; values are means over the layers. " in said
    assert found in said
    assert said.endswith(" Texts of different sources are not compared.")
    more = sentences.documents(texts_table(mixed=(3300, 0.5), **pair), "")
    assert more.endswith(" are not compared; **mixed** has 3.0 times as many places.")
    two = sentences.documents(texts_table(**pair, w=(1000, 0.2), w_documents=(1000, 0.3)), "")
    assert " That is 2 sources, one sample" in two


def runs_table(p, number=24, listed=30, able=True, plain=-0.6, plain_p=None):
    """Correlations with the cost and with a score, and what they would be without controls."""
    row = {"target": COST, "able": True, "measure": "rankme", "estimate": -0.7, "low": -0.9, "high": -0.4}
    row |= {"p_holm": p, "detectable": 0.6, "tests": 2, "listed": listed, "n": number, "twins": "a; b"}
    score = {"target": SCORE, "able": able, "p_holm": p if pd.isna(p) or able else np.nan, "n": 24}
    second = row | score | {"measure": "alpha_req", "p_holm": 1.0 if able and pd.notna(p) else np.nan}
    main = pd.DataFrame([row, row | score, second]).assign(setting=None)
    alone = {"setting": PLAIN, "estimate": plain, "p_holm": main["p_holm"] if plain_p is None else plain_p}
    return pd.concat([main, main.assign(**alone), main.assign(setting=EVERYONE, n=99)], ignore_index=True)


SCORE = "blimp accuracy"


def learned(*accuracies):
    return pd.DataFrame({SCORE: accuracies, "items": 2500, SAVED: 1.0})


SAVES = "save at least 0.05 bits per token of what tokens cost by their frequencies alone"
UNSEEN = "so P2's coefficients over models, -0.38 (complexity) and 0.52 (optimality), would not have been seen"


ASKED = "over runs and the 2,500 pairs that each of them is asked"
SCORES = learned(*np.linspace(0.6, 0.7, 24))


def test_what_survives_over_runs():
    words = sentences.runs(runs_table(0.01, number=11), "The 30 runs are those of X.", SCORES)
    head, _, cost, score = words.splitlines()
    assert head == f"The 30 runs are those of X. 24 of them {SAVES}; all verdicts are about these."
    found = "after Holm's correction over 2 tests: rankme -0.70 [-0.90, -0.40]"
    seen = f"; the smallest that would have been seen 80 % of the time is 0.60, {UNSEEN}."
    assert cost == f"- **bits per byte**, 11 runs (a; b): {found} (negative is good: a cost){seen}"
    accuracies = f"0.60 to 0.70, a mean of 0.65 [0.63, 0.67] {ASKED}, where guessing gives 0.50; "
    assert score == f"- **blimp accuracy**, 24 runs: {accuracies}{found}{seen}"


def test_what_does_not_survive_over_runs():
    cost = sentences.runs(runs_table(0.2), "X.", SCORES).splitlines()[2]
    assert cost.startswith(
        "- **bits per byte**, 24 runs: none survives 2 tests; the smallest that would have been seen"
    )
    score = sentences.runs(runs_table(0.01, able=False), "X.", learned(*[0.4, 0.6] * 12)).splitlines()[3]
    mean = f"0.40 to 0.60, a mean of 0.50 [0.45, 0.55] {ASKED}"
    assert (
        f"{mean}, where guessing gives 0.50; nothing is tested, because on average the runs do not stand out" in score
    )
    assert "would have been seen" not in score
    bad = sentences.runs(runs_table(0.01, able=False), "X.", learned(*[0.4, 0.45] * 12)).splitlines()[3]
    assert bad.endswith("nothing is tested, because on average the runs are worse than guessing.")
    unasked = sentences.runs(runs_table(0.01, able=False), "X.", learned(*[np.nan] * 24)).splitlines()[3]
    assert unasked.endswith("no run that counts was asked.")


@pytest.mark.parametrize(
    ("plain", "plain_p", "said"),
    [
        (-0.6, 0.2, ""),
        (0.6, 0.2, "rankme +0.60, not -0.70"),
        (-0.6, 0.01, "rankme -0.60 (significant), not -0.70"),
        (0.6, 0.01, "rankme +0.60 (significant), not -0.70"),
    ],
)
def test_what_correlations_without_controls_would_say(plain, plain_p, said):
    cost = sentences.runs(runs_table(0.2, plain=plain, plain_p=plain_p), "X.", SCORES).splitlines()[2]
    end = " have been seen. Without controls, over 2 tests, where kinds of networks are compared as well, these "
    end += f"would be others: {said}."
    assert cost.endswith(end if said else " is 0.60, " + UNSEEN + ".")
    lost = sentences.runs(runs_table(0.01, plain_p=0.2), "X.", SCORES).splitlines()[2]
    assert lost.endswith(" as well, these would be others: rankme -0.60, not -0.70.")
    few = sentences.runs(runs_table(np.nan, plain=plain, plain_p=plain_p), "X.", SCORES)
    assert "Without controls" not in few


def test_no_runs_and_few_runs():
    assert sentences.runs(runs_table(np.nan, 0, 0), "Run 05 first.", learned()) == "Run 05 first."
    none = sentences.runs(runs_table(np.nan, 0), "Those.", learned())
    assert none == f"Those. None of them {SAVES.replace('save', 'saves', 1)}, so nothing can be said."
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


@pytest.mark.parametrize(
    ("smallest", "said"),
    [
        (0.6, UNSEEN),
        (0.45, "so of P2's coefficients over models, -0.38 (complexity) and 0.52 (optimality), only the larger would"),
        (0.3, UNSEEN.replace("not ", "")),
    ],
)
def test_whether_the_papers_coefficients_would_have_been_seen(smallest, said):
    table = runs_table(0.2).assign(detectable=smallest)
    assert f" is {smallest:.2f}, {said}" in sentences.runs(table, "X.", SCORES).splitlines()[2]


def test_runs_that_are_left_out_are_named_with_what_their_tokens_cost():
    runs = pd.concat([SCORES, learned(0.5, 0.5, 0.5).assign(**{SAVED: [-2.0, 0.01, -0.1], RUN[0]: [*"abc"]})])
    head = sentences.runs(runs_table(0.2), "X.", runs).splitlines()[0]
    assert head.startswith(f"X. 24 of them {SAVES}; ")
    assert head.endswith(
        " about these. Left out: a, c, whose held-out tokens cost more than by frequencies alone. Left out: b, whose "
        "held-out tokens cost about as much as by frequencies alone."
    )
