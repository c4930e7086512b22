import re

import pytest
from compare_tables import differences

TABLE = "model,layer,estimate\ngpt2,0,1.5\ngpt2,1,\n"


@pytest.fixture
def folders(tmp_path):
    """Two folders with the same table each."""
    both = [tmp_path / "left", tmp_path / "right"]
    for folder in both:
        folder.mkdir()
        (folder / "02_retained.csv").write_text(TABLE)
    return both


def test_equal_tables_have_no_difference(folders):
    assert differences(*folders) == []


@pytest.mark.parametrize(
    "changed", [TABLE.replace("1.5", "1.5000001"), TABLE.replace("1.5", "1.50"), TABLE.replace("0,", "0.0,")]
)
def test_numbers_may_differ_by_the_tolerance(folders, changed):
    (folders[1] / "02_retained.csv").write_text(changed)
    assert differences(*folders) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.469738", "0.469739", True),
        ("0.469738", "0.469741", False),
        ("-0.0000012", "-0.0000003", True),
        ("4.56789", "4.5679", True),
        ("4.56789", "4.56792", False),
        ("-4.56789", "4.56789", False),
        ("999999", "1e+06", True),
        ("999999", "1.00003e+06", False),
        ("0", "0.000001", True),
        ("0", "0.000003", False),
        ("inf", "1", False),
    ],
)
def test_the_last_of_six_digits_may_be_one_apart(folders, one, other, same):
    for folder, number in zip(folders, (one, other), strict=True):
        (folder / "02_retained.csv").write_text(f"causal,estimate\nTrue,{number}\n")
    assert (differences(*folders) == []) == same


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (TABLE.replace("1.5", "1.6"), '"estimate".*1.5 != 1.6'),
        (TABLE.replace("gpt2,1", "opt,1"), '"model".*gpt2.* != .*opt'),
        (TABLE.replace("1,\n", "1,0.5\n"), '"estimate"'),
        (TABLE + "gpt2,2,0.1\n", "shape"),
        (TABLE.replace("layer", "step"), "columns"),
    ],
    ids=["number", "text", "missing value", "row", "column"],
)
def test_what_differs_is_named(folders, changed, message):
    (folders[1] / "02_retained.csv").write_text(changed)
    (found,) = differences(*folders)
    assert found.startswith("02_retained.csv: ")
    assert re.search(message, found)


def test_a_missing_table_is_named_from_both_sides(folders):
    (folders[0] / "02_lost.csv").write_text(TABLE)
    assert differences(*folders) == [f"02_lost.csv is missing in {folders[1]}"]
    assert differences(*reversed(folders)) == [f"02_lost.csv is missing in {folders[1]}"]


def test_two_empty_folders_are_not_equal(tmp_path):
    assert differences(tmp_path, tmp_path) == [f"there is no table in {tmp_path} or {tmp_path}"]
