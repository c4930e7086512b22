"""Soft information of states and texts that one makes up: what an estimator says where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped

from bitskept.measure.compression import tidy
from bitskept.measure.labels import Labels, k_grams
from bitskept.measure.soft_entropy import Anchors, SoftEntropy, SoftInformation
from bitskept.measure.states import Encoding
from bitskept.theory.statistics import interval


def soft_information(
    states: Float[np.ndarray, "token dim"],
    labels: Mapping[str, Shaped[np.ndarray, " token"]],
    sentences: Int[np.ndarray, " token"] | None = None,
    *,
    anchors: int = 100,
    seed: int = 0,
) -> SoftInformation:
    """Of one layer of states about label sets; without `sentences`, each token is drawn by itself.

    ValueError as `Labels.build` and `SoftEntropy`.
    """
    owners = np.arange(len(states)) if sentences is None else sentences
    built = Labels.build(labels, owners, rows=len(states) * len(labels), seed=seed)
    one = SoftEntropy(Anchors.draw(anchors, states.shape[1], seed=seed), built, 1, seed=seed)
    places = np.arange(len(states))
    one.open(places)
    one.update(torch.from_numpy(states)[None], places)
    return one.evaluate()


def planted(
    classes: int, each: int, *, dim: int = 64, strength: float = 1.0, seed: int = 0
) -> tuple[Float[np.ndarray, "token dim"], Int[np.ndarray, " token"]]:
    """States that are their label's centre, `strength` times as long as the noise around it; `each` of every label."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = strength * random.standard_normal((classes, dim))
    return (centres[labels] + random.standard_normal((len(labels), dim))).astype(np.float32), labels


def rows(found: SoftInformation, **facts: Any) -> pd.DataFrame:
    """One row a label set and kind (raw, corrected, extrapolated), in bits, each with these facts."""
    table = []
    for name, information in found.sets.items():
        for kind in ("raw", "corrected", "extrapolated"):
            figure = getattr(information, kind)
            low, high = interval(figure.draws[:, 0])
            ends = {"estimate": figure.estimate[0], "low": low, "high": high}
            table.append({"labels": name, "kind": kind} | ends | facts)
    return pd.DataFrame(table)


def zipf_text(tokens: int, *, types: int, length: int = 20, seed: int = 0) -> Encoding:
    """Sentences of independent tokens; the type of rank r has a probability proportional to 1 / r (Zipf 1935)."""
    weights = 1 / np.arange(1, types + 1)
    drawn = np.random.default_rng(seed).choice(types, (tokens // length, length), p=weights / weights.sum())
    return Encoding(list(drawn), list(np.ones(drawn.shape, bool)), 0)


def of_k_grams(
    states: Float[np.ndarray, "token dim"], text: Encoding, widths: Sequence[int], *, anchors: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Complexity, expressivity and optimality of states, one for each token of a text, with the columns of `tidy`."""
    labels, sentences = k_grams(text, widths)
    return tidy(soft_information(states, labels, sentences, anchors=anchors, seed=seed), widths)
