"""What an error rate allows and what it proves, and how much more is proved by a predictor with probabilities."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.theory import bounds, information
from bitskept.theory.channels import DiscreteChannel, noisy_zipf

ALPHABETS = (10, 1000, 50_000)
"""Sizes of vocabularies of equally likely types, the last one that of a language model."""
NOISE = 0.02, 0.5
"""The chance that the good line, and the bad line, replaces a token by a fresh draw."""


@makes_table
def region(laws: Float[np.ndarray, "law type state"]) -> pd.DataFrame:
    """Fano's bound as a share of H(X) over the share of tokens named right, one curve per vocabulary of equally likely
    types; and the equivocation H(X|Z) of each random law in bits, over the share that its best predictor names right.
    Computed by `theory.bounds.fano` and `theory.information.conditional_entropy`.
    """
    right = np.linspace(0, 1, 201)
    shares = {
        size: bounds.fano(np.log2(size), np.minimum(1 - right, 1 - 1 / size), size) / np.log2(size)
        for size in ALPHABETS
    }
    curves = pd.DataFrame(shares, index=right).rename_axis("named right").reset_index()
    curves = curves.melt("named right", var_name="alphabet", value_name="estimate")
    curves = curves.assign(quantity="Fano bound", unit="share of H(X)")
    equivocation = [information.conditional_entropy(law, 0, 1) for law in laws]
    dots = pd.DataFrame({"named right": laws.max(1).sum(1), "alphabet": laws.shape[1], "estimate": equivocation})
    return pd.concat([curves, dots.assign(quantity="equivocation", unit="bits")])


def two_lines(vocabulary: int) -> DiscreteChannel:
    """A token of a Zipf vocabulary goes over a good or a bad line; the state shows which one, and what arrived."""
    joint = np.hstack([noisy_zipf(vocabulary, noise).joint / 2 for noise in NOISE])
    return DiscreteChannel("good line, bad line", joint, np.arange(2.0 * vocabulary)[:, None])


def predictions(lines: DiscreteChannel) -> dict[str, Float[np.ndarray, "state token"]]:
    """The laws q(x|z) of three predictors of the token, each of which knows more than the previous one."""
    error, size = lines.bayes_error, lines.alphabet
    guesses = lines.joint.argmax(0)
    others = (1 - bounds.crudest_prediction(guesses, 0.0, size)) * lines.joint.sum(1)
    return {
        "doubt spread evenly": bounds.crudest_prediction(guesses, error, size),
        "doubt spread by frequency": np.where(others == 0, 1 - error, error * others / others.sum(1, keepdims=True)),
        "the posterior": lines.posterior(np.arange(lines.joint.shape[1])),
    }
