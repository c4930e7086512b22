"""All random numbers of notebook 01, drawn from one generator in a fixed order.

So each cell shows the same numbers, in whatever order and however often the cells are run.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Int

from bitskept.studies.bounds.probes import REPEATS, TESTS, Sample, channel
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.theory.channels import zipf


@dataclass(frozen=True)
class Draws:
    """The random numbers, by the section of the notebook that uses them."""

    laws: Float[np.ndarray, "law type=4 state=5"]
    """Random joint laws, from nearly certain to nearly uniform."""
    test: Sample
    """States and tokens that the probes are scored on."""
    training: list[tuple[int, Sample]]
    """Training samples per class, and the states and tokens that a probe is fitted on."""
    counts: dict[int, Int[np.ndarray, "repetition type"]]
    """How often each type of a Zipf vocabulary occurred, by the number of samples."""


def draw(section: TheoryBounds) -> Draws:
    """All random numbers of the notebook, the same for the same parameters."""
    rng, source = np.random.default_rng(section.seed), channel(section)
    evenness = 10 ** rng.uniform(-1, 0.7, size=(600, 1, 1))
    laws = rng.gamma(evenness, size=(600, 4, 5))
    test = source.sample(TESTS, rng)
    sizes = [size for size, _ in product(section.training, range(REPEATS))]
    training = [(size, source.sample(size * source.alphabet, rng)) for size in sizes]
    law, samples = zipf(section.vocabulary), np.unique(np.geomspace(50, 50_000, 12).astype(int))
    counts = {int(size): rng.multinomial(size, law, size=200) for size in samples}
    return Draws(laws / laws.sum((1, 2), keepdims=True), test, training, counts)
