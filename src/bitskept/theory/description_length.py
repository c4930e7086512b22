"""A bound on the bits per token of a model that was chosen by looking at its text, from how short the model can be
written down.

A **hypothesis** h is all that decoding needs: the law of the next token that weights define, smoothed with the uniform
law over V types,

    q(x | context) = (1 - α) p_h(x | context) + α / V,

so that the loss -log2 q is at most log2(V/α) and no less than -log2(1 - α + α/V): it has the range
Δ = log2(1 + (1 - α) V/α) (Lotfi et al. 2024, arXiv 2312.17173). Hypotheses have a prefix code, fixed before the text
is seen, in which h takes L(h) bits; by Kraft's inequality the sum of 2^-L(h) is at most 1.

The data points are the n tokens of the text, which may depend on each other in any way (Lotfi et al. 2024, arXiv
2407.18158). For one h, E[loss of x_i | x_<i] minus the loss of x_i are martingale differences, each within a range Δ
given the past. By the inequality of Hoeffding (1963) and Azuma (1967) their mean exceeds Δ √(ln(1/δ_h) / 2n) with a
probability of at most δ_h. With δ_h = δ 2^-L(h), summed over all h, with a probability of at least 1 - δ for **every**
h at once, so also for the one that the text has picked:

    mean_i E[loss of x_i | x_<i] ≤ mean_i loss of x_i + Δ √((L(h) ln 2 + ln(1/δ)) / 2n).

The left side is what h would cost on average if each token of the text were drawn again after the very same past. It
is not the cost of other text, which has other contexts. The same holds from below, mean_i loss of x_i minus the last
term, except with another probability of δ. Where the number of tokens n, or the way in which text is cut into tokens,
depends on the text, it is part of h. The δ of several texts add up.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bitskept.theory.checks import Bits, Numbers, above, at_least, between, rate

SCALE_BITS = 16
"""A scale is written as a float16."""
CLIPS = np.arange(0.2, 3.01, 0.1)
"""The largest level in units of the values' root mean square: the candidates of `quantised`."""


class Quantised(NamedTuple):
    """Values as symbols 0 ... levels - 1 and the values that they stand for: whole multiples of `scale`."""

    symbols: Int[np.ndarray, " value"]
    scale: float
    values: Float[np.ndarray, " value"]


def smoothed_bits(probabilities: Numbers, alpha: Numbers, types: int) -> Bits:
    """-log2 of (1 - α) p + α / V for the `probabilities` that a model gives to the tokens. ValueError for
    probabilities outside [0, 1], and unless 0 < α < 1.
    """
    p, alpha = rate("each probability", probabilities), between("alpha", alpha, 0, 1)
    return -np.log2((1 - alpha) * p + alpha / types)


def loss_range(alpha: Numbers, types: int) -> Bits:
    """Δ = log2(1 + (1 - α) V / α), the largest minus the smallest value of `smoothed_bits`. ValueError unless 0 < α <
    1.
    """
    alpha = between("alpha", alpha, 0, 1)
    return np.log2(1 + (1 - alpha) * types / alpha)


def excess(span: Numbers, code_bits: Numbers, tokens: Numbers, delta: float) -> Bits:
    """Δ √((L ln 2 + ln(1/δ)) / 2n): by how much the conditional expectation of a loss with the range `span` may exceed
    its mean over n `tokens`, for all hypotheses at once except with a probability of δ. ValueError for a negative code
    length, fewer than one token, and unless 0 < δ < 1.
    """
    length, n = at_least("code_bits", code_bits, 0), at_least("tokens", tokens, 1)
    between("delta", delta, 0, 1)
    return above("span", span, 0) * np.sqrt((length * math.log(2) - math.log(delta)) / (2 * n))


def longest_code(span: float, loss: float, limit: float, tokens: int, delta: float) -> float:
    """The code length at which the bound of a loss reaches `limit`; negative where no code is short enough."""
    return (2 * tokens * (max(0.0, limit - loss) / span) ** 2 + math.log(delta)) / math.log(2)


def quantised(values: Float[np.ndarray, " value"], levels: int) -> Quantised:
    """The nearest of an odd number of `levels` around 0, the multiples -(levels-1)/2 ... (levels-1)/2 of a scale: of
    the scales that `CLIPS` gives, rounded to float16, the one with the least squared error.

    Values that are all 0 have the scale 0. ValueError for an even number of levels, or fewer than 3.
    """
    most = (levels - 1) // 2
    if levels < 3 or levels % 2 == 0:
        raise ValueError(f"levels must be an odd number of at least 3, but is {levels}.")
    size = float(np.sqrt((values**2).mean()))
    steps, best, least = np.zeros(len(values), int), 0.0, np.inf
    for scale in np.float16(CLIPS * size / most).astype(float):
        if scale == 0:
            continue
        nearest = np.clip(np.rint(values / scale), -most, most)
        error = ((values - scale * nearest) ** 2).sum()
        if error < least:
            steps, best, least = nearest.astype(int), float(scale), error
    return Quantised(steps + most, best, best * steps)


def symbols_bits(symbols: Int[np.ndarray, " value"], levels: int) -> int:
    """The length of a prefix code for a known number of symbols from 0 ... levels - 1: first how often each occurs, by
    its number among all such tables, then which of the sequences with these counts it is (Cover 1973). Both numbers
    have a fixed length once what comes before is known, so that the code can be decoded; it is within the cost of the
    table of the entropy of the symbols. ValueError for other symbols.
    """
    at_least("each symbol", symbols, 0)
    at_least("levels - 1 minus each symbol", levels - 1 - symbols, 0)
    counts, number = np.bincount(symbols, minlength=levels), len(symbols)
    tables = _log2_factorial(number + levels - 1) - _log2_factorial(number) - _log2_factorial(levels - 1)
    sequences = _log2_factorial(number) - sum(map(_log2_factorial, counts.tolist()))
    return math.ceil(tables - 1e-6) + math.ceil(sequences - 1e-6)


def integer_bits(number: int) -> int:
    """The length of Elias' code γ for a whole number of at least 1: 2 ⌊log2 n⌋ + 1 (Elias 1975)."""
    at_least("number", number, 1)
    return 2 * (int(number).bit_length() - 1) + 1


def choice_bits(number: int) -> int:
    """The length of a fixed code for one of so many choices: ⌈log2 n⌉."""
    at_least("number", number, 1)
    return (int(number) - 1).bit_length()


def vocabulary_bits(types: int, symbols: int = 256) -> int:
    """The length of a fixed code for a vocabulary of byte pairs that merges two of the types so far into each new one:
    twice ⌈log2⌉ of their number. ValueError for fewer types than symbols.
    """
    at_least("types minus symbols", types - symbols, 0)
    return sum(2 * choice_bits(known) for known in range(symbols, types))


def _log2_factorial(number: int) -> float:
    return math.lgamma(number + 1) / math.log(2)
