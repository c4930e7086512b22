"""The claims of Conklin and others (2026), each tested here or told that it is not, and the controls they rest on."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.base.words import reverse
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.studies.bottleneck import bound, over_runs
from bitskept.studies.bottleneck.by_layer import width_name
from bitskept.studies.bottleneck.correlations import FEWEST, REPORTED
from bitskept.studies.bottleneck.preference import BEYOND, EXCHANGED
from bitskept.theory.intervals import ONE_SIDED, POWER
from bitskept.theory.statistics import detectable_correlation, rank_interval

PAPER = "P2"
NEAR = 0.9
"""The optimality from which a layer counts as near the bound, which is 1."""
PART, RATIO, RANK, BITS, SHARE = "of complexity", "ratio", "rank correlation", "bits per token", "of the exact value"
RELEVANT = {PART: NEAR, RATIO: 0.05, RANK: 0.3, BITS: 0.001, SHARE: 0.1}
"""The least values that count, by unit."""
DIRECTIONS = "less complexity, more expressivity or more optimality"
ESTIMATORS = "raw, corrected or extrapolated"


class Claim(NamedTuple):
    """A claim, the `paper` that makes it, what is `tested` here and `on` what, and what a test `takes` where there is
    none. The text of a claim about one of several `things` has a gap for it, {}.
    """

    text: str
    paper: str
    tested: str
    on: str
    takes: str
    things: str = ""


BOUND = Claim(
    "trained models come near the bound: expressivity is nearly all of complexity", PAPER,
    f"optimality of the last layer is above {NEAR}; token labels, corrected, draws of the anchors in the interval",
    "decoders; encoders apart, since they have seen the output", "a decoder whose optimality can be estimated",
)  # fmt: skip
SCORES = Claim(
    "{} goes with a model's benchmark scores", PAPER,
    "rank correlation with the mean of six benchmarks, given the number of weights",
    "models of the hub that are measured and on the leaderboard",
    f"{FEWEST} models with a score: bitskept measure --profile paper", DIRECTIONS,
)  # fmt: skip
RUNS = Claim(
    "{} goes with what a network can do", PAPER,
    "rank correlation with bits per byte, bits saved and BLiMP over runs, given size, text and kind of network",
    "runs of notebook 05 that have learned; for BLiMP, if they do better than guessing",
    f"such runs, {over_runs.LEAST} more than what they are given: 05_training_dynamics", DIRECTIONS,
)  # fmt: skip
PREFERENCE = Claim(
    "states tell which answer people preferred, beyond its length", PAPER,
    "corrected information, mean over layers, above labels that go with length as people's do",
    "pairs of answers in the data folder, all models", "pairs of answers: BITSKEPT_DATA or the hub",
)  # fmt: skip
INSTRUCT = Claim(
    "instruction tuning adds preference information", PAPER, "the same, tuned less not tuned",
    "models that are measured in both forms",
    "a model with and without instruction tuning, such as smollm2-135m-base and smollm2-135m-instruct of the hub",
)  # fmt: skip
PHASES = Claim(
    "training fits first and then compresses", PAPER,
    "corrected complexity falls from the checkpoint where it is highest to the last",
    "checkpoints of the hub (notebook 05 follows networks of its own)",
    "checkpoints among the correlation_models, such as pythia-70m@step1000; 05_training_dynamics tests it on its twins",
)  # fmt: skip
TEXT = Claim(
    "{} optimality changes with the amount of text", CONTROL,
    "the change of optimality, token labels", "each model, two amounts of the same text",
    "two amounts of text", ESTIMATORS,
)  # fmt: skip
EXACT = Claim(
    "{} optimality is off its exact value", CONTROL,
    "the bias of optimality at the largest sample, raw, corrected and extrapolated",
    "states that are a function of the token: a corpus at layer 0, and a language", "samples with exact values",
    ESTIMATORS,
)  # fmt: skip
CHANCE = Claim(
    "exchanged labels seem to be known as well", CONTROL, "the same with the labels of half of the pairs exchanged",
    "the same pairs", PREFERENCE.takes,
)  # fmt: skip
CLAIMS = (BOUND, SCORES, RUNS, PREFERENCE, INSTRUCT, PHASES, TEXT, EXACT, CHANCE)


def planned() -> str:
    """What will be tested, in Markdown."""
    head = ["claim", "whose", "what is tested here", "on what"]
    rows = [[claim.text.format(claim.things), claim.paper, claim.tested, claim.on] for claim in CLAIMS]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


@makes_table
def claims(
    optimality: pd.DataFrame,
    changes: pd.DataFrame,
    exactness: pd.DataFrame,
    preferred: pd.DataFrame | None,
    runs: pd.DataFrame,
    measured: pd.DataFrame,
    correlated: pd.DataFrame,
) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`. `optimality` is the table of `by_layer.optimality`, `changes`
    that of `amount_of_text.changes`, `exactness` that of `exact_information.exactness`, `preferred` that of
    `text_labels.preferred`, `runs` that of `over_runs.runs`, and the last two those of `correlations.measured` and
    `correlations.correlations`.
    """
    parts = [_bound(optimality), _scores(correlated), _runs(runs), _preferred(preferred, PREFERENCE, BEYOND)]
    parts += [_instruct(measured), _phases(measured), _text(changes), _exact(exactness)]
    parts += [_preferred(preferred, CHANCE, EXCHANGED)]
    return outcomes.table([row for part in parts for row in part], relevant=RELEVANT, sides=2)


