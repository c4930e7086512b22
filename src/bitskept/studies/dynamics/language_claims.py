"""What the papers claim, weighed on languages with a truth: rows with an outcome, over seeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import UNTESTED
from bitskept.studies.dynamics import language_tables as tables
from bitskept.studies.dynamics.comparing_runs import BEFORE, SETTING, item_errors
from bitskept.studies.dynamics.language_arms import LAG, LIKE, SECOND
from bitskept.studies.dynamics.language_effects import SEEDS, contrast
from bitskept.studies.dynamics.run_claims import BITS, BUILT_IN, PAIRS, RELEVANT, effect, pairs, usual

NEEDS = "what is forgotten is what the future does not need"
WHERE, NEEDED = " (language)", " (second language)"
"""The ends of a model's name: a network that was trained on a language."""
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
    kept, before = (rows[rows["quantity"] == "kept"].assign(unit="bits per token") for rows in (ends, first))
    compared = [*pairs(kept, PAIRS, WHERE, UNLEARNED), *pairs(before, BUILT_IN, WHERE, UNLEARNED)]
    both = pd.DataFrame([*compared, *_needs(ends), *_needed(by_run[~early])])
    both["primary"] = usual(both)
    both["family"] = outcomes.without_brackets(both["claim"]).where(both["primary"])
    return outcomes.table(both, relevant=RELEVANT, sides=2)


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
