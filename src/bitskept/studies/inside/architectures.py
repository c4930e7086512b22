"""A Transformer, Mamba-2 and a masked diffusion model on the same axes: what text costs them and what a prompt adds."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.training import twin_measures
from bitskept.studies.inside.section import InsideTransformer, twin_plan


def by_checkpoint(section: InsideTransformer) -> pd.DataFrame:
    """`costs` and `gains` of every checkpoint of the twins, one after the other. Missing twins are trained first."""
    parts = twin_measures.architectures(section.training, section.twins, section.twin_seeds, twin_plan(section))
    return pd.concat(parts, ignore_index=True)


@makes_table
def over_training(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Means of a table of `by_checkpoint` over seeds, by twin and step, and of gains by marginal too. Measured by
    `instruments.training.twin_measures.architectures`.
    """
    cost = checkpoints["marginal"].isna()
    parts = [spread(checkpoints[cost], "twin", "step"), spread(checkpoints[~cost], "twin", "marginal", "step")]
    return pd.concat(parts, ignore_index=True)
