import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.output.class_checkpoints import COLUMNS, DEPTH, RANDOM, TRAINING
from bitskept.studies.output.word_classes_sentences import DEEPER, EMERGE, RELEVANT, claims, word_classes

NAN = float("nan")


def table(
    rights=(0.3, 0.6), *, reach=0.05, differences=(0.3, 0.5, 0.4, 0.2), values=(-0.02, -0.1), random=0, shuffled=0.1
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
        for weights, step, value in (("random", None, random), ("twin", 0, 0), ("twin", 8, -0.05)):
            facts_of = {"model": "m", "weights": weights, "step": step, "layer": 1, "reading": reading}
            rows.append(row(value, quantity="discrimination", **facts_of))
        kinds = [("m", "trained", DEPTH), ("m", "trained", RANDOM), ("t", "twin", TRAINING), ("t", "twin", DEPTH)]
        for (model, weights, quantity), estimate in zip(kinds, differences, strict=True):
            rows.append(row(estimate, model=model, weights=weights, quantity=quantity, layer=None, reading=reading))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_classes_that_emerge():
    text = word_classes(table())
    assert text.count("\n\n") == 1
    assert "which predicts it, m's last layer names the class of 60% ([55%, 65%], 95 %, 90 words) of the words" in text
    assert "10% where classes are shuffled" in text
    assert "Layer 0 names 30% [25%, 35%]: with depth the share rises by 30 [25, 35] percentage points" in text
    assert "Against random weights, with training the share rises by 50 [45, 55]" in text
    assert "from the first to the last step the share rises by 40 [35, 45]" in text
    assert (
        "is -0.020 at layer 0, -0.100 in the last layer, 0.000 with random weights and -0.050 in the trained twin."
        in text
    )


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ((-0.2,) * 4, "the share falls by 20 [15, 25] percentage"),
        ((0.02,) * 4, "by 2 [-3, 7] percentage points, which may be"),
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
    weighed = outcomes.table(list(claims(table(differences=(0.01, 0.5, 0.4, 0.2)))), relevant=RELEVANT)
    assert len(weighed) == 8
    before = weighed[weighed["primary"]]
    assert set(before["reading"]) == {"before the word"}
    found = before.set_index(["claim", "model", "probe"])["outcome"]
    assert found[EMERGE, "m", f"nearest class, {RANDOM}"] == "yes"
    assert found[EMERGE, "t twin", f"nearest class, {TRAINING}"] == "yes"
    assert found[DEEPER, "m", f"nearest class, {DEPTH}"] == "no"
    assert found[DEEPER, "t twin", f"nearest class, {DEPTH}"] == "yes"


def test_claims_without_an_interval_cannot_be_told():
    assert set(outcomes.table(list(claims(table(reach=NAN))), relevant=RELEVANT)["outcome"]) == {"cannot tell"}
