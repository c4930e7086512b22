"""What published files call a model or text that is given by a path: the name of its folder or file.

Paths tell who works where, and mean nothing elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from bitskept.base.files import on_disk, sha256


def without_paths(
    parameters: dict[str, Any], fingerprints: dict[str, str], table: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, str], pd.DataFrame]:
    """Parameters, the fingerprints of models, and a table, with names in place of paths wherever they occur."""
    of_models = table["model"].dropna().astype(str).unique() if "model" in table else ()
    values = [*strings(parameters), *of_models]
    given = [value for value in values if not _is_path(value) or on_disk(value)]  # others are texts: "b = 1/√d"
    gone = [value for value in of_models if _is_absolute(value)]
    names = names_of_paths([*given, *gone, *fingerprints], fingerprints)
    if names:
        texts = [name for name, kind in table.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
        columns = {name: table[name].map(lambda cell: _replaced(cell, names)) for name in texts}
        table = table.assign(**columns).rename(columns=lambda name: _replaced(name, names))
    return _replaced(parameters, names), _replaced(fingerprints, names), table


def names_of_paths(values: Iterable[str], fingerprints: Mapping[str, str]) -> dict[str, str]:
    """The name of each path among the values. If something else has that name too, part of its fingerprint follows."""
    values = list(dict.fromkeys(values))
    paths = list(filter(_is_path, values))
    short = {path: Path(path.replace("\\", "/").rstrip("/")).name or "root" for path in paths}
    taken = Counter([*short.values(), *(value for value in values if value not in short)])
    unique = {path: fingerprints.get(path) or sha256(path.encode()) for path in paths}
    return {path: name if taken[name] == 1 else f"{name}-{unique[path][:8]}" for path, name in short.items()}


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """A value with these paths replaced by their names, in all strings that it contains."""
    if isinstance(value, str):
        for path in sorted(names, key=len, reverse=True):  # a folder may lie in another one
            value = value.replace(path, names[path])
        return value
    if isinstance(value, Mapping):
        return {_replaced(key, names): _replaced(item, names) for key, item in value.items()}
    return type(value)(_replaced(item, names) for item in value) if isinstance(value, list | tuple) else value


def strings(value: Any) -> Iterator[str]:
    """All strings in nested lists and mappings, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from strings([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def _is_path(value: str) -> bool:
    return bool({"/", "\\"} & set(value.partition("@")[0])) or value.startswith("~")  # a revision may have a slash


def _is_absolute(value: str) -> bool:
    return value.startswith("~") or Path(value).is_absolute() or PureWindowsPath(value).is_absolute()
