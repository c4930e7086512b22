"""How much the number of anchors, the rule for the temperature and the weights of the labels matter."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.studies.bottleneck.section import IbCorrelations, trial_plan


@makes_table
def by_instrument(section: IbCorrelations) -> pd.DataFrame:
    """Means over layers for the token with each instrument of `trial_plan`; those with equal weights come last.
    Measured by `instruments.soft_entropy.compression.measure`.
    """
    table = compression.measure(section.sensitivity_model, trial_plan(section), accept_terms=section.accept_terms)
    table = table[table["layer"].isna() & (table["width"].isna() | (table["width"] == 1))]
    equal, tried = table[table["label_weights"] == "equal"], table[table["label_weights"] == "frequency"]
    return pd.concat([tried.assign(**{"share of log2 m": tried["estimate"] / np.log2(tried["anchors"])}), equal])
