"""The claims of Conklin and others (2026), each tested here or told that it is not, and the controls they rest on."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.base.words import reverse
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.studies.bottleneck import bound, over_runs
from bitskept.studies.bottleneck.by_layer import width_name
from bitskept.studies.bottleneck.correlations import REPORTED, models_needed
from bitskept.studies.bottleneck.preference import BEYOND, EXCHANGED, LONGER
from bitskept.theory.intervals import ONE_SIDED, detectable, standard_error
from bitskept.theory.statistics import detectable_correlation, rank_interval

PAPER = "P2"
NEAR = 0.9
"""The optimality from which a layer counts as near 1."""
PART, RATIO, RANK, BITS, SHARE = "of complexity", "ratio", "rank correlation", "bits per token", "of the exact value"
RELATIVE = "of its first value"
RELEVANT = {PART: NEAR, RATIO: 0.05, RANK: 0.3, BITS: 0.001, SHARE: 0.1, RELATIVE: 0.1}
"""The least values that count, by unit."""
LIMIT = f"limit of {100 * RELEVANT[RELATIVE]:.0f} %"
"""The setting of a change that is weighed as a share of optimality itself."""
DIRECTIONS = "less complexity, more optimality or, as a control, more expressivity"
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
    "trained models approach the bottleneck's bound", PAPER, "not tested here",
    "trained models beside untrained copies, and beside the best that is possible",
    "text from a source whose bottleneck curve is known, such as the languages of 05_training_dynamics, and untrained "
    "copies of the models",
)  # fmt: skip
REFERENCE = Claim(
    f"the ratio of expressivity to complexity at the last layer is above {NEAR}, a reference and not P2's bound",
    CONTROL,
    f"optimality of the last layer is above {NEAR}; token labels, corrected, draws of the anchors in the interval",
    "decoders; encoders apart, since they have seen the output", "a decoder whose optimality can be estimated",
)  # fmt: skip
SCORES = Claim(
    "{} goes with a model's benchmark scores", PAPER,
    "rank correlation with the mean of six benchmarks, given the number of weights",
    "models of the hub that are measured and on the leaderboard", "bitskept measure --profile paper",
    f"more preference information, {DIRECTIONS}",
)  # fmt: skip
RUNS = Claim(
    "{} goes with what a network can do", PAPER,
    "rank correlation with bits per byte, bits saved and BLiMP over runs, given size, text and kind of network",
    "runs of notebook 05 that beat the frequencies of tokens; for BLiMP, if they do better than guessing",
    "05_training_dynamics", DIRECTIONS,
)  # fmt: skip
PREFERENCE = Claim(
    "states tell which answer people preferred, beyond its length", CONTROL,
    "corrected information, mean over layers, above labels that match length as often as people's choices do",
    "pairs of answers in the data folder, all models", "pairs of answers: BITSKEPT_DATA or the hub",
)  # fmt: skip
INSTRUCT = Claim(
    "instruction tuning adds preference information", CONTROL, "the same, tuned less not tuned",
    "models that are measured in both forms",
    "a model with and without instruction tuning, such as smollm2-135m-base and smollm2-135m-instruct of the hub",
)  # fmt: skip
PHASES = Claim(
    "training fits first and then compresses", PAPER,
    "corrected complexity falls from the checkpoint where it is highest to the last",
    "checkpoints of the hub (notebook 05 follows networks of its own)",
    "checkpoints of some 7 billion weights, since P2 sees no phases at 1 billion, such as those of pythia-6.9b in "
    "params/paper.yaml; 05_training_dynamics tests it on its twins",
)  # fmt: skip
TEXT = Claim(
    "{} optimality changes with the amount of text", CONTROL,
    "the change of optimality, token labels", "each model, two amounts of the same text",
    "two amounts of text that it can be estimated from", ESTIMATORS,
)  # fmt: skip
EXACT = Claim(
    "{} optimality is off its exact value", CONTROL,
    "the bias of optimality at the largest sample, raw, corrected and extrapolated; smaller samples are settings",
    "states that are a function of the token: a corpus at layer 0, and a language", "samples with exact values",
    ESTIMATORS,
)  # fmt: skip
CHANCE = Claim(
    "exchanged labels seem to be known as well", CONTROL, "the same with the labels of half of the pairs exchanged",
    "the same pairs", PREFERENCE.takes,
)  # fmt: skip
LENGTH = Claim(
    "states tell which answer is longer", CONTROL, "the same for the longer answer of each pair", "the same pairs",
    PREFERENCE.takes,
)  # fmt: skip
CLAIMS = (BOUND, SCORES, RUNS, PHASES, REFERENCE, PREFERENCE, INSTRUCT, TEXT, EXACT, CHANCE, LENGTH)


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
    `text_labels.preferred`, `runs` that of `over_runs.with_settings`, and the last two those of
    `correlations.measured` and `correlations.correlations`.
    """
    parts = [[_row(BOUND)], _scores(correlated), _runs(runs), _phases(measured), _reference(optimality)]
    parts += [_preferred(preferred, PREFERENCE, BEYOND), _instruct(measured), _text(changes), _exact(exactness)]
    parts += [_preferred(preferred, CHANCE, EXCHANGED), _preferred(preferred, LENGTH, LONGER)]
    return _table([row for part in parts for row in part])


