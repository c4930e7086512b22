"""How many bits about its input does a language model keep, layer by layer?"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__version__ = "0.1.0"

_above = Path(__file__).resolve().parents[2]

#: The checkout that this package runs from, or None where it was installed on its own.
CHECKOUT: Path | None = _above if (_above / "pyproject.toml").is_file() and (_above / "params").is_dir() else None


def named_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, `~` spelt out; None where it names none."""
    if not (named := os.environ.get(variable)):
        return None
    return _known_folder(variable, named) if os.path.isabs(named) else _folder(variable, named)


def _folder(variable: str, named: str) -> Path:
    try:
        path = Path(named).expanduser().resolve()
        if path.is_dir() or not path.exists():
            return path
        reason = "it is a file"
    except (OSError, RuntimeError) as error:  # too long, a user that there is not, a loop of links
        reason = getattr(error, "strerror", None) or str(error)
    raise ValueError(f"{variable}={named:.200} is no folder ({reason}): name one by its full path")


_known_folder = cache(_folder)  # asked for with each result, and to resolve it takes long


def told(error: BaseException) -> str:
    """What an error says; of a KeyError without the quotation marks that Python puts around it."""
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error) or type(error).__name__


def root() -> Path:
    """The folder of `params/`, `notebooks/`, `figures/` and `build/`: `BITSKEPT_ROOT`, else the checkout, else here."""
    return named_folder("BITSKEPT_ROOT") or CHECKOUT or Path.cwd()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These environment variables, for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
