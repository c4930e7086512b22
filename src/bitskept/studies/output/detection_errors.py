"""How often a test of who wrote a text errs, by the length of the text, and how its statistic concentrates.

Wherever a threshold has to be found on texts, it is found on those with odd numbers and used on those with even ones,
and the other way around, so no text is judged by a threshold that it helped to set.
"""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.studies.output.detection import NAMES, OWN, TEXT
from bitskept.theory.intervals import EVEN, ratio_interval, share_interval

Z, CONSTANT = "z of known variance", "a constant threshold"
LESS_ENTROPY, PLAIN = "less entropy, own texts known", "log-perplexity, own texts known"
"""The tests. z needs no other texts. The constant is half of the other writer's mean T at the longest length. The last
two take mean and spread of their statistic from the model's own texts.
"""
ALARM, MISS = "false alarm", "miss"
PLURAL = {ALARM: "false alarms", MISS: "misses"}
ERRORS = [*NAMES, "test", "length", "error", "estimate", "low", "high", "unit", "n"]


@makes_table
def summary(scores: pd.DataFrame, alpha: float, *, replicates: int, seed: int) -> pd.DataFrame:
    """What the figure shows: `concentration` and `errors` of a table of `detection.scores`, in one table with a column
    `panel`.
    """
    parts = {"concentration": concentration(scores, replicates=replicates, seed=seed), "errors": errors(scores, alpha)}
    return pd.concat([table.assign(panel=name) for name, table in parts.items()], ignore_index=True)


def errors(scores: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Both errors of each test by length: columns `ERRORS`. False alarms have the evaluator itself as `writer`, except
    for the constant, which depends on the writer that it tells from the evaluator. Intervals are those of shares, over
    texts, of which there are n.
    """
    rows, lengths = [], scores["length"].unique()
    for names, texts in scores.groupby(NAMES, sort=False):
        facts = dict(zip(NAMES, names, strict=True))
        error = ALARM if facts["writer"] == OWN else MISS
        for length, part in texts.groupby("length"):
            own = of_writer(scores, facts["evaluator"], OWN, length)
            for test in (Z, LESS_ENTROPY, PLAIN):
                called = rejected(part, own, test, alpha)
                about = {"test": test, "length": length, "error": error}
                rows.append(facts | about | _share(called if error == ALARM else ~called))
        if error == MISS:
            for name, wrong in wrong_by_constant(scores, facts).items():
                about = {"test": CONSTANT, "error": name}
                rows += [
                    facts | about | {"length": each} | _share(row) for each, row in zip(lengths, wrong, strict=True)
                ]
    return pd.DataFrame(rows, columns=ERRORS)


def rejected(texts: pd.DataFrame, own: pd.DataFrame, test: str, alpha: float) -> Bool[np.ndarray, " text"]:
    """Whether the test of size `alpha` says of each text that the model did not write it; `own` are the model's texts
    of the same length.
    """
    limit = norm.isf(alpha / 2)
    if test == Z:
        return ((texts["surprisal"] - texts["entropy"]).abs() > limit * np.sqrt(texts["varentropy"])).to_numpy()
    value, known = (_mean(table) if test == LESS_ENTROPY else _mean(table, entropy=0) for table in (texts, own))
    folds, known_folds = texts["text"].to_numpy() % 2, own["text"].to_numpy() % 2
    others = [known[known_folds != fold] for fold in (0, 1)]
    mean, spread = (np.array([getattr(np, name)(rows) for rows in others]) for name in ("mean", "std"))
    return abs(value - mean[folds]) > limit * spread[folds]


def concentration(scores: pd.DataFrame, *, replicates: int, seed: int) -> pd.DataFrame:
    """The mean of T over texts by length; the spread (standard deviation) of T; the spread that it would have over the
    model's own texts, √(mean of ΣV) / length; and the mean entropy of its distributions along the texts. Columns:
    `NAMES`, length, quantity, estimate, low, high, unit, n.
    """
    rows = []
    for names, part in scores.groupby([*NAMES, "length"], sort=False):
        facts, length = dict(zip([*NAMES, "length"], names, strict=True)), int(names[-1])
        values, expected = _mean(part), part["varentropy"].to_numpy() / length**2
        centred = (values - values.mean()) ** 2
        low, high = ratio_interval(values, np.ones(len(values)), least=EVEN, replicates=replicates, seed=seed)
        variances = ratio_interval(np.stack([centred, expected]), np.ones(len(values)), seed=seed)
        spread = np.sqrt(np.maximum(0, variances))
        shared = facts | {"unit": "bits per token", "n": len(values)}
        uncertain = (part["entropy"] / length).to_numpy()
        least, most = ratio_interval(uncertain, np.ones(len(values)), least=EVEN, replicates=replicates, seed=seed)
        found = {"entropy": (uncertain.mean(), least, most), "mean": (values.mean(), low, high)}
        theory = np.sqrt(expected.mean())
        found |= {"spread": (values.std(), *spread[:, 0]), "spread by theory": (theory, *spread[:, 1])}
        for quantity, (estimate, *ends) in found.items():
            rows.append(shared | {"quantity": quantity, "estimate": estimate, "low": ends[0], "high": ends[1]})
    return pd.DataFrame(rows)


def _mean(texts: pd.DataFrame, entropy: int = 1) -> Float[np.ndarray, " text"]:
    """T of each text, or its log-perplexity for `entropy` 0, in bits per token."""
    return ((texts["surprisal"] - entropy * texts["entropy"]) / texts["length"]).to_numpy()


def of_writer(scores: pd.DataFrame, evaluator: str, writer: str, length: int | np.integer) -> pd.DataFrame:
    """A writer's texts of that length, read as text whose opening is known."""
    same = (scores["evaluator"] == evaluator) & (scores["length"] == length)
    return scores[same & (scores["writer"] == writer) & (scores["reading"] == TEXT)]


def wrong_by_constant(scores: pd.DataFrame, facts: dict[str, Any]) -> dict[str, Bool[np.ndarray, "length text"]]:
    """Which texts the constant threshold gets wrong, by length: false alarms among the evaluator's own texts, and
    misses among those of the writer in `facts`. For each half of the texts the threshold is half of the writer's mean T
    over the other half, at the longest length.
    """
    lengths = scores["length"].unique()
    longest = of_writer(scores, facts["evaluator"], facts["writer"], lengths.max())
    values, folds = _mean(longest), longest["text"].to_numpy() % 2
    limits = np.array([abs(values[folds != fold].mean()) / 2 for fold in (0, 1)])
    rows: dict[str, list[np.ndarray]] = {ALARM: [], MISS: []}
    for length, (error, writer) in product(lengths, ((ALARM, OWN), (MISS, facts["writer"]))):
        texts = of_writer(scores, facts["evaluator"], writer, length)
        called = abs(_mean(texts)) > limits[texts["text"].to_numpy() % 2]
        rows[error].append(called if error == ALARM else ~called)
    return {error: np.stack(wrong) for error, wrong in rows.items()}


def _share(wrong: Bool[np.ndarray, " text"]) -> dict[str, object]:
    low, high = share_interval(wrong.astype(int), np.ones(len(wrong), dtype=int))
    return {"estimate": wrong.mean(), "low": low, "high": high, "unit": "share of texts", "n": len(wrong)}
