"""One at a time: whoever makes a file or folder that another process may want as well holds its lock meanwhile.

The lock is the operating system's (flock, by way of filelock): it ends with the process that holds it, however that
ends, so a file that a killed process left blocks nobody.
"""

import errno
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TOLD_AFTER = 1.0  # seconds of waiting
WITHOUT = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP}  # what a file system without locks answers


@contextmanager
def alone(target: Path, what: str | None) -> Iterator[None]:
    """Hold the lock of a file or folder, which need not be there yet. While another process holds it, wait; after a
    second, `what` is waited for is told, unless it is None.

    Look whether the target is there once you have the lock: the other process may have made it. On a file system
    without locks nothing is held, and a warning says so.
    """
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path, fallback_to_soft=False)
    try:
        try:
            lock.acquire(timeout=TOLD_AFTER if what else -1)
        except Timeout:
            print(f"bitskept: waiting for {what}, which another process is making", file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
        warnings.warn(f"{target.parent} has no file locks: do not run two batches on it at once", stacklevel=3)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who waits for it sees that it is gone, and makes a new one
        lock.release()
