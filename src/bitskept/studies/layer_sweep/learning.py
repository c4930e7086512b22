"""The learning curve of the probes: what a layer shows with more training text, and the order of the models."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.layer_sweep.bits_by_layer import amounts, ranking

PROBES = ("centroid", "ridge")
LAST, BEST = "last layer", "best of a few layers above the embeddings"


@makes_table
def learning(trained: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that either probe shows at the last layer and at the best one (`place`), by the number of
    training sentences, whose place among those of the model is the `amount`. The best layer is that of the largest
    number. Measured by `instruments.probes.sweep.measure`,
    computed in `instruments.probes.bounds_by_layer`.
    """
    rows = trained[(trained["reading"] == "token") & ~trained["shuffled"].astype(bool) & trained["probe"].isin(PROBES)]
    rows = rows[rows["quantity"] == "retained_cross_entropy"]
    rows = rows.assign(amount=amounts(rows))
    curve = ["model", "probe", "layer"]
    at_every_size = rows.groupby(curve)["amount"].transform("nunique") == rows["amount"].nunique()
    rows = rows[at_every_size & (rows["layer"] > 0)]
    most = rows[rows["amount"] == rows["amount"].max()].reset_index(drop=True)
    parts = []
    for place, chosen in ((LAST, "layer"), (BEST, "estimate")):
        layers = most.loc[most.groupby(["model", "probe"])[chosen].idxmax(), curve]
        parts.append(rows.merge(layers).assign(place=place))
    return pd.concat(parts, ignore_index=True)


def orders(table: pd.DataFrame) -> pd.DataFrame:
    """One row per probe and number of training sentences: the `ranking` of models at the last layer of `learning`."""
    rows = []
    last = table[table["place"] == LAST]
    for (probe, _), part in last.groupby(["probe", "amount"]):
        rows.append({"probe": probe, "train_sentences": int(part["train_sentences"].max()), **ranking(part)})
    return pd.DataFrame(rows)
