"""What the floor alone does to a comparison of models: equal signal, different vocabularies or amounts of text."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.base.store import stored
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.instruments.states import Encoding
from bitskept.studies.bottleneck.known_data import of_k_grams
from bitskept.theory.markov_chains import MarkovChain, drawn
from bitskept.theory.statistics import rank_interval, spearman

VERSION = 1
"""Raise it when the same parameters would give other numbers."""
CLASSES, CONCENTRATION, DIM, LENGTH = 16, 0.15, 64, 25
"""The classes, how uneven their transitions are, the dimensions of a state, and the tokens of a sentence."""
VOCABULARY, TEXT = "vocabulary", "text"


def simulated(models: int, positions: int, per_type: tuple[int, int], seed: int) -> pd.DataFrame:
    """Made-up models whose states know the same: the class of the current token, in a chain of classes; stored.

    Tokens are split ever more finely into types with Zipf's frequencies, which tells nothing more. In half of the
    table, models differ in the number of types, so that there are `per_type` positions for each; in the other half in
    the amount of text, over the same range, at the vocabulary in the middle. Columns: varied, size (types or
    positions), kind (of optimality: raw, corrected, extrapolated), estimate.
    """
    key = {"models": models, "positions": positions, "per_type": list(per_type), "seed": seed}
    return stored("floor_alone", VERSION, key, lambda: pd.DataFrame(_computed(models, positions, per_type, seed)))


def _computed(models: int, positions: int, per_type: tuple[int, int], seed: int) -> Iterator[dict[str, object]]:
    chain, ratios = drawn(CLASSES, CONCENTRATION, seed), np.geomspace(*per_type, models)
    middle = round(positions / np.sqrt(per_type[0] * per_type[1]))
    for place, ratio in enumerate(ratios):
        for varied, types, text in (
            (VOCABULARY, round(positions / ratio), positions),
            (TEXT, middle, round(middle * ratio)),
        ):
            random = np.random.default_rng([seed, place, varied == TEXT])
            table = _model(chain, types, text, random, seed).set_index("quantity")["estimate"]
            size = types if varied == VOCABULARY else text
            for end, kind in KINDS.items():
                yield {"varied": varied, "size": size, "kind": kind, "estimate": float(table[f"optimality{end}"])}


def _model(chain: MarkovChain, types: int, positions: int, random: np.random.Generator, seed: int) -> pd.DataFrame:
    """Complexity, expressivity and optimality of states that are their class's centre plus noise."""
    classes = chain.sample(positions // LENGTH, LENGTH, random)
    each = max(1, types // CLASSES)
    weights = 1 / np.arange(1, each + 1)
    tokens = classes * each + random.choice(each, classes.shape, p=weights / weights.sum())
    centres = np.random.default_rng(seed).standard_normal((CLASSES, DIM))
    states = centres[classes.ravel()] + random.standard_normal((classes.size, DIM))
    text = Encoding(list(tokens), list(np.ones(tokens.shape, bool)), 0)
    return of_k_grams(states.astype(np.float32), text, (1,), seed=seed)


@makes_table
def floor_alone(models: pd.DataFrame) -> pd.DataFrame:
    """The models of `simulated` and, without a size, the rank correlation of each kind of optimality with the size, its
    95 % interval and the number of models.
    """
    rows = []
    for (varied, kind), group in models.groupby(["varied", "kind"], sort=False):
        known = group.dropna(subset="estimate")
        row = {"varied": varied, "kind": kind, "n": len(known), "unit": "rank correlation"}
        if len(known) >= 4:  # the fewest that `rank_interval` takes
            row["estimate"] = spearman(known["size"].to_numpy(), known["estimate"].to_numpy())
            row["low"], row["high"] = rank_interval(row["estimate"], len(known))
        rows.append(row)
    return pd.concat([models.assign(unit="ratio"), pd.DataFrame(rows)], ignore_index=True)
