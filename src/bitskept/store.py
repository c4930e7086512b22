"""Results on disk, addressed by what they were computed from: function, version, parameters, fingerprints.

An entry is a folder `store/FUNCTION/DIGEST/` with `table.parquet` and `entry.json` (the key in clear, the checksum,
when and how long). It is written under a temporary name, synced, and renamed: the rename is the commit, so that a
reader sees a whole entry or none.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitskept import CHECKOUT, __version__, named_folder
from bitskept.locks import alone

if TYPE_CHECKING:
    import pandas

RUN_LOG = "BITSKEPT_RUN_LOG"  # names a file that gets one JSON line for every result asked for
TURN = "BITSKEPT_TURN"  # names what notebooks that run side by side take turns at: computing, with all cores
LEFTOVER_SECONDS = 24 * 3600  # a temporary folder older than this belongs to a run that was killed
_only_reading = ContextVar("only_reading", default=False)


class Absent(LookupError):
    """What was asked for is not there, and nothing may be computed (`only_reading`)."""


@contextmanager
def only_reading() -> Iterator[None]:
    """In here nothing is computed: what would have to be is `Absent`."""
    before = _only_reading.set(True)
    try:
        yield
    finally:
        _only_reading.reset(before)


def may_compute(what: str) -> None:
    """Raise `Absent` where nothing may be computed. Called before any long work whose outcome is kept."""
    if _only_reading.get():
        raise Absent(f"{what} is not there")


@contextmanager
def turn() -> Iterator[None]:
    """Compute in here, when no other notebook of this batch does. Processes that are begun in here have the turn, too.

    Whoever takes a turn and a lock takes the turn first.
    """
    if not (path := os.environ.pop(TURN, None)):
        yield
        return
    try:
        with alone(Path(path), None):
            yield
    finally:
        os.environ[TURN] = path


def home() -> Path:
    """The folder of models, text and results: `BITSKEPT_HOME`, else `.cache/` in the checkout, else the user's."""
    if named := named_folder("BITSKEPT_HOME"):
        return named
    if CHECKOUT is not None:
        return CHECKOUT / ".cache"
    from platformdirs import user_cache_path

    return user_cache_path("bitskept")


