"""The parameters of notebook 07, the plans that follow from them, and its jobs."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Dtype, Name, Names, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.likelihood import bits_per_byte, information_density
from bitskept.instruments.training import twin_measures, twin_runs
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.inside import attention_energy, generalisation, infonce, layer_shapes
from bitskept.studies.inside.generalisation import Bounds


class InsideTransformer(Section):
    notebook = "07_inside_a_transformer"

    training: TwinTraining
    model: str = Name
    corpora: list[str] = Names
    pairs: PositiveInt
    others: PositiveInt
    context: PositiveInt
    length: PositiveInt
    twins: list[Literal["next token", "diffusion", "state space"]] = Names
    twin_seeds: list[NonNegativeInt] = Names
    twin_corpus: str = Name
    twin_pairs: PositiveInt
    twin_others: PositiveInt
    twin_context: PositiveInt
    half_model: str = Name
    half_corpus: str = Name
    half_texts: int = Field(ge=64, multiple_of=32)
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
    generalisation: Bounds
    generalisation_seed: NonNegativeInt
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]

    @property
    def bank(self) -> int:
        """The number of prompts in the mixture."""
        return 1 + self.others


def density_plans(section: InsideTransformer) -> list[information_density.Plan]:
    """What prompts add to their answers, one plan per corpus: the same as those of notebook 06."""
    sizes = {"pairs": section.pairs, "others": section.others, "context": section.context, "length": section.length}
    options = {"seed": section.seed, "dtype": section.dtype}
    return [information_density.Plan(corpus, **sizes, **options) for corpus in section.corpora]


def halves_plan(section: InsideTransformer) -> infonce.Plan:
    """What the two halves of a text share, as `half_model` shows it."""
    return infonce.Plan(section.half_corpus, blocks=section.half_texts // infonce.Plan.size, seed=section.seed)


def shape_plan(section: InsideTransformer) -> layer_shapes.Plan:
    """How far apart the shapes of layers are."""
    sizes = {"points": section.geometry_points, "groups": section.geometry_groups, "layers": section.geometry_layers}
    return layer_shapes.Plan(section.corpus, **sizes, seed=section.seed)


def energy_plan(section: InsideTransformer) -> attention_energy.Plan:
    """Whether attention lowers its energy."""
    options = {"layers": section.energy_layers, "seed": section.seed}
    return attention_energy.Plan(section.corpus, section.energy_sentences, **options)


def twin_plan(section: InsideTransformer) -> information_density.Plan:
    """What prompts add to their answers for a twin."""
    sizes = section.twin_pairs, section.twin_others
    options = {"context": section.twin_context, "length": section.length, "seed": section.seed}
    return information_density.Plan(section.twin_corpus, *sizes, **options)


def jobs(section: InsideTransformer) -> Iterator[Job]:
    """Densities, shapes of layers and energy of the model; the halves of texts; costs and gains of each twin; what
    networks may cost.
    """
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    densities = [(information_density.measure, plan) for plan in density_plans(section)]
    yield measuring(notebook, "density", model, densities, terms)
    yield measuring(notebook, "geometry", model, [(layer_shapes.measure, shape_plan(section))], terms)
    yield measuring(notebook, "halves", section.half_model, [(infonce.measure, halves_plan(section))], terms)
    energies = [(attention_energy.measure, energy_plan(section))]
    yield measuring(notebook, "energy", model, energies, terms, weights=(None, section.seed))
    training, plan, seeds = section.training, twin_plan(section), section.twin_seeds
    for twin in section.twins:
        cost = bits_per_byte.measure.asks(twin_runs.cost_plan(training, twin))
        asked, options = [cost, information_density.measure.asks(plan)], {"plan": plan, "texts": [plan.corpus]}
        yield from twin_measures.jobs(notebook, training, twin, seeds, asked, twin_measures.architectures, **options)
    yield from generalisation.jobs(notebook, training, section.generalisation, section.generalisation_seed)
