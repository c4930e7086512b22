"""What Bai (2025) claims, as far as notebook 06 tests it, and the controls that it rests on, in the form of
`instruments.claims`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.base.words import reverse
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED, effect
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic.human_answers import DIFFERENCE, RISE
from bitskept.studies.semantic.prompt_information import ANOTHER, BEYOND_ANOTHER, CHANGE
from bitskept.studies.semantic.rate_distortion import at_one_distortion, off_closed_form
from bitskept.studies.semantic.section import SemanticInformation

PAPER = "P3"
PER_TOKEN, PER_ANSWER, PER_SYMBOL, BITS = "bits per token", "bits per answer", "bits per symbol", "bits"
RELEVANT = {PER_TOKEN: 0.1, PER_ANSWER: 1.0, PER_SYMBOL: 0.01, BITS: 0.1}
"""The least effects that count, by unit."""
NAMES = {"mixture": "mixture over prompts", "left_out": "own prompt left out", "promptless": "no prompt"}
DIRECTS = "a prompt adds to what an answer's own past predicts"
MORE = "more context adds more"
ARRIVES = "along answers by people bits still arrive in their second half"
DRIFTS = "along answers by people a prompt tells less than the model expects"
PAST = "errors cost less where the past is known"
GATHERS = "the context of a token saves bits"
BEST_OF = "best-of-N costs more than the least rate of its reward"
OWN = "an answer's own prompt tells more than another one"
ANY = "another answer's prompt tells something, against no prompt"
LUCK = "along the model's own answers M drifts from 0"
CLOSED = "computed rates are off their closed forms"
UNMEASURED = (
    "what a prompt directs into an answer, beyond any bank (to be tested: a distribution over all prompts)",
    "a model that is trained for a reward reaches the least rate (to be tested: such a training)",
    "the theorems of the paper (to be tested: their statements, which could not be read)",
)
FAMILY = "primary"


@makes_table
def claims(
    gains: pd.DataFrame,
    by_context: pd.DataFrame,
    means: pd.DataFrame,
    people: pd.DataFrame,
    curves: pd.DataFrame,
    twins: pd.DataFrame,
    excess: pd.DataFrame,
    section: SemanticInformation,
) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`, from tables of `prompt_information.gains`,
    `prompt_information.gains_by_context`, `continuations.means`, `human_answers.drift`, `rate_distortion.curves`,
    `checkpoints_in_plane.at_the_end` and `rewards.excess`.

    Primary are the mixture where it can show the effect, and the mixture without the own prompt where it soon reaches
    its ceiling; these rows are one family for Holm's correction. Tests are one-sided, those of luck two-sided.
    """
    rows = [
        *_directs(gains, by_context),
        *_more(by_context),
        *_people(people, section),
        *_past(curves, section),
        *_gathers(twins),
        *_best_of(excess, section),
        *_controls(gains, means, people, curves, section),
        *({"paper": PAPER, "claim": claim} | UNTESTED for claim in UNMEASURED),
    ]
    table = pd.DataFrame(rows).reindex(columns=[*outcomes.COLUMNS, "p", "family", "least"])
    table["primary"] = table["primary"].astype("boolean").fillna(True).astype(bool)
    exact = table["clusters"].isna()  # nothing is left to chance
    confirmed = table["primary"] & (table["paper"] == PAPER) & table["estimate"].notna() & ~exact
    return outcomes.table(table.assign(family=np.where(confirmed, FAMILY, None)), relevant=RELEVANT)


def _row(claim: str, model: str, unit: str, weighed: dict[str, float], clusters: Any, **facts: Any) -> dict[str, Any]:
    return {"paper": PAPER, "claim": claim, "model": model, "unit": unit, "clusters": clusters} | weighed | facts


def _of(row: dict[str, Any]) -> str:
    return f"{row['model']} ({row['corpus']})"


