import pandas as pd
import pytest

from bitskept.base.words import by_interval, has_interval, listed, quote, reverse

ROW = {"estimate": 0.834, "low": 0.81, "high": 0.85, "n": 1250}
NONE = ROW | {"low": float("nan"), "high": float("nan")}


@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_an_estimate_with_its_interval(kind):
    assert quote(kind(ROW)) == "83% [81%, 85%]"
    assert quote(kind(ROW), ".2f") == "0.83 [0.81, 0.85]"
    assert quote(kind(ROW), clusters="sentences") == "83% ([81%, 85%], 95 %, 1,250 sentences)"


def test_without_an_interval_it_says_so_and_how_few_there_were():
    assert quote(NONE) == "83% (no interval)"
    assert quote(NONE | {"n": 6}, clusters="sentences") == "83% (no interval from 6 sentences)"
    assert quote(NONE | {"n": 1}, clusters="sentences") == "83% (no interval from 1 sentence)"
    assert quote(NONE | {"n": pd.NA}, clusters="sentences") == "83% (no interval)"
    assert quote(ROW | {"high": None}) == "83% (no interval)"
    assert quote({"estimate": 1, "low": 0, "high": 2}, ".0f", clusters="texts") == "1 [0, 2]"


def test_an_interval_has_two_ends():
    assert has_interval(ROW)
    assert not has_interval(NONE)
    assert not has_interval(ROW | {"low": pd.NA})


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.1, 0.3, "above"), (-0.3, -0.1, "below"), (-0.1, 0.1, "neither"), (float("nan"), 0.3, "unknown")],
)
def test_the_text_for_where_an_interval_lies(low, high, text):
    texts = {name: name for name in ("above", "below", "neither", "unknown")}
    assert by_interval({"low": low, "high": high}, **texts) == text
    del texts["unknown"]
    assert by_interval({"low": low, "high": high}, **texts) == text.replace("unknown", "neither")


def test_a_difference_the_other_way_round():
    assert reverse(ROW) == {"estimate": -0.834, "low": -0.85, "high": -0.81}


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (("a", "b"), "a and b"), (pd.Series(["a", "b", "c"]), "a, b and c")]
)
def test_names_in_a_row(names, text):
    assert listed(names) == text
