"""Parameters: `params/PROFILE.yaml` has a section for each notebook, and each section is one class, in its study.

Unknown names and wrong types are refused with the file, the name, the value and what was expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitskept import root, shipped

if TYPE_CHECKING:
    import pandas

PROFILES = ("smoke", "laptop", "paper")
"""The profiles that come with the project."""
REGISTRIES = ("models", "corpora", "tasks", "questions", "facts")
"""Files of `params/` that are not profiles."""

Name = Field(min_length=1)
Names = Field(min_length=1)
Rate = Annotated[float, Field(ge=0, le=1)]
Alphabet = Annotated[int, Field(ge=2)]
Dtype = Literal["auto", "float32", "bfloat16"]

LARGEST_FILE = 2**20
"""Bytes of a parameter file, at most."""
MOST_LINES = 20
"""Lines of an error message about one file, at most."""
_short = Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 2, 80, 80, 40
shown = _short.repr
"""A value as a message shows it: the beginning of what is long or deep."""


class ParameterError(ValueError):
    """A parameter that cannot be used: the file, the name, its value and what was expected."""


class Strict(BaseModel):
    """Refuses unknown names, and takes a value only in its own type; numbers are finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Strict)


class Section(Strict):
    """The parameters of one notebook; `notebook` is its name and `profile` that of the parameter file."""

    notebook: ClassVar[str]

    profile: str = Name

    @classmethod
    def read(cls: type[S], cell: MutableMapping[str, Any]) -> S:
        """The parameters of a running notebook: `section = LayerSweep.read(globals())`, after its parameters cell.

        Values come from the parameter file that `profile` names in the cell. Another parameter that is set there, or
        given to papermill, replaces the file's value; of a mapping, only the entries that are given.

        ParameterError for a value that does not fit. So that a misspelt name is noticed, unknown names are refused as
        well, until there is a `section`: later cells define names of their own. A refused name is deleted from the
        notebook, so that the cell can be corrected and run again.
        """
        if "profile" not in cell:
            raise ParameterError("run the cell with the parameters first: it names the profile")
        path = find(cell["profile"])
        values = read_yaml(path).get(cls.notebook)
        if not isinstance(values, dict):
            raise ParameterError(f"{path}: it has no section {cls.notebook}")
        set_here = [name for name in cls.model_fields if name in cell and name != "profile"]
        given = {name: cell[name] for name in set_here if not isinstance(cell[name], ModuleType)}
        unknown = {} if "section" in cell else _plain_values(cell, known=cls.model_fields)
        for name, value in (given | unknown).items():
            merged = isinstance(value, dict) and isinstance(values.get(name), dict)
            values[name] = values[name] | value if merged else value
        section, wrong = validated(cls.notebook, values | {"profile": path.stem}, cls)
        for name in unknown:
            del cell[name]
        refuse(f"{path}, with the parameters set in the notebook" if given or unknown else path, wrong)
        return section

    def table(self) -> pandas.DataFrame:
        """The parameters by name, for a reader."""
        import pandas

        values = {name: str(value) for name, value in self.model_dump().items()}
        return pandas.DataFrame({"value": values})


def _plain_values(cell: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The values of a cell that look like parameters and are none; not what IPython itself or a user's startup files
    define in every notebook.
    """
    hidden = getattr(cell["get_ipython"](), "user_ns_hidden", {}) if "get_ipython" in cell else {}
    others = [name for name in cell if not name.startswith("_") and name not in {*known, *hidden, "profile"}]
    return {
        name: cell[name] for name in others if isinstance(cell[name], bool | int | float | str | list | dict | None)
    }


def find(profile: str) -> Path:
    """The parameter file of a profile: `smoke`, `laptop`, `paper`, the name of another file in `params/`, or a path.

    ParameterError if there is none, and for a file elsewhere that is named like one of the project's profiles.
    """
    try:
        given = Path(str(profile)).expanduser()
        is_path = given.suffix in (".yaml", ".yml")
        # Notebooks run in their own folder.
        choices = [given, root() / given] if is_path else [shipped(f"params/{profile}.yaml")]
        path = next(choice.resolve() for choice in choices if choice.is_file())
    except (StopIteration, OSError, RuntimeError):  # also a name that is too long, or of an unknown user
        own = {file.stem for file in (root() / "params").glob("*.yaml")}
        known = sorted(own - set(REGISTRIES) | set(PROFILES))
        message = f"there is no profile {shown(profile)}: choose {', '.join(known)}, or name a file"
        raise ParameterError(message) from None
    if path.stem in PROFILES and path != shipped(f"params/{path.stem}.yaml").resolve():
        raise ParameterError(f"{path}: give the file another name; {path.stem} is one of the project's own profiles")
    return path


def load(profile: str, sections: Mapping[str, type[Section]]) -> dict[str, Section]:
    """All sections of a profile by the name of their notebook. ParameterError lists what is wrong in the file."""
    path = find(profile)
    wrong: list[str] = []
    valid: dict[str, Section] = {}
    for name, values in read_yaml(path).items():
        if name not in sections:
            wrong.append(f"{name:.80}: unknown section{nearest(name, sections)}")
            continue
        named = values | {"profile": path.stem} if isinstance(values, dict) else values
        section, mistakes = validated(name, named, sections[name])
        wrong += mistakes
        if section:
            valid[name] = section
    refuse(path, wrong)
    return valid


def validated(name: str, values: Any, kind: type[S]) -> tuple[S | None, list[str]]:
    """The values under a name as an instance of `kind`, and a line for each thing that is wrong with them."""
    if not isinstance(values, dict):
        return None, [f"{name} = {shown(values)}: expected a section of name: value lines"]
    try:
        return kind.model_validate(values), []
    except ValidationError as error:
        return None, [f"{name}.{_described(mistake, kind)}" for mistake in error.errors()]


def refuse(source: Path | str, wrong: list[str]) -> None:
    """ParameterError with the lines that say what is wrong in a file, if there are any."""
    if wrong:
        more = ["and more"] if len(wrong) > MOST_LINES else []
        raise ParameterError("\n".join(f"{source}: {line}" for line in wrong[:MOST_LINES] + more))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top is a mapping. A name given twice is refused: YAML itself would drop the first silently."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ParameterError(f"{path}: it has more than {LARGEST_FILE:,} bytes")
        content = yaml.load(path.read_text("utf-8"), Loader=_NamesOnce)
    except FileNotFoundError:
        raise ParameterError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ParameterError(f"{path}: it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:  # ValueError: a date such as 2001-13-45
        raise ParameterError(f"{path}: not valid YAML: {' '.join(str(error).split()):.500}") from None
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: expected sections of name: value lines, found {type(content).__name__}")
    if others := [name for name in content if not isinstance(name, str)]:
        raise ParameterError(f"{path}: the name {shown(others[0])} is not a text: put quotation marks around it")
    return content


class _NamesOnce(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [name for name, times in names.items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the name {twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known names that are like it, or else all."""
    near = get_close_matches(name[:80], list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"


def _described(error: Any, kind: type[Strict]) -> str:
    """One pydantic error as `name = value: what was expected`."""
    name = ".".join(str(part) for part in error["loc"])[:80]
    if error["type"] == "missing":
        return f"{name}: missing"
    if error["type"] == "extra_forbidden":
        return f"{name} = {shown(error['input'])}: unknown name{nearest(name, kind.model_fields)}"
    return f"{name} = {shown(error['input'])}: {error['msg'].replace('Input should', 'should')}"
