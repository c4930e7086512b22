"""The exact bottleneck curve of a corpus's bigrams: how well a summary of one token can predict the next."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from bitskept.base.store import stored
from bitskept.instruments.states import encode
from bitskept.sources import corpora, model_files, models
from bitskept.theory.bottleneck import bigrams, curve
from bitskept.theory.information import mutual_information

VERSION = 1
"""Raise it when the same plan would give other numbers."""
TOLERANCE = 1e-4
"""In bits: close enough to draw."""


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus, cut at `longest` tokens. All but the `types` most frequent tokens are merged
    into one; `betas` are the trade-offs at which the curve is computed.
    """

    corpus: str
    sentences: int
    types: int
    betas: tuple[float, ...]
    longest: int
    seed: int


def bigram_curve(model_id: str, plan: Plan) -> pd.DataFrame:
    """The exact bottleneck curve of the corpus's bigrams, in this model's tokens; stored. Columns: beta; complexity and
    relevance, in bits; entropy, information and shuffled, in bits; n and types.

    These are plug-in estimates, so `information` and the curve are biased upwards; `shuffled`, the information with the
    second tokens permuted, shows by how much. Errors as `models.load` and `corpora.load`.
    """
    model_files.fetch(model_id)
    corpora.fetch(plan.corpus)
    key = asdict(plan) | {"model": model_files.fingerprint(model_id), "text": corpora.fingerprint(plan.corpus)}
    return stored("bigram_curve", VERSION, key, lambda: _computed(model_id, plan))


def _computed(model_id: str, plan: Plan) -> pd.DataFrame:
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)
    encoding = encode(models.load(model_id, dtype="float32"), texts["text"], longest=plan.longest)
    joint = bigrams([encoding.tokens(sentence) for sentence in range(len(encoding))], plan.types)
    bound = curve(joint, plan.betas, tolerance=TOLERANCE)
    table = pd.DataFrame({"beta": bound.beta, "complexity": bound.complexity, "relevance": bound.relevance})
    facts = {"entropy": bound.entropy, "information": bound.information, "shuffled": _shuffled(joint, plan.seed)}
    return table.assign(**facts, n=int(joint.sum()), types=joint.shape[0])


def _shuffled(joint: sparse.csr_array, seed: int) -> float:
    """The information of the same tokens in random pairs, in bits: the plug-in estimate where the truth is near 0."""
    pairs = joint.tocoo()
    first, second = (np.repeat(side, pairs.data.astype(int)) for side in pairs.coords)
    law = np.zeros(joint.shape)
    np.add.at(law, (first, np.random.default_rng(seed).permutation(second)), 1 / len(first))
    return mutual_information(law / law.sum(), 0, 1)
