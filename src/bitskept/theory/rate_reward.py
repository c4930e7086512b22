"""The price of a better answer: the least divergence from a model's own law, in bits, that earns a mean reward.

R(rho) = min KL(pi || pi_0) over the laws pi with E r ≥ rho. The tilted law pi_lambda ∝ pi_0 exp(lambda r) reaches it,
at the rate lambda E r - ln E_0 exp(lambda r): for any pi with E r ≥ E_lambda r, KL(pi || pi_0) is larger by at least
KL(pi || pi_lambda). Rates are in bits; lambda is in nats per unit of reward, as in the exponent. Best-of-N, the best of
N draws from pi_0, is another law. Its rate is at most ln N - (N-1)/N nats (Beirami et al., arXiv 2401.01879, who show
that this is a bound and not the value).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy.optimize import brentq
from scipy.special import rel_entr

from bitskept.theory.checks import at_least, check_law, finite
from bitskept.theory.intervals import ratio_interval

Law = Float[np.ndarray, " outcome"]
Rewards = Num[np.ndarray, " _"]

EDGE = 1e-12
"""A mean reward that is closer than this to that of the prior, or to the largest one, is taken for it, because the
difference is rounding. In units of the largest absolute reward, or of their span if that is larger."""
LEAST = 50.0
"""With fewer effective samples there is no estimate."""


class Tilt(NamedTuple):
    """The law pi_lambda, its mean reward, and its rate KL(pi_lambda || pi_0) in bits."""

    law: Law
    reward: float
    rate: float


class BestOf(NamedTuple):
    """Best-of-N: its law, mean reward, rate KL(pi_N || pi_0) and `bound` = (ln N - (N-1)/N) / ln 2, both in bits.

    The rate is below the bound if rewards tie, or if single outcomes have a large probability.
    """

    law: Law
    reward: float
    rate: float
    bound: float


def cheapest(prior: Law, rewards: Rewards, reward: float | int) -> Tilt:
    """The law of the least rate that earns a mean of at least `reward`: R(rho) is its `rate`.

    Up to the mean reward of the prior, it is the prior itself, at 0 bits; for the largest reward, the prior given that
    reward. ValueError if the prior is not a law, for rewards that are not finite or not one per outcome, and for a
    reward that is NaN or above the largest that the prior allows.
    """
    prior, top = _checked(prior, rewards)
    span = float(top - rewards[prior > 0].min()) or 1.0
    edge = EDGE * max(1.0, float(abs(rewards[prior > 0]).max()) / span)
    below, goal = np.minimum((rewards - top) / span, 0), (reward - top) / span  # from -1 to 0
    if not goal <= edge:
        raise ValueError(f"reward must be at most {top:g}, the largest that the prior allows, but is {reward:g}.")

    def excess(slope: float) -> float:
        return float(_tilted(prior, below, slope) @ below) - goal

    if excess(0.0) >= -edge:
        slope = 0.0
    elif goal >= -edge:
        slope = np.inf
    else:
        high = 1.0
        while excess(high) < 0:
            high *= 2
        slope = float(brentq(excess, 0, high, xtol=1e-13 * high))
    law = _tilted(prior, below, slope)
    return Tilt(law, float(law @ rewards), _bits(law, prior))


def best_of(prior: Law, rewards: Rewards, draws: int) -> BestOf:
    """The best of N independent draws from the prior, exactly; ties are broken at random.

    All draws earn at most v with probability F(v)^N. So the best one earns v with probability F(v)^N - F(v-)^N, and
    given that, it is distributed as the prior given the reward v. If samples take the place of a prior, each with the
    probability 1/n, this stands for best-of-N as long as N is far below n. ValueError for a prior and rewards as
    `cheapest`, and for fewer than one draw.
    """
    prior, _ = _checked(prior, rewards)
    at_least("draws", draws, 1)
    values, level = np.unique(rewards, return_inverse=True)
    mass = np.bincount(level, prior)
    up_to = np.minimum(mass.cumsum() / mass.sum(), 1.0)
    won = np.diff(up_to**draws, prepend=0)
    law = prior * np.divide(won, mass, out=np.zeros_like(won), where=mass > 0)[level]
    bound = np.log2(draws) - (1 - 1 / draws) / np.log(2)
    return BestOf(law, float(won @ values), _bits(won, mass), float(bound))


def estimate(
    rewards: Num[np.ndarray, " sample"],
    slopes: Num[np.ndarray, " slope"],
    *,
    replicates: int = 1000,
    seed: int,
) -> dict[str, np.ndarray]:
    """Rewards and rates of the tilted laws, from independent samples of pi_0 that are weighted by exp(lambda r), as the
    columns of a table with a row per slope: slope, reward and rate with 95 % intervals (_low, _high), effective,
    estimable.

    The weights are divided by their sum, so the estimates are consistent but not unbiased. `effective` is how many
    samples of pi_lambda the weighted ones are worth, (sum w)² / sum w² (Kong 1992). With fewer than `LEAST` a
    point is NaN: a law that is 2^bits away needs some 2^bits samples (Chatterjee and Diaconis, arXiv 1511.01437),
    and n samples never show more than log2(n / effective) bits.

    An interval is the `ratio_interval` of the mean influence of the samples, since weights are skewed: percentiles of a
    bootstrap cover a normal reward at lambda = 1.5 only 70 % of the time with 500 samples, this one 90 %. A point is
    `estimable` if it has both intervals; it has none where the samples do not differ, or hardly any do. No rule may ask
    in addition whether a few samples make all the difference: it would keep the draws that lack the long tail, of which
    two thirds of the intervals hold the truth.

    ValueError for fewer than 2 samples, rewards or slopes that are not finite, negative slopes, and fewer than
    one replicate.
    """
    at_least("the number of samples", len(rewards), 2)
    finite("rewards", rewards)
    at_least("slopes", slopes, 0)
    top = rewards.max()
    raised = np.exp(slopes[:, None] * np.minimum(rewards - top, 0))
    effective = raised.sum(1) ** 2 / (raised**2).sum(1)
    weights = raised / raised.mean(1, keepdims=True)
    below = weights @ (rewards - top) / len(rewards)
    excess = rewards - top - below[:, None]
    nats = np.maximum(slopes * below - np.log(raised.mean(1)), 0)
    estimates = np.stack([top + below, nats / np.log(2)])
    influences = np.stack([weights * excess, (weights * (slopes[:, None] * excess - 1) + 1) / np.log(2)])
    away = ratio_interval(influences, np.ones(len(rewards)), replicates=replicates, seed=seed)
    low, high = (estimates + end for end in away)
    low[1] = np.maximum(low[1], 0)
    low[1, slopes == 0] = high[1, slopes == 0] = 0.0  # the prior itself, whatever the samples
    known = effective >= LEAST
    sure = known & np.isfinite(low + high).all(0)
    (reward, rate), low, high = np.where(known, estimates, np.nan), *np.where(sure, [low, high], np.nan)
    return {
        "slope": slopes.astype(float),
        **{"reward": reward, "reward_low": low[0], "reward_high": high[0]},
        **{"rate": rate, "rate_low": low[1], "rate_high": high[1]},
        **{"effective": effective, "estimable": sure},
    }


def _checked(prior: np.ndarray, rewards: np.ndarray) -> tuple[Law, float]:
    """The prior in float64, and the largest reward that it allows. ValueError unless both are as they should be."""
    prior = check_law(prior, "prior")
    finite("rewards", rewards)
    if rewards.shape != prior.shape:
        raise ValueError(f"there must be a reward for each of {len(prior)} outcomes, but there are {len(rewards)}.")
    return prior, float(rewards[prior > 0].max())


def _tilted(prior: Law, below: Rewards, slope: float | int) -> Law:
    """The tilted law; `below` are the rewards minus the largest that the prior allows."""
    if slope == 0:
        return prior
    weights = np.where(below == 0, prior, 0.0) if np.isinf(slope) else prior * np.exp(slope * below)
    return weights / weights.sum()


def _bits(law: np.ndarray, prior: np.ndarray) -> float:
    return max(0.0, float(rel_entr(law, prior).sum()) / np.log(2))
