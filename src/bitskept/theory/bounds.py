"""What an error rate or a cross-entropy says about mutual information, in bits: lower bounds, their limits, a
certificate.

X is a token with support A, Z the state it is predicted from. Numbers may be scalars or arrays that broadcast
together. Fano's inequality and its list form: Cover and Thomas, section 2.10; the cross-entropy bound: Barber and
Agakov 2003; the other side: Kovalevskij 1965 and Feder and Merhav 1994; the sandwich: Wang, Ding and Zou 2025
(sentence-level and token-level information).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.special import entr, xlogy
from scipy.stats import beta

from bitskept.theory import information
from bitskept.theory.information import Bits, Law, Numbers


def _valid(name: str, value: Numbers, wanted: str, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`value` as float64 if it is finite and passes the test everywhere, otherwise a ValueError that names both."""
    array = np.asarray(value, dtype=float)
    right = np.isfinite(array) & test(array)
    if not right.all():
        raise ValueError(f"{name} must be {wanted}, but is {np.broadcast_to(array, right.shape)[~right][0]:g}.")
    return array


def _rate(name: str, value: Numbers) -> np.ndarray:
    return _valid(name, value, "a rate from 0 to 1", lambda v: (v >= 0) & (v <= 1))


def _bits(name: str, value: Numbers) -> np.ndarray:
    return _valid(name, value, "at least 0 bits", lambda v: v >= 0)


def _alphabet(value: Numbers) -> np.ndarray:
    return _valid("alphabet", value, "a whole number of at least 2 types", lambda v: (v >= 2) & (v == np.round(v)))


def _risk(delta: Numbers) -> np.ndarray:
    return _valid("delta", delta, "a probability between 0 and 1, both excluded", lambda v: (v > 0) & (v < 1))


def binary_entropy(probability: Numbers) -> Bits:
    """h_b(p) = -p log2 p - (1-p) log2 (1-p). Raises ValueError outside [0, 1]."""
    p = _rate("probability", probability)
    return ((entr(p) + entr(1 - p)) / np.log(2))[()]


def fano_equivocation(error: Numbers, alphabet: Numbers) -> Bits:
    """Fano's upper bound on H(X|Z): h_b(Pe) + Pe log2(|A|-1).

    Holds for the error of any predictor of X from Z. It rises with Pe only up to Pe = 1 - 1/|A|, where it is log2
    |A|, so an upper limit on Pe may be put in only below that point (`certificate` does this). Raises ValueError
    unless 0 ≤ error ≤ 1 and alphabet ≥ 2.
    """
    pe, size = _rate("error", error), _alphabet(alphabet)
    return (binary_entropy(pe) + pe * np.log2(size - 1))[()]


def fano(entropy: Numbers, error: Numbers, alphabet: Numbers) -> Bits:
    """Lower bound on I(X;Z): max(0, H(X) - h_b(Pe) - Pe log2(|A|-1)), Pe the error of any predictor on data it was
    not fitted on.

    Raises ValueError unless entropy ≥ 0, 0 ≤ error ≤ 1 and alphabet ≥ 2.
    """
    return np.maximum(0, _bits("entropy", entropy) - fano_equivocation(error, alphabet))[()]


def list_fano(entropy: Numbers, error: Numbers, alphabet: Numbers, k: Numbers) -> Bits:
    """Lower bound on I(X;Z) from the share of cases in which X is not among k guesses (k = 1 is `fano`):
    H(X|Z) ≤ h_b(Pe_k) + (1-Pe_k) log2 k + Pe_k log2(|A|-k).

    Raises ValueError as `fano`, and unless 1 ≤ k < alphabet.
    """
    h, pe, size = _bits("entropy", entropy), _rate("error", error), _alphabet(alphabet)
    wanted = f"a whole number of guesses from 1 to {size.min() - 1:g}"
    guesses = _valid("k", k, wanted, lambda v: (v >= 1) & (v < size) & (v == np.round(v)))
    equivocation = binary_entropy(pe) + (1 - pe) * np.log2(guesses) + pe * np.log2(size - guesses)
    return np.maximum(0, h - equivocation)[()]


