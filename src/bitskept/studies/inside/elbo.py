"""The ELBO of answers, with the prompt as the latent variable and a guess that is sure of the true one."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import information_density
from bitskept.studies.inside.section import InsideTransformer


@makes_table
def bounds(tokens: pd.DataFrame, section: InsideTransformer) -> pd.DataFrame:
    """A row for each answer of a table of `information_density.measure_all`: log2 p given its prompt, log2 p under the
    mixture, and the ELBO of the latter. Then rows of the bits that the prompt has directed into an answer by the n-th
    of its `tokens`, on average over answers. Measured by `instruments.likelihood.information_density.measure`, computed
    by `bits_so_far` in the same module.
    """
    sums = tokens.groupby(["corpus", "answer"], sort=False)[["given_prompt", "mixture", "density_mixture"]].sum()
    sums = sums.reset_index().assign(elbo=sums["given_prompt"].to_numpy() - np.log2(section.bank))
    return pd.concat([sums, information_density.bits_so_far(tokens, seed=section.seed)])
