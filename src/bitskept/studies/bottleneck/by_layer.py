"""How much the states of each layer keep of the tokens so far, and how much they predict of the tokens to come."""

from numbers import Real

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.section import IbCorrelations, plan
from bitskept.theory.repeated_runs import ends_over_runs

SIDES = ("complexity", "expressivity")
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
    """The largest sample: means over the draws of the anchors, with 95 % intervals over sentences and draws
    (`repeated_runs.mean_over_runs`). What any of the draws leaves undefined is missing.
    """
    largest = table[table["sentences"] == section.sentences[-1]]
    facts = [name for name in largest if name not in ("anchor_seed", "estimate", "low", "high")]
    largest = largest.assign(error=(largest["high"] - largest["low"]) / 3.92)  # 2 × 1.96 standard errors
    draws = largest.groupby(facts, dropna=False, sort=False)
    counts = draws.agg(runs=("estimate", "size"), known=("estimate", "count"), sure=("error", "count"))
    numbers = draws.agg(mean=("estimate", "mean"), variance=("estimate", "var"), error=("error", "mean")).astype(float)
    runs, variance = counts["runs"].to_numpy(float), numbers["variance"].where(counts["runs"] > 1, 0).to_numpy()
    mean = numbers["mean"].where(counts["known"] == counts["runs"]).to_numpy()
    error = numbers["error"].where(counts["sure"] == counts["runs"]).to_numpy()
    low, high, _ = ends_over_runs(mean, variance / runs, runs, error, section.sentences[-1])
    means = numbers.assign(estimate=mean, low=low, high=high).reset_index()
    return means[[name for name in table if name != "anchor_seed"]]


@makes_table
def floor(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """At each model's middle layer the entropy of all states and of the mean of `n` random ones; and the share of
    places whose label occurs once. Measured by `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    layers = rows[rows["layer"].notna()]
    middle = layers[layers["layer"] == layers.groupby("model")["layer"].transform("max") // 2]
    entropies = middle[middle["quantity"].isin(["random_entropy", "soft_entropy"])]
    unique = rows[rows["layer"].isna() & (rows["quantity"] == "unique_input")]
    return pd.concat([entropies, unique.astype({"width": int})])


@makes_table
def layers(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Soft entropy, and complexity and expressivity of the token: raw, floor, corrected and extrapolated. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    token = (rows["quantity"] == "soft_entropy") | (rows["width"] == 1).fillna(False)
    wanted = ["soft_entropy", *(name + end for name in SIDES for end in (*KINDS, "_floor"))]
    return rows[rows["layer"].notna() & token & rows["quantity"].isin(wanted)]


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
