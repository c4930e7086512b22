import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.output.class_checkpoints import (
    COLUMNS,
    DEPTH,
    RANDOM,
    SINCE_FIRST,
    SINCE_RANDOM,
    TRAINING,
)
from bitskept.studies.output.word_classes_sentences import DEEPER, EMERGE, RELEVANT, claims, word_classes

NAN = float("nan")


def table(
    rights=(0.3, 0.6), *, reach=0.05, differences=(0.3, 0.5, 0.4, 0.2, 0.35, 0.25), values=(-0.02, -0.1), shuffled=0.1
):
    """A table of `by_layer` whose model has these shares in its first and last layer, and these differences."""
    facts = {"step": None, "unit": "share", "n": 90}

    def row(estimate, **others):
        return facts | {"estimate": estimate, "low": estimate - reach, "high": estimate + reach} | others

    rows = []
    for reading in ("before", "at"):
        for layer, (right, value) in enumerate(zip(rights, values, strict=True)):
            of_layer = {"model": "m", "weights": "trained", "layer": layer, "reading": reading}
            rows += [
                row(right, quantity="right", **of_layer),
                row(shuffled, quantity="shuffled", **of_layer),
                row(value, quantity="discrimination", **of_layer) | {"low": NAN, "high": NAN},
            ]
        for layer, right in enumerate((0.25, 0.1)):
            rows += [
                row(right, quantity=quantity, model="m", weights="random", layer=layer, reading=reading)
                for quantity in ("right", "shuffled")
            ]
        for weights, step, value in (("random", None, 0), ("twin", 0, 0), ("twin", 8, -0.05)):
            facts_of = {"model": "m", "weights": weights, "step": step, "layer": 1, "reading": reading}
            rows.append(row(value, quantity="discrimination", **facts_of))
        kinds = [("m", "trained", DEPTH), ("m", "trained", RANDOM), ("t", "twin", TRAINING), ("t", "twin", DEPTH)]
        kinds += [("m", "trained", SINCE_RANDOM), ("t", "twin", SINCE_FIRST)]
        for (model, weights, quantity), estimate in zip(kinds, differences, strict=True):
            rows.append(row(estimate, model=model, weights=weights, quantity=quantity, layer=None, reading=reading))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_classes_that_emerge():
    text = word_classes(table())
    assert text.count("\n\n") == 1
    assert "which predicts it, m's last layer names the class of 60% ([55%, 65%], 95 %, 90 words) of the words" in text
    assert "10% where classes are shuffled" in text
    assert "Layer 0 names 30% [25%, 35%]: with depth the share rises by 30 [25, 35] percentage points" in text
    assert "Against random weights, whose last layer names 10%, the share rises by 50 [45, 55]" in text
    assert "points; against their layer 0, which names 25%, it rises by 35 [30, 40] percentage points." in text
    assert "from the first to the last step the share rises by 40 [35, 45]" in text
    assert (
        "against layer 0 of the first step it rises by 25 [20, 30] percentage points, and with depth it rises" in text
    )
    assert "is -0.020 at layer 0, -0.100 in the last layer, 0.000 with random weights and -0.050 in the tr" in text
    assert text.endswith("twin: by it classes grow with depth.")


def test_the_statistic_of_the_paper_may_say_otherwise():
    said = "by it classes do not grow with depth"
    assert word_classes(table(values=(-0.036, -0.024))).endswith(f"{said}, unlike the share that is named right.")
    assert word_classes(table(values=(-0.036, -0.024), differences=(-0.2,) * 6)).endswith(f"{said}.")
    assert "by it classes grow with depth, unlike the share" in word_classes(table(differences=(-0.2,) * 6))


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ((-0.2,) * 6, "the share falls by 20 [15, 25] percentage"),
        ((0.02,) * 6, "by 2 [-3, 7] percentage points, which may be"),
    ],
)
def test_shares_that_fall_or_may_not_change(differences, words):
    assert words in word_classes(table(differences=differences))


def test_differences_without_intervals():
    rows = table()
    rows.loc[rows["layer"].isna(), ["low", "high"]] = NAN
    assert "from too few words to judge" in word_classes(rows)


@pytest.mark.parametrize("options", [{"rights": (0.1, 0.12)}, {"reach": NAN}])
def test_nothing_is_said_where_shuffled_classes_do_as_well(options):
    text = word_classes(table(**options))
    assert "nothing can be said" in text
    assert "with depth" not in text


def test_claims_are_weighed_by_the_state_before_a_word():
    weighed = outcomes.table(list(claims(table(differences=(0.01, 0.5, 0.4, 0.2, 0.3, 0.3)))), relevant=RELEVANT)
    assert len(weighed) == 12
    assert not weighed.loc[weighed["probe"].str.contains("layer 0 of"), "primary"].any()
    before = weighed[weighed["primary"]]
    assert set(before["reading"]) == {"before the word"}
    found = before.set_index(["claim", "model", "probe"])["outcome"]
    assert found[EMERGE, "m", f"nearest class, {RANDOM}"] == "yes"
    assert found[EMERGE, "t twin", f"nearest class, {TRAINING}"] == "yes"
    assert found[DEEPER, "m", f"nearest class, {DEPTH}"] == "no"
    assert found[DEEPER, "t twin", f"nearest class, {DEPTH}"] == "yes"


def test_claims_without_an_interval_cannot_be_told():
    assert set(outcomes.table(list(claims(table(reach=NAN))), relevant=RELEVANT)["outcome"]) == {"cannot tell"}
