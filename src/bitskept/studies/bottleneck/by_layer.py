"""How much the states of each layer keep of the tokens so far, and how much they predict of the tokens to come."""

from numbers import Real

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.section import IbCorrelations, plan
from bitskept.theory.intervals import standard_error
from bitskept.theory.repeated_runs import ends_over_runs, mean_over_runs

SIDES = ("complexity", "expressivity")
ENTROPIES = ("random_entropy", "soft_entropy")
NAMES = {1: "token", 2: "bigram", 3: "trigram", 4: "quadgram"}


def width_name(width: Real) -> str:
    """The name of a label of this many tokens."""
    return NAMES.get(int(width), f"{int(width)} tokens")


def compressed(section: IbCorrelations) -> pd.DataFrame:
    """The tables of `compression.measure` of all models, with the `depth` of each layer from 0 to 1."""
    tables = [compression.measure(model, plan(section), accept_terms=section.accept_terms) for model in section.models]
    return with_depth(pd.concat(tables))


def with_depth(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `depth`: the layer, as a share of its model's last one."""
    last = table.groupby("model")["layer"].transform("max")
    return table.assign(depth=(table["layer"] / last).astype(float))


def at_largest(table: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """The largest sample: means over the draws of the anchors (`over_draws`)."""
    return over_draws(table[table["sentences"] == section.sentences[-1]], "sentences")


def over_draws(table: pd.DataFrame, items: str) -> pd.DataFrame:
    """Means over the draws of the anchors, with 95 % intervals over draws and `items`, a column that has their number
    (`repeated_runs.mean_over_runs`). What any of the draws leaves undefined is missing.
    """
    facts = [name for name in table if name not in ("anchor_seed", "estimate", "low", "high")]
    table = table.assign(error=standard_error(table["low"].to_numpy(float), table["high"].to_numpy(float)))
    draws = table.groupby(facts, dropna=False, sort=False)
    counts = draws.agg(runs=("estimate", "size"), known=("estimate", "count"), sure=("error", "count"))
    numbers = draws.agg(mean=("estimate", "mean"), variance=("estimate", "var"), error=("error", "mean")).astype(float)
    runs, variance = counts["runs"].to_numpy(float), numbers["variance"].where(counts["runs"] > 1, 0).to_numpy()
    mean = numbers["mean"].where(counts["known"] == counts["runs"]).to_numpy()
    error = numbers["error"].where(counts["sure"] == counts["runs"]).to_numpy()
    number = numbers.index.get_level_values(items).to_numpy(float)
    low, high, _ = ends_over_runs(mean, variance / runs, runs, error, number)
    means = numbers.assign(estimate=mean, low=low, high=high).reset_index()
    return means[[name for name in table if name not in ("anchor_seed", "error")]]


@makes_table
def floor(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """At each model's middle layer the entropy of all states and of the mean of `n` random ones, and what a label that
    occurs once seems to carry (`seeming_of_one`); and the share of places whose label occurs once. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    entropies = _clipped(_of_middle_layer(rows), section.anchors)
    seeming = _seeming_of_one(_of_middle_layer(compressed[compressed["sentences"] == section.sentences[-1]]))
    unique = rows[rows["layer"].isna() & (rows["quantity"] == "unique_input")]
    return pd.concat([entropies, seeming[entropies.columns], unique.astype({"width": int})])


def _of_middle_layer(rows: pd.DataFrame) -> pd.DataFrame:
    layers = rows[rows["layer"].notna()]
    middle = layers[layers["layer"] == layers.groupby("model")["layer"].transform("max") // 2]
    return middle[middle["quantity"].isin(ENTROPIES)]


def _seeming_of_one(draws: pd.DataFrame) -> pd.DataFrame:
    """H(Z) - h(1) by model, a mean over draws of the anchors with its interval: both entropies share the error of a
    draw, so that their difference has less of it than either.
    """
    rows = []
    for _, of_model in draws.groupby("model", sort=False):
        whole = of_model[of_model["quantity"] == "soft_entropy"]
        single = of_model[(of_model["quantity"] == "random_entropy") & (of_model["n"] == 1)]
        by_draw = whole.set_index("anchor_seed")["estimate"] - single.set_index("anchor_seed")["estimate"]
        mean = mean_over_runs(by_draw.to_numpy(float), 0.0)._asdict()
        rows.append(whole.iloc[0].to_dict() | mean | {"quantity": "seeming_of_one"})
    return pd.DataFrame(rows).astype({"layer": "Int64", "width": "Int64", "n": "Int64"})


def _clipped(rows: pd.DataFrame, anchors: int) -> pd.DataFrame:
    """The rows with intervals of entropies cut to what is possible: from 0 to the logarithm of the anchors."""
    levels = rows["quantity"].isin(ENTROPIES)
    ends = rows[["low", "high"]].astype(float)
    return rows.assign(**{name: ends[name].where(~levels, ends[name].clip(0, np.log2(anchors))) for name in ends})


@makes_table
def layers(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Soft entropy, and complexity and expressivity of the token: raw, floor, corrected and extrapolated. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    token = (rows["quantity"] == "soft_entropy") | (rows["width"] == 1).fillna(False)
    wanted = ["soft_entropy", *(name + end for name in SIDES for end in (*KINDS, "_floor"))]
    return _clipped(rows[rows["layer"].notna() & token & rows["quantity"].isin(wanted)], section.anchors)


@makes_table
def optimality(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Optimality for labels of all widths: raw, corrected and extrapolated. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    return rows[rows["layer"].notna() & rows["quantity"].isin([f"optimality{end}" for end in KINDS])]


@makes_table
def plane(layers: pd.DataFrame, exact: pd.DataFrame) -> pd.DataFrame:
    """Complexity and expressivity of each layer, by kind (raw, corrected, extrapolated), in soft bits, of a model that
    is an encoder or a decoder (`of`); then the `exact` curve of the bigrams (`bigram_curve`), whose bits are Shannon's,
    from nothing to the whole token. Measured by `instruments.soft_entropy.compression.measure`.
    """
    values = layers.pivot(index=["model", "kind", "layer"], columns="quantity", values="estimate").astype(float)
    parts = []
    for end, kind in KINDS.items():
        points = values[[side + end for side in SIDES]].set_axis([*SIDES], axis=1)
        parts.append(points.reset_index().rename(columns={"kind": "of"}).assign(kind=kind))
    ends = exact[["entropy", "information", "shuffled"]].iloc[[0, 0]].assign(complexity=0.0, relevance=0.0)
    ends.iloc[1, -2:] = exact[["entropy", "information"]].iloc[0]
    curve = pd.concat([ends[:1], exact, ends[1:]])
    return pd.concat([*parts, curve.assign(kind="bigrams")])
