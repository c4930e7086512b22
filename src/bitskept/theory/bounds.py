"""Lower bounds on mutual information from an error rate or a cross-entropy, in bits, and a certificate.

X is a token with the support A, and Z the state that it is predicted from. Numbers may be scalars or arrays that
broadcast together. Fano's inequality: Cover and Thomas, section 2.10; the cross-entropy bound: Barber and Agakov 2003;
the other side: Kovalevskij 1965, Feder and Merhav 1994; the sandwich: Wang, Ding and Zou 2025 (sentence-level and
token-level information).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr, xlogy
from scipy.stats import beta

from bitskept.theory import information
from bitskept.theory.checks import Bits, Counts, Law, Numbers, at_least, between, check_law, rate, valid


def _alphabet(value: Numbers) -> np.ndarray:
    return valid("alphabet", value, "a whole number of at least 2 types", lambda v: (v >= 2) & (v == np.round(v)))


def binary_entropy(probability: Numbers) -> Bits:
    """h_b(p) = -p log2 p - (1-p) log2 (1-p). ValueError outside [0, 1]."""
    p = rate("probability", probability)
    return ((entr(p) + entr(1 - p)) / np.log(2))[()]


def fano_equivocation(error: Numbers, alphabet: Numbers) -> Bits:
    """Fano's upper bound on H(X|Z), h_b(Pe) + Pe log2(|A|-1), for the error of any predictor of X from Z.

    It rises with Pe only up to Pe = 1 - 1/|A|, where it is log2 |A|; an upper limit on Pe may take the place of Pe only
    below that point, as in `certificate`. ValueError unless 0 ≤ error ≤ 1 and alphabet ≥ 2.
    """
    pe, size = rate("error", error), _alphabet(alphabet)
    return (binary_entropy(pe) + pe * np.log2(size - 1))[()]


def fano(entropy: Numbers, error: Numbers, alphabet: Numbers) -> Bits:
    """Lower bound on I(X;Z): max(0, H(X) - h_b(Pe) - Pe log2(|A|-1)), for the error of any predictor on data that it
    was not fitted on. ValueError as `fano_equivocation`, and for a negative entropy.
    """
    return np.maximum(0, at_least("entropy", entropy, 0) - fano_equivocation(error, alphabet))[()]


def cross_entropy_bound(entropy: Numbers, cross_entropy: Numbers) -> Bits:
    """Lower bound on I(X;Z): max(0, H(X) - E[-log2 q(X|Z)]), for any predictive law q that was not fitted on the data
    on which it is scored.

    The cross-entropy is infinite if q gave probability 0 to an observed token; then the bound is 0. ValueError if
    either is negative or NaN.
    """
    ce = np.asarray(cross_entropy, dtype=float)
    at_least("cross_entropy", np.where(ce == np.inf, 0.0, ce), 0)
    return np.maximum(0, at_least("entropy", entropy, 0) - ce)[()]


def cross_entropy(joint: Float[np.ndarray, "x z"], prediction: Float[np.ndarray, "z x"]) -> float:
    """E[-log2 q(X|Z)] under `joint`; a row of `prediction` is the law q(·|z) of a state. ValueError if a law is not
    one.
    """
    joint, laws = check_law(joint, "joint"), np.array([check_law(row, "prediction's row") for row in prediction])
    with np.errstate(divide="ignore"):
        return max(0.0, float(-xlogy(joint, laws.T).sum() / np.log(2)))


def crudest_prediction(
    guesses: Int[np.ndarray, "*samples"], error: float, alphabet: int
) -> Float[np.ndarray, "*samples alphabet"]:
    """The law that uses only a guess and an error rate: 1-Pe on the guess, Pe spread evenly over the rest.

    With the predictor's own Pe its cross-entropy is `fano_equivocation`: Fano's bound is the cross-entropy bound of
    this law. ValueError as `fano_equivocation`, and for a guess outside 0..alphabet-1.
    """
    pe, size = rate("error", error), _alphabet(alphabet)
    valid("guesses", guesses, f"types from 0 to {alphabet - 1}", lambda v: (v >= 0) & (v < size))
    return np.where(np.arange(alphabet) == guesses[..., None], 1 - pe, pe / (size - 1))


def feder_merhav(error: Numbers) -> Bits:
    """The least H(X|Z) that a Bayes error allows, so that I(X;Z) ≤ H(X) - feder_merhav(Pe).

    Between Pe = (k-1)/k and k/(k+1) it runs straight from log2 k to log2 (k+1). Only for the error of the best possible
    predictor; the larger error of a probe would exclude too much. ValueError unless 0 ≤ error < 1.
    """
    pe = valid("error", error, "a Bayes error from 0 to below 1", lambda v: (v >= 0) & (v < 1))
    k = np.floor(1 / (1 - pe))
    return (np.log2(k) + k * (k + 1) * np.log2((k + 1) / k) * (pe - (k - 1) / k))[()]


class Sandwich(NamedTuple):
    """Bounds on I(X;Z) of a sentence X = X_1..X_n from its tokens, in bits; `tokens` holds the I(X_i;Z)."""

    lower: float
    information: float
    upper: float
    tokens: list[float]
    entropy: float
    total_correlation: float
    conditional_total_correlation: float


def sandwich(joint: Law) -> Sandwich:
    """The information of a sentence between that of its tokens, for the joint law of X_1..X_n (the first axes) and Z
    (the last axis):

    max{max_i I(X_i;Z), sum_i I(X_i;Z) - TC(X)} ≤ I(X;Z) ≤ min{H(X), sum_i I(X_i;Z) + TC(X|Z)},

    which follows from I(X;Z) = sum_i I(X_i;Z) - TC(X) + TC(X|Z). ValueError if `joint` is not a law.
    """
    x = tuple(range(joint.ndim - 1))
    tokens = [information.mutual_information(joint, axis, -1) for axis in x]
    whole, before = information.entropy(joint, x), information.total_correlation(joint, x)
    after = information.conditional_total_correlation(joint, x, -1)
    lower, upper = max(*tokens, sum(tokens) - before), min(whole, sum(tokens) + after)
    return Sandwich(lower, information.mutual_information(joint, x, -1), upper, tokens, whole, before, after)


def error_limit(errors: Numbers, samples: Numbers, delta: Numbers) -> Bits:
    """The Clopper-Pearson upper limit: an error rate that the true one exceeds with probability at most delta.

    Exact for independent samples. ValueError unless 0 ≤ errors ≤ samples, samples ≥ 1 and 0 < delta < 1.
    """
    n = valid("samples", samples, "a whole number of at least 1", lambda v: (v >= 1) & (v == np.round(v)))
    wanted = f"a whole number from 0 to the number of samples, {n.min():g}"
    wrong = valid("errors", errors, wanted, lambda v: (v >= 0) & (v <= n) & (v == np.round(v)))
    # With every sample wrong the beta law degenerates; the limit is 1.
    limit = beta.isf(between("delta", delta, 0, 1), wrong + 1, np.maximum(n - wrong, np.finfo(float).tiny))
    return np.where(wrong == n, 1.0, limit)[()]


def entropy_limit(counts: Counts, delta: Numbers) -> Bits:
    """A lower limit on H(X): the true entropy is below it with probability at most delta, for independent samples.

    The plug-in entropy of N samples has a mean of at most H(X), and exceeds its mean by more than t with probability at
    most exp(-2t² / (N c²)), where c is the most that one sample can change it (McDiarmid). Moving a sample from a class
    of a to a class of b changes it by |g(a) - g(b+1)| / N with g(k) = k log2 k - (k-1) log2 (k-1). As g rises from
    g(1) = 0, the most is c = g(N) / N < (log2 N + log2 e) / N: about half of the usual 2 log2(N) / N (Antos and
    Kontoyiannis 2001). One side only, hence ln(1/delta) and not ln(2/delta). ValueError as `information.plug_in`, and
    unless 0 < delta < 1.
    """
    level, estimate, n = between("delta", delta, 0, 1), information.plug_in(counts), counts.sum(-1)
    change = (xlogy(n, n) - xlogy(n - 1, n - 1)) / (n * np.log(2))
    return np.maximum(0, estimate - change * np.sqrt(n * np.log(1 / level) / 2))[()]


def certificate(errors: Numbers, samples: Numbers, alphabet: int, counts: Counts, delta: Numbers) -> Bits:
    """Bits that I(X;Z) reaches with probability at least 1 - delta: Fano's bound with both of its terms at their
    limits. Half of delta goes to `error_limit`, half to `entropy_limit`.

    `errors` of `samples` independent predictions failed (one position per sentence, because tokens of a sentence depend
    on each other). `counts` [class] are those of an independent sample of X of any size, which may be the same one. |A|
    is the number of types that could occur, fixed before looking at these samples. ValueError as for
    the two limits, unless alphabet ≥ 2, and if more classes were seen than the alphabet has types.
    """
    size = _alphabet(alphabet)
    seen = (counts > 0).sum(-1).max()
    if seen > size:
        raise ValueError(f"counts has {seen} non-zero classes, but alphabet is only {alphabet}.")
    half = between("delta", delta, 0, 1) / 2
    # Beyond 1 - 1/|A| Fano's bound on H(X|Z) falls again, but there only H(X|Z) ≤ log2 |A| is known.
    error = np.minimum(error_limit(errors, samples, half), 1 - 1 / size)
    return fano(entropy_limit(counts, half), error, alphabet)
