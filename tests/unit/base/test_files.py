import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import filelock
import pytest

from bitskept.base import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- locks ----


def test_a_lock_leaves_no_file_behind_and_can_be_taken_again(tmp_path):
    for _ in range(2):
        with files.locked(tmp_path / "folder" / "thing", "it"):
            assert names(tmp_path / "folder") == [".thing.lock"]
        assert names(tmp_path / "folder") == []


def test_an_error_releases_the_lock(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "thing", "it"):
            raise ZeroDivisionError


def test_a_file_system_without_locks_causes_a_warning_and_is_used(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.warns(UserWarning, match="has no file locks: do not run two batches"):  # noqa: SIM117
        with files.locked(tmp_path / "thing", "it"):
            (tmp_path / "thing").touch()
    assert (tmp_path / "thing").exists()


def test_a_lock_file_of_another_user_is_explained(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    message = r"Permission denied: .*thing could not be written\. Free some space, or"
    with pytest.raises(PermissionError, match=message), files.locked(tmp_path / "thing", "it"):
        pass
    (tmp_path / ".thing.lock").touch()
    message = r"\.thing\.lock belongs to another user, who is making the model: wait until it is made, or have"
    with pytest.raises(PermissionError, match=message), files.locked(tmp_path / "thing", "the model"):
        pass


@pytest.fixture
def as_another(tmp_path):
    """as_another(CODE): run Python code as a user who owns nothing here; its output. Skipped if this is not root."""
    if os.name != "posix" or os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can be another user")

    def run(code):
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
        environment = os.environ | {"PYTHONPATH": str(Path(files.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/").stdout

    for folder in [tmp_path, *tmp_path.parents][:4]:
        folder.chmod(0o755)
    if run("import filelock; print(1)") != "1\n":
        pytest.skip("another user cannot run this Python")
    return run


LOCKS = """
from pathlib import Path
from bitskept.base.files import locked
try:
    with locked(Path({folder!r}, "thing"), "the model"):
        print("held")
except OSError as error:
    print(type(error).__name__, error)
"""


def test_two_users_of_one_folder(as_another, tmp_path):
    """In a folder that both may write, the second is told; in one that is the first's, that it cannot be written."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    assert as_another(LOCKS.format(folder=str(folder))) == "held\n"
    with files.locked(folder / "thing", "the model"):
        (folder / ".thing.lock").chmod(0o644)
        said = as_another(LOCKS.format(folder=str(folder)))
    assert ".thing.lock belongs to another user, who is making the model: wait until it is made" in said
    folder.chmod(0o755)
    said = as_another(LOCKS.format(folder=str(folder)))
    assert f"PermissionError [Errno 13] Permission denied: {folder / 'thing'} could not be written" in said
    said = as_another(LOCKS.format(folder=str(folder / "new")))
    assert "Permission denied" in said
    assert "could not be written. Free some space, or check who may write there, and run this again" in said


# ---- writing ----


def test_a_file_is_replaced_whole(tmp_path):
    for content in (b"first", b"second"):
        files.write_whole(tmp_path / "folder" / "file", content)
        assert (tmp_path / "folder" / "file").read_bytes() == content
        assert names(tmp_path / "folder") == ["file"]


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=r"file could not be written\. Free some space, or check who may write there"):
        files.write_whole(tmp_path / "file", b"content")
    assert names(tmp_path) == ["file"]


def test_a_scratch_folder_becomes_the_target_or_disappears(tmp_path):
    target = tmp_path / "models" / "model"
    with pytest.raises(FileNotFoundError), files.scratch(target) as folder:
        (folder / "half").rename(folder / "nowhere" / "half")
    assert names(target.parent) == []
    with files.scratch(target) as folder:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_bytes(b"1")
        assert files.commit(folder / "model", target) == target
    assert names(target.parent) == ["model"]
    assert (target / "weights").read_bytes() == b"1"


def test_leftovers_of_killed_runs_are_removed_at_once_for_the_same_target_and_after_a_day_for_others(tmp_path):
    for name in (".partial-model-1", ".partial-other-old", ".partial-other-new"):
        (tmp_path / name).mkdir()
    past = time.time() - files.LEFTOVER_SECONDS - 60
    os.utime(tmp_path / ".partial-other-old", (past, past))
    with files.scratch(tmp_path / "model"):
        pass
    assert names(tmp_path) == [".partial-other-new"]


def test_whoever_finishes_second_keeps_what_the_first_has_made(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").write_text("first")
    with files.scratch(tmp_path / "target") as folder:
        (folder / "mine").mkdir()
        (folder / "mine" / "file").write_text("second")
        files.commit(folder / "mine", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "first"
    with pytest.raises(FileNotFoundError):
        files.commit(tmp_path / "nothing", tmp_path / "elsewhere")


def test_what_is_damaged_is_set_aside_with_a_warning(tmp_path):
    (tmp_path / "file").write_text("bad")
    with pytest.warns(UserWarning, match=r"file is truncated: set aside as file\.\d+\.damaged, making it again"):
        files.set_aside(tmp_path / "file", "is truncated")
    assert [name.endswith(".damaged") for name in names(tmp_path)] == [True]
    files.set_aside(tmp_path / "file", "is truncated")  # another process was faster


# ---- hashes and full disks ----


def test_the_hash_is_that_of_the_content_wherever_it_is(tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("member", content)
    member = zipfile.Path(tmp_path / "archive", "member")
    expected = hashlib.sha256(content).hexdigest()
    assert files.sha256(content) == files.sha256(tmp_path / "file") == files.sha256(member) == expected


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "x"), OSError(errno.EDQUOT, "x"), ValueError("I/O error: No space left on device (28)")],
)
def test_a_full_disk_is_explained_whichever_library_was_writing(tmp_path, error):
    message = f"the disk is full under {tmp_path}: free some space, or name another folder in BITSKEPT_HOME"
    with pytest.raises(OSError, match=message) as raised, files.full_disk_explained(tmp_path):
        raise error
    assert raised.value.errno == errno.ENOSPC


def test_an_error_of_torch_means_a_full_disk_only_if_the_disk_is_full(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="unexpected pos"), files.full_disk_explained(tmp_path):
        raise RuntimeError("unexpected pos 64 vs 0")
    monkeypatch.setattr(files, "is_full", lambda _: True)
    with pytest.raises(OSError, match="the disk is full"), files.full_disk_explained(tmp_path):
        raise RuntimeError("unexpected pos 64 vs 0")
