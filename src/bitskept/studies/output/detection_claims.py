"""What is claimed of the test of who wrote a text, weighed in the form of `instruments.claims`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import binomtest

from bitskept.instruments.claims import CONTROL, effect
from bitskept.studies.output.detection import NAMES, OWN, TEXT
from bitskept.studies.output.detection_errors import (
    LESS_ENTROPY,
    PLAIN,
    PLURAL,
    Z,
    of_writer,
    rejected,
    wrong_by_constant,
)
from bitskept.theory.intervals import derived_interval, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap

PAPER = "Radvand et al. 2025"
TESTED_BY = " tested by "
"""Between the writer and the evaluator, which a row names as its model."""
SIZE = "the test rejects more of the model's own texts than its size"
TOLD = "the test tells the model's texts from those of others"
FALLS = "the errors of the test fall exponentially with the length of the text"
HELPS = "subtracting the entropy makes the test miss fewer texts"
ABOVE_SIZE, FOUND, SAVED, HALVINGS = "share of own texts", "share of others' texts", "share of texts saved", "halvings"
RELEVANT = {ABOVE_SIZE: 0.05, FOUND: 0.8, SAVED: 0.1, HALVINGS: 0.25}
"""The smallest effect that matters, by unit, fixed before the run: false alarms at 5 % above the size; the power that
one usually asks of a test; a tenth of the texts; a quarter of a halving (see `fall`).
"""


def claims(scores: pd.DataFrame, alpha: float, *, replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of all claims, from a table of `detection.scores`, at its longest length; primary are texts whose
    opening is known.
    """
    longest = scores["length"].max()
    last = scores[scores["length"] == longest]
    for names, part in last.groupby(NAMES, sort=False):
        facts = dict(zip(NAMES, names, strict=True))
        called = rejected(part, of_writer(scores, facts["evaluator"], OWN, longest), Z, alpha)
        row = {"reading": facts["reading"], "probe": Z, "clusters": len(part)}
        row |= {"primary": facts["reading"] == TEXT}
        if facts["writer"] == OWN:
            yield row | {"paper": CONTROL, "claim": SIZE, "model": facts["evaluator"]} | _above(called, alpha)
            continue
        row |= {"paper": PAPER, "model": f"{facts['writer']}{TESTED_BY}{facts['evaluator']}"}
        yield row | {"claim": f"{TOLD} ({longest} tokens)"} | _above(called, alpha, of=0.0, unit=FOUND)
        for error, wrong in wrong_by_constant(scores, facts).items():
            halvings = fall(wrong, scores["length"].unique(), replicates=replicates, seed=seed)
            yield row | {"claim": FALLS, "probe": f"constant, {PLURAL[error]}"} | halvings
        yield row | {"paper": CONTROL, "claim": HELPS, "probe": "equal size"} | _saved(scores, facts, alpha, seed)


def fall(wrong: Bool[np.ndarray, "length text"], lengths: Any, *, replicates: int, seed: int) -> dict[str, Any]:
    """The halvings by which errors fall as an exponential does: the smaller of two numbers, which for one at r bits per
    token are both r · n/4 at the longest length n.

    One is the bend: by how many halvings more they fall over the last doubling of the length than over that before. A
    power of the length gives 0, a floor a negative number. The other is half of the fall over the last doubling:
    without it, errors that rise less and less would pass. Counts have 1/2 added.
    """
    order = np.sort(lengths)
    counts = wrong[[int(np.abs(order - order[-1] * share).argmin()) for share in (0.25, 0.5, 1)]].astype(float)
    texts = counts.shape[1]
    drawn = cluster_bootstrap(counts, np.ones(texts), replicates=replicates, seed=seed)
    estimate, replicate = (_fall(shares, texts) for shares in (counts.mean(1), drawn))
    low, high = derived_interval(replicate, float(estimate), texts)
    return effect({"estimate": float(estimate), "low": low, "high": high}) | {"unit": HALVINGS}


def _fall(shares: Float[np.ndarray, "*batch length"], texts: int) -> Float[np.ndarray, "*batch"] | np.floating:
    before, last = np.moveaxis(-np.diff(np.log2(shares * texts + 0.5)), -1, 0)
    return np.minimum(last - before, last / 2)


def _above(called: Bool[np.ndarray, " text"], alpha: float, of: float | None = None, unit: str = ABOVE_SIZE) -> dict:
    """The share of texts that is rejected, above the size (or above `of`), and the exact p of more than the size."""
    zero = alpha if of is None else of
    low, high = share_interval(called.astype(int), np.ones(len(called), dtype=int))
    p = binomtest(int(called.sum()), len(called), alpha, alternative="greater").pvalue
    numbers = {"estimate": called.mean() - zero, "low": low - zero, "high": high - zero}
    return effect(numbers, least=alpha - zero) | {"p": p, "unit": unit}


def _saved(scores: pd.DataFrame, facts: dict[str, Any], alpha: float, seed: int) -> dict[str, Any]:
    """The share of a writer's texts that log-perplexity alone misses, less that which the difference misses, both with
    thresholds from the model's own texts; p by McNemar's exact test (1947), one-sided.
    """
    longest = scores["length"].max()
    texts, own = (of_writer(scores, facts["evaluator"], name, longest) for name in (facts["writer"], OWN))
    plain, less = (rejected(texts, own, test, alpha) for test in (PLAIN, LESS_ENTROPY))
    saved = less.astype(float) - plain
    low, high = ratio_interval(saved, np.ones(len(saved)), seed=seed)
    better, worse = int((saved > 0).sum()), int((saved < 0).sum())
    p = binomtest(better, better + worse, alternative="greater").pvalue if better + worse else 1.0
    numbers = effect({"estimate": saved.mean(), "low": low, "high": high})
    return numbers | {"unit": SAVED, "p": p if not np.isnan(low) else np.nan}
