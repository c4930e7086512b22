import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from bitskept.base.exercises import NotYet, check


def test_a_cell_without_a_result_says_what_to_do(capsys):
    check(None, 3, within=0, hint="")
    assert "in place of None" in capsys.readouterr().out


@pytest.mark.parametrize("result", [3, 3.05, np.float64(2.95), "3"])
def test_a_result_close_to_the_right_one_is_right(result, capsys):
    check(result, 3.0, within=0.1, hint="")
    assert capsys.readouterr().out == "That is right.\n"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (3.2, "3.2 is not right yet. Count."),
        (float("nan"), "nan is not right yet"),
        ("three", "'three' is not a number. Count."),
        ([3, 3], "not a number"),
    ],
)
def test_another_result_is_refused_with_the_hint(result, words):
    with pytest.raises(NotYet, match=words.replace("[", r"\[")):
        check(result, 3.0, within=0.1, hint="Count.")


def test_nothing_is_right_where_the_right_value_is_unknown():
    with pytest.raises(NotYet):
        check(3.0, float("nan"), within=0.1, hint="")


def test_a_notebook_shows_the_hint_and_not_how_the_right_result_is_found(capsys):
    cell = (
        "from bitskept.base.exercises import check\nthe_right_way = 3\ncheck(2, the_right_way, within=0, hint='Count.')"
    )
    done = InteractiveShell().run_cell(cell)
    assert isinstance(done.error_in_exec, NotYet)
    assert capsys.readouterr().out.strip() == "2 is not right yet. Count."