def _row(claim: Claim, about: str = "", **facts: Any) -> dict[str, Any]:
    """A row of a claim, `about` one of its things if it has several; without an estimate, what a test would take."""
    text = claim.text.format(about)
    row = UNTESTED | {"claim": text, "paper": claim.paper} | facts
    if pd.isna(row["estimate"]):
        row |= UNTESTED | {"claim": f"{text} (to be tested: {claim.takes})", "clusters": None}
    return row


def _bound(optimality: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in bound.at_last_layer(optimality).to_dict("records"):
        error = (row["high"] - row["low"]) / 3.92
        apart = bound.SEEN[row["kind"]]
        facts = {"reading": f"{width_name(row['width'])}, last layer", "probe": row["estimator"]}
        facts |= {"model": f"{row['model']} ({apart})" if apart else row["model"], "unit": PART}
        primary = row["width"] == 1 and row["estimator"] == "corrected" and not apart
        facts |= {"clusters": row["sentences"], "primary": primary}
        p = float(norm.sf((row["estimate"] - NEAR) / error)) if error > 0 else float("nan")
        ends = {name: row[name] for name in ("estimate", "low", "high")}
        yield _row(BOUND, **facts, **ends, p=p, detectable=NEAR + ONE_SIDED * error)


def _signed(measure: str, target: str) -> int:
    """1 where P2 has the measure rise with what a model can do, -1 where it falls, for a target that rises with it."""
    sign = -1 if measure.startswith("complexity") else 1
    return -sign if target == over_runs.COST else sign


def _scores(correlated: pd.DataFrame) -> Iterator[dict[str, Any]]:
    names = correlated["quantity"].str.removesuffix("_corrected")
    rows = correlated.assign(name=names)[names.isin(REPORTED)]
    for row in rows.to_dict("records"):
        name, kind = row["name"], "raw" if row["quantity"] == row["name"] else "corrected"
        facts = {"probe": kind, "model": "models of the hub", "family": "scores", "primary": kind == "raw"}
        ends = _correlation(_signed(name, "") * row["partial"], row["n"], 1, row["p"])
        yield _row(SCORES, _directed(name), **facts, **ends)


def _runs(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in runs[runs["measure"].str.match("complexity|expressivity|optimality")].to_dict("records"):
        name, _, kind = row["measure"].partition("_")
        facts = {"reading": row["target"], "probe": kind or "raw", "family": "runs"}
        facts |= {"primary": kind == "corrected", "model": "runs of notebook 05"}
        value = _signed(row["measure"], row["target"]) * row["estimate"]
        yield _row(RUNS, _directed(name), **facts, **_correlation(value, row["n"], row["controls"], row["p"]))


def _directed(quantity: str) -> str:
    return f"{'less' if quantity == 'complexity' else 'more'} {quantity.replace('_', ' ')}"


def _correlation(value: float, units: int, controls: int, p: float) -> dict[str, Any]:
    """A correlation that is tested if it has a p-value."""
    if pd.isna(p):
        return UNTESTED
    low, high = rank_interval(value, units - controls)
    seen = detectable_correlation(units, controls)
    return {"estimate": value, "low": low, "high": high, "p": p, "detectable": seen, "unit": RANK, "clusters": units}


def _preferred(preferred: pd.DataFrame | None, claim: Claim, quantity: str) -> Iterator[dict[str, Any]]:
    if preferred is None:
        yield _row(claim)
        return
    means = preferred[preferred["layer"].isna()].set_index(["model", "quantity"])
    for model in means.index.unique("model"):
        row, p = (means.loc[(model, f"{quantity}{end}")] for end in ("_corrected", "_p"))
        error = (row["high"] - row["low"]) / 3.92
        facts = {"reading": "mean over layers", "model": model, "unit": BITS, "clusters": row["clusters"]}
        facts |= {"estimate": row["estimate"], "low": row["low"], "high": row["high"], "p": p["estimate"]}
        yield _row(claim, **facts, detectable=ONE_SIDED * error, family=claim.text)


def _instruct(measured: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = measured[measured["quantity"] == f"{BEYOND}_corrected"].set_index("model")
    pairs = [(name, other) for name in rows.index for other in (f"{name}-instruct", name.replace("-base", "-instruct"))]
    pairs = [(base, tuned) for base, tuned in dict.fromkeys(pairs) if base != tuned and tuned in rows.index]
    if not pairs:
        yield _row(INSTRUCT)
    for base, tuned in pairs:
        less, more = rows.loc[base], rows.loc[tuned]
        errors = [(row["high"] - row["low"]) / 3.92 for row in (less, more)]
        yield _row(INSTRUCT, model=f"{tuned} − {base}", **_difference(more, less, errors), unit=BITS, family="instruct")


def _phases(measured: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = measured[measured["quantity"] == "complexity_corrected"].dropna(subset="estimate")
    names = rows["model"].str.extract(r"^(?P<base>[^@]+)@(?:.*-)?step(?P<step>\d+)")
    rows = rows.assign(**names).dropna(subset="step").astype({"step": int})
    followed = [(name, steps.sort_values("step")) for name, steps in rows.groupby("base") if len(steps) > 2]
    if not followed:
        yield _row(PHASES)
    for name, steps in followed:
        highest, last = steps.loc[steps["estimate"].idxmax()], steps.iloc[-1]
        errors = [(row["high"] - row["low"]) / 3.92 for row in (highest, last)]
        facts = _difference(highest, last, errors) | {"unit": BITS, "clusters": len(steps)}
        yield _row(PHASES, model=f"{name}, from step {highest['step']}", family="phases", **facts)


def _difference(more: pd.Series, less: pd.Series, errors: list[float]) -> dict[str, float]:
    """The difference of two measured values, with its interval and two-sided p."""
    value, error = float(more["estimate"] - less["estimate"]), float(sum(e**2 for e in errors) ** 0.5)
    p = float(2 * norm.sf(abs(value) / error)) if error > 0 else float("nan")
    ends = {"low": value - 1.96 * error, "high": value + 1.96 * error}
    return {"estimate": value, "p": p, "detectable": (1.96 + POWER) * error} | ends


def _text(changes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in changes.to_dict("records"):
        ends = {name: row[name] for name in ("estimate", "low", "high", "p")}
        facts = {"reading": "token", "model": row["model"], "clusters": row["sentences"], "unit": RATIO}
        yield _row(TEXT, row["estimator"], **_size(ends), **facts, family="text")


def _exact(exactness: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = exactness[exactness["quantity"] == "optimality"]
    for row in rows[rows["sentences"] == rows["sentences"].max()].to_dict("records"):
        ends = {name: row[name] / row["exact"] - 1 for name in ("estimate", "low", "high")}
        error = (ends["high"] - ends["low"]) / 3.92
        ends["p"] = float(2 * norm.sf(abs(ends["estimate"]) / error)) if error > 0 else float("nan")
        facts = {"reading": "token", "model": row["source"], "clusters": row["repeats"], "unit": SHARE}
        yield _row(EXACT, row["kind"], **_size(ends), **facts, family="exact")


def _size(ends: dict[str, float]) -> dict[str, float]:
    """An effect of either direction as a size, which is 0 or more, and the size that would have been seen."""
    half = (ends["high"] - ends["low"]) / 2
    if ends["estimate"] < 0:
        ends = ends | reverse(ends)
    return ends | {"detectable": half + POWER * half / 1.96}
