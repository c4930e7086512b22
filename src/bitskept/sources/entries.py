"""What the entries of the registries `params/models.yaml`, `corpora.yaml` and `tasks.yaml` have to look like.

The comments at the top of those files explain the names.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from bitskept.base.params import Strict

Name = Annotated[str, Field(min_length=1)]
Inside = Annotated[str, Field(pattern=r"^\w[^/\\\x00]*(/\w[^/\\\x00]*)*$")]  # of a file: a path downwards
Revision = Annotated[str, Field(pattern=r"^\w[\w./-]*$")]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class Package(Strict):
    """A wheel of a package registry."""

    package: str = Field(pattern=r"^\w[\w.-]*$")
    version: str = Field(pattern=r"^\w[\w.+!-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: NonNegativeInt
    platform: str = Field("", pattern=r"^\w*$")
    python: str = Field("", pattern=r"^[\d.]*$")


class Sourced(Strict):
    """An entry that names where it comes from: all fields of one of its `sources`."""

    sources: ClassVar[tuple[tuple[str, ...], ...]]

    licence: Name
    hub: Repository | None = None
    revision: Revision | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "Sourced":
        if not any(all(getattr(self, name) for name in names) for names in self.sources):
            raise ValueError(f"it needs {', or '.join(' and '.join(names) for names in self.sources)}")
        return self


class Model(Sourced):
    """An entry of `models.yaml`."""

    sources = (("packages", "gguf"), ("packages", "folder", "files"), ("hub", "revision"))

    what: str = ""
    kind: Literal["encoder", "decoder"]
    parameters: PositiveInt
    terms: str = ""
    packages: list[Package] | None = Field(None, min_length=1)
    parts: list[Name] | None = None
    gguf: list[Name] | None = None
    folder: Inside | None = None
    files: list[Inside] | None = None
    initializer_range: float = Field(1, gt=0)
    digits: bool = False
    checkpoints: list[Revision] | None = None

    @model_validator(mode="after")
    def _has_all_parts(self) -> "Model":
        if self.packages and len(self.gguf or self.parts or [0]) != len(self.packages):
            raise ValueError("it needs as many parts as packages")
        return self


class Corpus(Sourced):
    """An entry of `corpora.yaml`."""

    sources = (("package", "members"), ("mixed",), ("hub", "name", "splits", "revision"))

    what: str
    package: Package | None = None
    members: list[Name] | None = None
    column: str | None = None
    where: dict[str, list[str]] | None = None
    drop: list[Name] | None = None
    split: bool | Literal["lines"] = True
    mixed: list[Name] | None = Field(None, min_length=1)
    data: list[Inside] | None = None
    name: Inside | None = None
    splits: list[Name] | None = None
    documents: PositiveInt | None = None


class Task(Sourced):
    """An entry of `tasks.yaml`."""

    sources = (("package_of", "members"), ("hub", "revision", "files"), ("by_hand",))

    kind: Literal["preference", "scores", "similarity", "classification", "minimal-pair"]
    what: str
    data: list[Inside] | None = Field(None, min_length=1)
    paradigms: list[Inside] | None = Field(None, min_length=1)
    package_of: Name | None = None
    members: list[Name] | None = None
    files: list[Inside] | None = None
    by_hand: Name | None = None
    splits: list[Name] | None = None
    reader: Literal["dialogues", "messages", "votes", "records", "tab-separated", "labelled-lines", "matrix", ""] = ""
    columns: list[NonNegativeInt] | list[Name] | None = Field(None, min_length=3, max_length=3)
    fields: list[Name] | None = Field(None, min_length=2, max_length=3)
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    carrier: str | None = None
    classes: dict[str, list[str]] | None = Field(None, min_length=2)
    left_out: list[str] | None = None
    balanced: bool = False
    first_sentence: bool = False


KINDS = {"models": Model, "corpora": Corpus, "tasks": Task}
