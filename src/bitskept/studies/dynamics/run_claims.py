"""What decides a claim that is weighed over runs: which networks are compared, how much counts, and the test."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.studies.dynamics.comparing_runs import BEFORE, SETTING, difference, pooled
from bitskept.studies.dynamics.language_arms import BERT, MASK, NEXT
from bitskept.theory.intervals import detectable

KEEPS = "encoders keep more than decoders"
EARLY = "encoders keep more before the first step"
NAMED = "visible tokens that have to be named keep the token"
PAIRS = ((KEEPS, "P1", BERT, NEXT), (KEEPS, "P1", MASK, NEXT), (NAMED, CONTROL, BERT, MASK))
"""Claim, paper, and the arm that should keep more than another."""
BUILT_IN = ((EARLY, CONTROL, BERT, NEXT),)
"""What was there before the first step, where the masked arms are the same network, whatever their rule."""
BITS = 0.1
RELEVANT = {"bits per token": BITS, "share of bits": 0.02}
"""The least differences that count, by unit."""
LEAST = 2
"""Runs of each arm that it takes for an interval over seeds."""


def usual(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is about a token that the centroid, with all training sentences, reads from its own state."""
    most = rows["train_sentences"] == rows["train_sentences"].max()
    return rows["reading"].isin(["token", f"token{BEFORE}"]) & (rows["probe"] == "centroid") & most


def pairs(
    rows: pd.DataFrame, compared: tuple[tuple[str, str, str, str], ...], where: str, unlearned: str
) -> Iterator[dict[str, Any]]:
    """What one arm has more of than another under every setting, over the seeds whose runs have learned in both; if
    none have, the claim says what it would take (`unlearned`). `where` ends the name of the two.
    """
    for (claim, paper, more, less), setting in product(compared, rows[SETTING].drop_duplicates().to_dict("records")):
        inside = (rows[SETTING] == pd.Series(setting)).all(axis=1)
        if not {more, less} <= set(rows.loc[inside, "arm"]):  # a setting that one of the two does not have
            continue
        chosen = rows[inside & rows["learned"]]
        both = difference(*(chosen[chosen["arm"] == arm] for arm in (more, less)), [*SETTING, "unit", "seed"])
        facts = {
            "paper": paper,
            "claim": claim if len(both) else f"{claim} {unlearned}",
            "model": f"{more} − {less}{where}",
        }
        facts |= {"unit": rows.loc[inside, "unit"].iloc[0], "clusters": len(both)}
        yield facts | setting | effect(both["estimate"], both["error"])


def effect(values: pd.Series, errors: pd.Series) -> dict[str, float]:
    """The mean over runs, and the least effect that would be seen 80 % of the time. A difference between single runs
    says nothing of other seeds, so it has no interval.
    """
    if not len(values):
        return UNTESTED
    mean = pooled(values.to_numpy(float), errors.to_numpy(float))._asdict()
    if len(values) < LEAST:
        return UNTESTED | {"estimate": mean["estimate"]}
    return mean | {"detectable": detectable(mean["low"], mean["high"])}
