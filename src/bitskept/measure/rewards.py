"""A reward that a reader understands, the share of words that are of a list, and what more of it costs in bits."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.theory import rate_reward
from bitskept.theory.statistics import interval

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
WAYS = ("reweighted", "best_of", "bound")


def texts(table: pd.DataFrame) -> list[str]:
    """The continuations of a table of `continuations.flow`, in order, as texts; a character that was cut is lost."""
    first = table[table["marginal"] == table["marginal"].iloc[0]].sort_values(["sample", "position"])
    return list(first.groupby("sample")["token"].agg("".join))


def share_of_words(texts: Sequence[str], words: Collection[str]) -> Float[np.ndarray, " text"]:
    """The share of each text's words that are on the list, in any case; 0 of a text without a word.

    ValueError for an empty list.
    """
    wanted = {word.casefold() for word in words}
    if not wanted:
        raise ValueError("the list of words is empty: name at least one")
    found = [WORD.findall(text.casefold()) for text in texts]
    return np.array([sum(word in wanted for word in one) / max(1, len(one)) for one in found])


def frontier(
    rewards: Float[np.ndarray, " sample"],
    slopes: Sequence[float],
    draws: Sequence[int],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What these samples say of rate and reward. One row a point, columns: way, at, reward, rate (bits), their 95 %
    intervals by bootstrap over samples (of "best_of" that of the reward alone), effective.

    `way` is one of `WAYS`: "reweighted" at a slope lambda, as far as it is estimable; "best_of" so many draws from the
    samples, exactly; "bound", the same reward at the rate that the bound log2 N - (N - 1) / (N ln 2) gives it.
    Errors as `rate_reward.estimate` and `rate_reward.best_of`.
    """
    found = rate_reward.estimate(rewards, np.asarray(slopes, float), seed=seed)
    columns = ["reward", "reward_low", "reward_high", "rate", "rate_low", "rate_high", "effective"]
    tilted = pd.DataFrame({name: getattr(found, name) for name in columns})
    tilted = tilted.assign(way="reweighted", at=found.slope)[found.estimable]
    prior, rows = np.full(len(rewards), 1 / len(rewards)), []
    again = np.random.default_rng(seed).choice(rewards, (replicates, len(rewards)))
    for number in draws:
        best = rate_reward.best_of(prior, rewards, number)
        point = {"at": float(number), "reward": best.reward}
        low, high = interval(np.array([rate_reward.best_of(prior, some, number).reward for some in again]))
        rows.append(point | {"way": "best_of", "reward_low": low, "reward_high": high, "rate": best.rate})
        rows.append(point | {"way": "bound", "rate": best.bound})
    return pd.concat([tilted, pd.DataFrame(rows)], ignore_index=True)[["way", "at", *columns]]


def cheapest_rate(rewards: Float[np.ndarray, " sample"], reward: float) -> float:
    """The least bits at which these samples, as a law, earn a mean reward. Errors as `rate_reward.cheapest`."""
    return rate_reward.cheapest(np.full(len(rewards), 1 / len(rewards)), rewards, reward).rate
