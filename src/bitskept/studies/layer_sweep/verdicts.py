"""Does the claim hold? The outcomes of `claims.claims` in words (Markdown), computed from its table."""

from collections.abc import Mapping

import pandas as pd

from bitskept.instruments.claims import setting, verdict
from bitskept.studies.layer_sweep.claims import (
    BITS,
    DISCARDED,
    ENHANCED,
    KEEPS,
    LOSE,
    READS,
    RISE,
    about_layers,
    primary,
    settings,
)

HALVES = {"token": (RISE, LOSE), "window": (RISE, LOSE), "bag": (ENHANCED, DISCARDED)}


def claim(table: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """Each half of "first enhanced, then discarded" under each reading, what is discarded by `kinds` of models, and the
    other claims.
    """
    main = table[primary(table)]
    lines = []
    for reading, (first, second) in HALVES.items():
        rows = main[main["reading"].str.startswith(reading)]
        halves = [rows[rows["claim"] == name] for name in (first, second)]
        yes = [set(half.loc[half["outcome"] == "yes", "model"]) for half in halves]
        both = [model for model in rows["model"].unique() if model in yes[0] & yes[1]]
        first_answer, second_answer = ((verdict(half) or "not measured") + _too_small(half) for half in halves)
        answers = f"enhanced: {first_answer}. Discarded: {second_answer}"
        lines.append(
            f"- **{reading}**: {answers}. Both: **{', '.join(both) or 'no model'}**.{_falls(halves[1], kinds)}"
        )
    lines += _first_place(table)
    others = table[~about_layers(table) & ~table["claim"].str.startswith(KEEPS)]
    for (name, reading), rows in others.groupby(["claim", "reading"], sort=False):
        lines.append(f"- {name[0].upper()}{name[1:]} ({reading}): {verdict(rows)}.")
    return "\n".join([*lines, *_keeps(table)])


def _first_place(table: pd.DataFrame) -> list[str]:
    """The models in which both halves hold for the first place, which was not among the primary rows, and with how much
    text they do."""
    rows = table[table["reading"] == "place 1: mean"]
    if rows.empty:
        return []
    halves = rows["claim"].isin(HALVES["bag"]) & (rows["outcome"] == "yes")
    both = rows[halves].groupby(["model", "train_sentences"], sort=False).size() == len(HALVES["bag"])
    sizes: dict[str, list[str]] = {}
    for model, size in sorted(both.index[both], key=lambda pair: pair[1]):
        sizes.setdefault(model, []).append(f"{size:,.0f}")
    names = "; ".join(f"{model} ({', '.join(found)} sentences)" for model, found in sorted(sizes.items()))
    return [f"- **the first place**, which was not among the primary contrasts: both halves in {names or 'no model'}."]


def _falls(rows: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """What encoders and decoders lose, where there are both: the paper speaks of decoders."""
    lost = rows.groupby(rows["model"].map(kinds))["estimate"].agg(["min", "max"])
    if len(lost) < 2:
        return ""
    spans = [
        f"{kind}s {' to '.join(dict.fromkeys((f'{least:.2f}', f'{most:.2f}')))}"
        for kind, least, most in lost.itertuples()
    ]
    seen = (rows.loc[rows["model"].map(kinds) == "encoder", "outcome"] == "yes").any()
    return f" Bits lost per token: {', '.join(spans)}{', so a loss is no mark of decoders' if seen else ''}."


def _too_small(rows: pd.DataFrame) -> str:
    """Effects that are certain, and too small to count."""
    small = rows[(rows["outcome"] == "no") & (rows["low"] > 0)]
    parts = (f"{row['estimate']:.2f} bits in {row['model']}" for row in small.to_dict("records"))
    return f" (certain, and smaller than {BITS}: {', '.join(parts)})" if len(small) else ""


def robust(table: pd.DataFrame) -> str:
    """For each primary outcome about layers, how many other settings (probe, amount of training text) agree, and what
    the others say; then what other poolings and places say with all text, as these ask another question.
    """
    main, others = table[primary(table)], settings(table)
    lines = [
        "| claim | reading | model | outcome | agree | the others |",
        "|---|---|---|---|---|---|",
    ]
    stable: dict[str, list[bool]] = {}
    same = others[others["same"]]
    for row in main.to_dict("records"):
        kind = row["reading"].partition(":")[0]
        rows = same[(same["claim"] == row["claim"]) & (same["model"] == row["model"]) & (same["kind"] == kind)]
        agree = rows["outcome"] == row["outcome"]
        stable.setdefault(kind, []).append(bool(agree.all()))
        names = "; ".join(f"{other['outcome']}: {setting(other)}" for other in rows[~agree].to_dict("records"))
        counts = f"{agree.sum()} of {len(rows)}"
        lines.append(f"| {row['claim']} | {kind} | {row['model']} | {row['outcome']} | {counts} | {names or 'none'} |")
    by_kind = ", ".join(f"{kind} {sum(same)} of {len(same)}" for kind, same in stable.items())
    first = f"Primary outcomes that are the same with every other probe and amount of text measured: {by_kind}."
    silent = about_layers(table) & (table["outcome"] == "not tested")
    if silent.any():
        first += f" {silent.sum()} contrasts are not counted: their probe reads less than {READS} bits in every layer."
    return "\n".join([first, "", *lines, *_other_questions(others[~others["same"]])])


def _other_questions(rows: pd.DataFrame) -> list[str]:
    """What other poolings and places say with all text, one line for each."""
    if rows.empty:
        return []
    rows = rows[rows["train_sentences"] == rows.groupby("model")["train_sentences"].transform("max")]
    lines = [
        "",
        "Other poolings of the bag, and places, with all text:",
        "",
        "| claim | reading | found |",
        "|---|---|---|",
    ]
    for (claim, reading), part in rows.groupby(["claim", "reading"], sort=False):
        lines.append(f"| {claim} | {reading} | {verdict(part)} |")
    return lines


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
