"""How far vectors, laws or answers that should agree lie apart, in bits."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

from bitskept.theory.checks import above
from bitskept.theory.information import entropy

RIDGE = 1e-6
"""Added to the Gram matrix, so that vectors that are the same have a volume too."""


def log_volume(vectors: Float[np.ndarray, "vector dim"]) -> float:
    """log2 det(G + `RIDGE` · I), where G holds the cosines of all pairs: log2 of the squared volume that the vectors,
    each of length 1, span. This is the semantic volume of Li and others (2025, arXiv 2502.21239), without their
    projection onto principal components.

    About 0 for vectors at right angles, and lower the more alike they are: for n vectors with a cosine of c to each
    other, (n - 1) log2(1 - c + `RIDGE`) + log2(1 + (n - 1) c + `RIDGE`). ValueError for a vector of zeros.
    """
    gram = _cosines(vectors) + RIDGE * np.eye(len(vectors))
    return float(np.linalg.slogdet(gram).logabsdet / np.log(2))


def inverse_entropy(inputs: Float[np.ndarray, "pair dim"], answers: Float[np.ndarray, "pair other"]) -> float:
    """-Σ_i p_i log2 p_i, where p_i is the probability of the input i given its own answer: from the answer a random
    walk goes to one like it, and from that one's input to an input like it. Each step goes to a vector in proportion
    to its absolute cosine, p = P_answers P_inputs. This is the Inv-Entropy of Song and others (2025, arXiv 2506.09684)
    as their public code computes it: a sum over the diagonal, which is not the entropy of a law.

    log2 n for n pairs if all inputs are alike and all answers are, 0 if all of them are at right angles. In between it
    grows as answers come apart, as long as each p_i is below 1/e. ValueError for a vector of zeros.
    """
    steps = [np.abs(_cosines(vectors)) for vectors in (answers, inputs)]
    to_answer, to_input = (step / step.sum(axis=1, keepdims=True) for step in steps)
    back = np.diag(to_answer @ to_input)
    return float(-(back * np.log2(back)).sum())


def information_of_wording(laws: Float[np.ndarray, "wording outcome"]) -> float:
    """I(W; Y) for a wording W drawn evenly and an outcome Y from its law: the entropy of the mean law less the mean
    entropy. 0 where all laws are the same, at most log2 of their number.
    """
    return entropy(laws.mean(axis=0)) - float(np.mean([entropy(law) for law in laws]))


def entropy_of_answers(answers: Sequence[Hashable]) -> float:
    """The entropy of the shares of answers, equal ones counted together. Of samples whose answers are put together by
    their meaning, this is the (discrete) semantic entropy of Kuhn and others (2023, arXiv 2302.09664).
    """
    shares = np.array(list(Counter(answers).values())) / len(answers)
    return entropy(shares)


def _cosines(vectors: Float[np.ndarray, "vector dim"]) -> Float[np.ndarray, "vector vector"]:
    lengths = np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    above("the length of a vector", lengths, 0)
    unit = vectors / lengths
    return unit @ unit.T
