"""Which tokens a decoder lets through: sets of tokens chosen from the law of the next one, in bits.

Every function takes the law p of the next token and returns which tokens are kept. What is drawn then follows p
restricted to these tokens (`restricted`). The likeliest token is always kept, except by `typical`, which keeps the
token whose surprisal is nearest to the entropy.

Top-H comes in two forms. As its authors state it, it takes tokens from the likeliest on as long as the entropy of what
is drawn stays within a share of the whole entropy: `top_h`. What they published as code, and what transformers has,
adds up the terms -p log p of the whole law instead: `top_h_terms`. The two differ, since restricting a law to tokens of
total probability m turns a sum of terms T into an entropy of T / m + log m.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import entr

from bitskept.theory.checks import above, at_least, check_law, rate
from bitskept.theory.information import entropy

Law = Float[np.ndarray, " token"]
Kept = Bool[np.ndarray, " token"]
MOST = 100
"""The likeliest tokens to which Top-H's code and Mirostat's estimate of Zipf's exponent look, as published."""
FLATTEST = 1e-6
"""The smallest exponent of Zipf's law that Mirostat takes: below it the number of tokens has no finite formula."""
ROUNDING = 1e-12


def surprisals(law: Law) -> Float[np.ndarray, " token"]:
    """-log2 p of each token, in bits; infinite where p is 0. ValueError unless it is a law."""
    with np.errstate(divide="ignore"):
        return -np.log2(check_law(law))


def restricted(law: Law, kept: Kept) -> Law:
    """The law given that a kept token is drawn. ValueError if the kept tokens have no probability."""
    above("the probability of the kept tokens", law[kept].sum(), 0)
    return np.where(kept, law, 0) / law[kept].sum()


def top_k(law: Law, k: int) -> Kept:
    """The k likeliest tokens. ValueError for k below 1."""
    at_least("k", k, 1)
    return _first(_likeliest(law), k)


def nucleus(law: Law, mass: float) -> Kept:
    """The fewest of the likeliest tokens whose probability reaches `mass` (Holtzman et al. 2020, arXiv 1904.09751)."""
    return _up_to(law, _likeliest(law), mass)


def typical(law: Law, mass: float) -> Kept:
    """The fewest tokens with a surprisal nearest to the entropy whose probability reaches `mass`: locally typical
    sampling (Meister et al. 2022, arXiv 2202.00666). It may leave out the likeliest tokens, if they tell too little.
    """
    return _up_to(law, np.argsort(np.abs(surprisals(law) - entropy(law)), kind="stable"), mass)


def top_h(law: Law, share: float) -> Kept:
    """The most of the likeliest tokens for which a draw's entropy is at most `share` of the law's: Top-H as stated
    (Baghaei Potraghloo et al. 2025, arXiv 2509.02510).

    Each further token raises this entropy, so this is the best of the sets that hold the likeliest tokens. To find the
    set of the largest probability among all sets is NP-hard. ValueError for a share outside [0, 1].
    """
    rate("share", share)
    order = _likeliest(law)
    masses, terms = np.cumsum(law[order]), np.cumsum(entr(law[order])) / np.log(2)
    entropies = terms / masses + np.log2(masses)
    return _first(order, int(np.count_nonzero(entropies <= share * entropy(law) + ROUNDING)))


def top_h_terms(law: Law, share: float) -> Kept:
    """The most of the likeliest tokens whose terms -p log p are at most `share` of those of the `MOST` likeliest: Top-H
    as published in code, with p the law restricted to these. ValueError as `top_h`.
    """
    rate("share", share)
    order = _likeliest(law)[:MOST]
    terms = np.cumsum(entr(law[order] / law[order].sum()))
    kept = np.zeros(len(law), dtype=bool)
    kept[order[: max(1, np.count_nonzero(terms <= share * terms[-1]))]] = True
    return kept


def zipf_exponent(law: Law) -> float:
    """The exponent s of Zipf's law, p of the i-th likeliest token ∝ 1 / i^s, by least squares on the ratios of
    neighbours among the `MOST` + 1 likeliest (Basu et al. 2020, arXiv 2007.14966).
    """
    likeliest = np.sort(law[law > 0])[::-1][: MOST + 1]
    ranks = np.arange(1, len(likeliest))
    steps = np.log((ranks + 1) / ranks)
    return float(steps @ np.log(likeliest[:-1] / likeliest[1:]) / (steps @ steps)) if len(ranks) else np.inf


def mirostat_size(exponent: float, ceiling: float, vocabulary: int) -> int:
    """How many of the likeliest tokens Mirostat keeps, k = (e 2^μ / (1 - n^-e))^(1 / s), for Zipf's exponent s = 1 + e,
    a `ceiling` of μ bits and n tokens (Basu et al. 2020); from 1 to n.
    """
    s = max(exponent, FLATTEST)
    if np.isinf(s):
        return 1
    over = (s - 1) * np.log(vocabulary)
    # e / (1 - n^-e), whose limit at e = 0 is 1 / ln n
    factor = 1 / np.log(vocabulary) if abs(over) < ROUNDING else (s - 1) / -np.expm1(-over)
    bits = np.clip((ceiling + np.log2(factor)) / s, 0, np.log2(vocabulary))
    return int(np.clip(np.round(2**bits), 1, vocabulary))


@dataclass
class Mirostat:
    """Top-k whose k follows the text: after each token the `ceiling` μ falls by `step` times the bits by which the
    token's surprisal was above the `target` (Basu et al. 2020, arXiv 2007.14966). μ begins at twice the target.

    So after T tokens their mean surprisal is off the target by (2 · target - μ) / (step · T), exactly. It holds its
    target as long as μ stays within bounds, and loses it where even the whole law has too little surprisal.
    """

    target: float
    step: float = 1.0

    def __post_init__(self) -> None:
        above("target", self.target, 0)
        above("step", self.step, 0)
        self.ceiling = 2 * self.target

    def keeps(self, law: Law) -> Kept:
        """The tokens that may come next."""
        return top_k(law, mirostat_size(zipf_exponent(law), self.ceiling, len(law)))

    def told(self, surprisal: float) -> None:
        """Learn the surprisal of the token that was drawn, in bits, under the whole law."""
        self.ceiling -= self.step * (surprisal - self.target)


def _likeliest(law: Law) -> Int[np.ndarray, " token"]:
    return np.argsort(-check_law(law), kind="stable")


def _first(order: Int[np.ndarray, " token"], number: int) -> Kept:
    """The first tokens of an order, one at least."""
    kept = np.zeros(len(order), dtype=bool)
    kept[order[: max(1, number)]] = True
    return kept


def _up_to(law: Law, order: Int[np.ndarray, " token"], mass: float) -> Kept:
    """The fewest first tokens of an order whose probability reaches `mass`. ValueError for one outside [0, 1]."""
    rate("mass", mass)
    return _first(order, 1 + int(np.count_nonzero(np.cumsum(law[order]) < mass - ROUNDING)))
