"""Parameters of the notebooks: `params/PROFILE.yaml` has a section a notebook, and each section is one class here.

Unknown names and wrong types are refused with the file, the name and what was expected, before a kernel starts.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from bitskept import root

PROFILES = ("smoke", "laptop", "paper")

Name = Field(min_length=1)
Names = Field(min_length=1)
Rate = Annotated[float, Field(ge=0, le=1)]
Alphabet = Annotated[int, Field(ge=2)]


class ParameterError(ValueError):
    """A parameter file that cannot be used: the file, the parameter, its value and what was expected."""


class Section(BaseModel):
    """The parameters of one notebook. `figures` are the names of the figures that a run of it has to leave."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    figures: ClassVar[tuple[str, ...]] = ()

    profile: Literal["smoke", "laptop", "paper"]


class Tour(Section):
    figures = ("00_tour",)

    model: str = Name
    sentence: str = Field(pattern=r"\w")
    corpus: str = Name
    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    layers: int = Field(ge=2)
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]
    accept_terms: list[str]


class TheoryBounds(Section):
    figures = (
        "01_sandwich",
        "01_sandwich_by_source",
        "01_fano_region",
        "01_probes",
        "01_coverage",
        "01_plug_in",
    )

    seed: NonNegativeInt
    words: int = Field(ge=2, le=4)
    length: int = Field(ge=2, le=5)
    losses: list[Rate] = Names
    fano_alphabets: list[Alphabet] = Names
    vocabulary: Alphabet
    deviation: float = Field(gt=0)
    training: list[PositiveInt] = Names
    repetitions: PositiveInt
    sample_sizes: list[PositiveInt] = Names
    deltas: list[Annotated[float, Field(gt=0, lt=1)]] = Names


class LayerSweep(Section):
    figures = (
        "02_retained",
        "02_bounds",
        "02_probes",
        "02_random",
        "02_forgetting",
        "02_tokens",
        "02_domains",
        "02_sentence",
    )

    models: list[str] = Names
    corpus: str = Name
    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    longest: PositiveInt
    types: Alphabet
    side_layers: int = Field(ge=3)
    sentence_positions: PositiveInt
    trained_epochs: PositiveInt
    random_seeds: list[NonNegativeInt] = Names
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]
    accept_terms: list[str]


class Tuning(BaseModel):
    """How one model of 03_fine_tuning is tuned."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    arms: list[Literal["recoverability", "continued", "permuted"]] = Names
    seeds: list[NonNegativeInt] = Names
    steps: PositiveInt
    rate: float = Field(gt=0)


class Measuring(BaseModel):
    """How much of one model is measured in 03_fine_tuning; `layers` and `items` are at most so many."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    layers: int = Field(ge=2)
    items: PositiveInt


class FineTuning(Section):
    figures = (
        "03_learning",
        "03_layers",
        "03_scores",
        "03_differences",
        "03_poolings",
        "03_untrained",
    )

    tuning: dict[str, Tuning] = Names
    measuring: dict[str, Measuring] = Names
    corpus: str = Name
    longest: PositiveInt
    batch: PositiveInt
    rank: NonNegativeInt
    negatives: PositiveInt
    curve_sentences: PositiveInt
    tasks: list[str] = Names
    data_tasks: list[str]
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]
    accept_terms: list[str]


class IbCorrelations(Section):
    figures = (
        "04_circle",
        "04_known",
        "04_floor",
        "04_layers",
        "04_optimality",
        "04_plane",
        "04_stability",
        "04_by_sentences",
        "04_estimable",
        "04_widths",
        "04_sensitivity",
        "04_labels",
        "04_correlations",
    )

    models: list[str] = Names
    corpus: str = Name
    sentences: list[PositiveInt] = Field(min_length=2)
    more_model: str = Name
    more_sentences: list[PositiveInt] = Names
    widths: list[Annotated[int, Field(ge=1, le=8)]] = Field(min_length=2)
    longest: PositiveInt
    anchors: Alphabet
    anchor_seeds: list[NonNegativeInt] = Names
    memory: PositiveInt
    sensitivity_model: str = Name
    sensitivity_sentences: PositiveInt
    other_anchors: list[Alphabet] = Names
    bottleneck_types: Alphabet
    betas: list[Annotated[float, Field(gt=1)]] = Names
    preference_task: str = Name
    preference_pairs: PositiveInt
    preference_longest: PositiveInt
    correlation_models: list[str]
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]
    accept_terms: list[str]


class TrainingDynamics(Section):
    figures = (
        "05_learning",
        "05_retained",
        "05_forgetting",
        "05_untrained",
        "05_plane",
        "05_ranks",
        "05_size_and_data",
        "05_predictors",
    )

    twins: list[Literal["causal", "masked", "diffusion", "state-space"]] = Names
    seeds: list[NonNegativeInt] = Names
    width: PositiveInt
    depth: PositiveInt
    steps: PositiveInt
    batch: PositiveInt
    rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    hidden: float = Field(gt=0, lt=1)
    corpus: str = Name
    sentences: PositiveInt
    longest: int = Field(ge=3)
    vocabulary: PositiveInt
    varied: list[Literal["causal", "masked"]]
    varied_seeds: list[NonNegativeInt]
    other_widths: list[PositiveInt]
    other_sentences: list[PositiveInt]
    varied_in_full: bool
    initials: list[Annotated[float, Field(gt=0)]] = Field(min_length=2)
    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    soft_sentences: PositiveInt
    anchors: Alphabet
    widths: list[Annotated[int, Field(ge=1, le=8)]] = Names
    draws: int = Field(ge=2)
    tasks: list[str] = Names
    data_tasks: list[str]
    items: int = Field(ge=4)
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]