def cross_entropy_bound(entropy: Numbers, cross_entropy: Numbers) -> Bits:
    """Lower bound on I(X;Z): max(0, H(X) - E[-log2 q(X|Z)]) for any predictive law q that was not fitted on the
    data it is scored on.

    The cross-entropy may be infinite (q gave 0 to what happened); then the bound is 0. Raises ValueError if either
    is negative or NaN.
    """
    ce = np.asarray(cross_entropy, dtype=float)
    _bits("cross_entropy", np.where(ce == np.inf, 0.0, ce))
    return np.maximum(0, _bits("entropy", entropy) - ce)[()]


def cross_entropy(joint: Float[np.ndarray, "x z"], prediction: Float[np.ndarray, "z x"]) -> float:
    """E[-log2 q(X|Z)] in bits under `joint`, one row q(·|z) of `prediction` a state.

    Raises ValueError if a law is not one.
    """
    information.check_law(joint, "joint")
    for row in prediction:
        information.check_law(row, "prediction's row")
    with np.errstate(divide="ignore"):
        return float(-xlogy(joint, prediction.T).sum() / np.log(2))


def crudest_prediction(
    guesses: Int[np.ndarray, "*samples"], error: float, alphabet: int
) -> Float[np.ndarray, "*samples alphabet"]:
    """All that an error rate and a guess say: 1-Pe on the guess, Pe spread evenly over the other types.

    With the predictor's own Pe its cross-entropy is `fano_equivocation`: Fano's bound is the cross-entropy bound of
    this law. Raises ValueError as `fano`, and for a guess outside 0..alphabet-1.
    """
    pe, size = _rate("error", error), _alphabet(alphabet)
    _valid("guesses", guesses, f"types from 0 to {alphabet - 1}", lambda v: (v >= 0) & (v < size))
    return np.where(np.arange(alphabet) == guesses[..., None], 1 - pe, pe / (size - 1))


def feder_merhav(error: Numbers) -> Bits:
    """The least H(X|Z) that a Bayes error allows (Kovalevskij; Feder and Merhav), so that I(X;Z) ≤ H(X) -
    feder_merhav(Pe).

    Between Pe = (k-1)/k and k/(k+1) it runs straight from log2 k to log2 (k+1). Only for the error of the best
    possible predictor: a probe's larger error would promise too much. Raises ValueError unless 0 ≤ error < 1.
    """
    pe = _valid("error", error, "a Bayes error from 0 to below 1", lambda v: (v >= 0) & (v < 1))
    k = np.floor(1 / (1 - pe))
    return (np.log2(k) + k * (k + 1) * np.log2((k + 1) / k) * (pe - (k - 1) / k))[()]


class Sandwich(NamedTuple):
    """Bounds on I(X;Z) of a sentence X = X_1..X_n from its tokens, all in bits. `tokens` holds the I(X_i;Z)."""

    lower: float
    information: float
    upper: float
    tokens: list[float]
    entropy: float
    total_correlation: float
    conditional_total_correlation: float


def sandwich(joint: Law) -> Sandwich:
    """Sentence-level between token-level information, for the joint law of X_1..X_n (the first axes) and Z (the
    last):

    max{max_i I(X_i;Z), sum_i I(X_i;Z) - TC(X)} ≤ I(X;Z) ≤ min{H(X), sum_i I(X_i;Z) + TC(X|Z)}.

    Both sums come from the identity I(X;Z) = sum_i I(X_i;Z) - TC(X) + TC(X|Z). Raises ValueError if `joint` is not
    a law.
    """
    x = tuple(range(joint.ndim - 1))
    tokens = [information.mutual_information(joint, axis, -1) for axis in x]
    whole, before = information.entropy(joint, x), information.total_correlation(joint, x)
    after = information.conditional_total_correlation(joint, x, -1)
    return Sandwich(
        lower=max(*tokens, sum(tokens) - before),
        information=information.mutual_information(joint, x, -1),
        upper=min(whole, sum(tokens) + after),
        tokens=tokens,
        entropy=whole,
        total_correlation=before,
        conditional_total_correlation=after,
    )


