"""Directed information: how many bits one sequence tells of another when each symbol may use only the past, exactly,
for laws small enough to write down.

I(X→Y) = sum_t I(X^t; Y_t | Y^(t-1)), X^t standing for X_1..X_t (Massey 1990). Mutual information knows no direction;
of its bits, those from X to Y and those that Y feeds back into later X are the two parts (Massey and Massey 2005). A
**joint law** is an array with one axis a variable: first X_1..X_n, then Y_1..Y_n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bitskept.theory.information import Law, check_law, mutual_information


class Conservation(NamedTuple):
    """I(X;Y) and its two parts in bits: `forward` = I(X→Y), and `feedback` = I(0*Y^(n-1) → X), which is the same the
    other way around with a delay of one, as X_t may know no more than Y^(t-1).
    """

    mutual: float
    forward: float
    feedback: float


def directed_information(law: Law, delay: int = 0) -> float:
    """I(X→Y) in bits: the sum of `flow`. With delay 1, what the strict past of X says: transfer entropy, step by step.

    Raises ValueError as `flow`.
    """
    return sum(flow(law, delay))


def flow(law: Law, delay: int = 0) -> list[float]:
    """The terms I(X^(t-delay); Y_t | Y^(t-1)) of directed information in bits, t = 1..n, for a joint law.

    Raises ValueError if `law` is no law, has an odd number of axes or none, or if delay is negative.
    """
    steps = _steps(law)
    return _flow(law, steps, _heard(steps, delay))


def density(law: Law, x: Int[np.ndarray, " n"], y: Int[np.ndarray, " _"], delay: int = 0) -> Float[np.ndarray, " n"]:
    """log2 p(y_t | x^(t-delay), y^(t-1)) - log2 p(y_t | y^(t-1)) for t = 1..n, along one pair of sequences.

    Its sum has the mean I(X→Y); single terms may be negative. Raises ValueError as `flow`, for sequences that are not
    as long as the law's, symbols outside their alphabets, and a pair of probability 0.
    """
    steps = _steps(law)
    if not len(x) == len(y) == steps:
        raise ValueError(f"x and y must have {steps} symbols each, as in the law, but have {len(x)} and {len(y)}.")
    return _density(law, x, y, _heard(steps, delay))


def prompt_flow(law: Law, prompt: int = 1) -> list[float]:
    """The terms I(X; Y_t | Y^(t-1)) in bits of a prompt X that is wholly there before the answer Y begins.

    The first `prompt` axes of the law are the prompt (one, if each prompt is one symbol), the others the answer, token
    by token. As nothing feeds back into the prompt, the sum is I(X;Y). Raises ValueError if `law` is no law, and unless
    it leaves both of them an axis.
    """
    check_law(law)
    if not 0 < prompt < law.ndim:
        raise ValueError(f"prompt must be from 1 to {law.ndim - 1} of the law's {law.ndim} axes, but is {prompt}.")
    return _flow(law, prompt, [prompt] * (law.ndim - prompt))


def prompt_density(
    law: Law, x: Int[np.ndarray, " prompt"], y: Int[np.ndarray, " answer"]
) -> Float[np.ndarray, " answer"]:
    """log2 p(y_t | x, y^(t-1)) - log2 p(y_t | y^(t-1)) along one answer to one prompt; the axes as in `prompt_flow`.

    The second term is the mixture over prompts, as the prompt's law is in the joint law. Raises ValueError as
    `density`, and as `prompt_flow`.
    """
    check_law(law)
    if not len(x) or not len(y):
        raise ValueError(f"prompt and answer must have a symbol each, but have {len(x)} and {len(y)}.")
    return _density(law, x, y, [len(x)] * len(y))


def conservation(law: Law) -> Conservation:
    """I(X;Y) of a joint law and its two parts, by their own definitions: that they sum up is the conservation law.

    Raises ValueError as `flow`.
    """
    steps = _steps(law)
    x, y = tuple(range(steps)), tuple(range(steps, 2 * steps))
    mutual = mutual_information(law, x, y)
    return Conservation(mutual, directed_information(law), directed_information(law.transpose(y + x), delay=1))


def transfer_entropy(law: Law, lags: int | None = None) -> float:
    """I(X_(n-lags)..X_(n-1); Y_n | Y_(n-lags)..Y_(n-1)) in bits, of the last step of a joint law.

    Granger's question without linear models: does the past of X predict Y beyond Y's own past? 0 means that it does
    not. By default the whole past, which is the last term of `flow` with delay 1 (Amblard and Michel 2013). Raises
    ValueError as `flow`, and unless 1 ≤ lags < n.
    """
    steps = _steps(law)
    past = steps - 1 if lags is None else lags
    if not 1 <= past < steps:
        raise ValueError(f"lags must be from 1 to {steps - 1}, as the law has {steps} steps, but is {past}.")
    x = tuple(range(steps - 1 - past, steps - 1))
    return mutual_information(law, x, 2 * steps - 1, given=tuple(steps + axis for axis in x))


def _steps(law: Law) -> int:
    check_law(law)
    if not law.ndim or law.ndim % 2:
        raise ValueError(f"law must have as many axes for X as for Y, first X_1..X_n, but has {law.ndim} axes.")
    return law.ndim // 2


def _heard(steps: int, delay: int) -> list[int]:
    """How many of X are known when Y_t comes."""
    if delay < 0:
        raise ValueError(f"delay must be at least 0, but is {delay}: Y cannot know of X before it is there.")
    return [max(0, t + 1 - delay) for t in range(steps)]


def _flow(law: Law, first: int, heard: Sequence[int]) -> list[float]:
    y = tuple(range(first, law.ndim))
    return [mutual_information(law, tuple(range(k)), y[t], given=y[:t]) for t, k in enumerate(heard)]


def _density(
    law: Law, x: Int[np.ndarray, " prompt"], y: Int[np.ndarray, " n"], heard: Sequence[int]
) -> Float[np.ndarray, " n"]:
    symbols = np.concatenate([x, y])
    if len(symbols) != law.ndim or not ((symbols >= 0) & (symbols < law.shape)).all():
        raise ValueError(f"x = {x.tolist()} and y = {y.tolist()} are no symbols of a law of the shape {law.shape}.")
    if not law[tuple(symbols)] > 0:
        raise ValueError(
            f"x = {x.tolist()} and y = {y.tolist()} have probability 0, so there is nothing to condition on."
        )

    def log(k: int, t: int) -> float:
        """log2 p(x^k, y^t)"""
        return float(np.log2(law[(*x[:k], *[slice(None)] * (len(x) - k), *y[:t])].sum()))

    return np.array([log(k, t + 1) - log(k, t) - log(0, t + 1) + log(0, t) for t, k in enumerate(heard)])
