"""What the table of words' classes shows, in words (Markdown), and the claims that it weighs."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote, reverse
from bitskept.instruments.claims import CONTROL, effect
from bitskept.studies.output.class_checkpoints import DEPTH, RANDOM, TRAINING
from bitskept.studies.output.word_classes import READINGS

PAPER = "Surendra 2023"
EMERGE = "words' classes emerge with training on the next word"
DEEPER = "words' classes grow with depth"
WORDS = "share of words"
RELEVANT = {WORDS: 0.1}
"""The smallest effect that would matter."""
CLAIMS = {RANDOM: (EMERGE, PAPER), TRAINING: (EMERGE, PAPER), DEPTH: (DEEPER, CONTROL)}
ENDS = (("trained", 0), ("trained", -1), ("random", -1))
"""Weights and places in the list of layers whose discrimination values are given."""
NOTES = {
    "before": "In the state before a word, which predicts it,",
    "at": "In the state at a word, which knows the word itself,",
}


def word_classes(table: pd.DataFrame) -> str:
    """Whether states tell the classes of words that were held out, by reading; a table of
    `class_checkpoints.by_layer`.
    """
    return "\n\n".join(_reading(table[table["reading"] == reading], NOTES[reading]) for reading in READINGS)


def _reading(rows: pd.DataFrame, note: str) -> str:
    model = rows.loc[rows["weights"] == "trained", "model"].iloc[0]
    last = _ends(rows[rows["weights"] == "trained"])[1]
    if not _told(last):
        return (
            f"{note} {model}'s last layer names the class of {quote(last['right'], clusters='words')} of the words "
            f"right, no more for certain than where classes are shuffled ({last['shuffled']['estimate']:.0%}): nothing "
            "can be said of how classes come about."
        )
    start = _ends(rows[rows["weights"] == "trained"])[0]
    return (
        f"{note} {model}'s last layer names the class of {quote(last['right'], clusters='words')} of the words right, "
        f"and {last['shuffled']['estimate']:.0%} where classes are shuffled. Layer 0 names {quote(start['right'])}: "
        f"{_change(_row(rows, 'trained', DEPTH), 'with depth the share')}. Against random weights, "
        f"{_change(_row(rows, 'trained', RANDOM), 'with training the share')}. In the twin, "
        f"{_change(_row(rows, 'twin', TRAINING), 'from the first to the last step the share')}, and "
        f"{_change(_row(rows, 'twin', DEPTH), 'with depth the share')}. {_paper(rows)}"
    )


def _ends(rows: pd.DataFrame) -> list[dict[str, dict[str, Any]]]:
    """The rows by quantity of the first layer, and of the last."""
    levels = rows[rows["layer"].notna()]
    ends = (levels[levels["layer"] == layer] for layer in (levels["layer"].min(), levels["layer"].max()))
    return [{row["quantity"]: row for row in part.to_dict("records")} for part in ends]


def _told(level: dict[str, dict[str, Any]]) -> bool:
    """Whether classes are named right more often than shuffled ones."""
    return has_interval(level["right"]) and level["right"]["low"] > level["shuffled"]["estimate"]


def _row(rows: pd.DataFrame, weights: str, quantity: str) -> dict[str, Any]:
    return rows[(rows["weights"] == weights) & (rows["quantity"] == quantity)].to_dict("records")[0]


def _change(row: dict[str, Any], what: str) -> str:
    falls = row["high"] < 0
    size = reverse(row) if falls else row
    percent = {name: 100 * size[name] for name in ("estimate", "low", "high")}
    points = f"{quote(percent, 'z.0f')} percentage points"
    if not has_interval(row):
        return f"{what} changes by {points}, from too few words to judge"
    if falls or row["low"] > 0:
        return f"{what} {'falls' if falls else 'rises'} by {points}"
    return f"{what} changes by {points}, which may be nothing"


def _paper(rows: pd.DataFrame) -> str:
    """What the paper's own statistic says of depth and of training."""
    values = rows[rows["quantity"] == "discrimination"]
    first, last, random = (
        part.sort_values("layer")["estimate"].iloc[place]
        for part, place in ((values[values["weights"] == name], end) for name, end in ENDS)
    )
    twin = values[values["weights"] == "twin"].sort_values(["step", "layer"])["estimate"].iloc[-1]
    return (
        "The paper's discrimination value, which has no interval here and so decides nothing, is "
        f"{first:z.3f} at layer 0, {last:z.3f} in the last layer, {random:z.3f} with random weights and {twin:z.3f} in "
        "the trained twin."
    )


def claims(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows for `instruments.claims`, from `class_checkpoints.by_layer`. The state before a word is primary."""
    for row in table[table["quantity"].isin(list(CLAIMS))].to_dict("records"):
        claim, paper = CLAIMS[row["quantity"]]
        of_twin, primary = row["weights"] == "twin", row["reading"] == "before"
        facts = {"claim": claim, "paper": paper, "reading": f"{row['reading']} the word", "unit": WORDS}
        facts |= {"probe": f"nearest class, {row['quantity']}", "clusters": row["n"], "primary": primary}
        facts |= {"model": f"{row['model']} twin" if of_twin else row["model"]}
        yield facts | effect(row)
