"""Without any training: does the layer that keeps most bits understand most?"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.theory.statistics import spearman


def by_layer(scores: pd.DataFrame, retained: pd.DataFrame) -> pd.DataFrame:
    """The rows of `scores` that have a layer, with the share of H(X) that the centroid shows it to keep (`retained`).

    Layers of a model that are not in both tables are left out.
    """
    kept = retained.loc[retained["probe"] == "centroid", ["model", "layer", "estimate"]]
    return scores.dropna(subset="layer").merge(kept.rename(columns={"estimate": "retained"}), on=["model", "layer"])


@makes_table
def untrained(layers: pd.DataFrame) -> pd.DataFrame:
    """Score and retained share of every layer (`by_layer`), the first layer first, without the neighbours. Measured by
    `instruments.understanding.measure` and `instruments.probes.sweep.measure`.
    """
    return layers[layers["quantity"] != "neighbour_accuracy"].sort_values("layer", kind="stable")


def rank_correlations(layers: pd.DataFrame) -> pd.DataFrame:
    """One row per model and score of `by_layer`: over `n` layers, `spearman` of score and retained share (missing where
    fewer than 4 layers or equal values leave it undefined); the layer with the best score and that score, the layer
    that keeps most (the later one of two), and the last layer with its score.

    No p-value: neighbouring layers are alike, so their number says little about chance.
    """
    names, rows = ["model", "task", "quantity", "score"], []
    for key, layers_of_score in layers.groupby(names, sort=False):
        table = layers_of_score.dropna(subset="estimate").sort_values("layer", ascending=False)
        kept, estimates = table["retained"].to_numpy(float), table["estimate"].to_numpy(float)
        defined = len(table) >= 4 and len(set(kept)) > 1 and len(set(estimates)) > 1
        best, keeps_most, last = table.iloc[estimates.argmax()], table.iloc[kept.argmax()], table.iloc[0]
        row = {"n": len(table), "spearman": spearman(kept, estimates) if defined else float("nan")}
        row |= {"best_layer": best["layer"], "best": best["estimate"], "keeps_most": keeps_most["layer"]}
        rows.append(dict(zip(names, key, strict=True)) | row | {"last_layer": last["layer"], "last": last["estimate"]})
    return pd.DataFrame(rows).astype({name: "Int64" for name in ("n", "best_layer", "keeps_most", "last_layer")})
