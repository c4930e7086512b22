"""The claims of the first paper (Wang, Ding and Zou 2025) as rows with an outcome, under every reading and setting."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.studies.layer_sweep.bits_by_layer import READINGS, amounts, at_last_layer
from bitskept.studies.layer_sweep.forgetting import READS, by_setting
from bitskept.theory.intervals import POWER

RISE, LOSE = "first enhanced: bits rise from a layer to a later one", "then discarded: late layers lose bits"
ENHANCED = "first enhanced: the best inner layer tells more of the sentence than the first"
DISCARDED = "then discarded: the best inner layer tells more of the sentence than the last"
LAYERS = {"rise": RISE, "late_forgetting": LOSE, "peak_rise": ENHANCED, "peak_fall": DISCARDED}
"""The claim that each contrast between layers tests."""
HALVES = {RISE: "enhanced", LOSE: "discarded", ENHANCED: "enhanced", DISCARDED: "discarded"}
"""The half of the paper's claim that each of them is about."""
PRIMARY = ("token", "window", "bag: mean")
PROTECTS = "training protects the token"
AFTER_MASKING = "after masked training the last layer keeps more of the token than before"
RULES = {"continued": "BERT's rule", "mask only": "mask only"}
KEEPS = "encoders keep more than decoders"
PAIRS = 6
"""With fewer, no result of the exact test over pairs is significant on either side."""
BITS, SHARE = 0.1, 0.02
"""The least difference that counts: of bits per token between layers, and of shares."""
RELEVANT = {"bits per token": BITS, "usable share": SHARE, "share of H(X)": SHARE}
"""The same by unit."""


