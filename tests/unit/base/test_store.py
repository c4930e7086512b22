import errno
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from damage import flip_a_bit
from pandas.testing import assert_frame_equal

from bitskept.base import files, store

TABLE = pd.DataFrame({"layer": [0, 1], "quantity": ["fano", None], "estimate": [0.1, 2.5]})
KEY = {"model": "tiny", "layers": [0, 1]}


def compute_never():
    raise AssertionError("this should have come from the store")


def put(key=KEY):
    return store.stored("measure", 1, key, lambda: TABLE)


def entry_of(home, key=KEY):
    return home / "store" / "measure" / store.digest("measure", 1, key)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_second_call_comes_from_the_store_with_the_same_values_and_types(home):
    first = put()
    second = store.stored("measure", 1, {"layers": (0, 1), "model": "tiny"}, compute_never)
    assert_frame_equal(first, second)
    assert_frame_equal(first.astype({"quantity": object}), TABLE.astype({"quantity": object}), check_dtype=False)


@pytest.mark.parametrize(("function", "version", "key"), [("other", 1, KEY), ("measure", 2, KEY), ("measure", 1, {})])
def test_another_function_version_or_key_is_another_entry(home, function, version, key):
    put()
    other = store.stored(function, version, key, lambda: TABLE.assign(estimate=7.0))
    assert (other.estimate == 7).all()
    assert_frame_equal(store.stored("measure", 1, KEY, compute_never), put())


@pytest.mark.parametrize("value", [object(), float("nan"), Path("x")])
def test_a_key_that_is_not_plain_json_is_refused(home, value):
    with pytest.raises(TypeError, match="the store key of measure must be plain JSON"):
        put({"value": value})


def test_the_entry_tells_what_it_is(home):
    put()
    description = json.loads((entry_of(home) / "entry.json").read_text())
    assert description["key"] == KEY
    assert description["function"] == "measure"
    assert description["rows"] == 2


def truncate(entry):
    with (entry / "table.parquet").open("r+b") as file:
        file.truncate(100)


def change_the_table(entry):
    flip_a_bit(entry / "table.parquet")


def lose_the_description(entry):
    (entry / "entry.json").unlink()


def spoil_the_description(entry):
    (entry / "entry.json").write_text("{")


def take_another_key(entry):
    description = json.loads((entry / "entry.json").read_text())
    (entry / "entry.json").write_text(json.dumps(description | {"key": KEY | {"model": "tinz"}}))


def lose_the_table(entry):
    (entry / "table.parquet").unlink()


def nest_the_description(entry):
    (entry / "entry.json").write_text("[" * 100_000 + "]" * 100_000)


def nest_the_key(entry):
    """Deep enough for a key that can be read and cannot be written again."""
    description = (entry / "entry.json").read_text()
    depth = sys.getrecursionlimit() - 100
    (entry / "entry.json").write_text(
        description.replace('"key": {', '"key": {"deep": ' + "[" * depth + "]" * depth + ", ")
    )


def become_a_file(entry):
    shutil.rmtree(entry)
    entry.write_text("no folder")


def become_a_broken_link(entry):
    shutil.rmtree(entry)
    entry.symlink_to(entry.with_name("nowhere"))


DAMAGES = [
    *(truncate, change_the_table, lose_the_description, spoil_the_description, take_another_key, lose_the_table),
    *(nest_the_description, nest_the_key, become_a_file, become_a_broken_link),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_warned_of_set_aside_and_computed_again(home, damage):
    first = put()
    entry = entry_of(home)
    damage(entry)
    with pytest.warns(UserWarning, match=r"is damaged .* set aside as .*\.damaged, making it again"):
        again = put()
    assert_frame_equal(again, first)
    assert_frame_equal(store.stored("measure", 1, KEY, compute_never), first)
    assert [name.endswith(".damaged") for name in names(entry.parent)] == [False, True]


@pytest.mark.parametrize(("file", "stride"), [("entry.json", 1), ("table.parquet", 17)])
@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_no_flipped_bit_gives_another_table_or_another_key(home, file, stride):
    first = put()
    path = entry_of(home) / file
    whole = path.read_bytes()
    for place in range(0, len(whole), stride):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        for key, table in store.entries("measure", 1):
            assert key == KEY
            assert_frame_equal(table, first)
        assert_frame_equal(put(), first)
        path.write_bytes(whole)
    assert_frame_equal(store.stored("measure", 1, KEY, compute_never), first)


def test_a_stored_table_is_known_to_be_there(home):
    assert not store.has("measure", 1, KEY)
    put()
    assert store.has("measure", 1, KEY)
    assert not store.has("measure", 2, KEY)


def test_a_table_that_does_not_fit_on_the_disk_leaves_nothing(home, monkeypatch):
    put({"small": True})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OSError, match=rf"the disk is full under {home}.*: free some space, or name another folder"):
        put({"large": True})
    assert names(home / "store" / "measure") == [entry_of(home, {"small": True}).name]


