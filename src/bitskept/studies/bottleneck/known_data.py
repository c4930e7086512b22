"""What the estimator shows for artificial states, where the truth is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy.accumulator import SoftEntropy, SoftInformation
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.compression import KINDS, tidy_rows
from bitskept.instruments.soft_entropy.labels import Labels, k_grams
from bitskept.instruments.states import Encoding
from bitskept.studies.bottleneck.estimator import clouds
from bitskept.theory.statistics import percentiles

ANCHORS = 100


@makes_table
def known(seed: int) -> pd.DataFrame:
    """Information about 64 planted labels with more and more states each; about more and more labels of 4,096 states,
    planted and shuffled; and complexity, expressivity and optimality of pure noise. Computed by
    `instruments.soft_entropy.accumulator.SoftInformation`.
    """
    random, parts = np.random.default_rng(seed), []
    clouds(random)  # the numbers below are those that this generator draws after the circle's
    for each in (2, 4, 8, 16, 32, 64, 128):
        states, labels = planted(64, each, seed=seed)
        parts.append(rows(soft_information(states, {"planted": labels}), states_a_label=each, classes=64))
    for classes in (2, 8, 32, 128, 512):
        each = 4096 // classes
        states, labels = planted(classes, each, seed=seed)
        information = soft_information(states, {"planted": labels, "shuffled": random.permutation(labels)})
        parts.append(rows(information, states_a_label=each, classes=classes))
    noise = random.standard_normal((6000, 64), dtype=np.float32)
    of_noise = of_k_grams(noise, zipf_text(6000, types=3000, seed=seed), (1, 2, 3, 4), seed=seed)
    return pd.concat([pd.concat(parts).astype({"estimate": float, "low": float, "high": float}), of_noise])


def on_noise(known: pd.DataFrame) -> pd.DataFrame:
    """The numbers of pure noise, by the width of the label."""
    wanted = ["complexity", "complexity_floor", "complexity_corrected", "optimality", "optimality_corrected"]
    noise = known.dropna(subset="width").astype({"width": int, "estimate": float})
    return noise.pivot(index="width", columns="quantity", values="estimate")[[*wanted, "unique_input"]]


def planted(classes: int, each: int, *, seed: int) -> tuple[Float[np.ndarray, "token dim"], Int[np.ndarray, " token"]]:
    """States in 64 dimensions that are their label's centre plus noise of the same length; `each` of every label."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = random.standard_normal((classes, 64))
    return (centres[labels] + random.standard_normal((len(labels), 64))).astype(np.float32), labels


def zipf_text(tokens: int, *, types: int, seed: int) -> Encoding:
    """Sentences of 20 independent tokens; the type of rank r has a probability proportional to 1 / r (Zipf 1935)."""
    weights = 1 / np.arange(1, types + 1)
    drawn = np.random.default_rng(seed).choice(types, (tokens // 20, 20), p=weights / weights.sum())
    return Encoding(list(drawn), list(np.ones(drawn.shape, bool)), 0)


def soft_information(
    states: Float[np.ndarray, "token dim"],
    labels: Mapping[str, Shaped[np.ndarray, " token"]],
    sentences: Int[np.ndarray, " token"] | None = None,
    *,
    seed: int = 0,
) -> SoftInformation:
    """The information of one layer of states about each label set. Without `sentences` each token is resampled alone.

    ValueError as `Labels.build` and `SoftEntropy`.
    """
    places = np.arange(len(states))
    built = Labels.build(labels, places if sentences is None else sentences, rows=len(states) * len(labels), seed=seed)
    soft = SoftEntropy(Anchors.draw(ANCHORS, states.shape[1], seed=seed), built, 1, seed=seed)
    soft.open(places)
    soft.add(soft.anchors.assign(torch.from_numpy(states)[None]), places)
    return soft.evaluate()


def rows(information: SoftInformation, **facts: Any) -> pd.DataFrame:
    """One row for each label set and kind (raw, corrected, extrapolated), in bits, each with these facts."""
    table = []
    for labels, by_kind in information.sets.items():
        for kind in KINDS.values():
            value = getattr(by_kind, kind)
            low, high = percentiles(value.draws[:, 0])
            ends = {"estimate": value.value[0], "low": low, "high": high}
            table.append({"labels": labels, "kind": kind} | ends | facts)
    return pd.DataFrame(table)


def of_k_grams(
    states: Float[np.ndarray, "token dim"], text: Encoding, widths: Sequence[int], *, seed: int
) -> pd.DataFrame:
    """Complexity, expressivity and optimality of states, one for each token of a text, by layer and width."""
    labels, sentences = k_grams(text, widths)
    table = pd.DataFrame(tidy_rows(soft_information(states, labels, sentences, seed=seed), widths))
    return table.astype({name: "Int64" for name in ("layer", "width", "n")})
