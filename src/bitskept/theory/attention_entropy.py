"""How spread out the weights of attention are: their entropy, and the least that it can be for scores of a given size.

Weights are the softmax of scores. Adding a constant to all scores changes no weight, so only what they differ by
counts. Of all T scores with mean 0 and norm σ, those with one score above T - 1 equal ones have the weights of least
entropy. This gives the lower bound of Zhai et al. (2023, arXiv 2303.06296, theorem 3.1), which is reached:

    H ≥ log(1 + (T-1) β) + σ √(T (T-1)) β / (1 + (T-1) β),    β = exp(-σ √(T / (T-1))).

They take for σ the spectral norm of the matrix of scores, or a bound on it: the product of those of W_K W_Q' and X X'.
No row of a matrix is longer than its spectral norm, and a row loses length when its mean is taken off. Entropies here
are in bits.
"""

import numpy as np
from jaxtyping import Float, Num
from scipy.special import entr

from bitskept.theory.checks import at_least


def entropy(law: Float[np.ndarray, "*batch key"]) -> Float[np.ndarray, "*batch"] | np.floating:
    """The entropy of each law, in bits."""
    return (entr(law).sum(-1) / np.log(2))[()]


def least_entropy(
    norm: Num[np.ndarray, "*batch"] | float, keys: Num[np.ndarray, "*#batch"] | int
) -> Float[np.ndarray, "*batch"] | np.floating:
    """The least entropy, in bits, of the softmax of so many scores that are natural logarithms up to a constant, where
    their `norm` after taking off their mean is at most this. ValueError for a negative norm and fewer than one key.
    """
    at_least("norm", norm, 0)
    at_least("keys", keys, 1)
    others = np.maximum(np.asarray(keys, float) - 1, 1e-300)
    gap = norm * np.sqrt((others + 1) / others)
    weight = others * np.exp(-gap)
    nats = np.log1p(weight) + gap * weight / (1 + weight)
    return np.where(np.asarray(keys) > 1, nats / np.log(2), 0.0)[()]


def without_key(law: Float[np.ndarray, "*batch key"], key: int) -> Float[np.ndarray, "*batch key"]:
    """The law of the other keys, given that it is not this one: weights without that of `key`, brought to sum to 1.
    All are 0 where the key has the whole weight.
    """
    others = law.copy()
    others[..., key] = 0
    total = others.sum(-1, keepdims=True)
    return np.divide(others, total, out=np.zeros_like(others), where=total > 0)
