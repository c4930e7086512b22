"""What the tables about who wrote a text show, in words (Markdown)."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import verdict
from bitskept.studies.output.detection import HIDDEN, OWN, TEXT, TOKENS
from bitskept.studies.output.detection_claims import FALLS, HALVINGS, HELPS, RELEVANT, SAVED, SIZE, TESTED_BY, TOLD
from bitskept.studies.output.detection_errors import ALARM, CONSTANT, LESS_ENTROPY, MISS, PLAIN, PLURAL, Z
from bitskept.theory.error_exponents import Errors
from bitskept.theory.intervals import POWER

BITS = ".2f"
LEARNED = 0.9
"""The share of the largest entropy that the distributions of a model stay below if it has learned anything."""


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


def of_others(table: pd.DataFrame, claims: pd.DataFrame, alpha: float) -> str:
    """A Markdown table of what the test of size `alpha` finds at the longest length: T, the share of each writer's
    texts that is rejected, the length that it would take, and what subtracting the entropy does for a test of the same
    size whose threshold comes from the model's own texts; tables of `detection_errors.summary` and
    `instruments.claims`.
    """
    rows, means = _at_longest(table, "errors", TEXT), _at_longest(table, "concentration", TEXT)
    missed = rows[rows["error"] == MISS].set_index(["evaluator", "writer", "test"])
    helps = claims[claims["claim"] == HELPS].set_index("model")
    lines = []
    for (evaluator, writer), part in means[means["writer"] != OWN].groupby(["evaluator", "writer"], sort=False):
        wide = part.set_index("quantity")
        row, model = missed.loc[(evaluator, writer, Z)], f"{writer}{TESTED_BY}{evaluator}"
        found = {"estimate": 1 - row["estimate"], "low": 1 - row["high"], "high": 1 - row["low"]}
        plain, less = (missed.loc[(evaluator, writer, test), "estimate"] for test in (PLAIN, LESS_ENTROPY))
        lines.append(
            f"{evaluator} | {writer} | {row['n']:,} | {quote(wide.loc['mean'], BITS)} | {quote(found)} | "
            f"{_needed(wide, found, alpha)} | {plain:.0%} | {less:.0%} | {_helps(helps.loc[model])}"
        )
    head = ["tested by", "texts by", "texts", "T, bits per token", "rejected", "tokens for four in five"]
    head += ["missed by log-perplexity alone", "and less the entropy", "does subtracting help?"]
    title = f"Texts of {table['length'].max()} tokens by others, and a test of size {alpha:.0%}:"
    return _markdown(title, head, lines)


def _markdown(title: str, head: list[str], lines: list[str]) -> str:
    rows = [" | ".join(head), " | ".join("---" for _ in head), *lines]
    return f"{title}\n\n" + "\n".join(f"| {row} |" for row in rows)


def _needed(wide: pd.DataFrame, found: dict[str, float], alpha: float) -> str:
    """The length at which four in five texts would be found, if T kept its mean, and its spread and that which the
    model's distributions give, which sets the threshold, fell as 1 / √n.
    """
    mean, spread, length = wide.loc["mean"], wide.loc["spread", "estimate"], int(wide["length"].iloc[0])
    if found["estimate"] >= norm.cdf(POWER):
        return "found already"
    if not (mean["low"] > 0 or mean["high"] < 0):
        return "none is enough if T is 0"
    threshold = norm.isf(alpha / 2) * wide.loc["spread by theory", "estimate"]
    times = ((threshold + POWER * spread) / mean["estimate"]) ** 2
    return f"about {round(length * times, -1):,.0f}"


def _helps(row: pd.Series) -> str:
    answers = {"yes": "**yes**", "no": f"no ({RELEVANT[SAVED]:.0%} would count)", "cannot tell": "cannot tell"}
    said = answers[row["outcome"]]
    if not has_interval(row):
        return said
    ends = sorted((abs(row["low"]), abs(row["high"])))
    if row["low"] > 0 or row["high"] < 0:
        kind = "fewer" if row["low"] > 0 else "more"
        size = {"estimate": abs(row["estimate"]), "low": ends[0], "high": ends[1]}
        return f"{said}: {quote(size)} {kind} are missed"
    return f"{said}: {quote(row, 'z.0%')} fewer"


def own_texts(table: pd.DataFrame, alpha: float, types: int) -> str:
    """What T and the test of size `alpha` make of each model's own texts at the longest length, and whether the model
    has learned: a table of `detection_errors.summary`, and the types of the smallest vocabulary, that of the twins.
    """
    errors, values = _at_longest(table, "errors"), _at_longest(table, "concentration")
    alarms = errors[(errors["test"] == Z) & (errors["error"] == ALARM)].set_index(["evaluator", "reading"])
    own = values[values["writer"] == OWN].set_index(["evaluator", "reading", "quantity"])
    lines = []
    for evaluator in errors["evaluator"].unique():
        as_text = own.loc[evaluator].loc[TEXT]
        tokens, hidden = alarms.loc[(evaluator, TOKENS)], alarms.loc[(evaluator, HIDDEN)]
        lines.append(
            f"- **{evaluator}** on its own texts: T is {quote(as_text.loc['mean'], BITS, 'texts')} bits per token"
            f"{_off(as_text.loc['mean'], own.loc[(evaluator, TOKENS, 'mean')])}. {_spread(as_text)} The test rejects "
            f"{quote(alarms.loc[(evaluator, TEXT)])} of them, where {alpha:.0%} are wanted, {quote(tokens)} where it "
            f"reads the tokens that were drawn, and {_unknown(hidden, alpha)}."
            + _unlearned(as_text.loc["entropy", "estimate"], types)
        )
    return "\n".join(lines)


def _off(as_text: pd.Series, as_drawn: pd.Series) -> str:
    """What to say of a mean that is surely not 0 along a model's own texts."""
    if not (as_text["low"] > 0 or as_text["high"] < 0):
        return ""
    return f", **off 0**: a text may have other tokens than were drawn; of those T is {quote(as_drawn, BITS)}"


