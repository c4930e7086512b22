"""Whatever users type gives a result or a clear message, within a limited time and memory.

`make test` draws the same examples every time. To try new ones, and more of them: `BITSKEPT_FUZZ=2000 pytest
tests/fuzz`. A failure is printed with its example; add that to the `@example` lines of the test.
"""

import os
import signal
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import bitskept

ASKED = int(os.environ.get("BITSKEPT_FUZZ", 0))
SOURCE = Path(bitskept.__file__).parent
SECONDS = 60  # far more than any example takes, even on a busy machine
REPORTED = (ValueError, LookupError, OSError, RuntimeError)  # errors that the command line reports as a message
LONGEST = 6_000  # characters of a message

for name, examples in (("quick", 100), ("slow", 25)):
    settings.register_profile(
        name,
        deadline=None,
        database=None,
        derandomize=not ASKED,
        max_examples=ASKED or examples,
        suppress_health_check=list(HealthCheck),
    )


class HangError(BaseException):
    """An example that took longer than SECONDS."""


@contextmanager
def limited():
    """HangError if the block takes longer than SECONDS."""

    def stop(*_):
        raise HangError(f"it took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(call, *names):
    """What a call returns, and None; or None and the message of an error of ours, which has to contain one of `names`.

    An error is ours if a `raise` in our package raised it. Any other fails the test: what a library or Python itself
    raises tells a user little.
    """
    with limited(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(), None
        except REPORTED as error:
            raised = error
    last = traceback.extract_tb(raised.__traceback__)[-1]
    assert Path(last.filename).is_relative_to(SOURCE), f"not raised by us: {raised!r}"
    assert last.line.startswith("raise"), f"not raised on purpose: {raised!r} in {last.filename}:{last.lineno}"
    message = bitskept.error_text(raised)
    assert not names or any(name in message for name in names), f"{message!r} names none of {names}"
    assert len(message) < LONGEST, f"a message of {len(message):,} characters: {message[:200]!r}"
    return None, message


@pytest.fixture(scope="session")
def outcome_of():
    """The function `outcome`."""
    return outcome


@pytest.fixture(scope="module")
def place(tmp_path_factory, checkout):
    """A project, a home and a data folder for one test module, without a network or a package registry."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("project/params", "project/notebooks", "home", "data"):
        (folder / name).mkdir(parents=True)
    for path in (checkout / "params").glob("*.yaml"):
        (folder / "project" / "params" / path.name).write_bytes(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name, where in (("ROOT", "project"), ("HOME", "home"), ("DATA", "data")):
            patch.setenv(f"BITSKEPT_{name}", str(folder / where))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.chdir(folder)
        yield folder


# ---- parts of hostile input ----

FRAGMENTS = [
    b"\0", b"\t", b"\r", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\x85", b"\n\n",
    b"'", b'"', b"{", b"}", b"[", b"]", b":", b",", b"&a ", b"*a", b"<<: *a", b"!!int x", b"!!python/name:os.system ",
    b"? ", b"- ", b"---\n", b"%YAML 9.9\n", b"| ", b"2001-13-45", b".inf", b".nan", b"-1", b"1e999", b"1" * 5000,
    b"0x" + b"f" * 5000, b"1:59" * 60, b"[" * 3000, b"{a: " * 500, b'{"a":' * 3000, b"x" * 70_000, b"\\ud800",
    b"\\u0000",
    "\u202eשלום".encode(), "👩‍👩‍👧‍👦".encode(), b"null", b"true", b"../../etc/passwd", b"$(reboot)", b"%s%n",
]  # fmt: skip

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 3, 7, 10**12, 2**63, 10**400, -(10**400)]),
    st.sampled_from([float("nan"), float("inf"), -0.5, 1e308, 1e-320]),
    st.sampled_from(["", " ", "\0", "\ud800", "x" * 5000, "../..", "\u202eשלום", "👩‍👩‍👧‍👦", "%s", "nan", "0", "\n"]),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@st.composite
def _mutated_bytes(draw, content):
    """Bytes with up to three changes: a fragment inserted, a piece doubled or left out, bytes replaced, the end cut."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        piece = content[start:end]
        put = draw(
            st.sampled_from(FRAGMENTS) | st.sampled_from([b"", piece + piece]) | st.binary(min_size=1, max_size=8)
        )
        content = content[:start] + put + content[end:]
        if draw(st.integers(0, 9)) == 0:
            content = content[: draw(st.integers(0, len(content)))]
    return content


@st.composite
def _mutated_tree(draw, tree):
    """A copy of nested mappings and lists in which one value is replaced or missing, and the keys that lead to it."""
    where, holder = [], {"whole": _copy(tree)}
    changed = holder
    while True:
        keys = list(changed) if isinstance(changed, dict) else list(range(len(changed)))
        key = draw(st.sampled_from(keys))
        where.append(key)
        inside = changed[key]
        if not (isinstance(inside, dict | list) and inside) or draw(st.integers(0, 6)) == 0:
            break
        changed = inside
    if draw(st.integers(0, 5)) == 0:
        del changed[key]
    else:
        changed[key] = draw(VALUES)
    return holder.get("whole"), where[1:]


def _copy(tree):
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree


@pytest.fixture(scope="session")
def mutated_bytes():
    """A strategy: bytes with a few hostile changes."""
    return _mutated_bytes


@pytest.fixture(scope="session")
def mutated_tree():
    """A strategy: nested mappings and lists with one hostile change, and the keys that lead to it."""
    return _mutated_tree
