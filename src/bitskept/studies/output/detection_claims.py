"""What is claimed of the test of who wrote a text, weighed in the form of `instruments.claims`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import binomtest

from bitskept.instruments.claims import CONTROL, UNTESTED, effect
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
from bitskept.theory.intervals import EVEN, derived_interval, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap

PAPER = "Radvand et al. 2025"
TESTED_BY = " tested by "
"""Between the writer and the evaluator, which a row names as its model."""
SIZE = "the test rejects more of the model's own texts than its size"
TOLD = "the test tells the model's texts from those of others"
FALLS = "the errors of the test fall exponentially with the length of the text"
HELPS = "subtracting the entropy makes the test miss fewer texts"
ABOVE_SIZE, FOUND, SAVED, BEND = "share of own texts", "share of others' texts", "share of texts saved", "halvings"
RELEVANT = {ABOVE_SIZE: 0.05, FOUND: 0.8, SAVED: 0.1, BEND: 0.25}
"""The smallest effect that matters, by unit, fixed before the run: false alarms at 5 % above the size; the power that
one usually asks of a test; a tenth of the texts; a quarter of a halving (see `bend`).
"""

FEW = 5
"""Of fewer errors no fall can be seen."""


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
        yield row | {"claim": TOLD} | _above(called, alpha, of=0.0, unit=FOUND)
        for error, wrong in wrong_by_constant(scores, facts).items():
            yield (
                row
                | {"probe": f"constant, {PLURAL[error]}"}
                | _fall(wrong, part, scores["length"].unique(), replicates, seed)
            )
        yield row | {"paper": CONTROL, "claim": HELPS, "probe": "equal size"} | _saved(scores, facts, alpha, seed)


def bend(wrong: Bool[np.ndarray, "length text"], lengths: Any, *, replicates: int, seed: int) -> dict[str, Any]:
    """By how many halvings more the errors fall over the last doubling of the length than over the doubling before it.

    An exponential fall at r bits per token gives r · n/4 for the longest length n: it halves errors twice as often over
    the second doubling. A power of the length gives 0, a floor under the errors a negative number. Counts have 1/2
    added.
    """
    counts = wrong[_thirds(lengths)].astype(float)
    texts = counts.shape[1]
    drawn = cluster_bootstrap(counts, np.ones(texts), replicates=replicates, seed=seed)
    estimate, replicate = (_bend(shares, texts) for shares in (counts.mean(1), drawn))
    low, high = derived_interval(replicate, float(estimate), texts)
    return effect({"estimate": estimate, "low": low, "high": high}) | {"unit": BEND}


def _fall(
    wrong: Bool[np.ndarray, "length text"], part: pd.DataFrame, lengths: Any, replicates: int, seed: int
) -> dict[str, Any]:
    """The row of one error. It is tested only if the writer's mean T is surely off 0, as the threshold is half of it,
    and if the error fell enough over the last doubling for an exponential to show the `RELEVANT` bend: twice as much.
    Where hardly a text was wrong before that doubling, it takes more texts to see a fall, and elsewhere longer ones.
    """
    values = ((part["surprisal"] - part["entropy"]) / part["length"]).to_numpy()
    low, high = ratio_interval(values, np.ones(len(values)), least=EVEN, seed=seed)
    if not (low > 0 or high < 0):
        return {"claim": f"{FALLS} (to be tested: a writer whose mean is off 0)", "unit": BEND} | UNTESTED
    half, whole = _logs(wrong[_thirds(lengths)].mean(1), wrong.shape[1])[1:]
    if whole - half < 2 * RELEVANT[BEND]:
        scarce = wrong[_thirds(lengths)[1]].sum() < FEW
        return {"claim": f"{FALLS} (to be tested: {'more' if scarce else 'longer'} texts)", "unit": BEND} | UNTESTED
    return {"claim": FALLS} | bend(wrong, lengths, replicates=replicates, seed=seed)


def _thirds(lengths: Any) -> list[int]:
    """The places of the lengths nearest to a quarter, a half and all of the longest, in their order of size."""
    order = np.sort(lengths)
    return [int(np.abs(order - order[-1] * share).argmin()) for share in (0.25, 0.5, 1)]


def _logs(shares: Float[np.ndarray, "*batch length"], texts: int) -> Float[np.ndarray, "*batch length"]:
    return -np.log2((shares * texts + 0.5) / (texts + 1))


def _bend(shares: Float[np.ndarray, "*batch length"], texts: int) -> Float[np.ndarray, "*batch"] | np.floating:
    logs = _logs(shares, texts)
    return logs[..., 2] - 2 * logs[..., 1] + logs[..., 0]


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
