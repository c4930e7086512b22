"""What the table of words' classes shows, in words (Markdown), and the claims that it weighs."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote, reverse
from bitskept.instruments.claims import CONTROL, effect
from bitskept.studies.output.class_checkpoints import DEPTH, RANDOM, SINCE_FIRST, SINCE_RANDOM, TRAINING
from bitskept.studies.output.word_classes import READINGS

PAPER = "Surendra 2023"
EMERGE = "words' classes emerge with training on the next word"
DEEPER = "words' classes grow with depth"
WORDS = "share of words"
RELEVANT = {WORDS: 0.1}
"""The smallest effect that would matter."""
CLAIMS = {name: (EMERGE, PAPER) for name in (RANDOM, TRAINING, SINCE_RANDOM, SINCE_FIRST)} | {DEPTH: (DEEPER, CONTROL)}
"""The claim that each difference weighs, and its paper."""
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
    trained, random = (rows[rows["weights"] == weights] for weights in ("trained", "random"))
    (start, last), (random_start, random_last) = _ends(trained), _ends(random)
    named = f"{note} {trained['model'].iloc[0]}'s last layer names the class of"
    if not _told(last):
        return (
            f"{named} {quote(last['right'], clusters='words')} of the words right, no more for certain than where "
            f"classes are shuffled ({last['shuffled']['estimate']:.0%}): nothing can be said of how classes come about."
        )
    changes = rows[rows["layer"].isna()].set_index(["weights", "quantity"])
    of_model, of_twin = (
        [_change(changes.loc[(weights, name)]) for name in names]
        for weights, names in (("trained", (DEPTH, RANDOM, SINCE_RANDOM)), ("twin", (TRAINING, SINCE_FIRST, DEPTH)))
    )
    values = [ends["discrimination"]["estimate"] for ends in (start, last, random_last)]
    grows = bool(changes.loc[("trained", DEPTH), "low"] > 0)
    return (
        f"{named} {quote(last['right'], clusters='words')} of the words right, and {last['shuffled']['estimate']:.0%} "
        f"where classes are shuffled. Layer 0 names {quote(start['right'])}: with depth the share {of_model[0]}. "
        f"Against random weights, whose last layer names {random_last['right']['estimate']:.0%}, the share "
        f"{of_model[1]}; against their layer 0, which names {random_start['right']['estimate']:.0%}, it {of_model[2]}. "
        f"In the twin, from the first to the last step the share {of_twin[0]}, against layer 0 of the first step it "
        f"{of_twin[1]}, and with depth it {of_twin[2]}. {_paper(rows, *values, grows)}"
    )


def _ends(rows: pd.DataFrame) -> list[dict[str, dict[str, Any]]]:
    """The rows by quantity of the first layer, and of the last."""
    levels = rows[rows["layer"].notna()]
    ends = (levels[levels["layer"] == layer] for layer in (levels["layer"].min(), levels["layer"].max()))
    return [{row["quantity"]: row for row in part.to_dict("records")} for part in ends]


def _told(level: dict[str, dict[str, Any]]) -> bool:
    """Whether classes are named right more often than shuffled ones."""
    return has_interval(level["right"]) and level["right"]["low"] > level["shuffled"]["estimate"]


def _change(row: pd.Series) -> str:
    falls = row["high"] < 0
    size = reverse(row) if falls else row
    percent = {name: 100 * size[name] for name in ("estimate", "low", "high")}
    points = f"{quote(percent, 'z.0f')} percentage points"
    if not has_interval(row):
        return f"changes by {points}, from too few words to judge"
    if falls or row["low"] > 0:
        return f"{'falls' if falls else 'rises'} by {points}"
    return f"changes by {points}, which may be nothing"


def _paper(rows: pd.DataFrame, first: float, last: float, random: float, share_grows: bool) -> str:
    """What the paper's own statistic says of depth and of training, beside a share that surely grows or does not."""
    twins = rows[(rows["quantity"] == "discrimination") & (rows["weights"] == "twin")]
    twin = twins.sort_values(["step", "layer"])["estimate"].iloc[-1]
    grow = last < first  # perfect clusters have -1
    unlike = ", unlike the share that is named right" if share_grows != grow else ""
    return (
        "The paper's discrimination value, which has no interval here and so decides nothing, is "
        f"{first:z.3f} at layer 0, {last:z.3f} in the last layer, {random:z.3f} with random weights and {twin:z.3f} in "
        f"the trained twin: by it classes {'grow' if grow else 'do not grow'} with depth{unlike}."
    )


def claims(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows for `instruments.claims`, from `class_checkpoints.by_layer`. Primary is the state before a word, against
    the same layer without training.
    """
    for row in table[table["quantity"].isin(list(CLAIMS))].to_dict("records"):
        claim, paper = CLAIMS[row["quantity"]]
        of_twin, since = row["weights"] == "twin", row["quantity"] in (SINCE_RANDOM, SINCE_FIRST)
        facts = {"claim": claim, "paper": paper, "reading": f"{row['reading']} the word", "unit": WORDS}
        facts |= {"probe": f"nearest class, {row['quantity']}", "clusters": row["n"]}
        facts |= {"primary": row["reading"] == "before" and not since}
        facts |= {"model": f"{row['model']} twin" if of_twin else row["model"]}
        yield facts | effect(row)
