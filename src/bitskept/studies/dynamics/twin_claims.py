"""What the papers claim, weighed on networks that were trained on real text, in the form of `instruments.claims`.

Primary is the reading of a token from its own state at the last layer, by the centroid with all training sentences,
after equally many tokens.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.instruments.training.twin_runs import BERT, MASK, NEXT
from bitskept.studies.dynamics import phases
from bitskept.studies.dynamics.comparing_runs import at_last_layer, difference
from bitskept.studies.dynamics.gains import RUN, SETTING, at_equal_gain, learned
from bitskept.studies.dynamics.language_claims import LEAST, NAMED, PAIRS, RELEVANT, effect
from bitskept.theory.intervals import detectable

LATE = "late forgetting comes with next-token prediction"
FITS = "training first fits, then compresses"
KEPT_ALONE = "10 % kept"
CONFIRMED = (*PAIRS, (NAMED, CONTROL, KEPT_ALONE, MASK))
"""Claim, paper, and the twin that should keep more than another."""
FORGETS = ((LATE, "P1", NEXT, BERT), (LATE, "P1", NEXT, MASK))
"""Claim, paper, and the twin that should forget more in its last layers than another."""
BITS = "cross_entropy_bound"
WHERE = " (real text)"
EQUAL_GAIN = ", at equal gain"
UNLEARNED = "(to be tested: twins that have learned)"


@makes_table
def claims(table: pd.DataFrame, fitting: pd.DataFrame, least: float) -> pd.DataFrame:
    """All claims. `table` is from `checkpoints.measure`, of twins of one size on all the text; `fitting` has the
    changes of complexity by `phases.by_quantity`. Only runs that have learned (`gains.learned`) count.

    The primary rows of a claim are one family for Holm's correction; all other rows have their own p.
    """
    passed = learned(table, least)[[*RUN, "learned"]]
    ends = at_last_layer(table[table["step"] == table["step"].max()]).merge(passed, on=RUN)
    equal = at_equal_gain(table, least, BITS).merge(passed, on=RUN)
    equal["reading"] += EQUAL_GAIN
    kept, late = (ends[ends["quantity"] == name] for name in (BITS, "late_forgetting"))
    rows = [
        *_pairs(pd.concat([kept, equal], ignore_index=True), CONFIRMED, table["twin"].unique()),
        *_pairs(late, FORGETS, table["twin"].unique()),
    ]
    both = pd.DataFrame([*rows, *_phases(fitting, passed)]).reindex(columns=[*outcomes.COLUMNS, "p"])
    most = both["train_sentences"].max()
    usual = (both["reading"] == "token") & (both["probe"] == "centroid") & (both["train_sentences"] == most)
    both["primary"] = usual | (both["reading"] == "complexity corrected")
    both["family"] = (outcomes.without_brackets(both["claim"]) + WHERE).where(both["primary"])
    return outcomes.table(both, relevant=RELEVANT, sides=2)


def _pairs(rows: pd.DataFrame, pairs: tuple[tuple[str, str, str, str], ...], here: Any) -> Iterator[dict[str, Any]]:
    """What one twin has more of than another, over the seeds whose runs have learned in both."""
    learned_rows, settings = rows[rows["learned"]], rows[SETTING].drop_duplicates().to_dict("records")
    for (claim, paper, more, less), setting in product(pairs, settings):
        if not {more, less} <= set(here):
            continue
        inside = (rows[SETTING] == pd.Series(setting)).all(axis=1)
        if not {more, less} <= set(rows.loc[inside, "twin"]):  # a reading that one of the two does not have
            continue
        chosen = learned_rows[(learned_rows[SETTING] == pd.Series(setting)).all(axis=1)]
        both = difference(*(chosen[chosen["twin"] == twin] for twin in (more, less)), [*SETTING, "unit", "seed"])
        facts = {
            "paper": paper,
            "claim": claim if len(both) else f"{claim} {UNLEARNED}",
            "model": f"{more} − {less}{WHERE}",
        }
        unit = rows.loc[inside, "unit"].iloc[0]
        yield facts | setting | {"unit": unit, "clusters": len(both)} | effect(both["estimate"], both["error"])


def _phases(fitting: pd.DataFrame, passed: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Fitting and compression of each twin: the smaller of the rise and the fall. Both have to be there, so it is their
    larger p that counts. With one run, turning points are chosen on the curve that is measured: there is no interval.
    """
    all_learned = passed.groupby("twin")["learned"].all()
    for (twin, quantity), rows in fitting.groupby(["twin", "quantity"], sort=False):
        facts = {"paper": "P2", "claim": FITS, "model": f"{twin}{WHERE}", "reading": quantity.replace("_", " ")}
        facts |= {"probe": "soft entropy", "unit": "bits per token", "clusters": int(rows["runs"].iloc[0])}
        if not all_learned[twin]:
            yield facts | UNTESTED | {"claim": f"{FITS} {UNLEARNED}"}
            continue
        sides = []
        for row in rows[rows["phase"].isin(["fitting", "compression"])].to_dict("records"):
            sign = phases.SIGNS[phases.INFORMATION_PLANE[row["phase"]]]
            low, high = sorted((sign * row["low"], sign * row["high"]))
            sides.append({"estimate": sign * row["estimate"], "low": low, "high": high, "p": row["p"]})
        smaller = min(sides, key=lambda side: side["estimate"])
        smaller["p"] = max(1.0 if pd.isna(side["p"]) else side["p"] for side in sides)
        if facts["clusters"] < LEAST:
            yield facts | UNTESTED | {"estimate": smaller["estimate"]}
            continue
        yield facts | smaller | {"detectable": float(detectable(smaller["low"], smaller["high"]))}


@makes_table
def all_claims(language: pd.DataFrame, real_text: pd.DataFrame) -> pd.DataFrame:
    """The claims on the language with a truth (`language_claims.claims`), and those on real text (`claims`)."""
    return pd.concat([language, real_text], ignore_index=True)
