"""What one vector for the whole sentence tells about its words: which they are (the bag), and which stands where."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.layer_sweep.bits_by_layer import usable_shares, with_all_text

CURVES = {"mean": "mean", "mean of the others": "the other words alone"}


@makes_table
def sentence(trained: pd.DataFrame) -> pd.DataFrame:
    """The usable share of the bag of words by layer and pooling, from the centroid. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    rows = usable_shares(with_all_text(trained))
    return rows[rows["reading"] == "bag"]


@makes_table
def places(trained: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """The usable share about the token at each of the first places, from the centroid; `curve` says from what.

    "mean" is the mean over all states and "the other words alone" that over all but the one that is named, with all
    training sentences. "mean, N sentences" and "random copy, N sentences" are the trained model and its first copy in
    the smaller sweep of both (`compared`). Measured by `instruments.probes.sweep.measure`, computed in
    `instruments.probes.bounds_by_layer`.
    """
    full, few = (usable_shares(table).query("reading == 'place'") for table in (with_all_text(trained), compared))
    few = few[few["weights"].eq("trained") | (few["weights"].eq("random") & few["seed"].eq(few["seed"].min()))]
    name = few["weights"].map({"trained": "mean", "random": "random copy"})
    few = few.assign(curve=name + f", {few['train_sentences'].max():,} sentences")
    parts = (full[full["pooling"] == pooling].assign(curve=curve) for pooling, curve in CURVES.items())
    return pd.concat([*parts, few])
