"""What the tables about who wrote a text show, in words (Markdown)."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import verdict
from bitskept.studies.output.detection import HIDDEN, OWN, TEXT, TOKENS
from bitskept.studies.output.detection_claims import FALLS, HELPS, SIZE, TESTED_BY, TOLD
from bitskept.studies.output.detection_errors import ALARM, CONSTANT, LESS_ENTROPY, MISS, PLAIN, PLURAL, Z
from bitskept.theory.error_exponents import Errors
from bitskept.theory.intervals import POWER

BITS = ".2f"
LEARNED = 0.9
"""The share of the largest entropy that the laws of a model stay below if it has learned anything."""


def known_source(exact: pd.DataFrame, rates: Errors) -> str:
    """How fast the exact errors on a known source fall; `exact` has them by length (columns of `Errors`)."""
    lengths = exact.index.to_numpy(float)
    falls = {name: np.log2(exact[name].iloc[-2] / exact[name].iloc[-1]) / (lengths[-1] - lengths[-2]) for name in exact}
    both = "; ".join(
        f"{PLURAL[name.replace('_', ' ')]} by {falls[name]:.3f} bits per symbol, where theory has {rate:.3f}"
        for name, rate in rates._asdict().items()
    )
    return (
        f"Between {lengths[-2]:.0f} and {lengths[-1]:.0f} symbols, −log2 of the errors rises: for {both}. "
        "A rate of 0.1 bits halves an error with every ten symbols."
    )


def concentration(table: pd.DataFrame, types: int) -> str:
    """Where T is at the longest length, for each evaluator and writer, and whether the evaluator has learned: a table
    of `detection_errors.summary`, and the types of the smallest vocabulary, that of the twins.
    """
    rows = _at_longest(table, "concentration", TEXT)
    lines = []
    for evaluator, part in rows.groupby("evaluator", sort=False):
        wide = part.set_index(["writer", "quantity"])
        own, others = wide.loc[OWN], []
        for writer in part.loc[part["writer"] != OWN, "writer"].unique():
            others.append(f"{writer}: {quote(wide.loc[(writer, 'mean')], BITS)}")
        spread, theory = own.loc["spread"], own.loc["spread by theory"]
        close = "as" if spread["low"] <= theory["estimate"] <= spread["high"] else "and not as"
        if not has_interval(spread):
            close = "beside what"
        lines.append(
            f"- **{evaluator}**, {part['length'].iloc[0]} tokens: along its own texts T is "
            f"{quote(own.loc['mean'], BITS, 'texts')} bits per token. It spreads by {quote(spread, BITS)}, {close} its "
            f"own laws say ({theory['estimate']:.2f}). Along other texts T is, {'; '.join(others)}."
            + _unlearned(own.loc["entropy", "estimate"], types)
        )
    return "\n".join(lines)


def _unlearned(entropy: float, types: int) -> str:
    """A warning, if a model's laws are nearly as uncertain as one that gives all types the same probability."""
    if entropy < LEARNED * np.log2(types):
        return ""
    return f" **It has learned too little**: its laws have {entropy:.1f} of {np.log2(types):.1f} bits."


def told_apart(table: pd.DataFrame, alpha: float) -> str:
    """The test of size `alpha` at the longest length: false alarms, what it finds, and the length that it would take; a
    table of `detection_errors.summary`.
    """
    rows, means = _at_longest(table, "errors"), _at_longest(table, "concentration", TEXT)
    lines = []
    for evaluator, part in rows[rows["test"] == Z].groupby("evaluator", sort=False):
        alarms = part[part["error"] == ALARM].set_index("reading")
        said = [
            f"- **{evaluator}**: of its own texts it rejects {quote(alarms.loc[TEXT], '.0%', 'texts')} as text and "
            f"{quote(alarms.loc[TOKENS])} as the tokens that it drew, where {alpha:.0%} are wanted; "
            f"{_unknown(alarms.loc[HIDDEN], alpha)}."
        ]
        for row in part[part["error"] == MISS].to_dict("records"):
            found = {"estimate": 1 - row["estimate"], "low": 1 - row["high"], "high": 1 - row["low"]}
            same = (means["evaluator"] == evaluator) & (means["writer"] == row["writer"])
            said.append(f"Of texts by {row['writer']} it rejects {quote(found)}{_needed(means[same], found, alpha)}.")
        lines.append(" ".join(said))
    return "\n".join(lines)


def _unknown(row: pd.Series, alpha: float) -> str:
    """What becomes of the size where the opening is not known."""
    rejected = quote(row)
    if not row["low"] > alpha:
        return f"where the opening is not known, {rejected}"
    return f"**where the opening is not known, {rejected}: not knowing what came before looks like another writer**"


