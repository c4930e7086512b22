"""The exact bottleneck curve of a corpus's bigrams: what a summary of one token can say about the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from bitskept.measure.states import encode
from bitskept.sources import corpora, models
from bitskept.store import stored
from bitskept.theory.bottleneck import bigrams, curve
from bitskept.theory.information import mutual_information

VERSION = 1
"""Raise it when the same key would give other numbers."""
TOLERANCE = 1e-4
"""In bits: close enough to draw."""


def bigram_curve(
    model_id: str, corpus: str, sentences: int, *, types: int, betas: Sequence[float], longest: int, seed: int = 0
) -> pd.DataFrame:
    """Columns beta, complexity and relevance in bits, of the tokens that this model cuts a corpus into; from the store
    where it is there.

    The `types` most frequent types stand for themselves, the rest for one. These are plug-in estimates, so the
    `information` and all on the curve have a floor of their own: `shuffled` is the information with the second tokens
    permuted. Errors as `models.load` and `corpora.load`.
    """
    models.fetch(model_id)
    corpora.fetch(corpus)
    key = {"sentences": sentences, "types": types, "betas": list(betas), "longest": longest, "seed": seed}
    key |= {"model": models.fingerprint(model_id), "corpus": corpus, "text": corpora.fingerprint(corpus)}

    def compute() -> pd.DataFrame:
        texts = corpora.load(corpus, sentences=sentences, seed=seed)
        encoding = encode(models.load(model_id, dtype="float32"), texts["text"], longest=longest)
        joint = bigrams([encoding.tokens(sentence) for sentence in range(len(encoding))], types)
        found = curve(joint, betas, tolerance=TOLERANCE)
        table = {"beta": found.beta, "complexity": found.complexity, "relevance": found.relevance}
        facts = {"entropy": found.entropy, "information": found.information, "shuffled": _shuffled(joint, seed)}
        return pd.DataFrame(table | facts | {"n": int(joint.sum()), "types": joint.shape[0]})

    return stored("bigram_curve", VERSION, key, compute)


def _shuffled(joint: sparse.csr_array, seed: int) -> float:
    """The information of the same tokens in random pairs, in bits: what the plug-in estimate makes of none."""
    pairs = joint.tocoo()
    first, second = (np.repeat(side, pairs.data.astype(int)) for side in pairs.coords)
    law = np.zeros(joint.shape)
    np.add.at(law, (first, np.random.default_rng(seed).permutation(second)), 1 / len(first))
    return mutual_information(law / law.sum(), 0, 1)
