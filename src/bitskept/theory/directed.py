"""Directed information: how many bits one sequence contains about another if each symbol may use only the past. Exact,
for laws that are small enough to write down.

I(X→Y) = sum_t I(X^t; Y_t | Y^(t-1)), where X^t stands for X_1..X_t (Massey 1990). Mutual information has no direction;
its bits are those from X to Y plus those that Y feeds back into later X (Massey and Massey 2005). A **joint law** is an
array with one axis per variable: first X_1..X_n, then Y_1..Y_n.
"""

from typing import NamedTuple

from bitskept.theory.checks import Law, at_least, check_law
from bitskept.theory.information import mutual_information


class Conservation(NamedTuple):
    """I(X;Y) and its two parts in bits: `forward` is I(X→Y), and `feedback` is I(0*Y^(n-1) → X), the same the other way
    around with a delay of one, because X_t may depend only on Y^(t-1).
    """

    mutual: float
    forward: float
    feedback: float


def directed_information(law: Law, delay: int = 0) -> float:
    """I(X→Y) in bits: the sum of I(X^(t-delay); Y_t | Y^(t-1)) over t = 1..n. With a delay of 1 only the strict past of
    X counts: this is transfer entropy, summed. ValueError if `law` is not a joint law, or delay is negative.
    """
    n = _length(law)
    at_least("delay", delay, 0)
    y = tuple(range(n, 2 * n))
    known = [range(max(0, t + 1 - delay)) for t in range(n)]
    return sum(mutual_information(law, tuple(x), y[t], given=y[:t]) for t, x in enumerate(known))


def conservation(law: Law) -> Conservation:
    """I(X;Y) and its two parts, each by its own definition: that they add up is the conservation law. ValueError if
    `law` is not a joint law.
    """
    n = _length(law)
    x, y = tuple(range(n)), tuple(range(n, 2 * n))
    mutual = mutual_information(law, x, y)
    return Conservation(mutual, directed_information(law), directed_information(law.transpose(y + x), delay=1))


def _length(law: Law) -> int:
    check_law(law)
    if not law.ndim or law.ndim % 2:
        raise ValueError(f"law must have as many axes for X as for Y, first X_1..X_n, but has {law.ndim} axes.")
    return law.ndim // 2