class SemanticInformation(Section):
    figures = (
        "06_density",
        "06_granger",
        "06_elbo",
        "06_context",
        "06_flow",
        "06_people",
        "06_rate_distortion",
        "06_naming",
        "06_reward",
        "06_architectures",
        "06_dimension",
        "06_geometry",
        "06_energy",
        "06_memory",
    )

    model: str = Name
    corpora: list[str] = Names
    pairs: PositiveInt
    others: PositiveInt
    length: PositiveInt
    shown_corpus: str = Name
    shown: NonNegativeInt
    context_corpora: list[str] = Names
    contexts: list[PositiveInt] = Field(min_length=2)
    context_pairs: PositiveInt
    flow_corpus: str = Name
    flow_place: NonNegativeInt
    samples: int = Field(ge=2)
    flow_others: PositiveInt
    flow_context: PositiveInt
    people_prompts: int = Field(ge=2)
    flips: list[Annotated[float, Field(gt=0, le=0.5)]] = Names
    markov_steps: Annotated[int, Field(ge=2, le=6)]
    tolerance: float = Field(ge=1e-6)
    reward_words: list[str] = Names
    slopes: list[Annotated[float, Field(ge=0)]] = Names
    best_of: list[PositiveInt] = Names
    twins: list[Literal["causal", "diffusion", "state-space"]] = Names
    twin_seeds: list[NonNegativeInt] = Names
    twin_corpus: str = Name
    twin_pairs: PositiveInt
    twin_others: PositiveInt
    twin_context: PositiveInt
    points: int = Field(ge=2)
    dimensions: list[PositiveInt] = Names
    projections: PositiveInt
    distortion: float = Field(gt=0, lt=1)
    corpus: str = Name
    geometry_points: int = Field(ge=3)
    geometry_groups: int = Field(ge=2)
    geometry_layers: int = Field(ge=2)
    energy_sentences: int = Field(ge=2)
    energy_layers: PositiveInt
    memory_dimensions: list[Annotated[int, Field(ge=2)]] = Names
    stored: list[PositiveInt] = Names
    memory_scale: float = Field(gt=0)
    perceptron_dimension: PositiveInt
    loads: list[Annotated[float, Field(gt=0)]] = Names
    trials: PositiveInt
    repetitions: PositiveInt
    seed: NonNegativeInt
    dtype: Literal["auto", "float32", "bfloat16"]
    accept_terms: list[str]


SECTIONS: dict[str, type[Section]] = {
    "00_tour": Tour,
    "01_theory_bounds": TheoryBounds,
    "02_layer_sweep": LayerSweep,
    "03_fine_tuning": FineTuning,
    "04_ib_correlations": IbCorrelations,
    "05_training_dynamics": TrainingDynamics,
    "06_semantic_information": SemanticInformation,
}


class Profile(Mapping[str, Section]):
    """The validated sections of one parameter file, by the stem of their notebook."""

    def __init__(self, name: str, path: Path, sections: dict[str, Section]) -> None:
        self.name, self.path, self._sections = name, path, sections

    def __getitem__(self, stem: str) -> Section:
        if stem not in self._sections:
            raise KeyError(f"{self.path} has no section {stem}{_nearest(stem, self._sections)}")
        return self._sections[stem]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)


def load(profile: str, *, folder: Path | None = None, sections: Mapping[str, type[Section]] = SECTIONS) -> Profile:
    """Read and validate `FOLDER/PROFILE.yaml` (default: `params/`). ParameterError lists all that is wrong in it."""
    if profile not in PROFILES:
        raise ParameterError(f"there is no profile {profile}: choose one of {', '.join(PROFILES)}")
    path = (folder or root() / "params") / f"{profile}.yaml"
    raw = read_yaml(path)
    wrong: list[str] = []
    valid: dict[str, Section] = {}
    for stem, values in raw.items():
        if stem not in sections:
            wrong.append(f"{stem}: unknown section{_nearest(str(stem), sections)}")
        elif not isinstance(values, dict):
            wrong.append(f"{stem} = {values!r}: expected a section of name: value lines")
        else:
            try:
                valid[stem] = sections[stem].model_validate(values)
            except ValidationError as error:
                wrong += [f"{stem}.{_describe(one, sections[stem])}" for one in error.errors()]
                continue
            if valid[stem].profile != profile:
                wrong.append(f"{stem}.profile = {valid[stem].profile!r}: expected {profile!r}, the name of its file")
    if wrong:
        raise ParameterError("\n".join(f"{path}: {line}" for line in wrong))
    return Profile(profile, path, valid)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top is a mapping. A name given twice is refused: YAML itself would drop the first silently."""
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=_UniqueNames)
    except FileNotFoundError:
        raise ParameterError(f"{path}: there is no such file") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: expected sections of name: value lines, found {type(content).__name__}")
    return content


class _UniqueNames(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the name {name} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"


def _describe(error: Any, section: type[Section]) -> str:
    """One pydantic error as `name = value: what was expected`."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{name}: missing"
    if error["type"] == "extra_forbidden":
        return f"{name} = {error['input']!r}: unknown name{_nearest(name, section.model_fields)}"
    return f"{name} = {error['input']!r}: {error['msg'].replace('Input should', 'should')}"
