"""What section 7 of notebook 06 shows about rewards, in words (Markdown)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.words import quote
from bitskept.theory import rate_reward

BITS = ".2f"


def examples(texts: Sequence[str], rewards: Float[np.ndarray, " text"]) -> str:
    """The two continuations with the highest reward and one from the middle, quoted."""
    order = np.argsort(-rewards, kind="stable")[[0, 1, len(rewards) // 2]]
    clean = [texts[place].replace("\n", " ").replace("\ufffd", "") for place in order]  # halves of characters
    return "\n>\n".join(f"> {rewards[place]:.0%}: …{text}" for place, text in zip(order, clean, strict=True))


def reward(points: pd.DataFrame, rewards: Float[np.ndarray, " sample"], excess: pd.DataFrame) -> str:
    """What a higher reward costs, and how much more best-of-N pays; `points` is a table of `rewards.frontier`, `excess`
    one of `rewards.excess`.
    """
    tilted = points[points["way"] == "reweighted"]
    sure = tilted[tilted["rate_low"].notna()]
    if tilted.empty:
        reached = f"{len(rewards)} samples are too few to reweight. "
    elif len(sure) == len(tilted):
        reached = (
            f"Reweighting {len(rewards)} samples reaches {_reached(sure)}, with {sure['effective'].iloc[-1]:.0f} "
            f"effective samples left (with fewer than {rate_reward.LEAST:.0f} there is no estimate). "
        )
    else:
        far = tilted.iloc[-1]
        as_far = f"Reweighting {len(rewards)} samples reaches {_reached(sure)}. Beyond that" if len(sure) else "Already"
        reached = (
            f"{as_far} a few samples with high rewards decide how large reward and rate are, which leaves them without "
            f"an interval: at the steepest slope these samples suggest {far['reward']:.1%} at {far['rate']:.2f} bits. "
        )
    return (
        f"The mean reward is {rewards.mean():.1%} of the words without reweighting. {reached}{_best_of(points, excess)}"
    )


def _best_of(points: pd.DataFrame, excess: pd.DataFrame) -> str:
    """Best-of-N at the largest N whose least rate is known, and how many N lie beyond."""
    known = excess[excess["known"].astype(bool)]
    beyond = len(excess) - len(known)
    more = f" For {beyond} larger N these samples cannot tell the least rate." if beyond and len(known) else ""
    if known.empty:
        return "For no N can these samples tell the least rate of what best-of-N earns."
    last = known.iloc[-1]
    best, bound = (
        points[(points["way"] == way) & (points["at"] == last["at"])].iloc[0] for way in ("best_of", "bound")
    )
    return (
        f"Best of {last['at']:.0f} earns {_named(best, 'reward', '.1%')} and costs {best['rate']:.2f} bits, where the "
        f"bound is {bound['rate']:.2f}. That is {quote(last, BITS)} bits more than the least rate.{more}"
    )


def _named(row: pd.Series, name: str, style: str) -> str:
    return quote({"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}, style)


def _reached(points: pd.DataFrame) -> str:
    last = points.iloc[-1]
    return f"{_named(last, 'reward', '.1%')} at {_named(last, 'rate', BITS)} bits"
