"""What the papers claim, weighed on networks that were trained on real text, in the form of `instruments.claims`.

Primary is the reading of a token from its own state at the last layer, by the centroid with all training sentences,
after equally many tokens.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.instruments.training.twin_runs import BERT, MASK, NEXT
from bitskept.studies.dynamics import phases
from bitskept.studies.dynamics.comparing_runs import BEFORE
from bitskept.studies.dynamics.last_layers import BITS, FORGOTTEN
from bitskept.studies.dynamics.run_claims import BUILT_IN, LEAST, NAMED, PAIRS, RELEVANT, pairs, usual
from bitskept.theory.intervals import detectable

LATE = "late forgetting comes with next-token prediction"
FITS = "training first fits, then compresses"
KEPT_ALONE = "10 % kept"
CONFIRMED = (*PAIRS, (NAMED, CONTROL, KEPT_ALONE, MASK))
"""Claim, paper, and the twin that should keep more than another."""
FORGETS = ((LATE, "P1", NEXT, BERT), (LATE, "P1", NEXT, MASK))
"""Claim, paper, and the twin that should forget more in its last layers than another."""
WHERE = " (real text)"
UNLEARNED = "(to be tested: twins that have learned)"
UNTURNED = "(to be tested: a curve that has turned by the last step)"


@makes_table
def claims(by_run: pd.DataFrame, fitting: pd.DataFrame | None = None) -> pd.DataFrame:
    """All claims. `by_run` is from `last_layers`; `fitting` has the changes of complexity by `phases.by_quantity`, and
    without it there are no claims about phases. Only runs that have learned count, except before the first step.

    The primary rows of a claim are one family for Holm's correction; all other rows have their own p.
    """
    early = by_run["reading"].str.endswith(BEFORE)
    kept, late = (by_run["quantity"] == name for name in (BITS, FORGOTTEN))
    arms = by_run.rename(columns={"twin": "arm"})
    rows = [
        *pairs(arms[kept & ~early], CONFIRMED, WHERE, UNLEARNED),
        *pairs(arms[kept & early].assign(learned=True), BUILT_IN, WHERE, UNLEARNED),
        *pairs(arms[late & ~early], FORGETS, WHERE, UNLEARNED),
        *([] if fitting is None else _phases(fitting, by_run.groupby("twin")["learned"].all())),
    ]
    both = pd.DataFrame(rows).reindex(columns=[*outcomes.COLUMNS, "p"])
    both["primary"] = usual(both) | (both["reading"] == "complexity corrected")
    both["family"] = (outcomes.without_brackets(both["claim"]) + WHERE).where(both["primary"])
    return outcomes.table(both, relevant=RELEVANT, sides=2)


def _phases(fitting: pd.DataFrame, learned: pd.Series) -> Iterator[dict[str, Any]]:
    """Fitting and compression of each twin: the smaller of the rise and the fall. Both have to be there, so it is their
    larger p that counts. With one run, turning points are chosen on the curve that is measured: there is no interval.
    A curve that is at its highest at the last step has no fall by construction, which says nothing.
    """
    for (twin, quantity), rows in fitting.groupby(["twin", "quantity"], sort=False):
        facts = {"paper": "P2", "claim": FITS, "model": f"{twin}{WHERE}", "reading": quantity.replace("_", " ")}
        facts |= {"probe": "soft entropy", "unit": "bits per token", "clusters": int(rows["runs"].iloc[0])}
        if not learned[twin]:
            yield facts | UNTESTED | {"claim": f"{FITS} {UNLEARNED}"}
            continue
        if phases.has_not_turned(rows):
            yield facts | UNTESTED | {"claim": f"{FITS} {UNTURNED}"}
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