def digest(function: str, version: int, key: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of the canonical JSON of the three. TypeError where it is not plain JSON."""
    whole = {"function": function, "version": version, "key": key}
    try:
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the store key of {function} must be plain JSON: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()


def stored(
    function: str,
    version: int,
    key: dict[str, Any],
    compute: Callable[[], "pandas.DataFrame"],
    *,
    logged: bool = True,
) -> "pandas.DataFrame":
    """The table of this function, version and key: read from the store, or computed, stored and read back.

    Raise `version` whenever the function would give other numbers for the same key. A damaged entry is warned of, set
    aside as `*.damaged` and computed again. The table is always the one that was read back, so that a first and a
    second run agree in every type. What another process is computing is waited for. Absent where nothing may be
    computed (`only_reading`); OSError where it cannot be written (a full disk), and nothing half-written stays.
    """
    name = digest(function, version, key)
    entry = home() / "store" / function / name
    started = time.perf_counter()
    table = _read(entry)
    from_store = table is not None
    if table is None:
        may_compute(f"this result of {function}")
        with turn(), alone(entry, f"a result of {function}"):
            table = _read(entry)
            from_store = table is not None
            if table is None:
                started = time.perf_counter()
                computed = compute()
                seconds = time.perf_counter() - started
                description = {
                    "function": function, "version": version, "key": key, "package": __version__,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": round(seconds, 3),
                }  # fmt: skip
                table = _write(entry, computed, description)
    if logged:
        log(function, name, from_store, time.perf_counter() - started)
    return table


def derived(
    function: str,
    version: int,
    tables: Sequence["pandas.DataFrame"],
    key: dict[str, Any],
    compute: Callable[[], "pandas.DataFrame"],
) -> "pandas.DataFrame":
    """`stored` of what follows from tables alone, such as intervals by bootstrap: addressed by what the tables hold.

    A run is told of results that need a model or a text; these it makes of them, and they are not logged.
    """
    return stored(function, version, key | {"tables": [_content(table) for table in tables]}, compute, logged=False)


def _content(table: "pandas.DataFrame") -> str:
    from pandas.util import hash_pandas_object

    names = json.dumps([[name, str(kind)] for name, kind in table.dtypes.items()])
    return hashlib.sha256(names.encode() + hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()


def entries(function: str, version: int) -> Iterator[tuple[dict[str, Any], "pandas.DataFrame"]]:
    """Key and table of all that is stored of this function and version; damaged entries are passed over."""
    for entry in sorted((home() / "store" / function).glob("*/entry.json")):
        if "." in entry.parent.name:  # being written, left over, or set aside as damaged
            continue
        try:
            description = json.loads(entry.read_text("utf-8"))
            wanted = description["version"] == version
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if wanted and (table := _read(entry.parent)) is not None:
            yield description["key"], table


def _read(entry: Path) -> "pandas.DataFrame | None":
    """The table of an entry, or None where there is none or it was damaged (and has been set aside)."""
    if not entry.is_dir():
        return None
    try:
        payload = (entry / "table.parquet").read_bytes()
        description = json.loads((entry / "entry.json").read_text("utf-8"))
        if hashlib.sha256(payload).hexdigest() != description["sha256"]:
            raise ValueError("the checksum does not match")
        if digest(description["function"], description["version"], description["key"]) != entry.name:
            raise ValueError("it is not what it is stored as")
        return _table(payload)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, PermissionError):
            raise
        aside = entry.with_name(f"{entry.name}.{secrets.token_hex(4)}.damaged")
        try:
            entry.rename(aside)
        except FileNotFoundError:  # another process has set it aside in the meantime
            return None
        message = f"stored result {entry} is damaged ({error}): set aside as {aside.name}, computing it again"
        warnings.warn(message, stacklevel=3)
        return None


def _write(entry: Path, table: "pandas.DataFrame", description: dict[str, Any]) -> "pandas.DataFrame":
    """Commit the table and its description as one folder; the table as a reader will get it."""
    buffer = BytesIO()
    table.to_parquet(buffer)
    payload = buffer.getvalue()
    description |= {"rows": len(table), "sha256": hashlib.sha256(payload).hexdigest()}
    temporary = entry.with_name(f".tmp-{entry.name[:16]}-{secrets.token_hex(4)}")
    try:
        _remove_leftovers(entry)
        temporary.mkdir(parents=True)
        write_synced(temporary / "table.parquet", payload)
        write_synced(temporary / "entry.json", json.dumps(description, indent=1).encode())
        _sync_folder(temporary)
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():
                raise
            # Another process has committed the same entry first; ours goes.
        _sync_folder(entry.parent)
    except OSError as error:
        message = f"{error.strerror}: {description['function']} could not be stored under {home()}"
        raise OSError(error.errno, f"{message}. Free some space or name another folder in BITSKEPT_HOME") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _table(payload)


def _table(payload: bytes) -> "pandas.DataFrame":
    """What `pandas.read_parquet` makes of it, in half the time: a run reads hundreds."""
    from pyarrow import BufferReader
    from pyarrow.parquet import ParquetFile

    return ParquetFile(BufferReader(payload)).read(use_threads=False).to_pandas(use_threads=False)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and have it on the disk before returning."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and needs no sync of one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(entry: Path) -> None:
    """What killed runs left of this entry, which is ours alone now, and of any other a day ago."""
    for leftover in entry.parent.glob(".tmp-*"):
        try:
            own = leftover.name.startswith(f".tmp-{entry.name[:16]}-")
            if own or time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(leftover)
        except FileNotFoundError:  # removed by another process
            continue


def log(function: str, name: str, from_store: bool, seconds: float) -> None:
    """Tell a run that is being watched of a result: whether it was there, and how long it took."""
    if path := os.environ.get(RUN_LOG):
        line = {"function": function, "digest": name, "from_store": from_store, "seconds": round(seconds, 3)}
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {path} could not be written") from error
