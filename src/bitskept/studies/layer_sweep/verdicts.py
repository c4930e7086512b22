"""Does the claim hold? The outcomes of `claims.claims` in words (Markdown), computed from its table."""

from collections.abc import Mapping

import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.claims import OUTCOMES, outcome, setting, verdict
from bitskept.studies.layer_sweep.bits_by_layer import with_all_text
from bitskept.studies.layer_sweep.claims import (
    BITS,
    DISCARDED,
    ENHANCED,
    HALVES,
    KEEPS,
    LOSE,
    RISE,
    about_layers,
    primary,
    settings,
)
from bitskept.studies.layer_sweep.forgetting import READS, contrasts

CLAIMS = {"token": (RISE, LOSE), "window": (RISE, LOSE), "bag": (ENHANCED, DISCARDED)}
OTHER_PAIR = {RISE: ", between any two layers", LOSE: ", late layers alone"}
"""What the bag is also tested by."""


def claim(table: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """Each half of "first enhanced, then discarded" under each reading, what is discarded by `kinds` of models, and the
    other claims.
    """
    main = table[primary(table)]
    lines = []
    for reading, (first, second) in CLAIMS.items():
        rows = main[main["reading"].str.startswith(reading)]
        halves = [rows[rows["claim"] == name] for name in (first, second)]
        yes = [set(half.loc[half["outcome"] == "yes", "model"]) for half in halves]
        both = [model for model in rows["model"].unique() if model in yes[0] & yes[1]]
        first_answer, second_answer = ((verdict(half) or "not measured") + _too_small(half) for half in halves)
        answers = f"enhanced: {first_answer}. Discarded: {second_answer}"
        lost = _falls(halves[1], kinds) + _late(table, halves[1], kinds) + _few_layers(table, rows)
        lines.append(f"- **{reading}**: {answers}. Both: **{', '.join(both) or 'no model'}**.{lost}")
    lines += _any_layers(table) + _both_halves_at_first_place(table)
    others = table[~about_layers(table) & ~table["claim"].str.startswith(KEEPS)]
    for (name, how), rows in others.groupby(["claim", others.apply(setting, axis=1)], sort=False):
        lines.append(f"- {name[0].upper()}{name[1:]} ({how}): {verdict(rows)}.")
    return "\n".join([*lines, *_keeps(table)])


def _few_layers(table: pd.DataFrame, rows: pd.DataFrame) -> str:
    """How many layers were read, where that is fewer than all."""
    most = table.groupby("model")["layers"].max()
    models = rows.drop_duplicates("model").to_dict("records")
    few = [row for row in models if row["layers"] < most[row["model"]]]
    parts = [f"{row['layers']} of {most[row['model']]} in {row['model']}" for row in few]
    return f" Layers read: {', '.join(parts)}." if parts else ""


def _any_layers(table: pd.DataFrame) -> list[str]:
    """Whether what the mean tells of its words and places rises between any two layers, with all text: not only the
    best inner layer above the first. Of a rise that is certain, the question may be whether it is large enough.
    """
    rows = with_all_text(table[(table["claim"] == RISE) & table["reading"].str.endswith(": mean", na=False)])
    lines = []
    for reading, part in rows.groupby("reading", sort=False):
        certain = part[(part["outcome"] == "cannot tell") & (part["low"] > 0)].to_dict("records")
        parts = ", ".join(f"{quote(row, '+.2f')} bits in {row['model']}" for row in certain)
        sizes = f" A rise is certain, but not that it reaches {BITS}: {parts}." if certain else ""
        start = f"- **{reading}, between any two layers** (not among the primary contrasts)"
        lines.append(f"{start}: enhanced: {verdict(part)}.{sizes}")
    return lines


def _both_halves_at_first_place(table: pd.DataFrame) -> list[str]:
    """The models in which both halves hold for the first place, which was not among the primary rows, and with how much
    text they do."""
    rows = table[table["reading"] == "place 1: mean"]
    if rows.empty:
        return []
    halves = rows["claim"].isin(CLAIMS["bag"]) & (rows["outcome"] == "yes")
    both = rows[halves].groupby(["model", "train_sentences"], sort=False).size() == len(CLAIMS["bag"])
    sizes: dict[str, list[str]] = {}
    for model, size in sorted(both.index[both], key=lambda pair: pair[1]):
        sizes.setdefault(model, []).append(f"{size:,.0f}")
    names = "; ".join(f"{model} ({', '.join(found)} sentences)" for model, found in sorted(sizes.items()))
    return [f"- **the first place**, which was not among the primary contrasts: both halves in {names or 'no model'}."]


def first_place(compared: pd.DataFrame) -> str:
    """Whether the first place rises in random copies as well, and what follows for that of the trained model: each
    (`controls.measured`) is weighed as the claims are, by a test of its own.
    """
    rows = contrasts(compared)
    rows = rows[(rows["reading"] == "place") & (rows["position"] == 0) & (rows["quantity"] == "peak_rise")]
    answers = [
        outcome(*row, BITS) for row in rows[["estimate", "low", "high", "p"]].astype(float).itertuples(index=False)
    ]
    rows = rows.assign(outcome=answers)
    lines = []
    for model, part in rows.groupby("model", sort=False):
        trained, copies = part[part["weights"] == "trained"].iloc[0], part[part["weights"] != "trained"]
        counts = copies["outcome"].value_counts()
        listed = ", ".join(f"{name} in {counts[name]}" for name in OUTCOMES if name in counts)
        if "yes" in counts:
            learned = ", and whether the trained model's is learned is open" if trained["outcome"] == "yes" else ""
            follows = f"So a rise here takes no training{learned}"
        elif trained["outcome"] == "yes" and counts.get("no") == len(copies):
            follows = "So at these scales the rise is not built in"
        else:
            follows = "So whether a rise is learned is open"
        lines.append(
            f"- **{model}**: trained: {trained['outcome']} ({quote(trained, '+.2f')}); copies: {listed}. {follows}."
        )
    seeds = rows[rows["weights"] != "trained"].groupby("weights", sort=False)["seed"].nunique()
    drawn = ", ".join(f"*{weights}* with {number} seed{'s' * (number > 1)}" for weights, number in seeds.items())
    return "\n".join(
        [
            "Does the first place rise without training? The best inner layer against the first, in bits per token, "
            f"with {rows['train_sentences'].max():,} sentences, in the trained model and in copies ({drawn}):",
            "",
            *lines,
        ]
    )


def _falls(rows: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """What encoders and decoders lose, where there are both: the paper speaks of decoders."""
    if rows["model"].map(kinds).nunique() < 2:
        return ""
    seen = (rows.loc[rows["model"].map(kinds) == "encoder", "outcome"] == "yes").any()
    return f" Bits lost per token: {_spans(rows, kinds)}{', so encoders lose bits as well' if seen else ''}."


def _late(table: pd.DataFrame, rows: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """How much of what the bag loses between its inner layer and the last is lost in late layers."""
    setting = ["reading", "probe", "train_sentences", "model"]
    late = table[table["claim"] == LOSE].merge(rows.loc[rows["claim"] == DISCARDED, setting])
    return f" In late layers alone: {_spans(late, kinds)}." if late["model"].map(kinds).nunique() > 1 else ""


def _spans(rows: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """The smallest and the largest estimate of each kind of model."""
    lost = rows.groupby(rows["model"].map(kinds))["estimate"].agg(["min", "max"])
    return ", ".join(
        f"{kind}s {' to '.join(dict.fromkeys((f'{least:.2f}', f'{most:.2f}')))}"
        for kind, least, most in lost.itertuples()
    )


def _too_small(rows: pd.DataFrame) -> str:
    """Effects that are certain, and too small to count."""
    small = rows[(rows["outcome"] == "no") & (rows["low"] > 0)]
    parts = (f"{row['estimate']:.2f} bits in {row['model']}" for row in small.to_dict("records"))
    return f" (certain, and smaller than {BITS}: {', '.join(parts)})" if len(small) else ""


def robust(table: pd.DataFrame) -> str:
    """For each primary outcome about layers, how many other settings (probe, amount of training text and, for the bag,
    any two layers) agree, by the number of layers that were read, and what the others say; then what other poolings and
    places say with all text. These are not counted, but those that say the opposite are named.
    """
    main, others = table[primary(table) & table["claim"].isin(HALVES)], settings(table)
    lines = [
        "| claim | reading | model | outcome, layers read | agree | the others |",
        "|---|---|---|---|---|---|",
    ]
    stable: dict[str, list[bool]] = {}
    same, fewer = others[others["same"]], 0
    for row in main.to_dict("records"):
        kind = row["reading"].partition(":")[0]
        chosen = same["half"].eq(HALVES[row["claim"]]) & same["model"].eq(row["model"]) & same["kind"].eq(kind)
        rows = same[chosen]
        agree, fewer = rows["outcome"] == row["outcome"], fewer + (rows["layers"] < row["layers"]).sum()
        stable.setdefault(kind, []).append(bool(agree.all()))
        names = "; ".join(
            f"{other['outcome']}: {setting(other)}{OTHER_PAIR.get(other['claim'], '') if kind == 'bag' else ''}"
            for other in rows[~agree].to_dict("records")
        )
        counts = ", ".join(
            f"{part.sum()} of {len(part)} with {layers} layers"
            for layers, part in reversed([*agree.groupby(rows["layers"].astype(int))])
        )
        found = f"{row['outcome']}, {row['layers']}"
        lines.append(f"| {row['claim']} | {kind} | {row['model']} | {found} | {counts} | {names or 'none'} |")
    by_kind = ", ".join(f"{kind} {sum(agreed)} of {len(agreed)}" for kind, agreed in stable.items())
    first = f"Primary outcomes that are the same in every other setting measured: {by_kind}."
    if fewer:
        first += (
            f" In {fewer} of the {len(same)} other settings fewer layers were read than for the primary outcome; "
            "there, a rise or a fall between other layers would not show."
        )
    first += _opposite(main, with_all_text(others[~others["same"]]))
    silent = about_layers(table) & (table["outcome"] == "not tested")
    if silent.any():
        first += f" {silent.sum()} contrasts are not counted: their probe reads less than {READS} bits in every layer."
    vectors = others[~others["same"]]
    return "\n".join([first, "", *lines, *_other_vectors(vectors), *_one_sided(table)])


def _opposite(main: pd.DataFrame, others: pd.DataFrame) -> str:
    """The poolings and places that say yes where the mean of the states says no of the bag, or the other way round."""
    bag = main[main["reading"] == "bag: mean"].assign(half=lambda rows: rows["claim"].map(HALVES))
    pairs = others.merge(bag[["half", "model", "outcome"]], on=["half", "model"], suffixes=("", "_of_mean"))
    if pairs.empty:
        return ""
    pairs = pairs[pairs[["outcome", "outcome_of_mean"]].isin(["yes", "no"]).all(axis=1)]
    pairs = pairs[pairs["outcome"] != pairs["outcome_of_mean"]]
    parts = []
    for reading, rows in pairs.groupby("reading", sort=False):
        halves = []
        for half, part in rows.groupby("half", sort=False):
            pair = OTHER_PAIR.get(part["claim"].iloc[0], "") if part["claim"].nunique() == 1 else ""
            halves.append(f"{half}{pair}: {verdict(part)}")
        parts.append(f"*{reading}* ({'; '.join(halves)})")
    found = f"The opposite is found from {', '.join(parts)}" if parts else "None of them says the opposite"
    return (
        " For the bag the count holds for the mean of the states; other ways to make one vector, and places, are left "
        f"out of it. {found}."
    )


def _one_sided(table: pd.DataFrame) -> list[str]:
    """Each yes whose interval holds 0."""
    rows = table[about_layers(table) & (table["outcome"] == "yes") & (table["low"] <= 0)]
    if rows.empty:
        return []
    parts = "; ".join(
        f"{setting(row)}, {row['model']}, {row['claim']}, {quote(row, '+.2f')}" for row in rows.to_dict("records")
    )
    return ["", f"A *yes* is one-sided (p < .05), so its 95 % interval, which is two-sided, may hold 0: {parts}."]


def _other_vectors(vectors: pd.DataFrame) -> list[str]:
    """What other poolings and places say with all text, one line for each, and where less text says something else."""
    if vectors.empty:
        return []
    rows = with_all_text(vectors)
    lines = [
        "",
        "Other poolings of the bag, and places, with all text:",
        "",
        "| claim | reading | found |",
        "|---|---|---|",
    ]
    for (claim, reading), part in rows.groupby(["claim", "reading"], sort=False):
        lines.append(f"| {claim} | {reading} | {verdict(part)} |")
    less = vectors.drop(rows.index).merge(rows, on=["claim", "reading", "model"], suffixes=("", "_all"))
    if less.empty:
        return lines
    same = less["outcome"] == less["outcome_all"]
    alone = less[less["outcome_all"] == "yes"].groupby(["claim", "reading", "model"], sort=False)["outcome"]
    unconfirmed = [
        f"{reading} of {model} ({claim})" for (claim, reading, model), answers in alone if (answers != "yes").all()
    ]
    also = f" A *yes* with all text alone: {'; '.join(unconfirmed)}." if unconfirmed else ""
    found = f"With less text, and mostly fewer layers, {same.sum()} of {len(less)} outcomes are the same."
    return [*lines, "", found + also]


def _keeps(table: pd.DataFrame) -> list[str]:
    rows = table[table["claim"].str.startswith(KEEPS)]
    if rows.empty:
        return ["- Encoders keep more than decoders: **not tested**, as all models are of one kind."]
    low, high = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
    sign = f"it is positive in {(rows['estimate'] > 0).sum()} of {len(rows)} settings, which share models and sentences"
    ends = (
        f"from {100 * low['estimate']:+.0f} ({setting(low)}) to {100 * high['estimate']:+.0f} ({setting(high)}) points"
    )
    models = (
        f"the unit is the model, and {rows['clusters'].iloc[0]:.0f} models that differ in everything cannot decide it"
    )
    return [
        f"- Encoders keep more than decoders: **not tested**: {models}. The difference of their mean usable shares "
        f"runs {ends}; {sign}. Pairs of an encoder and a decoder with the same data and recipe would decide it, as the "
        "Ettin pairs of the profile `paper`."
    ]