def _directs(gains: pd.DataFrame, by_context: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Primary is the mixture over prompts as long as are read; shorter ones show whether their length decides."""
    for row in gains[gains["marginal"].isin(MARGINALS)].to_dict("records"):
        facts = {"reading": NAMES[row["marginal"]], "primary": row["marginal"] == "mixture"}
        yield _row(DIRECTS, _of(row), PER_TOKEN, effect(row), row["n"], **facts)
    shorter = by_context[(by_context["quantity"] != CHANGE) & (by_context["context"] < by_context["context"].max())]
    for row in shorter[shorter["marginal"] == "mixture"].to_dict("records"):
        facts = {"reading": f"{NAMES['mixture']}, last tokens of the prompt: {row['context']}", "primary": False}
        yield _row(DIRECTS, _of(row), PER_TOKEN, effect(row), row["n"], **facts)


def _more(by_context: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The longest context against each shorter one; primary is the shortest."""
    change = by_context[by_context["quantity"] == CHANGE]
    for row in change.to_dict("records"):
        facts = {"reading": f"{NAMES[row['marginal']]}, {row['context']} against {row['since']:.0f} tokens"}
        facts["primary"] = row["marginal"] == "left_out" and row["since"] == change["since"].min()
        yield _row(MORE, _of(row), PER_TOKEN, effect(row), row["n"], **facts)


def _people(people: pd.DataFrame, section: SemanticInformation) -> Iterator[dict[str, Any]]:
    model = f"{section.model} ({section.flow_corpus})"
    rises = people[(people["quantity"] == RISE) & (people["whose"] == "people")]
    for row in rises.to_dict("records"):
        facts = {"reading": NAMES[row["marginal"]], "primary": row["marginal"] == "left_out"}
        yield _row(ARRIVES, model, PER_TOKEN, effect(row), row["n"], **facts)
    last = people[(people["position"] == people["position"].max()) & (people["quantity"] == "M")]
    for row in last[last["whose"] == DIFFERENCE].to_dict("records"):
        facts = {"reading": NAMES[row["marginal"]], "primary": row["marginal"] == "mixture"}
        yield _row(DRIFTS, model, PER_ANSWER, effect(reverse(row)), row["n"], **facts)


def _past(curves: pd.DataFrame, section: SemanticInformation) -> Iterator[dict[str, Any]]:
    """Exact: the interval is what the duality gaps leave open, and nothing is left to chance."""
    at, rates, gap = at_one_distortion(curves, section)
    saved = rates[1] - rates[section.markov_steps]
    exact = {"estimate": saved, "low": saved - 2 * gap, "high": saved + 2 * gap, "p": float(saved <= 2 * gap)}
    reading = f"{section.markov_steps} symbols together, f = {min(section.flips):g}, D = {at:g}"
    yield _row(PAST, "Markov source", PER_SYMBOL, exact | {"detectable": 2 * gap}, np.nan, reading=reading)


def _gathers(twins: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in twins.to_dict("records"):
        yield _row(GATHERS, row["twin"], PER_TOKEN, effect(row | {"estimate": row["gathered"]}), row["n"])


def _best_of(excess: pd.DataFrame, section: SemanticInformation) -> Iterator[dict[str, Any]]:
    """It cannot cost less, so the test is whether it costs more by what counts. Primary is the largest N whose least
    rate is known.
    """
    known = excess[excess["known"].astype(bool)]
    most = known["at"].max() if len(known) else excess["at"].min()
    for row in excess.to_dict("records"):
        facts = {"reading": f"N = {row['at']:.0f}", "primary": row["at"] == most}
        if row["known"]:
            yield _row(BEST_OF, section.model, BITS, effect(row, least=RELEVANT[BITS]), row["n"], **facts)
        else:
            claim = f"{BEST_OF} (to be tested: more samples for N = {row['at']:.0f})"
            yield _row(claim, section.model, BITS, UNTESTED, row["n"], **facts)


def _controls(
    gains: pd.DataFrame,
    means: pd.DataFrame,
    people: pd.DataFrame,
    curves: pd.DataFrame,
    section: SemanticInformation,
) -> Iterator[dict[str, Any]]:
    for marginal, claim in ((BEYOND_ANOTHER, OWN), (ANOTHER, ANY)):
        for row in gains[gains["marginal"] == marginal].to_dict("records"):
            yield _row(claim, _of(row), PER_TOKEN, effect(row), row["n"], paper=CONTROL)
    own = people[people["whose"] == "model"]
    for table, of in ((means, "one prompt"), (own, "many prompts")):
        last = table[(table["position"] == table["position"].max()) & (table["quantity"] == "M")]
        for row in last.to_dict("records"):
            facts = {"reading": f"{NAMES[row['marginal']]}, {of}", "paper": CONTROL, "primary": table is means}
            yield _row(LUCK, _of(row), PER_ANSWER, effect(row, sides=2), row["n"], **facts)
    off, gap = off_closed_form(curves), float(curves.loc[curves["kind"] != "Markov", "error"].max())
    exact = {"estimate": off, "low": 0.0, "high": max(off, gap), "p": 1.0, "detectable": gap}
    yield _row(CLOSED, "symbols without memory", PER_SYMBOL, exact, np.nan, paper=CONTROL)