def test_many_at_once_on_one_entry_agree(home):
    computed = []

    def slowly():
        computed.append(1)
        time.sleep(0.05)
        return TABLE

    with ThreadPoolExecutor(8) as pool:
        tables = list(pool.map(lambda _: store.stored("measure", 1, KEY, slowly), range(8)))
    for table in tables:
        assert_frame_equal(table, tables[0])
    assert len(computed) == 1
    assert names(home / "store" / "measure") == [entry_of(home).name]


# ---- all entries ----


def test_all_that_is_stored_of_a_function_and_version(home):
    assert list(store.entries("measure", 1)) == []
    for number in range(3):
        store.stored("measure", 1, {"number": number}, lambda number=number: TABLE.assign(estimate=number))
    store.stored("measure", 2, {"number": 3}, lambda: TABLE)
    store.stored("other", 1, {"number": 4}, lambda: TABLE)
    found = sorted(store.entries("measure", 1), key=lambda entry: entry[0]["number"])
    assert [key for key, _ in found] == [{"number": number} for number in range(3)]
    for key, table in found:
        assert_frame_equal(table, store.stored("measure", 1, key, compute_never))
        assert (table["estimate"] == key["number"]).all()
    assert [key for key, _ in store.entries("measure", 2)] == [{"number": 3}]


@pytest.mark.parametrize("damage", [truncate, change_the_table, take_another_key])
def test_a_damaged_entry_is_warned_of_and_passed_over(home, damage):
    put({"good": True})
    put({"good": False})
    damage(entry_of(home, {"good": False}))
    with pytest.warns(UserWarning, match="is damaged"):
        found = list(store.entries("measure", 1))
    assert [key for key, _ in found] == [{"good": True}]
    assert [key for key, _ in store.entries("measure", 1)] == [{"good": True}]  # it was set aside


@pytest.mark.parametrize(
    "damage", [lose_the_description, spoil_the_description, nest_the_description, become_a_file, become_a_broken_link]
)
def test_an_entry_that_does_not_say_what_it_is_is_passed_over(home, damage):
    put({"good": True})
    put({"good": False})
    damage(entry_of(home, {"good": False}))
    assert [key for key, _ in store.entries("measure", 1)] == [{"good": True}]


def test_what_is_being_written_is_no_entry(home):
    put()
    half, whole = (entry_of(home).with_name(f".partial-1-{name}") for name in ("half", "whole"))
    shutil.copytree(entry_of(home), whole)
    shutil.copytree(entry_of(home), half)
    (half / "table.parquet").unlink()
    before = names(entry_of(home).parent)
    assert [key for key, _ in store.entries("measure", 1)] == [KEY]
    assert names(entry_of(home).parent) == before


def test_the_run_log_tells_what_came_from_the_store(home, tmp_path, monkeypatch):
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))
    put()
    put()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["function"], line["from_store"]) for line in lines] == [("measure", False), ("measure", True)]


def test_home_is_the_named_folder_or_the_cache_of_the_checkout(home, checkout, monkeypatch):
    assert store.home() == home
    monkeypatch.delenv("BITSKEPT_HOME")
    assert store.home() == checkout / ".cache"


def test_what_follows_from_tables_is_addressed_by_what_they_hold_and_not_logged(home, tmp_path, monkeypatch):
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))

    def mean(table, compute, version=1, **key):
        return store.derived("mean", version, [table], key, compute)

    first = mean(TABLE, lambda: TABLE[["estimate"]].mean().to_frame("mean"), seed=0)
    assert_frame_equal(mean(TABLE.copy(), compute_never, seed=0), first)
    others = [
        TABLE.assign(estimate=[0.1, 2.4]),
        TABLE.assign(quantity=["fano", "other"]),
        TABLE[::-1],
        TABLE.astype({"layer": "Int64"}),
        TABLE.rename(columns={"layer": "depth"}),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="should have come from the store"):
            mean(other, compute_never, seed=0)
    for changed in ({"seed": 1}, {"seed": 0, "version": 2}):
        with pytest.raises(AssertionError, match="should have come from the store"):
            mean(TABLE, compute_never, **changed)
    assert not (tmp_path / "log").exists()
