"""What is said of continuations, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims
from bitskept.studies.output import decoding_sentences as sentences
from bitskept.studies.output.decoders import ANCESTRAL, MIROSTAT, NUCLEUS, PEOPLE, TOP_H, TOP_K, TYPICAL

ABOVE, BELOW, AROUND, NONE = (0.5, 0.2, 0.8), (-0.5, -0.8, -0.2), (0.1, -0.2, 0.4), (0.5, np.nan, np.nan)


def means(changes=()):
    """A table by decoder with the values that sentences need; `changes` by decoder and quantity."""
    values = {
        (PEOPLE, None, "surprisal"): (4.2, 4.0, 4.4), (PEOPLE, None, "excess"): (0.3, 0.1, 0.5),
        (PEOPLE, None, "distance"): (2.2, 2.0, 2.4), (PEOPLE, None, "expected_distance"): (1.9, 1.8, 2.0),
        (PEOPLE, None, "repeated"): (0.01, 0.0, 0.02), (ANCESTRAL, None, "excess"): (0.02, -0.1, 0.14),
        (ANCESTRAL, None, "surprisal"): (5.0, 4.8, 5.2), (ANCESTRAL, None, "repeated"): (0.03, 0.0, 0.06),
        (TYPICAL, 0.9, "surprisal"): (3.5, 3.3, 3.7), (NUCLEUS, 0.9, "surprisal"): (3.0, 2.8, 3.2),
        (MIROSTAT, 3.0, "surprisal"): (3.02, 2.98, 3.06), (TOP_H, 0.4, "bounded"): (0.25, 0.2, 0.3),
        (MIROSTAT, 3.0, "astray"): (0.2, 0.1, 0.4), (MIROSTAT, 6.0, "astray"): (0.9, 0.8, 1.0),
        (TYPICAL, 0.9, "distance"): (2.0, 1.9, 2.1),
    } | dict(changes)  # fmt: skip
    names = ("estimate", "low", "high")
    rows = [
        {"decoder": name, "setting": setting, "quantity": quantity, "n": 30} | dict(zip(names, ends, strict=True))
        for (name, setting, quantity), ends in values.items()
    ]
    return pd.DataFrame(rows)


def contrast(quantity, name, ends, setting=None, other=None, other_setting=None, **facts):
    row = {"quantity": quantity, "decoder": name, "setting": setting, "other": other, "other_setting": other_setting}
    row |= dict(zip(("estimate", "low", "high"), ends, strict=True))
    defaults = {"p": 0.001, "detectable": 0.25, "unit": "bits of surprisal", "n": 30, "primary": True, "level": 0.06}
    return row | defaults | {"left_out": "", "used": "0.4, 0.6"} | facts


def table(*arguments, **facts):
    return pd.DataFrame([contrast(*arguments, **facts)])


def near(ends, sampled=AROUND, **facts):
    return pd.concat([table("near", PEOPLE, ends, **facts), table("near", ANCESTRAL, sampled)])


@pytest.mark.parametrize(
    ("excess", "distance", "said"),
    [
        ((0.02, -0.1, 0.14), AROUND, "0.02 ([-0.10, 0.14], 95 %, 30 texts) bits a token there"),
        ((0.02, -0.1, 0.14), AROUND, "less the measured one is 0.10 [-0.20, 0.40]: the check holds"),
        ((0.2, 0.1, 0.3), AROUND, "the check **fails**"),
        ((0.2, 0.05, 0.35), AROUND, "the check holds (0 is no more than 3 standard errors off)"),
        ((-0.2, -0.3, -0.1), AROUND, "the check **fails**"),
        ((0.02, -0.1, 0.14), ABOVE, "the check **fails**"),
        ((0.02, -0.1, 0.14), BELOW, "the check **fails**"),
        (NONE, NONE, "the check cannot be made on so few texts"),
    ],
)
def test_the_check_on_sampled_text(excess, distance, said):
    changed = means({(ANCESTRAL, None, "excess"): excess})
    assert said in sentences.along(changed, near(AROUND, distance))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (ABOVE, "**nearer than a draw**, as"),
        (BELOW, "**further from it than a draw**, so"),
        (AROUND, "no nearer than a draw, nor further from it, as far as can be told"),
        (NONE, "too few texts to tell whether that is nearer than a draw"),
    ],
)
def test_how_near_people_are_to_the_entropy(ends, said):
    found = sentences.along(means(), near(ends))
    assert said in found
    assert (
        "lie 2.20 bits from the entropy on average, where draws from the same distributions would lie 1.90 away"
        in found
    )
    assert "Along people's text surprisal less entropy is 0.30 [0.10, 0.50]" in found
    assert "0.25 bits nearer would have been seen" in found
    assert "would have been seen" not in sentences.along(means(), near(ends, detectable=np.nan))


def test_a_misfit_of_the_model_may_be_why_people_are_far_from_its_entropy():
    said = "unless the model's misfit to people's text, 0.30 bits a token, is the cause (the difference"
    assert said in sentences.along(means(), near(BELOW))
    assert said not in sentences.along(means(), near(ABOVE))
    assert "misfit" not in sentences.along(means({(PEOPLE, None, "excess"): (0.1, -0.1, 0.3)}), near(BELOW))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            ABOVE,
            "**typical (p = 0.9)** comes nearer to people than nucleus (p = 0.9): 3.50 and 3.00 bits, nearer by 0.50",
        ),
        (BELOW, "nucleus (p = 0.9) comes nearer to people than **typical (p = 0.9)**"),
        (AROUND, "are not told apart"),
        (NONE, "too few texts to tell: 3.50 and 3.00"),
    ],
)
def test_who_is_nearer_to_people(ends, said):
    found = sentences.nearer(means(), table("nearer", TYPICAL, ends, 0.9, NUCLEUS, 0.9))
    assert said in found
    assert "mean surprisal of 4.20 [4.00, 4.40] bits" in found
    assert "Single tokens of typical (p = 0.9) lie 2.00 bits from the entropy." in found
    assert "Single tokens of people lie 2.20 bits from the entropy." in found


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            ABOVE,
            "**Top-H** repeats less than a nucleus of equal surprisal: 50.0% [20.0%, 80.0%] fewer",
        ),
        (BELOW, "**Top-H** repeats more than"),
        (AROUND, "repeats neither less nor more"),
        (NONE, "against a nucleus of equal surprisal: too few texts to tell"),
        ((np.nan, np.nan, np.nan), "**Top-H** has no surprisal in common with any nucleus: not tested"),
    ],
)
def test_who_repeats_less(ends, said):
    found = sentences.fewer(means(), table("fewer", TOP_H, ends, None, NUCLEUS, unit="share of 4-grams"))
    assert said in found
    assert "People repeat 1.0% [0.0%, 2.0%] of their 4-grams, ancestral sampling 3.0%" in found
    silent = sentences.fewer(
        means(), table("fewer", TOP_H, NONE, None, NUCLEUS, unit="share of 4-grams", detectable=np.nan)
    )
    assert "would have been seen" not in silent


@pytest.mark.parametrize("level", [0.06, 0.001])
def test_settings_that_no_nucleus_reaches_are_named(level):
    facts = {"unit": "share of 4-grams", "level": level}
    said = "Left out, as no nucleus has its mean surprisal: α = 0.4."
    assert said in sentences.fewer(means(), table("fewer", TOP_H, ABOVE, None, NUCLEUS, **facts, left_out="0.4"))
    assert "Left out" not in sentences.fewer(means(), table("fewer", TOP_H, ABOVE, None, NUCLEUS, **facts))


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        ((3.02, 2.98, 3.06), "τ = 3: mean surprisal 3.02 [2.98, 3.06] bits, **held** within 0.1 bits."),
        ((3.02, 2.8, 3.1), "bits, off by at most 0.20 bits (whether by less than 0.1 cannot be told)"),
        ((2.9, 2.7, 2.94), "bits, below it for sure, off by at most 0.30 bits (whether by less than 0.1 cannot"),
        ((3.1, 3.05, 3.2), "bits, above it for sure, off by at most 0.20 bits (whether by less than 0.1 cannot"),
        ((2.5, 2.4, 2.6), "**missed**."),
        ((3.5, 3.4, 3.6), "**missed**."),
        ((3.0, np.nan, np.nan), "too few texts to tell"),
    ],
)
def test_whether_the_target_is_held(mean, said):
    changed = means({(MIROSTAT, 3.0, "surprisal"): mean})
    found = sentences.mirostat(changed, table("steadier", MIROSTAT, ABOVE, 3.0, TOP_K, 50.0))
    assert said in found
    assert "20% [10%, 40%] of the texts end more than 0.5 bits from it." in found


def test_a_target_above_what_the_whole_law_has():
    changed = means({(MIROSTAT, 6.0, "surprisal"): (5.1, 5.0, 5.2)})
    found = sentences.mirostat(changed, table("steadier", MIROSTAT, ABOVE, 6.0, TOP_K, 50.0))
    assert "**missed**: it asks for more than the 5.00 bits of the whole distribution" in found


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (ABOVE, "They stray less than those of top-k (k = 50) do from their mean, by 0.50 [0.20, 0.80] bits"),
        (BELOW, "They stray more than those of top-k (k = 50) do from their mean, by 0.50 [0.20, 0.80] bits"),
        (AROUND, "They cannot be told to stray less or more than"),
        (NONE, "They cannot be told to stray less or more than"),
    ],
)
def test_how_far_texts_stray(ends, said):
    assert said in sentences.mirostat(means(), table("steadier", MIROSTAT, ends, 3.0, TOP_K, 50.0))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (ABOVE, "on average below the bound"),
        (BELOW, "**on average above the bound** (the bound less the entropy is -0.50 [-0.80, -0.20] bits)"),
        (AROUND, "on average neither above nor below"),
        (NONE, "with too few texts to tell the mean"),
    ],
)
def test_whether_the_entropy_is_bounded(ends, said):
    found = sentences.bound(means(), table("slack", TOP_H, ends, 0.4))
    assert said in found
    assert "α = 0.4: 25% [20%, 30%] of the tokens" in found


def test_nobody_repeats_less_than_hardly_anything():
    found = sentences.fewer(
        means(), table("fewer", TYPICAL, AROUND, None, NUCLEUS, unit="share of 4-grams", level=0.012)
    )
    assert (
        "**typical** cannot show that it repeats less: a nucleus of equal surprisal repeats only 1.2% of the" in found
    )


def test_claims_are_rows_with_outcomes():
    rows = [
        contrast("near", PEOPLE, BELOW, p=0.999, other=ANCESTRAL),
        contrast("near", ANCESTRAL, AROUND, p=0.3, other=ANCESTRAL, primary=False),
        contrast("nearer", TYPICAL, ABOVE, 0.9, NUCLEUS, 0.9),
        contrast("fewer", TYPICAL, AROUND, None, NUCLEUS, unit="share of 4-grams", level=0.012),
        contrast("fewer", TOP_H, (np.nan, np.nan, np.nan), None, NUCLEUS, p=np.nan, unit="share of 4-grams", used=""),
    ]
    found = claims.table(sentences.claims(pd.DataFrame(rows), "a model"), relevant=sentences.RELEVANT)
    assert found["outcome"].tolist() == ["no", "yes", "not tested", "not tested"]
    assert found["paper"].tolist() == ["Meister 2022"] * 3 + ["Baghaei Potraghloo 2025"]
    assert found["reading"].tolist()[1:] == [
        "typical (p = 0.9) against nucleus (p = 0.9)", "typical (p = 0.4, 0.6) against nucleus", "Top-H against nucleus"
    ]  # fmt: skip
    assert found["primary"].all()
    assert found["claim"].iloc[2].endswith("(to be tested: longer texts, in which a nucleus repeats more)")
    assert found["claim"].iloc[3].endswith("(to be tested: settings with surprisals in common)")
    assert (found["clusters"] == 30).all()
