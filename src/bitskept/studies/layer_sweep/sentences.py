"""The conclusions of notebook 02 in words (Markdown), computed from its tables."""

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer
from bitskept.studies.layer_sweep.one_vector import best

YES_NO = {True: "yes", False: "no"}
POOLED = {
    "mean": "mean over",
    "mean without first": "mean without the first position over",
    "last": "last state of",
}


def retained(table: pd.DataFrame, tokens: pd.DataFrame) -> str:
    """What the last and the best layer of each model keep; H(X) comes from `tokens`."""
    lines = []
    for model, rows in table.reset_index(drop=True).groupby("model", sort=False):
        entropy = tokens[(tokens["model"] == model) & (tokens["quantity"] == "entropy")].iloc[0]
        last, most = rows.loc[rows["layer"].idxmax()], rows["estimate"].max()
        bits = f"H(X) is {quote(entropy, '.2f', 'sentences')} bits per token"
        shares = f"the last layer keeps at least {quote(last)} of it, the best layer {most:.0%}"
        lines.append(f"- **{model}** ({last['kind']}): {bits}; {shares}.")
    return "\n".join(lines)


def bounds(table: pd.DataFrame) -> str:
    """In how many layers the cross-entropy bound is the higher one, and by how much."""
    wide = table.pivot(index=["model", "layer"], columns="quantity", values="estimate")
    gain = wide["retained_cross_entropy"] - wide["retained_fano"]
    model, layer = gain.idxmax()
    return (
        f"The cross-entropy bound is the higher one in {(gain > 0).mean():.0%} of the {len(gain)} layers. The "
        f"difference runs from {gain.min():+.1%} to {gain.max():+.1%} of H(X), largest at layer {layer} of {model}."
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
    highest = " and ".join(shares.loc[table["model"].unique()].astype(float).idxmax(axis=1).unique())
    return "At the last layer:\n\n" + "\n".join(lines) + f"\n\nThe probe with the highest bound: {highest}."


def shuffled(trained: pd.DataFrame, retained: pd.DataFrame) -> str:
    """The two controls without another network: shuffled targets, and layer 0."""
    bits = trained[trained["shuffled"] & (trained["quantity"] == "cross_entropy_bound")]
    most, start = bits[["estimate", "high"]].max(), retained.loc[retained["layer"] == 0, "estimate"]
    end = "no interval" if pd.isna(most["high"]) else f"upper end of the interval: {most['high']:.2f}"
    return (
        f"Shuffled targets show at most {most['estimate']:.2f} bits ({end}). "
        f"Layer 0 shows {start.min():.1%} to {start.max():.1%} of H(X)."
    )


def random(differences: pd.DataFrame) -> str:
    """Whether each trained model keeps more than its random copies."""
    lines = []
    for row in differences.to_dict("records"):
        compared = "keeps about as much as"
        if row["low"] > 0:
            compared = "keeps more than"
        elif row["high"] < 0:
            compared = "keeps less than"
        elif not has_interval(row):
            compared = "cannot surely be compared with"
        shares = f"{row['trained']:.0%} against {row['random']:.0%} of H(X), difference {quote(row, '+.0%')}"
        lines.append(f"- **{row['model']}** (layer {row['layer']}) {compared} its untrained copies: {shares}.")
    return "\n".join(lines)


def forgetting(seen: pd.DataFrame) -> str:
    """A table: in which models do both probes see a rise, and late forgetting?"""
    head = ["| model | kind | enhanced (rise) | discarded late |", "|---|---|---|---|"]
    rows = [
        f"| {row['model']} | {row['kind']} | {YES_NO[row['rise']]} | {YES_NO[row['late_forgetting']]} |"
        for row in seen.to_dict("records")
    ]
    return "Seen under both probes, with an interval above 0:\n\n" + "\n".join([*head, *rows])


def rise(table: pd.DataFrame) -> str:
    """Whether the stronger probe sees the smaller rise."""
    bits = table[table["quantity"] == "rise"].pivot(index="model", columns="probe", values="estimate").astype(float)
    bits = bits.loc[table["model"].unique()]
    lines = [
        f"- **{model}**: ridge sees a rise of {row['ridge']:z.2f} bits per token, the centroid {row['centroid']:z.2f}."
        for model, row in bits.iterrows()
    ]
    smaller = (bits["centroid"].clip(lower=0) < bits["ridge"]).sum()
    return "\n".join([*lines, f"\nThe stronger probe sees the smaller rise in {smaller} of {len(bits)} models."])


def tokens(table: pd.DataFrame) -> str:
    """The groups in which the last layer of each model names the fewest and the most tokens."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        low, high = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
        fewest = f"*{low['name']}* ({low['by']}), {quote(low, clusters='sentences')},"
        most = f"*{high['name']}* ({high['by']}), {quote(high, clusters='sentences')}"
        lines.append(f"- **{model}** names the fewest tokens among {fewest} and the most among {most}.")
    return "\n".join(lines)


def domains(table: pd.DataFrame) -> str:
    """How much the kind of text matters."""
    by_model = table.groupby("model", sort=False)
    spread = by_model["estimate"].max() - by_model["estimate"].min()
    apart = [model for model, rows in by_model if rows["low"].max() > rows["high"].min()]
    names = f" ({', '.join(apart)})" if apart else ""
    return (
        f"Across domains the share named varies by {spread.min():.0%} to {spread.max():.0%}, depending on the model. "
        f"The highest interval lies above the lowest in {len(apart)} of {len(spread)} models{names}."
    )


def sentence(named: pd.DataFrame, pooled: pd.DataFrame) -> str:
    """The best layer and pooling of each model and position, and whether any bits are proved."""
    lines = ["Best of each model:", ""]
    for row in best(named).to_dict("records"):
        place = f"from the {POOLED[row['pooling']]} layer {row['layer']}"
        lines.append(
            f"- **{row['model']}**, token {row['position'] + 1}: {quote(row, clusters='sentences')} named, {place}."
        )
    bits = pooled[(pooled["quantity"] == "fano_bound") & (pooled["pooling"] != "first")]
    number = f"{(bits['low'] > 0).sum()} of {len(bits)} combinations of model, layer, pooling and position"
    return "\n".join([*lines, "", f"More than 0 bits are proved in {number}."])


def first_position(named: pd.DataFrame) -> str:
    """What leaving the first position out of the mean changes at the last layer."""
    shares = named[named["depth"] == 1].groupby(["model", "pooling"], sort=False)["estimate"].mean().unstack()
    change = (shares["mean without first"] - shares["mean"]).astype(float)
    return (
        f"At the last layer, leaving the first position out of the mean changes the share named by {change.min():+.1%} "
        f"({change.idxmin()}) to {change.max():+.1%} ({change.idxmax()}), averaged over the positions."
    )


def claim(differences: pd.DataFrame, seen: pd.DataFrame) -> str:
    """Does the claim hold? Do encoders keep more than decoders, and do models first enhance and then discard?"""
    keeps = differences.groupby("kind")["trained"].agg(["min", "max"])
    ranges = ", ".join(f"{kind}s {low:.0%} to {high:.0%}" for kind, (low, high) in keeps.iterrows())
    answer = "cannot be said: all models are of one kind"
    if {"encoder", "decoder"} <= set(keeps.index):
        answer = YES_NO[bool(keeps.loc["encoder", "min"] > keeps.loc["decoder", "max"])]
    late = seen.loc[seen["late_forgetting"], "model"]
    both = seen.loc[seen["late_forgetting"] & seen["rise"], "model"]
    return "\n".join(
        [
            f"- Does every encoder keep more at its last layer than every decoder? **{answer}** ({ranges}).",
            f"- Under both probes, late forgetting is seen in: **{', '.join(late) or 'no model'}**.",
            f"- Under both probes, bits are first enhanced, then discarded in: **{', '.join(both) or 'no model'}**.",
        ]
    )
