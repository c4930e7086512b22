"""A reward that readers can check by eye, the share of words that are on a list, and what more of it costs in bits."""

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.theory import rate_reward
from bitskept.theory.intervals import derived_interval

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
GOALS = 60
"""Points of the curve of least rates."""
EXCESS_REPLICATES = 300
"""Bootstrap samples of `excess`; each takes a search for the least rate."""
POINT = ["reward", "reward_low", "reward_high", "rate", "rate_low", "rate_high", "effective"]


def texts(table: pd.DataFrame) -> list[str]:
    """The continuations of a table of `continuations.flow` as texts, in order; a character cut at the end is lost."""
    once = table[table["marginal"] == table["marginal"].iloc[0]].sort_values(["sample", "position"])
    return list(once.groupby("sample")["token"].agg("".join))


def share_of_words(texts: Sequence[str], words: Collection[str]) -> Float[np.ndarray, " text"]:
    """The share of each text's words that are on the list, in any case; 0 for a text without words."""
    listed = {word.casefold() for word in words}
    by_text = [WORD.findall(text.casefold()) for text in texts]
    return np.array([sum(word in listed for word in written) / max(1, len(written)) for written in by_text])


def frontier(
    rewards: Float[np.ndarray, " sample"],
    slopes: Sequence[float],
    draws: Sequence[int],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rate and reward as far as samples with these rewards show them, one row per point. Columns: way, at, reward, rate
    (bits), their 95 % intervals by bootstrap over samples (for "best_of" of the reward only), and effective samples.

    `way` is "reweighted" at a slope lambda, as far as there is an estimate, with an interval where the samples
    allow one; "best_of" so many draws from the samples, computed exactly; or "bound", the same reward at the rate
    log2 N - (N - 1) / (N ln 2) that bounds best-of-N.
    Errors as `rate_reward.estimate` and `rate_reward.best_of`.
    """
    points = rate_reward.estimate(rewards, np.asarray(slopes, float), seed=seed)
    tilted = pd.DataFrame({"way": "reweighted", "at": points["slope"]} | {name: points[name] for name in POINT})
    prior, rows = np.full(len(rewards), 1 / len(rewards)), []
    resampled = np.random.default_rng(seed).choice(rewards, (replicates, len(rewards)))
    for number in draws:
        best = rate_reward.best_of(prior, rewards, number)
        again = np.array([rate_reward.best_of(prior, sample, number).reward for sample in resampled])
        low, high = derived_interval(again, best.reward, len(rewards))
        point = {"at": float(number), "reward": best.reward}
        rows.append(point | {"way": "best_of", "reward_low": low, "reward_high": high, "rate": best.rate})
        rows.append(point | {"way": "bound", "rate": best.bound})
    return pd.concat([tilted.dropna(subset="reward"), pd.DataFrame(rows)], ignore_index=True)


@makes_table
def with_cheapest(points: pd.DataFrame, rewards: Float[np.ndarray, " sample"]) -> pd.DataFrame:
    """A table of `frontier`, followed by the least rate of each reward from the mean to the largest of the frontier
    (way "cheapest"), and by the reward of each sample (way "sample"). Computed by `theory.rate_reward`, for the
    continuations of `studies.semantic.continuations.measure`.
    """
    goals = np.linspace(rewards.mean(), points["reward"].max(), GOALS)
    rates = [cheapest_rate(rewards, goal) for goal in goals]
    cheapest = pd.DataFrame({"way": "cheapest", "rate": rates, "reward": goals})
    return pd.concat([points, cheapest, pd.DataFrame({"way": "sample", "reward": rewards})])


def excess(points: pd.DataFrame, rewards: Float[np.ndarray, " sample"], *, seed: int = 0) -> pd.DataFrame:
    """How many bits best-of-N costs above the least rate of its reward, one row per N > 1 of a table of `frontier`,
    with a 95 % interval by bootstrap over samples. `known` says whether reweighting reaches that reward with an
    interval; beyond it, a few samples decide how large the least rate is.
    """
    tilted = points[(points["way"] == "reweighted") & points["rate_low"].notna()]
    resampled = np.random.default_rng(seed).choice(rewards, (EXCESS_REPLICATES, len(rewards)))
    rows = []
    for row in points[(points["way"] == "best_of") & (points["at"] > 1)].to_dict("records"):
        estimate = row["rate"] - cheapest_rate(rewards, row["reward"])
        low, high = derived_interval(_excesses(resampled, int(row["at"])), estimate, len(rewards))
        known = row["reward"] <= tilted["reward"].max()
        rows.append((row["at"], estimate, low, high, known, len(rewards)))
    return pd.DataFrame(rows, columns=["at", "estimate", "low", "high", "known", "n"])


def _excesses(resampled: Float[np.ndarray, "replicate sample"], draws: int) -> Float[np.ndarray, " replicate"]:
    prior = np.full(resampled.shape[1], 1 / resampled.shape[1])
    best = [rate_reward.best_of(prior, sample, draws) for sample in resampled]
    return np.array([law.rate - cheapest_rate(sample, law.reward) for law, sample in zip(best, resampled, strict=True)])


def cheapest_rate(rewards: Float[np.ndarray, " sample"], reward: float) -> float:
    """The fewest bits at which these samples, taken as a distribution, earn a mean reward. Errors as
    `rate_reward.cheapest`.
    """
    return rate_reward.cheapest(np.full(len(rewards), 1 / len(rewards)), rewards, reward).rate
