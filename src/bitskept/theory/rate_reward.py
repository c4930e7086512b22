"""What a better answer costs: the bits by which a model must leave its own law to earn a reward.

R(rho) = min KL(pi || pi_0) over the laws pi with E r ≥ rho. Tilting reaches it, pi_lambda ∝ pi_0 exp(lambda r), at the
rate lambda E r - ln E_0 exp(lambda r): for any pi with E r ≥ E_lambda r, KL(pi || pi_0) exceeds it by KL(pi ||
pi_lambda) at least. Rates are public in bits; lambda is in nats a unit of reward, as in the exponent. Best-of-N, the
draw of N from pi_0 with the highest reward, is another law, of at most ln N - (N-1)/N nats (Beirami et al., arXiv
2401.01879, who show that this is a bound and not the value).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy.optimize import brentq
from scipy.special import rel_entr

from bitskept.theory.information import check_law
from bitskept.theory.statistics import cluster_bootstrap, interval

Law = Float[np.ndarray, " outcome"]
Points = Float[np.ndarray, " slope"]

LEAST = 50.0
"""Effective samples below which a point is not estimable."""


class Tilt(NamedTuple):
    """The law pi_lambda at `slope` lambda, the mean reward it earns and its rate KL(pi_lambda || pi_0) in bits."""

    slope: float
    law: Law
    reward: float
    rate: float


class BestOf(NamedTuple):
    """Best-of-N: its law, mean reward, rate KL(pi_N || pi_0) and `bound` = (ln N - (N-1)/N) / ln 2, both in bits.

    The rate falls short of the bound by what ties and outcomes of large probability leave undecided.
    """

    law: Law
    reward: float
    rate: float
    bound: float


class Estimates(NamedTuple):
    """Points of the frontier from samples, with 95 % intervals; NaN, all of them, where a point is not `estimable`.

    `effective` is how many samples of pi_lambda itself the weighted ones are worth.
    """

    slope: Points
    reward: Points
    reward_low: Points
    reward_high: Points
    rate: Points
    rate_low: Points
    rate_high: Points
    effective: Points
    estimable: Bool[np.ndarray, " slope"]


def tilt(prior: Law, rewards: Num[np.ndarray, " _"], slope: float | int) -> Tilt:
    """The prior pi_0 tilted towards reward: the least rate at which its mean reward can be had.

    With an infinite slope, the prior given that the reward is the largest. Raises ValueError if the prior is no law,
    for rewards that are not finite or not one an outcome, and a slope that is negative or NaN.
    """
    top = _largest(prior, rewards)
    if not slope >= 0:
        raise ValueError(f"slope must be at least 0, but is {slope}: a negative one would seek low rewards.")
    return _tilt(prior, rewards, top, float(slope))


def cheapest(prior: Law, rewards: Num[np.ndarray, " _"], reward: float | int) -> Tilt:
    """The law of the least rate that earns a mean of `reward` at least: R(rho) is its `rate`.

    Up to the prior's own mean that is the prior, at 0 bits. Raises ValueError as `tilt`, and for a reward that is NaN
    or above the largest of any outcome that the prior allows.
    """
    top = _largest(prior, rewards)
    if not reward <= top:
        raise ValueError(f"reward must be at most {top:g}, the largest that the prior allows, but is {reward:g}.")
    if reward <= prior @ rewards:
        return _tilt(prior, rewards, top, 0.0)
    span = top - rewards[prior > 0].min()
    missing = (top - reward) / span if span else 0.0  # of the largest reward, in units of the span
    if missing < 1e-12:
        return _tilt(prior, rewards, top, np.inf)

    def short(slope: float) -> float:
        return (_tilt(prior, rewards, top, slope / span).reward - reward) / span

    high = 1.0
    while short(high) < 0:
        high *= 2
    return _tilt(prior, rewards, top, float(brentq(short, 0, high, xtol=1e-13 * high)) / span)


def best_of(prior: Law, rewards: Num[np.ndarray, " _"], draws: int) -> BestOf:
    """The best of N independent draws from the prior, exactly; of equally good ones, any is as likely to be kept.

    All draws earn at most v with probability F(v)^N, so the best earns v with probability F(v)^N - F(v-)^N, and given
    that, it is distributed as the prior given the reward v. For samples in place of a prior, each a share of 1/n of it,
    this stands for best-of-N as long as N is far below n. Raises ValueError as `tilt`, and for fewer than one draw.
    """
    _largest(prior, rewards)
    if draws < 1:
        raise ValueError(f"draws must be at least 1, but is {draws}.")
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
    weights: Num[np.ndarray, " _"] | None = None,
    least: float | int = LEAST,
    replicates: int = 1000,
    seed: int,
) -> Estimates:
    """The tilted laws' rewards and rates from independent samples of pi_0, each weighted by exp(lambda r).

    Samples of another law take its `weights` pi_0 / law first, known up to a factor. Weights are divided by their sum,
    so the estimates are consistent, not unbiased. Effective samples are (sum w)² / sum w² (Kong 1992), below `least` of
    which a point is refused: a law that is 2^bits away asks for some 2^bits samples (Chatterjee and Diaconis, arXiv
    1511.01437), and n unweighted ones never show more than log2(n / effective) bits. What was never drawn is in neither
    figure, so a reward that is rare under pi_0 may still be missed. Intervals are bootstrap percentiles. For several
    prompts, take the mean of their estimates at each slope.

    Raises ValueError for fewer than 2 samples, rewards or slopes that are not finite, negative slopes, weights that are
    not one a sample, negative, not finite or all 0, `least` below 1, and fewer than one replicate.
    """
    n = len(rewards)
    w = np.ones(n) if weights is None else np.asarray(weights, float)
    if n < 2 or not np.isfinite(rewards).all():
        raise ValueError(f"rewards must be finite, of at least 2 samples, but are {rewards}.")
    if not (np.isfinite(slopes) & (slopes >= 0)).all():
        raise ValueError(f"slopes must be finite and at least 0, but are {slopes}.")
    if w.shape != (n,) or not (np.isfinite(w) & (w >= 0)).all() or not w.sum() > 0:
        raise ValueError(f"weights must be at least 0, not all 0, and one for each of {n} samples, but are {w}.")
    if not least >= 1:
        raise ValueError(f"least must be at least 1 effective sample, but is {least}.")
    top = rewards[w > 0].max()
    raised = w * np.exp(slopes[:, None] * np.minimum(rewards - top, 0))
    effective = raised.sum(1) ** 2 / (raised**2).sum(1)
    known = effective >= least

    def points(means: np.ndarray) -> np.ndarray:
        """Rewards and rates [..., 2, slope] from the means of exp(lambda (r - top)) and of r times that."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reward = top + means[..., 1, :] / means[..., 0, :]
            nats = slopes * (reward - top) - np.log(means[..., 0, :])
        return np.where(known, np.stack([reward, np.maximum(nats, 0) / np.log(2)], axis=-2), np.nan)

    sums = np.stack([raised, raised * (rewards - top)])
    reward, rate = points(sums.sum(-1) / w.sum())
    drawn = points(cluster_bootstrap(sums, w, replicates=replicates, seed=seed))
    low, high = np.full((2, 2, len(slopes)), np.nan)
    if known.any():
        low[:, known], high[:, known] = interval(drawn[..., known])
    return Estimates(slopes.astype(float), reward, low[0], high[0], rate, low[1], high[1], effective, known)


def _largest(prior: np.ndarray, rewards: np.ndarray) -> float:
    """The largest reward of what the prior allows, if both are as they should be."""
    check_law(prior, "prior")
    if rewards.shape != prior.shape or not np.isfinite(rewards).all():
        raise ValueError(f"rewards must be finite, one for each of {len(prior)} outcomes, but are {rewards}.")
    return float(rewards[prior > 0].max())


def _tilt(prior: np.ndarray, rewards: np.ndarray, top: float, slope: float) -> Tilt:
    if np.isinf(slope):
        best = np.where(rewards == top, prior, 0)
        law = best / best.sum()
    else:
        weights = prior * np.exp(slope * np.minimum(rewards - top, 0))
        law = weights / weights.sum()
    return Tilt(slope, law, float(law @ rewards), _bits(law, prior))


def _bits(law: np.ndarray, prior: np.ndarray) -> float:
    return max(0.0, float(rel_entr(law, prior).sum()) / np.log(2))
