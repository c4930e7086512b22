"""How well a score tells two classes apart: the area under the receiver operating characteristic."""

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from scipy.stats import rankdata

from bitskept.theory.checks import at_least, finite

Scores = Num[np.ndarray, " unit"]
Groups = Shaped[np.ndarray, " unit"] | None


def area(scores: Scores, positive: Bool[np.ndarray, " unit"], within: Groups = None) -> float:
    """The probability that a positive unit drawn at random has a higher score than a negative one, where a tie counts
    one half: Mann and Whitney's U over the number of pairs (Hanley and McNeil 1982). .5 for a score that tells nothing.

    If `within` names a group for each unit, over pairs of the same group only, so that differences between groups do
    not count. NaN without a pair, ValueError for scores that are not finite.
    """
    return float(areas(scores, positive, np.ones((1, len(scores)), int), within)[0])


def areas(
    scores: Scores,
    positive: Bool[np.ndarray, " unit"],
    counts: Num[np.ndarray, "replicate unit"],
    within: Groups = None,
) -> Float[np.ndarray, " replicate"]:
    """`area` of samples in which each unit is found so many times (`resampled`)."""
    finite("scores", scores)
    pairs = positive[:, None] & ~positive[None, :]
    if within is not None:
        pairs = pairs & (within[:, None] == within[None, :])
    higher = np.where(pairs, (scores[:, None] > scores) + (scores[:, None] == scores) / 2, 0.0)
    drawn = counts.astype(float)
    won, all_pairs = (((drawn @ table) * drawn).sum(axis=1) for table in (higher, pairs.astype(float)))
    return np.divide(won, all_pairs, out=np.full(len(drawn), np.nan), where=all_pairs > 0)


def resampled(units: int, *, replicates: int = 1000, seed: int) -> Num[np.ndarray, "{replicates} {units}"]:
    """How often each unit is found in samples that are drawn with replacement. A seed gives the same samples for every
    score, so that replicates of two areas can be subtracted.
    """
    at_least("replicates", replicates, 1)
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=replicates)


def permuted(
    scores: Scores, positive: Bool[np.ndarray, " unit"], within: Groups = None, *, permutations: int = 1000, seed: int
) -> Float[np.ndarray, " {permutations}"]:
    """`area` where the classes are permuted over units (over those of the same group): what chance gives."""
    at_least("permutations", permutations, 1)
    finite("scores", scores)
    random, groups = np.random.default_rng(seed), np.zeros(len(scores)) if within is None else within
    ranks, shuffled = np.empty(len(scores)), np.tile(positive, (permutations, 1))
    least, pairs = 0.0, 0
    for group in [np.flatnonzero(groups == name) for name in np.unique(groups)]:
        ranks[group] = rankdata(scores[group])
        shuffled[:, group] = random.permuted(shuffled[:, group], axis=1)
        number = int(positive[group].sum())
        least += number * (number + 1) / 2
        pairs += number * (len(group) - number)
    # Mann and Whitney's U of a group is the sum of the ranks of its positive units, less the least that it can be.
    return (shuffled @ ranks - least) / pairs if pairs else np.full(permutations, np.nan)
