"""What the numbers of notebook 02 say, in words (Markdown), computed from its tables."""

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import by_interval, listed, quote, reverse
from bitskept.studies.layer_sweep import units
from bitskept.studies.layer_sweep.bits_by_layer import READINGS, at_last_layer, with_all_text
from bitskept.studies.layer_sweep.claims import BITS
from bitskept.studies.layer_sweep.which_tokens import DOMAIN

POOLED = {
    "mean": "the mean over all states",
    "mean without first": "the mean without the first state",
    "last": "the last state",
}


def retained(table: pd.DataFrame, tokens: pd.DataFrame) -> str:
    """What the last and the best layer of each model keep; H(X) comes from `tokens`."""
    lines = []
    entropies = tokens[(tokens["quantity"] == "entropy") & tokens["group"].isna()]
    for model, rows in table.reset_index(drop=True).groupby("model", sort=False):
        entropy = entropies[entropies["model"] == model].iloc[0]
        last, most = rows.loc[rows["layer"].idxmax()], rows["estimate"].max()
        bits = f"H(X) is {quote(entropy, '.2f', 'sentences')} bits per token"
        shares = f"the last layer keeps at least {quote(last)} of it, the best layer {most:.0%}"
        lines.append(f"- **{model}** ({last['kind']}): {bits}; {shares}.")
    return "\n".join(lines)


