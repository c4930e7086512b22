"""How many bits about its input does a language model keep, layer by layer?"""

import os
import sys
from functools import cache
from pathlib import Path

import tqdm.std

__version__ = "0.2.0"

_above = Path(__file__).resolve().parents[2]

#: The checkout that this package runs from, or None if it was installed without one.
CHECKOUT: Path | None = _above if (_above / "pyproject.toml").is_file() and (_above / "params").is_dir() else None

# Progress bars are text everywhere, those of transformers, datasets and huggingface_hub as well. In a notebook
# `tqdm.auto` would make widgets, and a widget that stays alive can hang a notebook that is executed without a reader:
# a message to it may swallow the reply that the cell has finished (nbclient issue 312).
sys.modules.setdefault("tqdm.autonotebook", tqdm.std)


def named_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, with `~` expanded; None if the variable is not set."""
    if not (named := os.environ.get(variable)):
        return None
    return _known_folder(variable, named) if os.path.isabs(named) else _folder(variable, named)


def _folder(variable: str, named: str) -> Path:
    try:
        path = Path(named).expanduser().resolve()
        if not path.exists() or path.is_dir():  # in this order: another process may make the folder in between
            return path
        reason = "it is a file"
    except (OSError, RuntimeError) as error:  # too long, an unknown user, a loop of links
        reason = getattr(error, "strerror", None) or str(error)
    raise ValueError(f"{variable}={named:.200} is no folder ({reason}): name one by its full path")


_known_folder = cache(_folder)  # it is asked for with each result, and resolving it takes long


def root() -> Path:
    """The folder that results are written to: `BITSKEPT_ROOT`, else the checkout, else the current folder."""
    return named_folder("BITSKEPT_ROOT") or CHECKOUT or Path.cwd()


def shipped(name: str) -> Path:
    """`notebooks`, or a file in `params/`: the one in `root()`, else the one that the package brings along."""
    own, packed = root() / name, Path(__file__).parent / "project" / name
    return packed if packed.exists() and not own.exists() else own


def error_text(error: BaseException) -> str:
    """What an error says: a KeyError without the quotation marks that Python adds, and never an empty text."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return text.strip() or type(error).__name__
