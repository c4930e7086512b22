"""What the verdicts of `verdicts.claim` hang on: the limit, the layers, the models, the amount of text (Markdown)."""

from collections.abc import Mapping

import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.claims import setting
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer, usable_shares, with_all_text
from bitskept.studies.layer_sweep.claims import BITS, HALVES, KEEPS, LOSE, RISE, kept_by_kind
from bitskept.studies.layer_sweep.forgetting import contrasts

ENHANCED = [claim for claim, half in HALVES.items() if half == "enhanced"]


def caveats(table: pd.DataFrame, trained: pd.DataFrame, differences: pd.DataFrame) -> str:
    """All of them, from the claims, the sweeps of the trained models and `controls.differences`."""
    kinds = trained.groupby("model")["kind"].first().to_dict()
    parts = small_rises(table, kinds), late_places(table, trained), inner_layer(trained), without_one(trained)
    lines = [f"- {line}" for line in (*parts, more_text(differences, trained)) if line]
    return "\n".join(["What this hangs on:", "", *lines]) if lines else ""


def small_rises(table: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """Rises that are certain and do not reach `BITS`, and which vectors show larger ones."""
    rows = table[table["claim"].isin(ENHANCED)]
    small = rows[(rows["outcome"] != "yes") & (rows["low"] > 0) & (rows["estimate"] < BITS)]
    if small.empty:
        return ""
    parts = []
    for model, part in small.groupby("model", sort=False):
        sizes = (f"{quote(row, '+.3f')} ({setting(row)})" for row in part.to_dict("records"))
        parts.append(f"{model} {', '.join(sizes)}")
    risen, flat = set(small["model"].map(kinds)), set(kinds.values()) - set(small["model"].map(kinds))
    side = ""
    if len(risen) == len(flat) == 1:
        many = [*kinds.values()].count(kind := risen.pop()) > 1
        side = f" All of these are in {kind}s." if many else f" All of these are in the {kind}."
    large = rows.loc[rows["outcome"] == "yes", "reading"].unique()
    others = f" Rises that count are found from {', '.join(f'*{name}*' for name in large)}." if len(large) else ""
    return (
        f"**The limit.** Bits that rise for certain, but by less than {BITS}: {'; '.join(parts)}.{side} With a limit "
        f"below such a rise its outcome would be *yes*, for a primary one if it is significant after Holm's correction."
        f"{others}"
    )


def late_places(table: pd.DataFrame, trained: pd.DataFrame) -> str:
    """Where bits about a place after the first rise between any two layers: from where to where, and whether late
    layers lose as well. Copies with random weights are compared at the first place alone (`verdicts.first_place`).
    """
    rows = with_all_text(table)
    rows = rows[rows["reading"].str.fullmatch(r"place \d+: mean", na=False) & (rows["outcome"] == "yes")]
    rows = rows[rows["reading"] != "place 1: mean"]
    risen, lost = rows[rows["claim"] == RISE], rows[rows["claim"] == LOSE]
    lines = []
    for reading, part in risen.groupby("reading", sort=False):
        falls = lost[lost["reading"] == reading].set_index("model")
        both = [model for model in part["model"] if model in falls.index]
        paths = [_path(trained, reading, model) for model in part["model"]]
        losses = ", ".join(f"{quote(falls.loc[model], '+.2f')} in {model}" for model in both)
        ends = (
            f"Late layers lose as well ({losses}), so between any two layers both halves are shown for "
            f"{', '.join(both)}, and for no other model."
            if both
            else f"None of these is seen to lose {BITS} bits or more in late layers."
        )
        lines.append(f"**{reading.partition(':')[0].capitalize()}.** {'; '.join(paths)}. {ends}")
    if not lines:
        return ""
    return " ".join(lines) + " Random copies were tested at the first place alone, so whether this is learned is open."


def _path(trained: pd.DataFrame, reading: str, model: str) -> str:
    """From which layer to which the bits of a place rise, and how they compare with layer 0."""
    position = int(reading.partition(":")[0].removeprefix("place ")) - 1
    rows = with_all_text(trained[(trained["reading"] == "place") & (trained["model"] == model)])
    rows = rows[(rows["pooling"] == "mean") & (rows["position"] == position)]
    pair = rows[rows["quantity"] == "rise"].iloc[0]
    bits = rows[rows["quantity"] == "usable"].set_index("layer")["estimate"].astype(float)
    start, end = bits[pair["other"]], bits[pair["layer"]]
    path = f"{model} rises from {start:.2f} bits at layer {pair['other']} to {end:.2f} at layer {pair['layer']}"
    side = "above" if end > bits[0] else "still below"
    return path if pair["other"] == 0 else f"{path}, {side} the {bits[0]:.2f} of layer 0"


def inner_layer(trained: pd.DataFrame) -> str:
    """Which inner layer was chosen for the bag, and where layer 0 tells more."""
    rows = with_all_text(contrasts(trained))
    rows = rows[(rows["reading"] == "bag") & (rows["pooling"] == "mean") & (rows["quantity"] == "peak_rise")]
    chosen = "; ".join(
        f"layer {layer} in {', '.join(part['model'])}" for layer, part in rows.groupby("layer", sort=True)
    )
    below = rows.loc[rows["high"] < 0, "model"]
    more = f", which tells more for certain in {', '.join(below)}" if len(below) else ""
    return (
        f"**The inner layer of the bag** is {chosen}. The mean over layer 0 is the bag of embeddings itself{more}."
        if chosen
        else ""
    )


def without_one(trained: pd.DataFrame) -> str:
    """In how many settings encoders keep more than decoders once a model is left out."""
    parts, needed = [], []
    everywhere = [row["estimate"] > 0 for row in kept_by_kind(trained)]
    for model in trained["model"].unique():
        positive = [row["estimate"] > 0 for row in kept_by_kind(trained[trained["model"] != model])]
        if positive:
            parts.append(f"{sum(positive)} of {len(positive)} settings without {model}")
            if 2 * sum(positive) <= len(positive) and 2 * sum(everywhere) > len(everywhere):
                needed.append(model)
    if not parts:
        return ""
    rests = f" So its sign rests on {' and on '.join(needed)}." if needed else ""
    return f"**{KEEPS.capitalize()}**: the difference is positive in {', in '.join(parts)}.{rests}"


def more_text(differences: pd.DataFrame, trained: pd.DataFrame) -> str:
    """Random copies were probed with the least text: what more text does to the trained model."""
    if differences.empty:
        return ""
    rows = differences[differences["reading"] == "token"].drop_duplicates("model").set_index("model")
    most = at_last_layer(with_all_text(usable_shares(trained[trained["reading"] == "token"]))).set_index("model")
    few, many = int(rows["train_sentences"].min()), int(most["train_sentences"].max())
    if few >= many:
        return ""
    shares = ", ".join(
        f"{most['estimate'][model]:z.0%} in place of {row['trained']:z.0%} ({model})" for model, row in rows.iterrows()
    )
    return (
        f"**Training protects the token** was asked with {few:,} sentences. With {many:,} the last layers of the "
        f"trained models show {shares}; copies were not probed with as many, so more text may change the answer."
    )
