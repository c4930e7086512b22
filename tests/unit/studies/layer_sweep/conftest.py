"""A sweep's table in small, with the columns and the kinds of rows of the real one."""

from itertools import product

import pandas as pd
import pytest

MODELS = {"a": "encoder", "b": "encoder", "c": "decoder"}
SLOPES = {"a": 0.02, "b": 0.05, "c": 0.1}
LAYERS, SIDE, SIZES = (0, 1, 2, 3, 4), (0, 2, 4), (40, 80)
POOLINGS = ("mean", "mean without first", "last")
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "layer", "other", "reading", "pooling", "position", "shuffled"),
    *("probe", "train_sentences", "group", "quantity", "estimate", "low", "high", "p", "detectable", "unit", "n"),
    "tokens",
]
CONTRASTS = ("rise", "late_forgetting", "forgetting", "peak_rise", "peak_fall")


def _values(model, layer, size, reading):
    """A share that falls with depth for a token, and rises and falls for the bag; more with more text."""
    share = 1 - SLOPES[model] * layer if reading in ("token", "window") else 0.2 + SLOPES[model] * layer * (4 - layer)
    return share * (0.8 if size < max(SIZES) else 1)


def _rows(model, kind, weights, seed, sizes, poolings, probes, factor=1.0):
    readings = [("token", None, None, probe) for probe in probes]
    readings += [("window", None, None, "centroid")] if weights == "trained" else []
    readings += [("bag", pooling, None, "centroid") for pooling in poolings]
    named = poolings if weights != "trained" else (*poolings, "mean of the others")
    readings += [("place", pooling, place, "centroid") for place in (0, 1) for pooling in named]
    for (reading, pooling, place, probe), size in product(readings, sizes):
        facts = {"model": model, "kind": kind, "weights": weights, "seed": seed, "corpus": "x", "reading": reading,
                 "pooling": pooling, "position": place, "shuffled": False, "probe": probe, "train_sentences": size,
                 "n": 50, "tokens": 1000}  # fmt: skip
        for layer in LAYERS if size == max(SIZES) else SIDE:
            share = factor * _values(model, layer, size, reading) * (0.5 if probe == "ridge" and layer else 1)
            for quantity, value, unit in (
                ("usable_share", share, "usable share"),
                ("usable", 8 * share, "bits per token"),
                ("cross_entropy_bound", 8 * share, "bits per token"),
                ("retained_cross_entropy", share, "share of H(X)"),
                ("retained_fano", share - 0.1, "share of H(X)"),
                ("bits_per_character", 2 * share, "bits per character"),
            ):
                ends = {"low": value - 0.02, "high": value + 0.02, "unit": unit}
                yield facts | {"layer": layer, "quantity": quantity, "estimate": value} | ends
        for quantity in CONTRASTS if weights == "trained" else ():
            value = 0.01 if quantity == "rise" else 0.8
            ends = {"low": value - 0.05, "high": value + 0.05, "p": 0.5 if quantity == "rise" else 0.001}
            ends |= {"detectable": 0.1, "unit": "bits per token", "layer": 2, "other": 4}
            yield facts | {"quantity": quantity, "estimate": value} | ends


def _table(rows):
    table = pd.DataFrame(list(rows), columns=COLUMNS).assign(depth=lambda rows: rows["layer"] / max(LAYERS))
    return table.astype({name: "Int64" for name in ("seed", "layer", "other", "position", "train_sentences")})


@pytest.fixture(scope="session")
def trained():
    """The sweeps of two encoders and a decoder."""
    rows = []
    for model, kind in MODELS.items():
        rows += (of_model := list(_rows(model, kind, "trained", None, SIZES, POOLINGS, ("centroid", "ridge"))))
        first = of_model[0]
        rows.append(
            {"model": model, "kind": kind, "weights": "trained", "reading": "token", "probe": "centroid",
             "shuffled": False, "train_sentences": max(SIZES), "quantity": "entropy", "estimate": 8.0, "low": 7.9,
             "high": 8.1, "unit": "bits per token", "n": 50, "tokens": 1000}
        )  # fmt: skip
        rows.append(first | {"shuffled": True, "quantity": "cross_entropy_bound", "estimate": 0.01, "high": 0.02})
        for name, value in (("one token for all models: yes", 6.0), ("word class: number", 0.5), ("domain: x", 0.7)):
            quantity = "usable" if value > 1 else "recovered"
            for layer in LAYERS:
                facts = {"layer": layer, "group": name, "quantity": quantity, "estimate": value - layer / 10}
                rows.append(
                    first | {"train_sentences": max(SIZES)} | facts
                    | {"low": value - layer / 10 - 0.1, "high": value - layer / 10 + 0.1}
                )  # fmt: skip
        rows.append(rows[-1] | {"layer": None, "group": "one token for all models: yes", "quantity": "entropy",
                                "estimate": 7.0})  # fmt: skip
    return _table(rows)


@pytest.fixture(scope="session")
def copies():
    """The same models and their random copies with the smaller number of training sentences: two seeds, and one other
    scale. Those of the decoder keep nothing as configured."""
    rows = []
    for model, kind in MODELS.items():
        for seed, weights in ((None, "trained"), (0, "random"), (1, "random"), (0, "random: both")):
            factor = {"trained": 1, "random": 0.1 if kind == "decoder" else 1.2}.get(weights, 1.2)
            rows += _rows(model, kind, weights, seed, SIZES[:1], ("mean",), ("centroid",), factor)
    return _table(rows)


@pytest.fixture(scope="session")
def masked():
    """As of `masked_training.gains`: more is kept after one rule, the other has learned nothing."""
    row = {"model": "a", "probe": "centroid", "n": 50, "unit": "share of H(X)", "train_sentences": 40}
    yes = {"arm": "continued", "learned": True, "estimate": 0.2, "low": 0.15, "high": 0.25, "p": 0.001}
    none = {"arm": "mask only", "learned": False, "estimate": -0.1, "low": -0.2, "high": 0.01, "p": 0.9}
    return pd.DataFrame([row | part | {"detectable": 0.05} for part in (yes, none)])
