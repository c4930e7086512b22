"""What the papers claim, weighed on languages with a truth: rows with an outcome, over seeds."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.studies.dynamics import language_tables as tables
from bitskept.studies.dynamics.comparing_runs import BEFORE, SETTING, difference, item_errors, pooled
from bitskept.studies.dynamics.language_arms import BERT, LAG, LIKE, MASK, NEXT, SECOND
from bitskept.studies.dynamics.language_effects import SEEDS, contrast
from bitskept.theory.intervals import detectable

KEEPS = "encoders keep more than decoders"
EARLY = "encoders keep more before the first step"
NAMED = "visible tokens that have to be named keep the token"
NEEDS = "what is forgotten is what the future does not need"
PAIRS = ((KEEPS, "P1", BERT, NEXT), (KEEPS, "P1", MASK, NEXT), (NAMED, CONTROL, BERT, MASK))
"""Claim, paper, and the arm that should keep more than another."""
BUILT_IN = ((EARLY, CONTROL, BERT, NEXT),)
"""What was there before the first step, where the masked arms are the same network, whatever their rule."""
BITS = 0.1
RELEVANT = {"bits per token": BITS, "share of bits": 0.02}
"""The least differences that count, by unit."""
WHERE, NEEDED = " (language)", " (second language)"
"""The ends of a model's name: a network that was trained on a language."""
LEAST = 2
"""Runs of each arm that it takes for an interval over seeds."""
UNLEARNED = "(to be tested: networks that have learned)"
FORGETS = f"(to be tested: a network that forgets {BITS} bits)"


@makes_table
def claims(by_run: pd.DataFrame) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`, from what the last layer of each run that counts holds
    (`language_tables.by_run`).

    Primary is the reading of a token from its own state, by the centroid with all training sentences. The primary rows
    of a claim are one family for Holm's correction; all other rows have their own p.
    """
    early = by_run["reading"].str.endswith(BEFORE)
    ends, first = (tables.main(rows) for rows in (by_run[~early], by_run[early].assign(learned=True)))
    both = pd.DataFrame([*_pairs(ends, PAIRS), *_pairs(first, BUILT_IN), *_needs(ends), *_needed(by_run[~early])])
    both["primary"] = usual(both)
    both["family"] = outcomes.without_brackets(both["claim"]).where(both["primary"])
    return outcomes.table(both, relevant=RELEVANT, sides=2)


def usual(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is about a token that the centroid, with all training sentences, reads from its own state."""
    most = rows["train_sentences"] == rows["train_sentences"].max()
    return rows["reading"].isin(["token", f"token{BEFORE}"]) & (rows["probe"] == "centroid") & most


def _pairs(ends: pd.DataFrame, pairs: tuple[tuple[str, str, str, str], ...]) -> Iterator[dict[str, Any]]:
    """Bits kept by one arm less those of another, over the seeds that both have."""
    settings = ends[SETTING].drop_duplicates().to_dict("records")
    kept = ends[(ends["quantity"] == "kept") & ends["learned"]]
    for (claim, paper, more, less), setting in product(pairs, settings):
        rows = kept[(kept[SETTING] == pd.Series(setting)).all(axis=1)]
        both = difference(*(rows[rows["arm"] == arm] for arm in (more, less)), [*SETTING, "seed"])
        facts = {
            "paper": paper,
            "claim": claim if len(both) else f"{claim} {UNLEARNED}",
            "model": f"{more} − {less}{WHERE}",
        }
        found = effect(both["estimate"], both["error"])
        yield facts | setting | {"unit": "bits per token", "clusters": len(both)} | found


def _needs(ends: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The share of the synonym's bits that the last layer has lost, less the share of the class's bits, for arms that
    lose some.
    """
    for (arm, *setting), group in ends.groupby(["arm", *SETTING], sort=False):
        facts = {"paper": "P2", "claim": NEEDS, "model": f"{arm}{WHERE}"} | dict(zip(SETTING, setting, strict=True))
        rows = group[group["learned"]]
        facts |= {"unit": "share of bits", "clusters": rows["seed"].nunique()}
        if rows.empty:
            yield facts | UNTESTED | {"claim": f"{NEEDS} {UNLEARNED}"}
            continue
        lost = rows[rows["quantity"].isin(tables.PARTS)]
        lost = lost.assign(estimate=1 - lost["estimate"] / lost["exact"], error=item_errors(lost) / lost["exact"])
        wide = lost.pivot(index="seed", columns="quantity", values=["estimate", "error"]).astype(float)
        kept = rows[rows["quantity"] == "kept"]
        if (kept["exact"] - kept["estimate"]).mean() < BITS:
            yield facts | UNTESTED | {"claim": f"{NEEDS} {FORGETS}"}
            continue
        more, error = (wide[name] for name in ("estimate", "error"))
        errors = np.hypot(*(error[part] for part in tables.PARTS))
        yield facts | effect(more["synonym_bits"] - more["class_bits"], errors)


def _needed(every: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The share of the synonym's bits that the last layer has lost in the first language, where nothing needs them,
    less the share that is lost in the second, where the future does, after as many steps (`language_arms.LIKE`).
    """
    synonyms = every[every["quantity"] == "synonym_bits"]
    for arm, needed in synonyms[synonyms["language"] == SECOND].groupby("arm", sort=False):
        lost = []
        for name in (LIKE[arm], arm):
            rows = synonyms[synonyms["arm"] == name]
            ends = {end: 1 - rows[other] / rows["exact"] for end, other in (("low", "high"), ("high", "low"))}
            lost.append(rows.assign(estimate=1 - rows["estimate"] / rows["exact"], **ends))
        for setting in needed[SETTING].drop_duplicates().to_dict("records"):
            groups = [rows[(rows[SETTING] == pd.Series(setting)).all(axis=1)] for rows in lost]
            facts = {"paper": "P2", "claim": NEEDS, "model": f"{arm.removesuffix(LAG)}{NEEDED}"} | setting
            facts |= {"unit": "share of bits", "clusters": min(len(rows) for rows in groups)}
            if not all(rows["learned"].all() for rows in groups):
                yield facts | UNTESTED | {"claim": f"{NEEDS} {UNLEARNED}"}
            elif all((rows["estimate"] * rows["exact"]).mean() < BITS for rows in groups):
                yield facts | UNTESTED | {"claim": f"{NEEDS} {FORGETS}"}
            else:
                found = contrast(*groups)
                known = found if found["over"] == SEEDS else UNTESTED | {"estimate": found["estimate"]}
                yield facts | {name: known[name] for name in UNTESTED}


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
