"""Files and folders that are written whole or not at all, locked while they are made, and recognised by their hash.

Locks are the operating system's (flock, through filelock). A lock ends with the process that holds it, however that
process ends, so a lock file left behind by a killed process blocks nobody.
"""

import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path

QUIET_SECONDS = 1.0  # of waiting for a lock, before the user is told
LEFTOVER_SECONDS = 24 * 3600  # a scratch folder older than this belongs to a run that was killed
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP}  # errors of a file system without locks
FULL = {errno.ENOSPC, errno.EDQUOT}
SCARCE = 1 << 16  # bytes: with fewer left, a disk is full


@contextmanager
def locked(target: Path, what: str | None) -> Iterator[None]:
    """Hold the lock of a file or folder, which need not exist yet. Another process that holds it is waited for.

    After a second of waiting, a message names `what` is being waited for (None: no message). Look again whether the
    target exists once you hold the lock: the other process may have made it. On a file system without locks nothing is
    held, and a warning says so. PermissionError where another user's lock file is in the way; errors as
    `writing_explained` for a folder that cannot be written.
    """
    from filelock import FileLock, Timeout

    with writing_explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path, fallback_to_soft=False)
    try:
        try:
            lock.acquire(timeout=QUIET_SECONDS if what else -1)
        except Timeout:
            print(f"bitskept: waiting for {what}, which another process is making", file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        if isinstance(error, PermissionError) and path.exists():
            advice = "wait until it is made, or have that file removed if nobody is making it"
            message = f"{path} belongs to another user, who is making {what or target.name}: {advice}"
            raise PermissionError(error.errno, message) from error
        if error.errno not in NO_LOCKS:
            with writing_explained(target):
                raise
        warnings.warn(f"{target.parent} has no file locks: do not run two batches on it at once", stacklevel=3)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: whoever waits for it sees that it is gone, and makes a new one
        lock.release()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a killed run leaves the earlier file in place. The caller holds its lock.

    Errors as `writing_explained`.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with writing_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def renew(path: Path, change: Callable[[str], str]) -> None:
    """Write a text file as `change` makes it from what it holds; nothing happens where it is missing or stays the same.
    Errors as `locked` and `write_whole`.
    """
    if not path.is_file():
        return
    with locked(path, None):
        text = path.read_text("utf-8")
        new = change(text)
        if new != text:
            write_whole(path, new.encode())


@contextmanager
def writing_explained(path: Path) -> Iterator[None]:
    """An OSError (a full disk, a read-only folder, another user's folder) names the path that cannot be written."""
    try:
        yield
    except OSError as error:
        advice = "Free some space, or check who may write there, and run this again"
        raise OSError(error.errno, f"{error.strerror}: {path} could not be written. {advice}") from error


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A new folder beside `target` in which to build it; removed afterwards. The caller holds the lock of the target,
    so scratch folders that killed runs left of the same target are removed as well. Errors as `full_disk_explained`.
    """
    prefix = f".partial-{target.name}-"
    with full_disk_explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in target.parent.glob(".partial-*"):
            with suppress(FileNotFoundError):  # another process has finished it
                if leftover.name.startswith(prefix) or time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                    shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def commit(finished: Path, target: Path) -> Path:
    """Sync a finished file or folder and rename it to `target`: a reader sees all of it or nothing."""
    for path in [*finished.rglob("*"), finished]:
        _sync(path)
    try:
        finished.rename(target)
    except OSError:
        if not target.exists():
            raise
        # Another process has finished the same thing first, and ours is dropped.
    _sync(target.parent)
    return target


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # Windows cannot open a folder, and need not sync one
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path, reason: str) -> None:
    """Rename a damaged or outdated file or folder to `*.damaged`, and warn."""
    aside = path.with_name(f"{path.name}.{time.time_ns()}.damaged")
    try:
        path.rename(aside)
    except FileNotFoundError:  # another process has set it aside in the meantime
        return
    warnings.warn(f"{path} {reason}: set aside as {aside.name}, making it again", stacklevel=3)


def on_disk(id: str | Path) -> Path | None:
    """The file or folder at a path, with `~` expanded; None if there is none, or if the id cannot be a path."""
    try:
        path = Path(id).expanduser()
        return path if str(id) and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, an unknown user, a folder without permission
        return None


def sha256(content: bytes | Traversable) -> str:
    """Hexadecimal SHA-256 of bytes, or of a file (on disk or in an archive), which is read in pieces."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """A full disk or an exhausted quota raises one kind of OSError, which names the folder and `BITSKEPT_HOME`, which
    moves it, whichever library was writing.
    """
    try:
        yield
    except Exception as error:  # safetensors and pip report it in words only, and torch in different words each time
        in_words = "No space left on device" in str(error) or "Disk quota exceeded" in str(error)
        in_torch = isinstance(error, RuntimeError) and is_full(folder)
        if not (in_words or in_torch or getattr(error, "errno", None) in FULL):
            raise
        advice = "free some space, or name another folder in BITSKEPT_HOME, and run this again"
        raise OSError(errno.ENOSPC, f"the disk is full under {folder}: {advice}; what was finished is kept") from error


def is_full(folder: Path) -> bool:
    """Whether next to nothing can be written to the disk of a folder."""
    return shutil.disk_usage(folder).free < SCARCE
