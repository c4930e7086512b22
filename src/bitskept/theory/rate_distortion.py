"""How many bits per symbol it takes to reproduce a source with a distortion of at most D, with and without memory.

A Markov source X_1..X_n is reproduced as Y_1..Y_n, each Y_t chosen from the past and X_t. The nonanticipative
rate-distortion function is R(D) = min I(X→Y)/n over the causally conditioned laws
p(y^n||x^n) = prod_t p(y_t | y^(t-1), x^t) with a mean distortion of at most D. Nothing feeds back into the source, so
I(X→Y) = I(X;Y), which is convex in p(y^n||x^n), and these laws form a convex set. With n = 1 it is Shannon's R(D) of a
memoryless source.

At a slope s, I(X→Y) + s E d is the minimum over all laws r of Y of E[log p(y^n||x^n) / r(y^n) + s d(x^n, y^n)], which
is convex in p and r together; so the two are minimised in turn (Blahut, Arimoto). The best r is the law of Y under p.
The best p follows backwards in time: p(y_t | x_t, y^(t-1)) ∝ r(y_t | y^(t-1)) exp(-s d(x_t, y_t) + E[ln Z_(t+1) | x_t,
y^t]), where Z_t is the sum that makes it a law. (Tanaka, Sandberg and Skoglund, arXiv 1708.09096, do the same for
controlled sources, where the limit need only be stationary.)

Every point comes with a proof of how good it is. Let r be the old and q the new law of Y: no p has a Lagrangian below
that of (p, r) by more than max ln q/r. (Let p* be the best law and r* its law of Y. As p is the best for r,
E* ln p*/r + s d exceeds the same for p by at least KL(r*||q), by Pythagoras' theorem for divergences. Subtracting
KL(r*||r) gives E_r* ln r/q.)
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy.special import xlogy

from bitskept.theory.checks import Bits, Numbers, at_least, check_law
from bitskept.theory.information import ways_to_share

LARGEST = 2**20
"""|X| |Y|^n, the number of cells of the largest causal law that is computed."""
NEVER = -1e200
"""The logarithm of probability 0: finite, because infinity times 0 is not a number."""
RAREST = np.log(1e-30)
"""Least ln r(y_t | y^(t-1)), because a probability of 0 could never rise again."""


class Curve(NamedTuple):
    """R(D): distortions, from the least attainable one to that at which no bits are needed, and bits per symbol.

    Causal laws reach every point, and mixtures of two laws reach all points between. So the true curve lies nowhere
    above this one, and it is proven (up to rounding) to lie nowhere more than `error` bits below it.
    """

    distortion: Float[np.ndarray, " point"]
    rate: Float[np.ndarray, " point"]
    error: float

    def rate_at(self, distortion: Numbers) -> Bits:
        """The bits per symbol at a distortion, 0 beyond the last point. ValueError below the first one."""
        at_least("distortion", distortion, self.distortion[0] - 1e-12)
        return np.interp(np.asarray(distortion, float), self.distortion, self.rate)[()]


def curve(
    initial: Float[np.ndarray, " x"],
    distortion: Num[np.ndarray, "letter y"],
    transition: Float[np.ndarray, "before after"] | None = None,
    *,
    steps: int = 1,
    tolerance: float = 1e-4,
    updates: int = 20_000,
) -> Curve:
    """R(D) of a Markov source over `steps` symbols, to `tolerance` bits per symbol. (If `updates` per point are too few
    for that, `error` shows it.) For plain R(D) leave out all arguments after `distortion`.

    `initial` is the law of X_1, the rows of `transition` are those of X_(t+1) given X_t (None: a fresh draw from
    `initial`). `distortion` d(x, y) may be infinite if y must never stand for x; D is its mean over symbols. Between
    two points of the curve a third one is computed at the slope of their chord, until at most `tolerance` bits lie
    between the chord and a parallel line below which R(D) is proven not to fall.

    ValueError for laws that are not laws, shapes that do not fit, a distortion that is NaN or -inf, or infinite for
    each y of an x or for some x of each y, steps or updates below 1, a tolerance below 1e-8, and |X| |Y|^n above 2^20.
    """
    at_least("updates", updates, 1)
    at_least("tolerance", tolerance, 1e-8)
    source = _Source(initial, transition, distortion, steps)
    points = [source.solve(np.inf, tolerance / 4, updates), _Point(source.silent, 0.0, 0.0)]
    edges, error = [(points[0], points[1])], points[0].gap
    while edges:
        left, right = edges.pop()
        drop, width = left.rate - right.rate, right.distortion - left.distortion
        if drop <= 0.75 * tolerance or width <= 0:
            error = max(error, max(0, drop) + right.gap)  # because R(D) never rises
            continue
        slope = drop / width
        point = source.solve(slope, tolerance / 4, updates)
        below = drop - (point.rate - right.rate) - slope * (point.distortion - left.distortion)
        helps = below > 0 and left.distortion < point.distortion < right.distortion
        if helps:
            points.append(point)
        if helps and below > 0.75 * tolerance:
            edges += [(left, point), (point, right)]
        else:
            error = max(error, below + point.gap)
    d, rate, _ = np.array(sorted(points)).T
    return Curve(d, rate, float(error))


def log_loss(laws: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "x y"]:
    """The distortion -log2 b(x), in bits, of reproductions that are laws b of X, one per row: the surprisal of x.

    If every law is allowed, R(D) = H(X) - D, because E[-log2 b_Y(X)] is never below H(X|Y), and equal to it if b_y is
    the law of X given y. With finitely many laws, such as `law_grid`, this still holds for each D that is the mean
    entropy of some of them that average to the law of X: from 0 if the certain laws are among them, and up to H(X) if
    the law of X is. Elsewhere R(D) is larger. ValueError if a row is not a law.
    """
    checked = np.array([check_law(row, "laws' row") for row in laws])
    with np.errstate(divide="ignore"):
        return np.maximum(0, -np.log2(checked.T))


def law_grid(alphabet: int, resolution: int) -> Float[np.ndarray, "y {alphabet}"]:
    """All laws of `alphabet` symbols whose probabilities are multiples of 1/`resolution`, the certain ones among them.

    ValueError if either is below 1.
    """
    at_least("alphabet", alphabet, 1)
    at_least("resolution", resolution, 1)
    return ways_to_share(resolution, alphabet) / resolution


class _Point(NamedTuple):
    """A causal law. At the slope for which it was computed, no other has a rate + slope · distortion that is lower by
    more than `gap`.
    """

    distortion: float
    rate: float
    gap: float


class _Source:
    """A checked source. `excess` is its distortion beyond the least that each x allows, `least` the mean of this least,
    and `silent` the distortion at which no bits are needed.
    """

    def __init__(self, initial: np.ndarray, transition: np.ndarray | None, distortion: np.ndarray, steps: int) -> None:
        self.initial, self.steps, letters = check_law(initial, "initial"), steps, len(initial)
        self.transition = np.tile(self.initial, (letters, 1)) if transition is None else transition
        if self.transition.shape != (letters, letters) or len(distortion) != letters or not distortion.size:
            shapes = f"the shapes {self.transition.shape} and {distortion.shape}"
            raise ValueError(f"transition [x, x] and distortion [x, y] need {letters} x each, but have {shapes}.")
        self.transition = np.array([check_law(row, "transition's row") for row in self.transition])
        wrong = distortion[np.isnan(distortion) | (distortion == -np.inf)]
        if wrong.size:
            raise ValueError(f"distortion must be numbers, or inf if y must never stand for x, but has {wrong[0]}.")
        if steps < 1 or letters * distortion.shape[1] ** steps > LARGEST:
            raise ValueError(f"steps must be at least 1, and |X| |Y|^steps at most {LARGEST}, but steps is {steps}.")
        least = distortion.min(1)
        if np.isinf(least).any():
            raise ValueError(f"distortion must be finite for some y of each x, but is not for x = {least.argmax()}.")
        self.excess = distortion - least[:, None]
        laws = [self.initial]
        for _ in range(steps - 1):
            laws.append(laws[-1] @ self.transition)
        self.least = float(np.mean(laws, axis=0) @ least)
        self.silent = self.least + float(np.mean([(law[law > 0] @ self.excess[law > 0]).min() for law in laws]))
        if np.isinf(self.silent):
            raise ValueError("distortion must leave a y that may stand for every x: now R(D) is 0 at no finite D.")

    def solve(self, slope: float, tolerance: float, updates: int) -> _Point:
        """The best causal law at a slope, in bits per unit of distortion, to `tolerance` bits per symbol."""
        with np.errstate(invalid="ignore"):
            tilted = np.maximum(-slope * np.log(2) * self.excess, NEVER)
        kernel = np.where(self.excess > 0, tilted, 0)[:, None]
        marks, unit = self.excess.shape[1], self.steps * np.log(2)
        # ln r(y_t | y^(t-1)) [history, y] at each step; a history is y^(t-1) as one number, its last symbol the units.
        base = [np.zeros((marks**t, marks)) for t in range(self.steps)]
        changes, stride, lagrangian = base, 1.0, np.inf
        for _ in range(updates):
            laws = [_normalised(law + stride * change) for law, change in zip(base, changes, strict=True)]
            tilts, value = self._backward(kernel, laws)
            if stride > 1 and value > lagrangian:
                stride = 1.0
                continue
            base, changes, lagrangian = laws, [], value
            ratio, spent, log_law = self.initial[:, None], 0.0, np.zeros(1)
            for tilt, law in zip(tilts, laws, strict=True):
                # ratio is p(x_t, y^t) / r(y^t), growth q(y^t) / r(y^t): both exist where r is almost 0.
                ratio, log_law = ratio[..., None] * np.exp(tilt), log_law.reshape(-1, 1) + law
                growth = ratio.sum(0)
                spent -= float((ratio * kernel * np.exp(log_law)).sum())
                changes.append(np.log(np.maximum(growth, 1e-300)))
                ratio = self.transition.T @ ratio.reshape(len(ratio), -1)
            moved = float(xlogy(growth * np.exp(log_law), growth).sum())  # KL(q||r), by which q is better than r
            gap = float(np.log(growth.max()) - moved) / unit
            if gap <= tolerance:
                break
            # A step of stride 1 makes q the next r. Longer ones save hundreds of updates, and are undone if they fail.
            stride *= 1.5
        excess = 0.0 if np.isinf(slope) else spent / (slope * unit)
        return _Point(self.least + excess, max(0.0, (lagrangian - moved - spent) / unit), max(0.0, gap))

    def _backward(self, kernel: np.ndarray, laws: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
        """ln p(y_t | x_t, y^(t-1)) - ln r(y_t | y^(t-1)) [x, history, y] at each step, for the best p given r, and its
        Lagrangian in nats.
        """
        tilts, ahead = [], np.zeros((len(kernel), laws[-1].size))
        for law in reversed(laws):
            scores = kernel + ahead.reshape(-1, *law.shape)
            log_z = np.logaddexp.reduce(scores + law, axis=-1)
            tilts.append(scores - log_z[..., None])
            ahead = self.transition @ log_z  # given the symbol before, and its history
        return tilts[::-1], -float(self.initial @ log_z[:, 0])


def _normalised(logs: np.ndarray) -> np.ndarray:
    """Each row as the logarithms of a law."""
    return np.maximum(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True), RAREST)