@makes_table
def claims(trained: pd.DataFrame, random: pd.DataFrame, masked: pd.DataFrame) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`, and for those about layers the number of `layers` that were
    read, from which the two are chosen: about layers from the sweeps of the trained models, that training protects the
    token from `controls.differences` (`random`), that the last layer keeps more of it after masked training from
    `masked_training.gains` (`masked`), and that encoders keep more than decoders.

    The primary rows about layers are one family for Holm's correction, and so are those about random copies and
    about masked training; all other rows have their own p.
    """
    layers = pd.DataFrame(_layers(trained))
    layers["primary"] = _primary(layers) & layers["main"]
    layers["family"] = np.where(layers["primary"], "primary", None)
    shares = pd.DataFrame([*_protects(random), *_after_masking(masked)])
    shares["family"] = outcomes.without_brackets(shares["claim"])
    shares = pd.concat([shares, pd.DataFrame(_in_pairs(trained)).assign(family=None)], ignore_index=True)
    keeps = pd.DataFrame(kept_by_kind(trained), columns=outcomes.COLUMNS)
    keeps["primary"] = _primary(keeps)
    about = outcomes.table(layers, relevant=RELEVANT).assign(layers=layers["layers"])
    tables = about, outcomes.table(shares, relevant=RELEVANT), keeps
    return pd.concat([part for part in tables if len(part)], ignore_index=True).astype({"layers": "Int64"})


def _primary(rows: pd.DataFrame) -> pd.Series:
    """Which rows are primary: those under the readings `PRIMARY`, by the centroid with all text."""
    most = rows.groupby("model")["train_sentences"].transform("max")
    return rows["reading"].isin(PRIMARY) & (rows["probe"] == "centroid") & (rows["train_sentences"] == most)


def primary(table: pd.DataFrame) -> pd.Series:
    """Which rows of `claims` are the primary ones about layers."""
    return table["primary"] & about_layers(table)


def about_layers(table: pd.DataFrame) -> pd.Series:
    """Which rows are about rises and falls between layers, those that were not tested among them."""
    return table["claim"].str.startswith(tuple(LAYERS.values()))


def with_layers(table: pd.DataFrame) -> pd.DataFrame:
    """The table, with the number of layers in the name of a reading that had fewer than its model has."""
    layers = table["layers"].astype("Int64")  # numbers with a point in a table that was read from a file
    most = layers.groupby(table["model"]).transform("max")
    few = (layers < most).fillna(False).astype(bool)
    counted = table["reading"] + " (" + layers.astype(str) + " of " + most.astype(str) + " layers)"
    return table.assign(reading=table["reading"].mask(few, counted))


def settings(table: pd.DataFrame) -> pd.DataFrame:
    """The other rows about layers, each with the `half` of the claim and the `kind` of reading (token, window or bag).
    `same` says whether a row asks the primary question with another probe or amount of text or, for the bag, between
    any two layers; another pooling and the place of a word ask another question of the vector of a sentence.
    """
    rows = table[table["claim"].isin(LAYERS.values()) & ~primary(table)]
    rows = rows.assign(kind=rows["reading"].str.replace("place", "bag").str.extract(r"(\w+)", expand=False))
    return rows.assign(half=rows["claim"].map(HALVES), same=rows["reading"].isin(PRIMARY))


def _layers(trained: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rises and falls between layers. Where a probe reads next to nothing in any layer, they are not tested."""
    for row in by_setting(trained).to_dict("records"):
        claim = LAYERS[row["quantity"]]
        if not row["best"] >= READS:
            claim += f" (to be tested: a probe that reads {READS} bits or more)"
            row |= UNTESTED
        yield _row(claim, row, reading=_reading(row))


def _protects(random: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in random.to_dict("records"):
        reading = "token" if row["reading"] == "token" else "bag: mean"
        claim = f"{PROTECTS} ({row['weights']})"
        yield _row(claim, row, paper=CONTROL, reading=reading, probe="centroid", unit="usable share")


def _after_masking(masked: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Whether more is kept after masked training than before. No other training was tried, so the claim is not that
    masking is the cause. A rule that has not been learned, and after which no more is kept, is not tested.
    """
    for row in masked.to_dict("records"):
        claim = f"{AFTER_MASKING} ({RULES[row['arm']]})"
        if not row["learned"] and not row["low"] > 0:
            claim += " (to be tested: more steps, as it has not learned from context)"
            row |= UNTESTED
        yield _row(claim, row, paper=CONTROL, reading="token")


def kept_by_kind(trained: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The mean usable share of encoders' last layers less that of decoders', by reading, probe and amount of text. Its
    unit is the model, so a few models that differ in everything leave it untested.
    """
    for facts, part in _last_layers(trained):
        means, models = part.groupby("kind")["estimate"].mean(), part["model"].nunique()
        if {"encoder", "decoder"} <= set(means.index):
            difference = {"estimate": means["encoder"] - means["decoder"], "outcome": "not tested"}
            claim = f"{KEEPS} (to be tested: pairs that differ in nothing else, {PAIRS} of them or more)"
            yield _row(claim, facts | difference | {"model": "encoders - decoders", "n": models})


def _in_pairs(trained: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The same over pairs whose ids differ in the word encoder or decoder, where there are `PAIRS` of them: the mean
    difference with Student's interval, and the share of all changes of sign that give as large a mean.
    """
    for facts, part in _last_layers(trained):
        shares = part.set_index("model")["estimate"].astype(float)
        others = {model: model.replace("encoder", "decoder") for model in shares.index if "encoder" in model}
        gaps = np.array([shares[model] - shares[other] for model, other in others.items() if other in shares.index])
        if (number := len(gaps)) < PAIRS:
            continue
        error, limit = gaps.std(ddof=1) / np.sqrt(number), student.ppf(0.975, number - 1)
        means = np.array(list(product((-1, 1), repeat=number))) @ gaps / number
        facts |= {"estimate": gaps.mean(), "low": gaps.mean() - limit * error, "high": gaps.mean() + limit * error}
        facts |= {"p": (means >= gaps.mean() - 1e-12).mean(), "detectable": (limit + POWER) * error}
        yield _row(f"in pairs, {KEEPS}", facts | {"model": "pairs", "n": number})


def _last_layers(trained: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The usable shares of all models' last layers, for each reading, probe and amount of text."""
    rows = at_last_layer(trained[(trained["quantity"] == "usable_share") & ~trained["shuffled"].astype(bool)])
    rows = rows[rows["group"].isna() & rows["reading"].isin(READINGS)]
    rows = rows.assign(amount=amounts(rows))
    for (reading, pooling, probe, _), part in rows.groupby(["reading", "pooling", "probe", "amount"], dropna=False):
        facts = {"reading": _reading({"reading": reading, "pooling": pooling}), "probe": probe, "unit": "usable share"}
        yield facts | {"train_sentences": part["train_sentences"].max()}, part


def _reading(row: dict[str, Any]) -> str:
    """Reading, place and pooling in one name: "token", "bag: mean", "place 1: last"."""
    name = f"place {row['position'] + 1:.0f}" if row["reading"] == "place" else row["reading"]
    return name if pd.isna(row["pooling"]) else f"{name}: {row['pooling']}"


def _row(claim: str, row: dict[str, Any], **facts: Any) -> dict[str, Any]:
    names = ("model", "reading", "probe", "train_sentences", "estimate", "low", "high", "p", "unit", "detectable")
    values = {name: row.get(name) for name in (*names, "outcome", "main", "layers") if name in row}
    return {"paper": "P1", "claim": claim, "clusters": row["n"]} | values | facts