def _needed(means: pd.DataFrame, found: dict[str, float], alpha: float) -> str:
    """The length at which four in five texts would be found, if T kept its mean and its spread fell as 1 / √n."""
    wide = means.set_index("quantity")
    mean, spread, length = wide.loc["mean"], wide.loc["spread", "estimate"], int(means["length"].iloc[0])
    if found["estimate"] >= norm.cdf(POWER):
        return ""
    if not (mean["low"] > 0 or mean["high"] < 0):
        return ": its mean T is not surely off 0, and where it is 0 no length helps"
    times = ((norm.isf(alpha / 2) + POWER) * spread / mean["estimate"]) ** 2
    return f" (four in five would take about {round(length * times, -1):.0f} tokens)"


def falls(table: pd.DataFrame, claims: pd.DataFrame) -> str:
    """How far both errors fall with a constant threshold, and whether exponentially; tables of
    `detection_errors.summary` and `instruments.claims`.
    """
    constant = table[table["test"] == CONSTANT]
    lines = []
    for (evaluator, writer), part in constant.groupby(["evaluator", "writer"], sort=False):
        falling = []
        for error, rows in part.groupby("error", sort=False):
            ends = [rows[rows["length"] == length].iloc[0] for length in (rows["length"].min(), rows["length"].max())]
            falling.append(f"{PLURAL[str(error)]} from {ends[0]['estimate']:.0%} to {quote(ends[1])}")
        lines.append(f"- {evaluator} and {writer}: {', '.join(falling)}.")
    rows = claims[claims["claim"].str.startswith(FALLS)]
    judged = [f"**{name}** ({', '.join(map(_which, part))})" for name, part in _by_outcome(rows)]
    seen = rows.loc[rows["outcome"] == "cannot tell", "detectable"].min()
    least = "" if pd.isna(seen) else f" At best, a bend of {seen:.1f} halvings would have been seen."
    first, last = constant["length"].min(), constant["length"].max()
    return (
        f"From {first} to {last} tokens, with a constant threshold:\n\n" + "\n".join(lines) + "\n\nDo they fall faster "
        f"than any power of the length, as an exponential does? {'; '.join(judged)}.{least}"
    )


def _by_outcome(rows: pd.DataFrame) -> list[tuple[str, list[pd.Series]]]:
    """The rows of each outcome, the reason with those that were not tested."""
    reasons = rows["claim"].str.extract(r"\(to be tested: (.*)\)", expand=False)
    named = rows["outcome"].where(reasons.isna(), "not tested, which would take " + reasons.fillna(""))
    return [(str(name), [row for _, row in part.iterrows()]) for name, part in rows.groupby(named, sort=False)]


def _which(row: pd.Series) -> str:
    return f"{row['model']}: {str(row['probe']).rpartition(', ')[2]}"


def entropy_helps(table: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Whether subtracting the entropy helps; tables of `detection_errors.summary` and `instruments.claims`."""
    rows = _at_longest(table, "errors", TEXT).set_index(["evaluator", "writer", "test"])
    said = {"yes": "**helps**", "no": "makes no difference that matters", "cannot tell": "cannot be judged"}
    lines = []
    for _, row in claims[claims["claim"] == HELPS].iterrows():
        writer, _, evaluator = row["model"].partition(TESTED_BY)
        plain, less = (rows.loc[(evaluator, writer, test), "estimate"] for test in (PLAIN, LESS_ENTROPY))
        lines.append(
            f"- {row['model']}: log-perplexity alone misses {plain:.0%} of {row['clusters']:.0f} texts, less the "
            f"entropy {less:.0%}: {quote(row)} fewer. Subtracting the entropy {said[row['outcome']]}."
        )
    return "\n".join(lines)


def detection_verdict(claims: pd.DataFrame) -> str:
    """All claims in a paragraph; a table of `instruments.claims`."""
    names = {
        TOLD: "**Four in five texts of others are found**",
        SIZE: "**False alarms go well beyond the size**",
        FALLS: "**Errors fall exponentially**",
        HELPS: "**Subtracting the entropy helps**",
    }
    primary = claims[claims["primary"]]
    parts = [f"{said}: {verdict(primary[primary['claim'].str.startswith(claim)])}." for claim, said in names.items()]
    return " ".join(parts)


def _at_longest(table: pd.DataFrame, panel: str, reading: str | None = None) -> pd.DataFrame:
    rows = table[(table["panel"] == panel) & (table["length"] == table["length"].max())]
    return rows if reading is None else rows[rows["reading"] == reading]
