"""How many bits about its input does a language model keep, layer by layer?"""

import os
from pathlib import Path

__version__ = "0.1.0"

_above = Path(__file__).resolve().parents[2]

#: The checkout that this package runs from, or None where it was installed on its own.
CHECKOUT: Path | None = _above if (_above / "pyproject.toml").is_file() and (_above / "params").is_dir() else None


def named_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, `~` spelt out; None where it names none."""
    if not (named := os.environ.get(variable)):
        return None
    try:
        path = Path(named).expanduser().resolve()
        if path.is_dir() or not path.exists():
            return path
        reason = "it is a file"
    except (OSError, RuntimeError) as error:  # too long, a user that there is not, a loop of links
        reason = getattr(error, "strerror", None) or str(error)
    raise ValueError(f"{variable}={named:.200} is no folder ({reason}): name one by its full path")


def told(error: BaseException) -> str:
    """What an error says; of a KeyError without the quotation marks that Python puts around it."""
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error) or type(error).__name__


def root() -> Path:
    """The folder of `params/`, `notebooks/`, `figures/` and `build/`: `BITSKEPT_ROOT`, else the checkout, else here."""
    return named_folder("BITSKEPT_ROOT") or CHECKOUT or Path.cwd()