def changes_with_text(changes: pd.DataFrame) -> pd.DataFrame:
    """The rows of `claims` on `TEXT`, from the table of `amount_of_text.changes`."""
    return _table(list(_text(changes)))


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return outcomes.table(rows, relevant=RELEVANT, sides=2)


def _row(claim: Claim, about: str = "", lacks: str = "", **facts: Any) -> dict[str, Any]:
    """A row of a claim, `about` one of its things if it has several; without an estimate, what a test would take, and
    what it `lacks` where rows of a claim lack different things.
    """
    text = claim.text.format(about)
    row = UNTESTED | {"claim": text, "paper": claim.paper} | facts
    if about == _directed("expressivity"):  # P2 reports that it goes with nothing
        row["paper"] = CONTROL
    if pd.isna(row["estimate"]):
        takes = f"{lacks}: {claim.takes}" if lacks else claim.takes
        row |= UNTESTED | {"claim": f"{text} (to be tested: {takes})", "clusters": None}
    return row


def _reference(optimality: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in bound.at_last_layer(optimality).to_dict("records"):
        error = standard_error(row["low"], row["high"])
        apart = bound.SEEN[row["kind"]]
        facts = {"reading": f"{width_name(row['width'])}, last layer", "probe": row["estimator"]}
        facts |= {"model": f"{row['model']} ({apart})" if apart else row["model"], "unit": PART}
        primary = row["width"] == 1 and row["estimator"] == "corrected" and not apart
        facts |= {"clusters": row["sentences"], "primary": primary}
        p = float(norm.sf((row["estimate"] - NEAR) / error)) if error > 0 else float("nan")
        ends = {name: row[name] for name in ("estimate", "low", "high")}
        yield _row(REFERENCE, **facts, **ends, p=p, detectable=NEAR + ONE_SIDED * error)


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
        lacks = f"{models_needed(REPORTED[name]):,} models with a score, for a power of 80 % at P2's {REPORTED[name]}"
        yield _row(SCORES, _directed(name), lacks, **facts, **ends)


def _runs(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in runs[runs["measure"].str.match("complexity|expressivity|optimality")].to_dict("records"):
        name, _, kind = row["measure"].partition("_")
        setting = row["setting"] if pd.notna(row["setting"]) else ""
        facts = {"reading": row["target"], "probe": ", ".join(filter(None, (kind or "raw", setting)))}
        facts |= {"primary": kind == "corrected" and not setting, "model": "runs of notebook 05"}
        value = _signed(row["measure"], row["target"]) * row["estimate"]
        ends = _correlation(value, row["n"], row["controls"], row["p_holm"], row["tests"])
        yield _row(RUNS, _directed(name), _lacking(row), **facts, **ends)


def _lacking(row: dict[str, Any]) -> str:
    """What runs lack for a p-value."""
    if not row["able"]:
        return "runs that do better than guessing"
    short = over_runs.LEAST + row["controls"] - row["n"]
    more = f"{short} more run{'s' * (short > 1)} with {row['target']} for a p-value"
    return more if short > 0 else "runs that differ in both"


def _directed(quantity: str) -> str:
    return f"{'less' if quantity == 'complexity' else 'more'} {quantity.replace('_', ' ')}"


def _correlation(value: float, units: int, controls: int, p: float, tests: int = 1) -> dict[str, Any]:
    """A correlation that is tested if it has a p-value, adjusted over so many `tests`."""
    if pd.isna(p):
        return UNTESTED
    low, high = rank_interval(value, units - controls)
    seen = detectable_correlation(units, controls, tests)
    return {"estimate": value, "low": low, "high": high, "p": p, "detectable": seen, "unit": RANK, "clusters": units}


def _preferred(preferred: pd.DataFrame | None, claim: Claim, quantity: str) -> Iterator[dict[str, Any]]:
    if preferred is None:
        yield _row(claim)
        return
    means = preferred[preferred["layer"].isna()].set_index(["model", "quantity"])
    for model in means.index.unique("model"):
        row, p = (means.loc[(model, f"{quantity}{end}")] for end in ("_corrected", "_p"))
        error = standard_error(row["low"], row["high"])
        facts = {"reading": "mean over layers", "model": model, "unit": BITS, "clusters": row["clusters"]}
        facts |= {"estimate": row["estimate"], "low": row["low"], "high": row["high"], "p": p["estimate"]}
        yield _row(claim, **facts, detectable=ONE_SIDED * error, family=claim.text, sides=1)


def _instruct(measured: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = measured[measured["quantity"] == f"{BEYOND}_corrected"].set_index("model")
    pairs = [(name, other) for name in rows.index for other in (f"{name}-instruct", name.replace("-base", "-instruct"))]
    pairs = [(base, tuned) for base, tuned in dict.fromkeys(pairs) if base != tuned and tuned in rows.index]
    if not pairs:
        yield _row(INSTRUCT)
    for base, tuned in pairs:
        less, more = rows.loc[base], rows.loc[tuned]
        yield _row(INSTRUCT, model=f"{tuned} − {base}", **_difference(more, less), unit=BITS, family="instruct")


def _phases(measured: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = measured[measured["quantity"] == "complexity_corrected"].dropna(subset="estimate")
    names = rows["model"].str.extract(r"^(?P<base>[^@]+)@(?:.*-)?step(?P<step>\d+)")
    rows = rows.assign(**names).dropna(subset="step").astype({"step": int})
    followed = [(name, steps.sort_values("step")) for name, steps in rows.groupby("base") if len(steps) > 2]
    if not followed:
        yield _row(PHASES)
    for name, steps in followed:
        highest, last = steps.loc[steps["estimate"].idxmax()], steps.iloc[-1]
        facts = _difference(highest, last) | {"unit": BITS, "clusters": len(steps)}
        yield _row(PHASES, model=f"{name}, from step {highest['step']}", family="phases", **facts)


def _difference(more: pd.Series, less: pd.Series) -> dict[str, float]:
    """The difference of two measured values, with its interval and two-sided p."""
    value = float(more["estimate"] - less["estimate"])
    reach = float(np.hypot(*((row["high"] - row["low"]) / 2 for row in (more, less))))
    ends = {"low": value - reach, "high": value + reach}
    error = standard_error(**ends)
    p = float(2 * norm.sf(abs(value) / error)) if error > 0 else float("nan")
    return {"estimate": value, "p": p, "detectable": float(detectable(**ends))} | ends


def _text(changes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in changes.to_dict("records"):
        ends = {name: row[name] for name in ("estimate", "low", "high", "p")}
        few, many, width = (int(row[name]) for name in ("sentences", "more", "width"))
        facts = {"reading": f"{width_name(width)}, {few:,} to {many:,} sentences", "model": row["model"], "unit": RATIO}
        facts |= {"clusters": few, "primary": row["planned"] and width == 1}
        # A setting is adjusted as the planned rows are.
        yield _row(TEXT, row["estimator"], **_size(ends), **facts, family=f"text {width} {row['planned']}")
        if facts["primary"]:
            shares = ends | {name: ends[name] / abs(row["first"]) for name in ("estimate", "low", "high")}
            facts |= {"probe": LIMIT, "unit": RELATIVE, "primary": False}
            yield _row(TEXT, row["estimator"], **_size(shares), **facts, family="text relative")


def _exact(exactness: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = exactness[exactness["quantity"] == "optimality"]
    for row in rows.to_dict("records"):
        ends = {name: row[name] / row["exact"] - 1 for name in ("estimate", "low", "high")}
        error = standard_error(ends["low"], ends["high"])
        ends["p"] = float(2 * norm.sf(abs(ends["estimate"]) / error)) if error > 0 else float("nan")
        facts = {"reading": "token", "model": row["source"], "clusters": row["repeats"], "unit": SHARE}
        facts |= {"train_sentences": row["sentences"], "primary": row["sentences"] == rows["sentences"].max()}
        yield _row(EXACT, row["kind"], **_size(ends), **facts, family=f"exact {row['sentences']}")


def _size(ends: dict[str, float]) -> dict[str, float]:
    """An effect of either direction as a size, which is 0 or more, and the size that would have been seen."""
    if ends["estimate"] < 0:
        ends = ends | reverse(ends)
    return ends | {"detectable": float(detectable(ends["low"], ends["high"]))}