def _spread(own: pd.DataFrame) -> str:
    spread, theory = own.loc["spread"], own.loc["spread by theory", "estimate"]
    if not has_interval(spread):
        said = "beside what its distributions say"
    else:
        said = f"{'' if spread['low'] <= theory <= spread['high'] else 'not '}as its distributions say"
    return f"T spreads by {quote(spread, BITS)}, {said} ({theory:.2f})."


def _unlearned(entropy: float, types: int) -> str:
    """A warning, if a model's distributions are nearly as uncertain as a uniform one over all types."""
    if entropy < LEARNED * np.log2(types):
        return ""
    return f" **It has learned too little**: its distributions have {entropy:.1f} of {np.log2(types):.1f} bits."


def _unknown(row: pd.Series, alpha: float) -> str:
    """What becomes of the size where the opening is not known."""
    rejected = quote(row)
    if not row["low"] > alpha:
        return f"{rejected} where the opening is not known"
    return f"**{rejected} where the opening is not known: not knowing what came before looks like another writer**"


def falls(table: pd.DataFrame, claims: pd.DataFrame) -> str:
    """A Markdown table of how far both errors fall with a constant threshold, and whether exponentially; tables of
    `detection_errors.summary` and `instruments.claims`.
    """
    constant = table[table["test"] == CONSTANT]
    rows = claims[claims["claim"] == FALLS]
    judged = rows.set_index(["model", rows["probe"].str.rpartition(", ")[2]])
    lengths, lines = np.sort(constant["length"].unique()), []
    read = [lengths[0], lengths[np.abs(lengths - lengths[-1] / 2).argmin()], lengths[-1]]
    for (evaluator, writer, error), part in constant.groupby(["evaluator", "writer", "error"], sort=False):
        first, half, last = (part[part["length"] == length].iloc[0] for length in read)
        row = judged.loc[(f"{writer}{TESTED_BY}{evaluator}", PLURAL[str(error)])]
        lines.append(
            f"{evaluator} | {writer} | {PLURAL[str(error)]} | {first['estimate']:.0%} | {half['estimate']:.0%} | "
            f"{quote(last)} | {_halvings(row)}{'' if last['estimate'] < half['estimate'] else '; they did not fall'}"
        )
    head = ["tested by", "against", "errors", *(f"at {length} tokens" for length in read), "exponentially?"]
    title = f"With a constant threshold, do errors fall as exponentials do, by {RELEVANT[HALVINGS]:g} halvings or more?"
    return _markdown(title, head, lines)


def _halvings(row: pd.Series) -> str:
    """Whether an error falls exponentially, with what would have been seen."""
    seen = row["outcome"] == "cannot tell" and has_interval(row)
    power = f", where {row['detectable']:.1f} would have been seen" if seen else ""
    return f"{row['outcome']}: {quote(row, 'z.1f')} halvings{power}"


def detection_verdict(claims: pd.DataFrame) -> str:
    """All claims, one a line; a table of `instruments.claims`."""
    names = {
        TOLD: "**Four in five texts of others are found** at this length",
        SIZE: "**False alarms go well beyond the size**",
        FALLS: "**Errors fall exponentially** over these lengths",
        HELPS: "**Subtracting the entropy helps**",
    }
    primary = claims[claims["primary"]]
    parts = [f"- {said}: {verdict(primary[primary['claim'].str.startswith(claim)])}." for claim, said in names.items()]
    return "\n".join(parts)


def _at_longest(table: pd.DataFrame, panel: str, reading: str | None = None) -> pd.DataFrame:
    rows = table[(table["panel"] == panel) & (table["length"] == table["length"].max())]
    return rows if reading is None else rows[rows["reading"] == reading]
