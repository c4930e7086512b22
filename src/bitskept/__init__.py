"""How many bits about its input does a language model keep, layer by layer?"""

import os
from pathlib import Path

__version__ = "0.1.0"

_above = Path(__file__).resolve().parents[2]

#: The checkout that this package runs from, or None where it was installed on its own.
CHECKOUT: Path | None = _above if (_above / "pyproject.toml").is_file() and (_above / "params").is_dir() else None


def root() -> Path:
    """The folder of `params/`, `notebooks/`, `figures/` and `build/`: `BITSKEPT_ROOT`, else the checkout, else here."""
    if named := os.environ.get("BITSKEPT_ROOT"):
        return Path(named).expanduser().resolve()
    return CHECKOUT or Path.cwd()