def error_limit(errors: Numbers, samples: Numbers, delta: Numbers) -> Bits:
    """The Clopper-Pearson upper limit: an error rate that the true one exceeds with probability at most delta.

    Exact for independent samples. Raises ValueError unless 0 ≤ errors ≤ samples, samples ≥ 1 and 0 < delta < 1.
    """
    n = _valid("samples", samples, "a whole number of at least 1", lambda v: (v >= 1) & (v == np.round(v)))
    wanted = f"a whole number from 0 to the number of samples, {n.min():g}"
    wrong = _valid("errors", errors, wanted, lambda v: (v >= 0) & (v <= n) & (v == np.round(v)))
    # With every sample wrong the beta law degenerates; the limit is 1.
    limit = beta.isf(_risk(delta), wrong + 1, np.maximum(n - wrong, np.finfo(float).tiny))
    return np.where(wrong == n, 1.0, limit)[()]


def entropy_limit(counts: Num[np.ndarray, "*batch classes"], delta: Numbers) -> Bits:
    """A lower limit on H(X) in bits: the true entropy is below it with probability at most delta, for independent
    samples.

    The plug-in entropy of N samples has a mean of at most H(X), and exceeds its mean by more than t with
    probability at most exp(-2t² / (N c²)), where c is the most that one sample can change it (McDiarmid). Moving a
    sample from a class of a to one of b changes it by |g(a) - g(b+1)| / N with g(k) = k log2 k - (k-1) log2 (k-1).
    As g rises from g(1) = 0, the most is c = g(N) / N < (log2 N + log2 e) / N, about half of the customary 2
    log2(N) / N (Antos and Kontoyiannis 2001). Only one side is asked for, hence ln(1/delta) and not ln(2/delta).
    Raises ValueError as `information.plug_in`, and unless 0 < delta < 1.
    """
    level, estimate, n = _risk(delta), information.plug_in(counts), counts.sum(-1)
    change = (xlogy(n, n) - xlogy(n - 1, n - 1)) / (n * np.log(2))
    return np.maximum(0, estimate - change * np.sqrt(n * np.log(1 / level) / 2))[()]


def certificate(
    errors: Numbers, samples: Numbers, alphabet: int, counts: Num[np.ndarray, "*batch classes"], delta: Numbers
) -> Bits:
    """Bits that I(X;Z) reaches with probability at least 1 - delta: Fano's bound with both of its terms at their
    limits.

    `errors` of `samples` independent predictions failed (one position a sentence: tokens of one sentence depend on
    each other); `counts` [class] are those of an independent sample of X, of any size and perhaps the same one.
    Half of delta goes to `error_limit`, half to `entropy_limit`. |A| is the number of types a predictor could be
    asked for, fixed before looking at these samples. Raises ValueError as these two, unless alphabet ≥ 2, and if
    counts has more non-zero classes than the alphabet has types.
    """
    size = _alphabet(alphabet)
    seen = (counts > 0).sum(-1).max()
    if seen > size:
        raise ValueError(f"counts has {seen} non-zero classes, but alphabet is only {alphabet}.")
    half = _risk(delta) / 2
    # Beyond 1 - 1/|A| Fano's bound on H(X|Z) falls again, but a limit there says nothing: H(X|Z) ≤ log2 |A|.
    error = np.minimum(error_limit(errors, samples, half), 1 - 1 / size)
    return fano(entropy_limit(counts, half), error, alphabet)
