"""Words' classes by checkpoint of a twin and by layer of a model: tables with intervals over words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.training import twin_runs
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.sources import corpora
from bitskept.studies.output import word_classes
from bitskept.studies.output.word_classes import READINGS, WordClasses
from bitskept.theory.intervals import EVEN, ratio_interval, share_interval

COLUMNS = ["model", "weights", "step", "layer", "reading", "quantity", "estimate", "low", "high", "unit", "n"]
DEPTH, TRAINING, RANDOM = "last layer − layer 0", "last step − first", "trained − random"
SINCE_FIRST, SINCE_RANDOM = "last layer − layer 0 of the first step", "last layer − layer 0 of random weights"
"""The last layer against layer 0 without training, which before a word is nothing but the token before it."""
QUANTITIES = ("right", "shuffled", "discrimination")


def plan(classes: WordClasses, corpus: str, seed: int, dtype: str) -> word_classes.Plan:
    """What is measured of a model."""
    sizes = {name: getattr(classes, name) for name in ("sentences", "most", "least", "layers", "longest", "shuffles")}
    return word_classes.Plan(corpus, classes.classes, **sizes, seed=seed, dtype=dtype)


def twin_plan(classes: WordClasses, training: TwinTraining) -> word_classes.Plan:
    """What is measured of a twin: all its layers, on sentences that it was not trained on."""
    sizes = {name: getattr(classes, name) for name in ("most", "least", "shuffles")}
    sizes |= {"sentences": min(classes.sentences, training.held_out), "longest": min(classes.longest, training.longest)}
    return word_classes.Plan(training.corpus, classes.classes, **sizes, seed=training.seed, dtype="float32")


def measure(
    training: TwinTraining, names: Sequence[str], seeds: Sequence[int], *, classes: WordClasses
) -> pd.DataFrame:
    """`word_classes.measure` of all checkpoints of these twins, which are trained now if they are missing; `step` and
    `twin` beside its columns.
    """
    trained, asked = twin_runs.checkpoints(training, names, seeds), twin_plan(classes, training)
    corpora.fetch(training.corpus)
    made = word_classes.measure.each([(id, asked, None) for id in trained["id"]])
    steps = trained[["twin", "step"]].to_dict("records")
    return pd.concat([table.assign(**step) for table, step in zip(made, steps, strict=True)], ignore_index=True)


@makes_table
def by_layer(trained: pd.DataFrame, randoms: Sequence[pd.DataFrame], twins: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What `word_classes.measure` found, over words: of a model by layer, of its random copies together, and of a twin
    by checkpoint and layer. Columns: `COLUMNS`, where `weights` is "trained", "random" or "twin" and `n` counts words.

    Quantities: `right` and `shuffled`, the mean over words of the share of their uses; `discrimination`, without an
    interval; and the difference of `right` between the last layer and layer 0 (`DEPTH`), between the trained model and
    its random copies (`RANDOM`) and between the last checkpoint and the first (`TRAINING`) in the last layer, and
    against their layer 0 (`SINCE_RANDOM`, `SINCE_FIRST`).
    """
    model = {"trained": trained, "random": pd.concat(randoms)}
    tables = [(trained["model"].iloc[0], weights, table.assign(step=pd.NA)) for weights, table in model.items()]
    tables.append((twins["twin"].iloc[0], "twin", twins))
    rows = []
    for name, weights, table in tables:
        facts = {"model": name, "weights": weights}
        for (step, layer, reading), part in table.groupby(["step", "layer", "reading"], dropna=False):
            rows += [facts | {"step": step, "layer": layer, "reading": reading} | row for row in _levels(part)]
    for reading in READINGS:
        rows += [row | {"reading": reading} for row in _differences(trained, model["random"], twins, reading, seed)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"step": "Int64", "layer": "Int64", "n": "Int64"})


def _levels(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
    words = part.groupby("word")[["right", "shuffled"]].mean()
    for quantity in ("right", "shuffled"):
        low, high = share_interval(words[quantity].to_numpy(), np.ones(len(words)))
        row = {"quantity": quantity, "estimate": words[quantity].mean(), "low": low, "high": high, "unit": "share"}
        yield row | {"n": len(words)}
    value = part["discrimination"].mean()
    ends = dict.fromkeys(("low", "high"), np.nan)
    yield {"quantity": "discrimination", "estimate": value, "unit": "", "n": len(words)} | ends


def _differences(
    trained: pd.DataFrame, random: pd.DataFrame, twins: pd.DataFrame, reading: str, seed: int
) -> Iterator[dict[str, Any]]:
    twin, first, last = twins["twin"].iloc[0], twins["step"].min(), twins["step"].max()
    start, end = (twins[twins["step"] == step] for step in (first, last))
    name = trained["model"].iloc[0]
    of_model, of_twin = {"model": name, "weights": "trained"}, {"model": twin, "weights": "twin", "step": last}
    for facts, table, kinds in (
        (of_model, trained, ((DEPTH, trained, 0), (RANDOM, random, -1), (SINCE_RANDOM, random, 0))),
        (of_twin, end, ((DEPTH, end, 0), (TRAINING, start, -1), (SINCE_FIRST, start, 0))),
    ):
        for quantity, less, lower in kinds:
            yield facts | {"quantity": quantity} | _difference(table, less, reading, seed, lower)


def _difference(more: pd.DataFrame, less: pd.DataFrame, reading: str, seed: int, lower: int) -> dict[str, Any]:
    """The mean over words of the difference in `right` between the last layer of a table and a layer of another one, by
    its place in the list of layers.
    """
    sides = []
    for table, place in ((more, -1), (less, lower)):
        layer = sorted(table["layer"].unique())[place]
        rows = table[(table["layer"] == layer) & (table["reading"] == reading)]
        sides.append(rows.groupby("word")["right"].mean())
    gaps = (sides[0] - sides[1]).to_numpy(float)
    low, high = ratio_interval(gaps, np.ones(len(gaps)), least=EVEN, seed=seed)
    return {"estimate": gaps.mean(), "low": low, "high": high, "unit": "share", "n": len(gaps)}
