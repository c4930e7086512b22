"""Every sentence and claim about the kNN-LM, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.output import retrieval_sentences as sentences
from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED
from bitskept.studies.output.retrieval_tables import (
    ABSENT,
    AGAINST_OTHER,
    ALL,
    ENTROPY,
    FREQUENCY,
    FREQUENT,
    LATER,
    LOSING,
    MODEL,
    RARE,
    RARE_LESS_FREQUENT,
    RARER_LESS_FREQUENT,
    RETRIEVAL,
    RETRIEVAL_LESS_MODEL,
    SAVED,
    SHUFFLED_AS_MUCH,
    SLOPE,
)

WRITERS = ("kNN-LM, nucleus 0.8", "kNN-LM, nucleus 1")


def gains(
    saved=0.04,
    losing=0.8,
    shuffled=-0.05,
    apart=0.03,
    rarer=0.1,
    rarest=0.0,
    weight=0.1,
    reach=0.01,
    weights=(0.0, 0.05),
):
    same, bits, share = {"store": SAME, "weight": weight}, "bits per token", "share of tokens"
    rows = [
        same | {"by": ALL, "group": ALL, "quantity": SAVED, "estimate": saved, "unit": bits, "tokens": 100},
        same | {"by": ALL, "group": ALL, "quantity": LOSING, "estimate": losing, "unit": share, "tokens": 100},
        same | {"by": FREQUENCY, "group": RARE, "quantity": SAVED, "estimate": 0.2, "unit": bits, "tokens": 31},
        same | {"by": FREQUENCY, "group": FREQUENT, "quantity": SAVED, "estimate": 0.2 - rarer, "unit": bits},
        same | {"by": FREQUENCY, "group": RARE_LESS_FREQUENT, "quantity": SAVED, "estimate": rarer, "unit": bits},
        same | {"by": FREQUENCY, "group": RARER_LESS_FREQUENT, "quantity": SAVED, "estimate": rarest, "unit": bits},
        same | {"by": FREQUENCY, "group": ABSENT, "quantity": SAVED, "estimate": -0.15, "unit": bits, "tokens": 19},
        same | {"by": ENTROPY, "group": "below 1 bit", "quantity": SAVED, "estimate": -0.02, "unit": bits},
        same | {"by": ENTROPY, "group": "above 5", "quantity": SAVED, "estimate": 0.09, "unit": bits},
    ]
    for store, value, chosen in (
        (SHUFFLED, 0.001, weights[0]),
        (OTHER, 0.01, weights[1]),
        (AGAINST_OTHER, apart, np.nan),
        (SHUFFLED_AS_MUCH, shuffled, weight),
    ):
        facts = {"store": store, "weight": chosen, "by": ALL, "group": ALL, "quantity": SAVED, "unit": bits}
        rows.append(facts | {"estimate": value})
    table = pd.DataFrame(rows).assign(model="m", temperature=0.3, n=40)
    return table.assign(low=table["estimate"] - reach, high=table["estimate"] + reach)


def weighed(of_gains=None, of_changes=None):
    rows = sentences.claims(gains() if of_gains is None else of_gains, changes() if of_changes is None else of_changes)
    return outcomes.table(rows, relevant=sentences.RELEVANT)


def retrieval(table):
    return sentences.retrieval(table, weighed(of_gains=table))


def drift(table):
    return sentences.retrieval_drift(table, weighed(of_changes=table))


def test_what_is_saved_and_who_gains():
    said = retrieval(gains())
    assert said.startswith("With weight 0.1 and temperature 0.3, both chosen on validation texts, retrieval saves")
    assert (
        " 0.040 ([0.030, 0.050], 95 %, 40 texts) bits a token: **yes**, by the measure of 0.02 bits per token." in said
    )
    assert "**Most tokens lose all the same**: 80% [79%, 81%] of them, each at most −log2(1 − w) = 0.15 bits." in said
    assert "rare in the store gain 0.20 bits, and frequent ones 0.10: rare gain more (0.10 [0.09, 0.11])" in said
    assert "The 19% that are not in the store lose, as they must. If they count as rare, rare tokens gain 0.00" in said
    assert "gain 0.00 [-0.01, 0.01] more than frequent ones. Do rare tokens gain more, by the measure of 0.02" in said
    assert "bits? **yes** without them, **no** with them." in said
    assert "bits? **yes** without them, **yes** with them." in retrieval(gains(rarest=0.1))
    assert said.endswith("tokens above 5 bits gain most (0.09 bits).")


def test_no_weight_no_gain():
    assert retrieval(gains(weight=0.0)).startswith("**Retrieval saves nothing here**")


@pytest.mark.parametrize(
    ("losing", "said"),
    [(0.8, "**Most tokens lose"), (0.505, "It is not sure that most tokens lose"), (0.4, "**Most tokens gain**")],
)
def test_how_many_lose(losing, said):
    assert said in retrieval(gains(losing=losing))


@pytest.mark.parametrize(
    ("saved", "reach", "said"),
    [
        (0.04, 0.01, "bits a token: **yes**, by"),
        (0.005, 0.01, "bits a token: **no**, by"),
        (0.015, 0.01, "bits a token: **cannot tell** (0.02 bits per token would have been seen)"),
        (0.04, np.nan, "bits a token: **cannot tell** (no interval)"),
    ],
)
def test_each_answer(saved, reach, said):
    assert said in retrieval(gains(saved=saved, reach=reach))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {},
            "weight is 0, and at the weight of the same domain -0.050 [-0.060, -0.040] bits are saved: it is",
        ),
        ({"weights": (0.02, 0.05)}, "With next tokens shuffled, weight 0.02 saves 0.001 [-0.009, 0.011], and at"),
        ({"shuffled": 0.03}, "**this control does not bite**"),
        ({"reach": np.nan}, "too few texts to say whether this control bites"),
        (
            {},
            "domain (weight 0.05) saves 0.010 [0.000, 0.020], and the same domain 0.030 [0.020, 0.040] more, for",
        ),
        ({"apart": 0.005}, "more, which is no clear difference"),
    ],
)
def test_controls(wrong, said):
    assert said in retrieval(gains(**wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rarer": -0.1}, ": frequent gain more (-0.10"),
        ({"rarer": 0.0}, ": neither of them surely gain more"),
        ({"reach": np.nan}, "Too few texts to say whether rare tokens gain more"),
    ],
)
def test_who_gains(wrong, said):
    assert said in retrieval(gains(**wrong))


def test_where_all_tokens_are_in_the_store_or_no_rare_one():
    table = gains()
    said = retrieval(table[table["group"] != RARE].assign(low=np.nan, high=np.nan))
    assert "lose, as they must. By the model's own" in said
    assert "not in the store" not in retrieval(table[table["group"] != ABSENT])


def test_an_answer_is_that_of_the_table_which_corrects_for_all_claims_of_a_paper():
    table = changes(faster=(0.4, -0.5), reach=0.38)
    alone = weighed(of_changes=table)
    rows = pd.DataFrame(sentences.claims(gains(), table)).assign(family="a paper")
    together = outcomes.table(rows, relevant=sentences.RELEVANT)
    asked = "Does it rise faster, or fall less? By 0.40 [0.02, 0.78]: "
    assert f"{asked}**yes**, by the" in sentences.retrieval_drift(table, alone)
    said = sentences.retrieval_drift(table, together)
    assert f"{asked}**cannot tell** (" in said
    assert "depends on how" not in said


def changes(higher=(0.3, 0.3), faster=(0.5, 0.5), rise=0.4, reach=0.05):
    rows = [{"quantity": SLOPE, "whose": PEOPLE, "law": RETRIEVAL, "estimate": -0.1, "unit": "bits per 100 tokens"}]
    for writer, bits, slope in zip(WRITERS, higher, faster, strict=True):
        row = {"quantity": LATER, "whose": f"{writer} − {PEOPLE}", "law": RETRIEVAL, "estimate": bits, "unit": "bits"}
        facts = {"quantity": SLOPE, "whose": writer, "law": RETRIEVAL_LESS_MODEL, "unit": "bits per 100 tokens"}
        rows += [row, facts | {"estimate": slope}]
        rows += [facts | {"law": law, "estimate": bits} for law, bits in ((RETRIEVAL, rise), (MODEL, rise - slope))]
    table = pd.DataFrame(rows).assign(model="m", n=40)
    return table.assign(low=table["estimate"] - reach, high=table["estimate"] + reach)


def test_the_rise_along_its_own_text():
    said = drift(changes())
    assert "changes by -0.10 ([-0.15, -0.05], 95 %, 40 texts) bits in 100 tokens." in said
    assert said.count("it is 0.30 [0.25, 0.35] bits higher in the second half than along people's: **yes**, by") == 2
    assert (
        said.count("In 100 tokens it changes by 0.40 [0.35, 0.45] bits, and the entropy of the model's distribution by")
        == 2
    )
    assert (
        said.count("by -0.10 [-0.15, -0.05]. Does it rise faster, or fall less? By 0.50 [0.45, 0.55]: **yes**, by the")
        == 2
    )
    assert "depends on how" not in said


def test_an_entropy_may_gain_on_another_that_falls():
    said = drift(changes(rise=0.0))
    assert said.count("it changes by 0.00 [-0.05, 0.05] bits, though it does not surely rise, and the entropy") == 2


def test_two_ways_of_drawing_may_disagree():
    said = drift(changes(higher=(0.3, 0.0), faster=(0.5, -0.5)))
    assert "higher in the second half than along people's: **no**, by the measure of 0.1 bits" in said
    assert said.endswith("So the comparison with the model's distribution depends on how the kNN-LM draws its tokens.")


def test_claims_in_their_form():
    table = outcomes.table(sentences.claims(gains(), changes()), relevant=sentences.RELEVANT, sides=2)
    assert table["outcome"].tolist() == ["yes"] * 2 + ["no"] + ["yes"] * 6 + ["no"]
    assert table["primary"].tolist() == [True] * 2 + [False] + [True] * 5 + [False] * 2
    assert table["estimate"].iloc[3] == pytest.approx(0.3)  # of the tokens, above one half
    assert set(table["probe"].iloc[4:8]) == set(WRITERS)
    few = outcomes.table(sentences.claims(gains(reach=np.nan), changes(reach=np.nan)), relevant=sentences.RELEVANT)
    assert set(few["outcome"]) == {"cannot tell"}
