"""What a probe proves after fitting on few samples: a Gaussian channel, and probes that estimate its means."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from bitskept.base.publishing import makes_table
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.theory import bounds
from bitskept.theory.channels import GaussianMixture, gaussian_mixture

Sample = tuple[Float[np.ndarray, "_ dim"], Int[np.ndarray, " _"]]
"""States and the tokens that were sent."""
TESTS = 10_000
"""Pairs of state and token that the probes are scored on."""
REPEATS = 20
"""Probes that are fitted for each size of the training sample."""


def channel(section: TheoryBounds) -> GaussianMixture:
    """Eight tokens sent as points on a sphere in 16 dimensions, with Gaussian noise."""
    return gaussian_mixture(8, 16, section.deviation, section.seed)


def class_means(
    states: Float[np.ndarray, "sample dim"], tokens: Int[np.ndarray, " sample"], classes: int
) -> np.ndarray:
    """The mean state [class, dim] of each class."""
    members = np.eye(classes)[tokens]
    return members.T @ states / np.maximum(1, members.sum(0))[:, None]


def scores(law: Float[np.ndarray, "sample token"], tokens: Int[np.ndarray, " sample"]) -> tuple[float, float]:
    """The share of tokens that are not the most probable one, and the mean surprisal in bits."""
    surprisal = -np.log2(law[np.arange(len(tokens)), tokens])
    return (law.argmax(1) != tokens).mean(), surprisal.mean()


@makes_table
def proofs(source: GaussianMixture, training: list[tuple[int, Sample]], test: Sample) -> pd.DataFrame:
    """The bits that each probe proves, by Fano's bound and by the cross-entropy bound, one row per probe and bound.

    `training` lists the samples per class and the states and tokens of each probe. A probe estimates the class means.
    It is either as sure as the true law, or allows for the error of its means, which adds 1/n of the noise. Computed by
    `theory.bounds.fano` and `theory.bounds.cross_entropy_bound`.
    """
    states, tokens = test
    rows = []
    for size, sample in training:
        means = class_means(*sample, source.alphabet)
        for probe, spread in {"as sure as the truth": 1, "allows for its own error": 1 + 1 / size}.items():
            law = GaussianMixture(probe, means, source.deviation * spread**0.5).posterior(states)
            wrong, surprisal = scores(law, tokens)
            rows.append((size, "Fano", "any", bounds.fano(source.entropy, wrong, source.alphabet)))
            rows.append((size, "cross-entropy", probe, bounds.cross_entropy_bound(source.entropy, surprisal)))
    table = pd.DataFrame(rows, columns=["training", "bound", "probe", "estimate"])
    return table.assign(quantity="lower bound", unit="bits", truth=source.mutual_information)
