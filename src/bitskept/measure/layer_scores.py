"""Does the layer that keeps most bits understand most? Scores against recoverability over the layers of a model."""

from __future__ import annotations

import pandas as pd

from bitskept.theory.statistics import spearman

RETAINED = "retained_cross_entropy"


def by_layer(scores: pd.DataFrame, sweep: pd.DataFrame, *, probe: str = "centroid") -> pd.DataFrame:
    """The rows of `scores` (as `measure.scores.scores` gives them) with `retained` beside: the share of H(X) that the
    probe proves the same layer of the same model to keep. Layers that are not in both are left out.
    """
    chosen = sweep[(sweep["quantity"] == RETAINED) & (sweep["probe"] == probe) & (sweep["reading"] == "token")]
    kept = chosen[~chosen["shuffled"].astype(bool)][["model", "layer", "estimate"]]
    return scores.dropna(subset="layer").merge(kept.rename(columns={"estimate": "retained"}), on=["model", "layer"])


def rank_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model, task and quantity of `by_layer`: over `n` layers, `spearman` of score and retained share
    (missing where fewer than 4 layers or equal values leave it undefined); the layer with the best score and that
    score, the layer that keeps most (the later one of two), and the last layer's score.

    No p-value: neighbouring layers are alike, so their number says little about chance.
    """
    rows = []
    for (model, task, quantity), some in table.groupby(["model", "task", "quantity"], sort=False):
        some = some.dropna(subset="estimate").sort_values("layer", ascending=False)
        x, y = (some[name].to_numpy(float) for name in ("retained", "estimate"))
        defined = len(some) >= 4 and len(set(x)) > 1 and len(set(y)) > 1
        best, keeps_most = some.loc[some["estimate"].idxmax()], some.loc[some["retained"].idxmax()]
        rows.append(
            {
                "model": model, "task": task, "quantity": quantity, "n": len(some),
                "spearman": spearman(x, y) if defined else float("nan"),
                "best_layer": best["layer"], "best": best["estimate"], "keeps_most": keeps_most["layer"],
                "last_layer": some["layer"].iloc[0], "last": some["estimate"].iloc[0],
            }
        )  # fmt: skip
    return pd.DataFrame(rows).astype({name: "Int64" for name in ("n", "best_layer", "keeps_most", "last_layer")})


def sentence(ranks: pd.DataFrame) -> str:
    """What a table of `rank_correlations` says, in words."""
    defined = ranks.dropna(subset="spearman")
    if not len(defined):
        return "No model was measured at enough layers to say."
    low, high = defined.loc[defined["spearman"].idxmin()], defined.loc[defined["spearman"].idxmax()]
    negative, many = int((defined["spearman"] < 0).sum()), len(defined)
    ends = " to ".join(f"{row['spearman']:+.2f} ({row['task']}, {row['model']})" for row in (low, high))
    same, last = (int((defined[name] == defined["best_layer"]).sum()) for name in ("keeps_most", "last_layer"))
    if 4 * negative >= 3 * many:
        follows = "Within these models, layers that keep more of the tokens mostly understand *less*."
    elif 4 * negative <= many:
        follows = "Within these models, layers that keep more of the tokens mostly understand more as well."
    else:
        follows = "There is no common direction: within a model, keeping more is no sign of understanding more."
    return (
        f"Of {many} rank correlations, one for each model and score, {negative} are negative; they run from {ends}. "
        f"The best layer is the one that keeps most in {same} cases, and the last one in {last}. {follows}"
    )
