"""Parameters of the notebooks: `params/PROFILE.yaml` has a section a notebook, and each section is one class here.

Unknown names and wrong types are refused with the file, the name and what was expected, before a kernel starts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, ClassVar, Literal, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from bitskept import root

PROFILES = ("smoke", "laptop", "paper")

Name = Field(min_length=1)
Names = Field(min_length=1)
Rate = Annotated[float, Field(ge=0, le=1)]
Alphabet = Annotated[int, Field(ge=2)]

LARGEST = 2**63  # what NumPy and PyTorch can hold as an integer lies below
TOLD = 20  # of what is wrong in one file
_short = Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 2, 80, 80, 40
shown = _short.repr  # a value as a message shows it: of what is long or deep the beginning (aliases stand for billions)


class ParameterError(ValueError):
    """A parameter file that cannot be used: the file, the parameter, its value and what was expected."""


class Strict(BaseModel):
    """What knows all its names and takes a value only in its own type; a number has to be finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Section(Strict):
    """The parameters of one notebook. `figures` are the names of the figures that a run of it has to leave."""

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


class Tuning(Strict):
    """How one model of 03_fine_tuning is tuned."""

    arms: list[Literal["recoverability", "continued", "permuted"]] = Names
    seeds: list[NonNegativeInt] = Names
    steps: PositiveInt
    rate: float = Field(gt=0)


class Measuring(Strict):
    """How much of one model is measured in 03_fine_tuning; `layers` and `items` are at most so many."""

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
        "06_infonce",
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
    half_model: str = Name
    half_corpus: str = Name
    half_texts: int = Field(ge=64, multiple_of=32)
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
    """Read and validate `FOLDER/PROFILE.yaml` (default: `params/`). ParameterError lists what is wrong in it."""
    if profile not in PROFILES:
        raise ParameterError(f"there is no profile {profile:.80}: choose one of {', '.join(PROFILES)}")
    path = (folder or root() / "params") / f"{profile}.yaml"
    raw = read_yaml(path)
    wrong: list[str] = []
    valid: dict[str, Section] = {}
    for stem, values in raw.items():
        if stem not in sections:
            wrong.append(f"{stem!s:.80}: unknown section{_nearest(str(stem), sections)}")
        else:
            valid[stem], mistakes = validated(stem, values, sections[stem])
            wrong += mistakes
            if not mistakes and valid[stem].profile != profile:
                wrong.append(f"{stem}.profile = {valid[stem].profile!r}: expected {profile!r}, the name of its file")
    refuse(path, wrong)
    return Profile(profile, path, valid)


def validated(name: Any, values: Any, kind: type[Strict]) -> tuple[Any, list[str]]:
    """The values under a name as an instance of `kind`; and what is wrong with them, a line each, at most TOLD."""
    if not isinstance(values, dict):
        return None, [f"{name} = {shown(values)}: expected a section of name: value lines"]
    try:
        return kind.model_validate(values), []
    except ValidationError as error:
        return None, [f"{name}.{_describe(one, kind)}" for one in error.errors()[: TOLD + 1]]


def refuse(path: Path, wrong: list[str]) -> None:
    """ParameterError with the lines that say what is wrong in a file, if there are any."""
    if wrong:
        more = ["and more"] if len(wrong) > TOLD else []
        raise ParameterError("\n".join(f"{path}: {line}" for line in wrong[:TOLD] + more))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top is a mapping. A name given twice is refused: YAML itself would drop the first silently."""
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=_Checked)
    except FileNotFoundError:
        raise ParameterError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ParameterError(f"{path}: it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: not valid YAML: {' '.join(str(error).split()):.500}") from None
    except RecursionError:
        raise ParameterError(f"{path}: not valid YAML: it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: expected sections of name: value lines, found {type(content).__name__}")
    if others := [name for name in content if not isinstance(name, str)]:
        raise ParameterError(f"{path}: the name {shown(others[0])} is no text: put quotation marks around it")
    return content


class _Checked(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [name for name, times in names.items() if times > 1]:
            self._refuse(f"the name {twice[0]} is given twice", node)
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):  # a few lines could stand for billions
            self._refuse("values are not merged with <<: write them out", node)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except (
            Exception
        ):  # of a date such as 2001-13-45 or a tag such as !!int: whatever Python's own conversion raises
            what = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            self._refuse(f"{what} is no {node.tag.rpartition(':')[2]}", node)
        if isinstance(value, int) and abs(value) >= LARGEST:
            self._refuse(f"the number {shown(node.value)} is too large", node)
        return value

    def _refuse(self, reason: str, node: yaml.Node) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name[:80], list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"


def _describe(error: Any, section: type[Strict]) -> str:
    """One pydantic error as `name = value: what was expected`."""
    name = ".".join(str(part) for part in error["loc"])[:80]
    if error["type"] == "missing":
        return f"{name}: missing"
    if error["type"] == "extra_forbidden":
        return f"{name} = {shown(error['input'])}: unknown name{_nearest(name, section.model_fields)}"
    return f"{name} = {shown(error['input'])}: {error['msg'].replace('Input should', 'should')}"
