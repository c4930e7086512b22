"""What the information capacity of each model is made of, and whether it puts models in the same order for other
constants, other texts and another unit.

All models read the same texts, so their differences are formed text by text: replicates of the bootstrap draw the same
texts for all of them.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.studies.output.capacity import BYTE, PUBLISHED, aligning_constant, information_capacity
from bitskept.theory.intervals import derived_interval, ratio_interval
from bitskept.theory.statistics import cluster_bootstrap

ALL = "all texts"
PER_BYTE = "saved per byte"
"""A share of each byte, over log2 of the operations for a byte: no token is in it."""
FACTS = ["model", "text", "quantity", "constant", "estimate", "low", "high", "unit", "n"]
PARTS = ("size", "tokenizer alone", "gain")
"""Bits per token: the size of the text; what is saved of it by a distribution that gives all types of the vocabulary
the same probability, which needs no model; and what the model saves.
"""
CAPACITY = "information capacity"


@makes_table
def summary(costs: pd.DataFrame, constants: list[float], *, seed: int) -> pd.DataFrame:
    """What the figure shows, from a table of `capacity.costs`: `PARTS`, bits per byte and operations of each model by
    kind of text, and its information capacity by constant (`with_usual`); columns `FACTS`. n counts texts.
    """
    rows, every = [], with_usual(constants)
    for (model, text), part in by_text(costs):
        tokens, bits, bytes_ = (part[name].to_numpy(float) for name in ("tokens", "bits", "bytes"))
        size, alone = BYTE * bytes_, BYTE * bytes_ - tokens * np.log2(part["types"].iloc[0])
        facts = {"model": model, "text": text, "n": len(part)}
        sums = np.stack([size, alone, size - bits])
        ends = np.stack(ratio_interval(sums, tokens, seed=seed))
        for place, name in enumerate(PARTS):
            numbers = {"estimate": sums[place].sum() / tokens.sum(), "low": ends[0, place], "high": ends[1, place]}
            rows.append(facts | {"quantity": name, "unit": "bits per token"} | numbers)
        low, high = ratio_interval(bits, bytes_, seed=seed)
        rate = {"quantity": "bits per byte", "unit": "bits per byte", "estimate": bits.sum() / bytes_.sum()}
        rows.append(facts | rate | {"low": low, "high": high})
        operations = float(part["operations"].iloc[0])
        rows.append(facts | {"quantity": "operations", "unit": "operations per token", "estimate": operations})
        gain = rows[-3]
        for constant in every:
            values = {
                name: information_capacity(gain[name], operations, constant) for name in ("estimate", "low", "high")
            }
            unit = "bits per token, for each doubling of operations"
            rows.append(facts | {"quantity": CAPACITY, "constant": constant, "unit": unit} | values)
    return pd.DataFrame(rows, columns=FACTS)


def with_usual(constants: list[float]) -> list[float]:
    """The constants, 0 and the authors' own among them, from the highest."""
    return sorted({*constants, 0.0, PUBLISHED}, reverse=True)


def by_text(costs: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Model and kind of text (`ALL`, and each domain), and the rows of a table of `capacity.costs`."""
    whole = [((str(model), ALL), rows) for model, rows in costs.groupby("model", sort=False)]
    parts = costs.groupby(["model", "domain"], sort=False)
    return whole + [((str(model), str(domain)), rows) for (model, domain), rows in parts]


def fitted_constant(costs: pd.DataFrame, models: tuple[str, str], text: str = ALL) -> float:
    """The constant b that gives two models the same information capacity on a kind of text."""
    tables = dict(by_text(costs))
    gains, operations = zip(*(_gain(tables[model, text]) for model in models), strict=True)
    return aligning_constant(gains, operations)


def fitted_constants(costs: pd.DataFrame, models: tuple[str, str]) -> dict[str, float]:
    """`fitted_constant` on each kind of text."""
    return {text: fitted_constant(costs, models, text) for (model, text), _ in by_text(costs) if model == models[0]}


def orders(costs: pd.DataFrame, constants: list[float], *, replicates: int, seed: int) -> pd.DataFrame:
    """The difference of each pair of models, the first in the table less the second, in information capacity for each
    constant and kind of text, and, for the constant 0, per byte (`PER_BYTE`).

    Columns: first, second, text, quantity, constant, estimate, low, high, n; an interval without 0 decides the order.
    """
    tables, rows, options = dict(by_text(costs)), [], {"replicates": replicates, "seed": seed}
    texts = list(dict.fromkeys(text for _, text in tables))
    for first, second in combinations(costs["model"].unique(), 2):
        for text in texts:
            pair = [tables[model, text] for model in (first, second)]
            facts = {"first": first, "second": second, "text": text, "n": len(pair[0])}
            for constant in with_usual(constants):
                kind = {"quantity": CAPACITY, "constant": constant}
                rows.append(facts | kind | _difference(pair, constant, **options))
            rows.append(facts | {"quantity": PER_BYTE} | _difference(pair, None, **options))
    return pd.DataFrame(rows)


def changed(differences: pd.DataFrame, settings: list[pd.Series]) -> int:
    """The number of pairs whose order is sure and opposite in two of these settings, each a mask of `orders`' rows."""
    signs = []
    for setting in settings:
        rows = differences[setting].set_index(["first", "second"])
        signs.append(np.sign(rows["estimate"]).where((rows["low"] > 0) | (rows["high"] < 0), 0))
    table = pd.concat(signs, axis=1)
    return int(((table.max(axis=1) > 0) & (table.min(axis=1) < 0)).sum())


def _gain(rows: pd.DataFrame) -> tuple[float, float]:
    gain = (BYTE * rows["bytes"] - rows["bits"]).sum() / rows["tokens"].sum()
    return float(gain), float(rows["operations"].iloc[0])


def _difference(pair: list[pd.DataFrame], constant: float | None, *, replicates: int, seed: int) -> dict[str, float]:
    drawn = [_capacities(rows, constant, replicates, seed) for rows in pair]
    estimate = float(drawn[0][0] - drawn[1][0])
    low, high = derived_interval(drawn[0][1:] - drawn[1][1:], estimate, len(pair[0]))
    return {"estimate": estimate, "low": low, "high": high}


def _capacities(rows: pd.DataFrame, constant: float | None, replicates: int, seed: int) -> Float[np.ndarray, " value"]:
    """The estimate and its replicates; per byte where there is no constant."""
    saved, operations = (BYTE * rows["bytes"] - rows["bits"]).to_numpy(float), float(rows["operations"].iloc[0])
    sizes = rows["tokens" if constant is not None else "bytes"].to_numpy(float)
    gains = np.append(saved.sum() / sizes.sum(), cluster_bootstrap(saved, sizes, replicates=replicates, seed=seed))
    if constant is None:
        return gains / np.log2(operations * rows["tokens"].sum() / rows["bytes"].sum())
    return (gains + constant) / np.log2(operations)
