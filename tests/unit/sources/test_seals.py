import os

import pytest

from bitskept.sources import seals
from bitskept.sources.packages import SourceError


@pytest.fixture
def folder(tmp_path):
    """A sealed folder of two files."""
    for name, content in (("weights", bytes(range(256))), ("config.json", b"{}")):
        (tmp_path / name).write_bytes(content)
    seals.seal(tmp_path, id="one")
    return tmp_path


def change(path, content):
    """Other bytes under the same size and time of change, as on a failing disk."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_is_as_it_was_written_is_whole(folder):
    assert seals.broken(folder) == []
    seals.check(folder)
    (folder / "another").write_text("put there later")
    assert seals.broken(folder) == []


@pytest.mark.parametrize("place", range(0, 256, 51))
def test_every_byte_counts(folder, place):
    content = bytearray((folder / "weights").read_bytes())
    content[place] ^= 1
    change(folder / "weights", content)
    assert seals.broken(folder) == ["weights"]


def test_what_is_truncated_or_missing_is_named(folder):
    (folder / "weights").write_bytes(b"\0" * 100)
    (folder / "config.json").unlink()
    with pytest.raises(
        SourceError, match=r"is damaged \(config\.json, weights\): remove .* and run this again"
    ) as told:
        seals.check(folder)
    assert str(folder) in str(told.value)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sha256": ', b'{"sha256": [1]}', b"\xff\xfe"])
def test_a_seal_that_cannot_be_read_is_broken_itself(folder, content):
    (folder / seals.SEAL).write_bytes(content)
    assert seals.broken(folder) == [seals.SEAL]


def test_a_folder_without_a_seal_is_the_users_own(tmp_path):
    (tmp_path / "weights").write_bytes(b"any")
    seals.check(tmp_path)