def readings(table: pd.DataFrame) -> str:
    """What each reading shows at the last layer of each model, and where it shows most."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        parts = []
        for reading in (name for name in READINGS if name in set(rows["reading"])):
            part = rows[rows["reading"] == reading].reset_index(drop=True)
            last, best = part.loc[part["layer"].idxmax()], part.loc[part["estimate"].idxmax()]
            parts.append(f"{reading} {quote(last)} (most at layer {best['layer']}: {best['estimate']:.0%})")
        lines.append(f"- **{model}**, last layer: {'; '.join(parts)}.")
    return "\n".join(lines)


def sentence(table: pd.DataFrame) -> str:
    """The first, the best and the last layer of each model from its mean, what the first state adds to it, and the best
    pooling."""
    lines = []
    for model, rows in table.reset_index(drop=True).groupby("model", sort=False):
        means = rows[rows["pooling"] == "mean"].sort_values("layer")
        first, last, peak = means.iloc[0], means.iloc[-1], means.loc[means["estimate"].idxmax()]
        best = rows.loc[rows["estimate"].idxmax()]
        path = [f"{quote(row)} at layer {row['layer']}" for row in (first, last) if row["layer"] != peak["layer"]]
        path.insert(int(peak["layer"] != first["layer"]), f"best at layer {peak['layer']} ({quote(peak)})")
        most = f"{best['estimate']:.0%}, layer {best['layer']}, from {POOLED[best['pooling']]}"
        less = rows[rows["pooling"] == "mean without first"].set_index("layer")["estimate"]
        points = (100 * (less - means.set_index("layer")["estimate"])).dropna()
        span = f"{points.min():+z.1f} to {points.max():+z.1f} points"
        changes = f" Without the first state it changes by {span}." if len(points) else ""
        lines.append(f"- **{model}**, from the mean: {', '.join(path)}.{changes} Most of all: {most}.")
    return "\n".join(lines)


def places(table: pd.DataFrame) -> str:
    """What each curve shows about each place at layer 0 and at its best layer, and which random copies there are."""
    lines = []
    for (model, position), rows in table.reset_index(drop=True).groupby(["model", "position"], sort=False):
        parts = []
        for name, curve in rows.groupby("curve", sort=False):
            first, most = curve.loc[curve["layer"].idxmin()], curve.loc[curve["estimate"].idxmax()]
            parts.append(f"{name} {first['estimate']:.0%}, {most['estimate']:.0%} (layer {most['layer']})")
        lines.append(f"- **{model}**, place {position + 1}, at layer 0 and at the best layer: {'; '.join(parts)}.")
    copies = table[table["weights"] != "trained"]
    seeds, scales = (listed(copies[name].astype(str).unique()) for name in ("seed", "weights"))
    return "\n".join(lines) + f"\n\nEach random copy here is one network: seed {seeds}, initial scale *{scales}*."


def learning(orders: pd.DataFrame) -> str:
    """Between which numbers of training sentences the order of the models flips at the last layer, for each probe."""
    lines = []
    for probe, rows in orders.groupby("probe", sort=False):
        rows = rows.sort_values("train_sentences").to_dict("records")
        flips = [
            f"{listed(pair)} change places between {before['train_sentences']:,} and {after['train_sentences']:,} "
            f"({'their intervals are apart at both' if apart else 'their intervals overlap'})"
            for before, after in pairwise(rows)
            for pair, apart in _flips(before, after)
        ]
        order = ", ".join(rows[-1]["order"])
        if flips:
            lines.append(f"- **{probe}**: the order flips: {'; '.join(flips)}. With most text: {order}.")
        else:
            lines.append(f"- **{probe}**: the order is the same at each size: {order}{_overlaps(rows)}.")
    return "The models at the last layer, the one that shows most first:\n\n" + "\n".join(lines)


def _overlaps(rows: list[dict]) -> str:
    """The pairs of models whose intervals overlap although their order never changes, and with how much text."""
    pairs: dict[str, list[str]] = {}
    for first, second in combinations(rows[-1]["order"], 2):
        sizes = [f"{row['train_sentences']:,}" for row in rows if row["ends"][first][0] <= row["ends"][second][1]]
        pairs.setdefault(listed(sizes), []).append(f"{first} and {second}")
    if any(np.isnan(end) for row in rows for ends in row["ends"].values() for end in ends):
        return " (no intervals to compare)"
    parts = [f"with {sizes} sentences those of {', '.join(names)}" for sizes, names in pairs.items() if sizes]
    return f" (intervals that overlap: {'; '.join(parts)})" if parts else " (no intervals overlap)"


def _flips(before: dict, after: dict) -> list[tuple[tuple[str, str], bool]]:
    """The pairs of models whose order differs, and whether their intervals are apart in both orders."""
    pairs = []
    for place, first in enumerate(before["order"]):
        for second in before["order"][place + 1 :]:
            if after["order"].index(first) > after["order"].index(second):
                ends = before["ends"], after["ends"]
                apart = ends[0][first][0] > ends[0][second][1] and ends[1][second][0] > ends[1][first][1]
                pairs.append(((first, second), bool(apart)))
    return pairs


def tokenizers(table: pd.DataFrame) -> str:
    """Which models ignore case, and what case adds to the entropy of a token of the others, over all text read here."""
    ignores = table["ignores case"].astype(bool)
    cased = table[~ignores]
    names = listed(table.loc[ignores, "model"])
    first = (
        f"{names} ignore case: their tokens do not say what is a capital letter." if names else "All models see case."
    )
    bits = [
        f"{row['model']} from {row['H(X)']:.2f} to {row['H(X) without case']:.2f} bits per token"
        for row in cased.to_dict("records")
    ]
    if not bits:
        return first
    return f"{first} Without case the entropy of a token of the whole text would fall for {listed(bits)}."


def words(orders: pd.DataFrame, table: pd.DataFrame) -> str:
    """The order of the models' last layers in each way of counting (`units.orders`), and what they show of shared
    words, beside layer 0.
    """
    first, *others = orders.to_dict("records")
    lines = [f"- **{row['unit']}**: {', '.join(row['order'])}" for row in (first, *others)]
    flips = [
        f"{listed(pair)} change places in {row['unit']} ({'their intervals are apart' if apart else 'not significant'})"
        for row in others
        for pair, apart in _flips(first, row)
    ]
    end = f"Beside the {first['unit']}, {'; '.join(flips)}." if flips else "The order is the same in each."
    shared = table[table["counted"] == units.UNITS[-1]]
    first_layer = shared[shared["layer"] == 0].set_index("model")["estimate"]
    parts = [
        f"{row['model']} {quote(row, '.2f')} of {first_layer[row['model']]:.2f} bits"
        for row in at_last_layer(shared).to_dict("records")
    ]
    more = f" Of what layer 0 shows about a shared word, the last layer shows: {'; '.join(parts)}." if parts else ""
    return "The models' last layers, the one that keeps most first:\n\n" + "\n".join(lines) + f"\n\n{end}{more}"


def shuffled(trained: pd.DataFrame, retained: pd.DataFrame) -> str:
    """The two controls without another network: shuffled targets, and layer 0."""
    bits = trained[trained["shuffled"].astype(bool) & (trained["quantity"] == "usable")]
    start = retained.loc[retained["layer"] == 0, "estimate"]
    ends = f"from {bits['estimate'].min():z.3f} to {bits['estimate'].max():z.3f}"
    most = "no interval" if bits["high"].isna().all() else f"highest end of an interval: {bits['high'].max():z.3f}"
    return (
        f"Of shuffled targets {ends} bits can be used, by model and layer ({most}). "
        f"Layer 0 shows at least {np.floor(1000 * start.min() + 1e-9) / 1000:.1%} of H(X)."
    )


def random(differences: pd.DataFrame) -> str:
    """At which initial scales a trained model keeps more than its random copies, by reading."""
    lines = []
    for (reading, model), rows in differences.groupby(["reading", "model"], sort=False):
        sides: dict[str, list[str]] = {}
        for row in rows.to_dict("records"):
            unknown = "an amount that cannot be compared with"
            side = by_interval(row, above="more than", below="less than", neither="about as much as", unknown=unknown)
            sides.setdefault(side, []).append(f"*{row['weights']}* ({row['random']:z.0%})")
        parts = "; ".join(f"{side} {listed(copies)}" for side, copies in sides.items())
        depends = " So the answer depends on the initial scale." if {"more than", "less than"} <= set(sides) else ""
        share = f"{rows['trained'].iloc[0]:z.0%} at the last layer"
        lines.append(f"- **{model}**, {reading}: {share}, {parts}.{depends}")
    return "\n".join(lines)


def forgetting(table: pd.DataFrame) -> str:
    """The rise and the fall of each model under the centroid, by reading, with the difference that would be seen."""
    lines = []
    centroid = table[table["probe"] == "centroid"]
    for (reading, half), rows in centroid.groupby(["reading", "half"], sort=False):
        parts = []
        for row in rows.to_dict("records"):
            style = "z.2f" if max(abs(row["low"]), abs(row["high"])) >= BITS else "z.3f"
            seen = "" if pd.isna(row["detectable"]) else f"; {row['detectable']:{style}} would have been seen"
            parts.append(f"{row['model']} {_between(row, style, seen)}")
        lines.append(f"- **{reading}**, {half} in bits per token: {'; '.join(parts)}.")
    return "\n".join(lines)


def _between(row: Mapping[str, Any], style: str = ".2f", seen: str = "") -> str:
    """The difference between two layers. A rise whose whole interval is negative is none."""
    layer, other = f"{row['layer']:.0f}", f"{row['other']:.0f}"
    if row["high"] < 0 and row["quantity"] in ("rise", "peak_rise"):
        best = "inner" if row["quantity"] == "peak_rise" else "later"
        below = f"the best {best} layer, {layer}, is {quote(reverse(row), style)} bits below layer {other}"
        return f"no rise ({below}{seen})"
    return f"{quote(row, f'+{style}')} (layers {layer} and {other}{seen})"


def bag_as_token(trained: pd.DataFrame) -> str:
    """The bag (mean of the states, centroid, all training text) by the contrasts of the token: the rise between any two
    layers, and what is lost from any layer to the last, and from the second half of the layers alone.
    """
    rows = with_all_text(trained[(trained["reading"] == "bag") & (trained["pooling"] == "mean")])
    lines = [f"The bag between any two layers, as for the token (differences count from {BITS} bits on):", ""]
    names = {"rise": "rise from a layer to a later one", "forgetting": "loss from any layer to the last"}
    for quantity, name in (names | {"late_forgetting": "loss of late layers"}).items():
        parts = [f"{row['model']} {_between(row)}" for row in rows[rows["quantity"] == quantity].to_dict("records")]
        lines.append(f"- {name}, in bits per token: {'; '.join(parts)}.")
    return "\n".join(lines)


def bounds(table: pd.DataFrame) -> str:
    """In how many layers the cross-entropy bound is the higher one, and by how much."""
    wide = table.pivot(index=["model", "layer"], columns="quantity", values="estimate")
    gain = wide["retained_cross_entropy"] - wide["retained_fano"]
    model, layer = gain.idxmax()
    ends = f"{100 * gain.min():+.2f} to {100 * gain.max():+.2f} points of H(X)"
    return (
        f"The cross-entropy bound is the higher one in {(gain > 0).mean():.0%} of the {len(gain)} layers. The "
        f"difference runs from {ends}, largest at layer {layer} of {model}."
    )


def probes(table: pd.DataFrame) -> str:
    """How far apart the probes are at the last layer."""
    shares = at_last_layer(table).pivot(index="model", columns="probe", values="estimate")
    lines = []
    for model in table["model"].unique():
        row = shares.loc[model].astype(float)
        lost = f"would report {row.max() - row.min():.0%} of H(X) as forgotten although it is still there"
        ends = f"from {row.min():.0%} ({row.idxmin()}) to {row.max():.0%} ({row.idxmax()})"
        lines.append(f"- **{model}**: {ends}; the weakest probe {lost}.")
    highest = listed(shares.loc[table["model"].unique()].astype(float).idxmax(axis=1).unique())
    return "At the last layer:\n\n" + "\n".join(lines) + f"\n\nThe probe with the highest bound: {highest}."


def tokens(table: pd.DataFrame) -> str:
    """The groups in which the last layer of each model names the fewest and the most tokens, without domains."""
    lines = []
    for model, rows in table[table["by"] != DOMAIN].groupby("model", sort=False):
        low, high = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
        fewest = f"*{low['name']}* ({low['by']}), {quote(low, clusters='sentences')}"
        most = f"*{high['name']}* ({high['by']}), {quote(high, clusters='sentences')}"
        fewer, more = (_sure(row, rows.drop(row.name)) for row in (low, high))
        lines.append(f"- **{model}** names the fewest tokens among {fewest}{fewer}, and the most among {most}{more}.")
    return "\n".join(lines)


def _sure(row: pd.Series, others: pd.DataFrame) -> str:
    """Nothing if the interval of a row lies apart from all others'; else that it does not."""
    apart = (others["low"] > row["high"]) | (others["high"] < row["low"])
    return "" if apart.all() else " (not significant)"


def domains(table: pd.DataFrame) -> str:
    """How much the kind of text matters."""
    by_model = table[table["by"] == DOMAIN].groupby("model", sort=False)
    spread = by_model["estimate"].max() - by_model["estimate"].min()
    apart = [model for model, rows in by_model if rows["low"].max() > rows["high"].min()]
    names = f" ({', '.join(apart)})" if apart else ""
    return (
        f"Across domains the share named varies by {100 * spread.min():.0f} to {100 * spread.max():.0f} percentage "
        f"points, depending on the model. The intervals of the best and the worst domain are apart in {len(apart)} of "
        f"{len(spread)} models{names}."
    )
