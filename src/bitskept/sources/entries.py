"""What the entries of the registries `params/models.yaml`, `corpora.yaml` and `tasks.yaml` have to look like.

What the names mean stands at the top of those files.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from bitskept.params import Strict

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


class Model(Strict):
    """An entry of `models.yaml`."""

    what: str = ""
    kind: Literal["encoder", "decoder"]
    parameters: PositiveInt
    licence: Name
    terms: str = ""
    packages: list[Package] | None = Field(None, min_length=1)
    parts: list[Name] | None = None
    gguf: list[Name] | None = None
    folder: Inside | None = None
    files: list[Inside] | None = None
    initializer_range: float = Field(1, gt=0)
    digits: bool = False
    hub: Repository | None = None
    revision: Revision | None = None
    checkpoints: list[Revision] | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "Model":
        if self.packages is None and not (self.hub and self.revision):
            raise ValueError("it needs packages, or hub and revision")
        if self.packages:
            if not self.gguf and not (self.folder and self.files):
                raise ValueError("its packages need gguf, or folder and files")
            if len(self.gguf or self.parts or [0]) != len(self.packages):
                raise ValueError("it needs as many parts as packages")
        return self


class Corpus(Strict):
    """An entry of `corpora.yaml`."""

    what: str
    licence: Name
    package: Package | None = None
    members: list[Name] | None = None
    column: str | None = None
    where: dict[str, list[str]] | None = None
    drop: list[Name] | None = None
    split: bool | Literal["lines"] = True
    mixed: list[Name] | None = Field(None, min_length=1)
    data: list[Inside] | None = None
    hub: Repository | None = None
    name: Inside | None = None
    splits: list[Name] | None = Field(None, min_length=1)
    revision: Revision | None = None
    documents: PositiveInt | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "Corpus":
        of_hub = self.hub and self.name and self.splits and self.revision
        if not ((self.package and self.members) or self.mixed or of_hub):
            raise ValueError("it needs package and members, or mixed, or hub, name, splits and revision")
        return self


class Task(Strict):
    """An entry of `tasks.yaml`."""

    kind: Literal["preference", "scores", "similarity", "classification", "minimal-pair"]
    what: str
    licence: Name
    data: list[Inside] | None = Field(None, min_length=1)
    paradigms: list[Inside] | None = Field(None, min_length=1)
    package_of: Name | None = None
    members: list[Name] | None = Field(None, min_length=1)
    hub: Repository | None = None
    revision: Revision | None = None
    files: list[Inside] | None = Field(None, min_length=1)
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

    @model_validator(mode="after")
    def _has_a_source(self) -> "Task":
        of_hub = self.hub and self.revision and self.files
        if not ((self.package_of and self.members) or of_hub or self.by_hand):
            raise ValueError("it needs package_of and members, or hub, revision and files, or by_hand")
        return self


KINDS = {"models": Model, "corpora": Corpus, "tasks": Task}
