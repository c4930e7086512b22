"""What the tables of notebook 04 show, in words (Markdown)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.correlations import FEWEST
from bitskept.studies.bottleneck.known_data import on_noise

LABELS = {
    "preference_beyond_length": "preference information beyond the length of answers",
    "preference_exchanged": "“preference information” of labels exchanged at random",
}


def circle(table: pd.DataFrame) -> str:
    """How many bits a label seems to carry, by the number of its states."""
    single, label, few, everything = table.loc[table["quantity"] == "entropy", "estimate"]
    anchors = len(table[(table["quantity"] == "anchor") & (table["cloud"] == "one state")])
    return (
        f"All states have {everything:.2f} bits (at most log2 {anchors} = {np.log2(anchors):.2f}), and five states of "
        f"one label have {label:.2f}: the label seems to carry {everything - label:.2f} bits. But five *random* states "
        f"have {few:.2f}, so a label that means nothing would seem to carry {everything - few:.2f} bits, and one that "
        f"occurs only once {everything - single:.2f}."
    )


def known(table: pd.DataFrame) -> str:
    """How far the three kinds of estimate are from the truth where it is known."""
    kinds = table[table["classes"] == 64].groupby("kind")["estimate"]
    first, last = kinds.first(), kinds.last()
    moves = ", ".join(f"{kind} from {first[kind]:.2f} to {last[kind]:.2f} bits" for kind in KINDS.values())
    corrected = table["kind"] == "corrected"
    shuffled = table.loc[corrected & (table["labels"] == "shuffled"), "estimate"]
    noise = on_noise(table)
    raw, refused = noise["optimality"], int(noise["optimality_corrected"].isna().sum())
    return (
        f"- (a) From 2 to 128 states of each label, the three estimates change: {moves}. They differ by "
        f"{np.ptp(first):.2f} bits at first and by {np.ptp(last):.2f} at last. The one that starts nearest to where "
        f"they end is {(first - last.mean()).abs().idxmin()}.\n"
        f"- (b) Shuffled labels get {shuffled.min():+.3f} to {shuffled.max():+.3f} bits once corrected, however many "
        "there are.\n"
        f"- (c) On pure noise raw optimality is {raw.min():.2f} to {raw.max():.2f}. Corrected optimality is not "
        f"estimable for {refused} of {len(noise)} widths, because there is no complexity to divide by."
    )


def floor(table: pd.DataFrame) -> str:
    """How many bits a label seen once seems to carry, and how many places have one."""
    lost, lines = _lost_to_one_state(table), []
    for model in table["model"].unique():
        rows = table[table["model"] == model]
        entropy = rows.loc[rows["quantity"] == "soft_entropy", "estimate"].iloc[0]
        once = rows[rows["quantity"] == "unique_input"]
        first, last = once.iloc[0], once.iloc[-1]
        lines.append(
            f"- **{model}**: a single state has {entropy - lost[model]:.2f} of {entropy:.2f} bits, so a label that "
            f"occurs once seems to carry {lost[model]:.2f} bits. Such labels make up {first['estimate']:.0%} of the "
            f"places at width {first['width']} and {last['estimate']:.0%} at width {last['width']}."
        )
    return "\n".join(lines)


def _lost_to_one_state(floor: pd.DataFrame) -> pd.Series:
    """H(Z) - h(1) in bits by model: the bits that a label which occurs once seems to carry."""
    whole = floor[floor["quantity"] == "soft_entropy"].set_index("model")["estimate"]
    single = floor[(floor["quantity"] == "random_entropy") & (floor["n"] == 1)].set_index("model")["estimate"]
    return (whole - single).astype(float)


def layers(table: pd.DataFrame) -> str:
    """How complexity and expressivity change from the embedding to the last layer, and how much of it is floor."""
    lines = []
    for model in table["model"].unique():
        rows = table[table["model"] == model]
        values = rows.pivot(index="layer", columns="quantity", values="estimate").astype(float)
        kept, ahead = (values[f"{name}_corrected"] for name in ("complexity", "expressivity"))
        share = (values["expressivity_floor"] / values["expressivity"])[1:]
        lines.append(
            f"- **{model}**: corrected complexity goes from {kept.iloc[0]:.2f} bits at the embedding to "
            f"{kept.iloc[-1]:.2f} at the last layer, expressivity from {ahead.iloc[0]:.2f} to {ahead.iloc[-1]:.2f}. "
            f"The floor makes up {share.min():.0%} to {share.max():.0%} of raw expressivity."
        )
    return "\n".join(lines)


def optimality(table: pd.DataFrame) -> str:
    """Whether corrected optimality changes from the embedding to the last layer, and the range of the raw one."""
    lines = []
    token = table[(table["width"] == 1) & (table["quantity"] == "optimality_corrected")].sort_values("layer")
    for model in table["model"].unique():
        rows = token[token["model"] == model]
        first, last = rows.iloc[0], rows.iloc[-1]
        change = "no significant change"
        if last["low"] > first["high"]:
            change = "it rises"
        elif last["high"] < first["low"]:
            change = "it falls"
        elif not (has_interval(first) and has_interval(last)):
            change = "too few sentences to tell"
        ends = f"from {quote(first, '.2f')} to {quote(last, '.2f')} at the end"
        lines.append(f"- **{model}**: corrected, {ends}: {change}.")
    widest = table["width"].max()
    raw = table.loc[(table["width"] == widest) & (table["quantity"] == "optimality"), "estimate"]
    lines.append(f"\nRaw optimality at width {widest}: {raw.min():.2f} to {raw.max():.2f}, over all models and layers.")
    return "\n".join(lines)


def plane(table: pd.DataFrame) -> str:
    """How many layers lie above the line, by kind of model, and how much of a token predicts the next one."""
    lines = []
    for of, layers in table[table["kind"].isin(KINDS.values())].groupby("of", sort=False):
        counts = []
        for kind in KINDS.values():
            points = layers[layers["kind"] == kind]
            counts.append(f"{(points['expressivity'] > points['complexity']).sum()} {kind}")
        lines.append(f"Points of {of}s above the line, of {len(points)} layers: {', '.join(counts)}.")
    exact = table[table["kind"] == "bigrams"]
    information, entropy, shuffled = (exact[name].max() for name in ("information", "entropy", "shuffled"))
    half = np.interp(entropy / 2, exact["complexity"], exact["relevance"]) / information
    above = max(0.0, information - shuffled)
    lines.append(
        f"(Stars are last layers.) On the exact curve of the counts, {information:.2f} of the H(X) = {entropy:.2f} "
        f"bits of a token predict the next one, a ratio of {information / entropy:.2f}, and half of H(X) is enough for "
        f"{half:.0%} of these. The same tokens in random pairs would show {shuffled:.2f} bits; above this floor the "
        f"ratio is {above / entropy:.2f}."
    )
    return "\n\n".join(lines)


def stability(agreement: pd.DataFrame) -> str:
    """Which kinds of optimality agree between two sample sizes, from `amount_of_text.agreement`."""
    few, many = agreement.columns[:2]
    models = agreement.index.unique(level=1)
    lines = [f"From {few:,} to {many:,} sentences ({', '.join(models)}):\n"]
    for end, kind in KINDS.items():
        rows = agreement.loc[f"optimality{end}"]
        agree = rows.index[rows["agree"] == "yes"]
        names = f" ({', '.join(agree)})" if len(agree) else ""
        lines.append(
            f"- **{kind}** token optimality agrees within its intervals on {len(agree)} of {len(models)} models{names} "
            f"and changes by {', '.join(rows['change'])}."
        )
    changes = (f"{kind} by {', '.join(agreement.loc[f'complexity{end}', 'change'])}" for end, kind in KINDS.items())
    lines.append(f"- **Complexity**, its denominator, changes as well: {'; '.join(changes)}.")
    return "\n".join(lines)


def labels(table: pd.DataFrame, left_out: str) -> str:
    """The layer with most information about each label of whole texts, and that of its controls; `left_out` says why
    there is no preference information, if there is none.
    """
    lines = [f"{left_out}\n"] if left_out else []
    rows = table[table["layer"].notna()].reset_index(drop=True)
    corrected = rows[rows["quantity"].str.endswith("_corrected")]
    for (quantity, model), candidates in corrected.groupby(["quantity", "model"], sort=False):
        best = rows.loc[candidates["estimate"].idxmax()]
        name = quantity.removesuffix("_corrected")
        chance = (rows["quantity"] == f"{name}_p") & (rows["model"] == model) & (rows["layer"] == best["layer"])
        lines.append(
            f"- **{model}**: most {LABELS.get(name, name.replace('_', ' '))} at layer {best['layer']}, "
            f"{quote(best, 'z.3f')} bits per token (p = {rows.loc[chance, 'estimate'].iloc[0]:.3f})."
        )
    return "\n".join(lines)


def correlations(table: pd.DataFrame, measured: pd.DataFrame, listed: Sequence[str], left_out: str) -> str:
    """Whether there are enough models for a correlation, and which of those listed have not been measured; `left_out`
    says why there are no scores, if there are none.
    """
    number = int(table["n"].max())
    words = (
        "p-values are two-sided, of the partial correlation given the number of parameters; Holm's correction is over "
        "all rows."
    )
    if number < FEWEST:
        words = (
            f"{number} of the measured models have a score. Fewer than {FEWEST} are too few to judge a correlation, "
            "and no p-value is given."
        )
    missing = sorted(set(listed) - set(measured["model"]))
    lines = [left_out, words, f"Not measured yet: {', '.join(missing)}." if missing else ""]
    return " ".join(filter(None, lines))
