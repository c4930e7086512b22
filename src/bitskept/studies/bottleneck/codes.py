"""When is expressivity at most complexity? Codes of a token on languages with a truth, all values exact.

Let the label X be the token, Y the next one, Z a state that is computed from the tokens so far, and J drawn from the
soft assignment of Z. If the past acts on Y through X alone, Y - X - Z - J is a Markov chain, and I(Y;J) <= I(X;J).
If something older than X decides Y, a state can hold that instead of X, and the inequality fails.
"""

import numpy as np
import pandas as pd
from scipy import sparse

from bitskept.studies.bottleneck.exact_information import (
    CLASSES,
    CONCENTRATION,
    DIM,
    SYNONYMS,
    assigned,
    exact,
    language,
    neighbours,
    soft_information,
    token_states,
)
from bitskept.theory.synonyms import SynonymLanguage

LAG, FEW, NOISE = 2, 4, 0.1
"""The language with a memory: the lag of its synonyms, how many a class has, and the share that is drawn afresh."""


def codes(seed: int) -> pd.DataFrame:
    """Exact soft complexity, expressivity and optimality of three codes, beside the bits of Shannon and the largest
    ratio that any code with as many bits of the token can have (`best`). Columns: language, code, complexity,
    expressivity, optimality, shannon complexity, shannon expressivity, shannon optimality, best.
    """
    random, spoken = np.random.default_rng(seed), language(seed)
    joint, own = neighbours(spoken), token_states(random)
    centres = np.repeat(random.standard_normal((CLASSES, DIM)), SYNONYMS, axis=0).astype(np.float32)
    bits = {"the token": spoken.entropy, "its class": spoken.class_entropy}
    rows = [
        {"language": "synonyms", "code": name} | exact(joint, assigned(states, seed))
        | _shannon(bits[name], spoken.next_information, float(spoken.bottleneck(np.array([bits[name]]))[0]))
        for name, states in zip(bits, (own, centres), strict=True)
    ]  # fmt: skip
    hidden = SynonymLanguage.draw(CLASSES, FEW, CONCENTRATION, seed, LAG, NOISE)
    chain = hidden.synonym_chain
    laws = assigned(random.standard_normal((FEW, DIM)).astype(np.float32), seed)
    ahead = soft_information(sparse.csr_array(chain.stationary[:, None] * chain.transitions), laws)
    # With a lag of 2 the next synonym repeats the one before the token, and that one tells nothing about the token.
    older = {"complexity": 0.0, "expressivity": ahead, "optimality": np.inf}
    facts = {"language": "synonyms that return", "code": "the synonym before the token"}
    return pd.DataFrame([*rows, facts | older | _shannon(0.0, hidden.synonym_information, np.nan)])


def _shannon(kept: float, ahead: float, most: float) -> dict[str, float]:
    ratio = ahead / kept if kept else np.inf
    table = {"shannon complexity": kept, "shannon expressivity": ahead, "shannon optimality": ratio}
    return table | {"best": most / kept if kept else np.nan}
