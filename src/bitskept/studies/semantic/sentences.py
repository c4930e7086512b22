"""What the tables of notebook 06 show, in words (Markdown)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import by_interval, has_interval, quote, reverse
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic.claims import NAMES
from bitskept.studies.semantic.human_answers import DIFFERENCE, RISE, WHOSE
from bitskept.studies.semantic.prompt_information import ANOTHER, BEYOND_ANOTHER, CHANGE
from bitskept.studies.semantic.rate_distortion import at_one_distortion, endless, off_closed_form
from bitskept.studies.semantic.reward_sentences import examples as examples
from bitskept.studies.semantic.reward_sentences import reward as reward
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.studies.semantic.verdict_sentences import verdict as verdict
from bitskept.theory.intervals import detectable

BITS = ".2f"
ROUNDED = 0.005
"""Bits that are smaller are printed as 0."""


def direction(talks: pd.DataFrame) -> str:
    """Whether the two directions add up to I(X;Y), and how much flows in each; `talks` has a row for each talk, and the
    columns `mutual`, `forward` and `feedback` in bits.
    """
    off = (talks["mutual"] - talks["forward"] - talks["feedback"]).abs().max()
    both = talks.loc["both repeat"]
    ways = [talks.loc[name, "mutual"] for name in ("Y repeats X", "X repeats Y")]
    return (
        f"The two directions add up to I(X;Y): the largest difference is {off:.0e} bits. When both repeat, "
        f"{both['forward']:.2f} of {both['mutual']:.2f} bits flow from X to Y, which mutual information alone cannot "
        f"show. When only one of them listens, all bits flow in one direction ({ways[0]:.2f} and {ways[1]:.2f}). A "
        "prompt that is complete before its answer begins is such a case, so **from here on I(X→Y) = I(X;Y)**, and the "
        "new question is *when* the bits arrive."
    )


def density(table: pd.DataFrame, section: SemanticInformation) -> str:
    """How many bits the prompt directs into the answer that is shown, and which token contributes most; a table of
    `prompt_information.along_answer`.
    """
    bits = table.pivot(index="position", columns="marginal", values="estimate")
    total, most, ceiling = bits.sum(), bits["mixture"].idxmax(), np.log2(section.bank)
    token = table.loc[table["position"] == most, "token"].iloc[0]
    full = total["mixture"] > ceiling - ROUNDED
    reach = "so this number is the bank's, and a larger bank could show more" if full else "and it does not reach them"
    unlikely = int((bits["left_out"] < -ROUNDED).sum())
    return (
        f"Under the mixture the prompt directs {total['mixture']:.2f} bits into this answer. Singling out one of "
        f"{section.bank} prompts takes {ceiling:.2f} bits at most, {reach}. With its own prompt left out of the "
        f"mixture the sum is {total['left_out']:.2f}, and against no prompt it is {total['promptless']:.2f}. The token "
        f"`{token}` alone contributes {bits['mixture'].max() / total['mixture']:.0%} of the bits under the mixture. "
        f"With the own prompt left out, {unlikely} of {len(bits)} tokens have a negative density: they are less likely "
        "after this prompt than after the others."
    )


def granger(gains: pd.DataFrame) -> str:
    """Granger's question for each corpus: does the prompt predict beyond the answer's own past? And the control: does
    the prompt of another answer do as well? A table of `prompt_information.gains`.
    """
    lines = []
    for corpus, rows in gains.groupby("corpus", sort=False):
        by_marginal = rows.set_index("marginal").to_dict("index")
        mixture, left_out, promptless = (quote(by_marginal[name], BITS) for name in MARGINALS)
        row, own, another = (by_marginal[name] for name in ("mixture", BEYOND_ANOTHER, ANOTHER))
        verdict = "**Not shown**: the gain is"
        if row["low"] > 0:
            verdict = "**Yes**: the prompt predicts beyond the answer's own past, by"
        if not has_interval(row):
            verdict = "**Too few to tell**: the gain is"
        lines.append(
            f"- **{corpus}**, {int(row['n'])} answers. {verdict} {mixture} bits per token against the mixture, which "
            f"can show {row['ceiling']:.2f} at most{_needed(row)}; with its own prompt left out of the mixture it is "
            f"{left_out}, and against no prompt {promptless}. The control: the prompt of another answer already gives "
            f"{quote(another, BITS)} against no prompt, and the own prompt {quote(own, BITS)} on top of that"
            f"{_control(own)}."
        )
    return "\n".join(lines)


def _needed(row: Mapping[str, Any]) -> str:
    """What would have been seen of a gain that is not shown, and whether the mixture could have shown it."""
    if not has_interval(row) or row["low"] > 0:
        return ""
    needed = detectable(row["low"], row["high"])
    could = ", **which the mixture cannot show**" if needed > row["ceiling"] else ""
    return f" (on its own this test would have seen a gain of {needed:.2f}{could})"


def _control(own: Mapping[str, Any]) -> str:
    """What the control of `granger` means, where an answer's own prompt should tell more than another one."""
    if not has_interval(own):
        return ", too few answers to tell"
    return "" if own["low"] > 0 else ": **the control does not tell the two prompts apart**"


def context(gains: pd.DataFrame) -> str:
    """What it adds to read more of the prompt, with the own prompt left out of the mixture, for each corpus of a table
    of `prompt_information.gains_by_context`.
    """
    lines = []
    for corpus, rows in gains[gains["marginal"] == "left_out"].groupby("corpus", sort=False):
        by_context = rows[rows["quantity"] != CHANGE].sort_values("context").to_dict("records")
        first, *_, last = by_context
        [change] = rows[(rows["quantity"] == CHANGE) & (rows["since"] == first["context"])].to_dict("records")
        verdict = by_interval(
            change,
            above="**more context adds more**",
            below="**more context takes away**",
            neither=f"whether that is more than nothing cannot be told: {_seen(change)} would have been seen",
            unknown="the answers are too few to tell",
        )
        lines.append(
            f"- **{corpus}**: {quote(first, BITS, 'answers')} bits per token from the last {_last(first['context'])} "
            f"of the prompt, {quote(last, BITS)} from the last {_last(last['context'])}. The difference, answer by "
            f"answer, is {quote(change, BITS)}: {verdict}{_half(by_context)}."
        )
    return "\n".join(lines)


def _half(by_context: Sequence[Mapping[str, Any]]) -> str:
    """Which of the shorter contexts gives half of what the longest one does."""
    *shorter, last = by_context
    if last["estimate"] <= 0:
        return ""
    half = [row["context"] for row in shorter if row["estimate"] >= last["estimate"] / 2]
    if not half:
        return f"; no shorter context gives half of what {_tokens(last['context'])} give"
    return f"; {_tokens(half[0])} {'gives' if half[0] == 1 else 'give'} at least half of it"


def _seen(row: Mapping[str, Any]) -> str:
    return f"{detectable(row['low'], row['high']):.2f}"


def flow(means: pd.DataFrame) -> str:
    """The test of E[M] = 0 at the last token, for each marginal; a table of `continuations.means`."""
    last, lines = means[means["position"] == means["position"].max()], []
    for marginal, rows in last.groupby("marginal", sort=False):
        by_quantity = rows.set_index("quantity").to_dict("index")
        chance = by_quantity["M"]
        verdict = "**is rejected** at 5 %"
        if not has_interval(chance):
            verdict = "cannot be tested on so few"
        elif not _excludes_0(chance):
            verdict = f"is not rejected at 5 %, and a drift of {_seen(chance)} bits would have been seen"
        lines.append(
            f"- **{NAMES[marginal]}**: after {last['position'].max() + 1} tokens of {chance['n']} samples S is "
            f"{quote(by_quantity['S'], BITS)} bits, of which A, the expected part, is "
            f"{by_quantity['A']['estimate']:.2f}. M is {quote(chance, BITS)}: E[M] = 0 {verdict}."
        )
    return "\n".join(lines)


def people(drift: pd.DataFrame) -> str:
    """Where M under the mixture ends along human answers and along the model's, and their difference, prompt by prompt;
    a table of `human_answers.drift`.
    """
    rows = drift[(drift["quantity"] == "M") & (drift["marginal"] == "mixture")]
    by_whose = rows[rows["position"] == drift["position"].max()].set_index("whose").to_dict("index")
    human, model, difference = (by_whose[whose] for whose in (*WHOSE, DIFFERENCE))
    verdict = f"The difference, {quote(difference, '.1f')} bits, is not significant"
    if not has_interval(difference):
        verdict = f"Whether the difference, {quote(difference, '.1f')} bits, is significant cannot be told"
    elif difference["high"] < 0:
        verdict = f"**M drifts**: it is {quote(reverse(difference), '.1f')} bits lower along human answers"
    elif difference["low"] > 0:
        verdict = f"**M drifts**: it is {quote(difference, '.1f')} bits higher along human answers"
    else:
        verdict += f"; one of {detectable(difference['low'], difference['high']):.1f} bits would have been seen"
    return (
        f"Over {human['n']} prompts M ends at {quote(human, '.1f')} bits along human answers and at "
        f"{quote(model, '.1f')} along the model's. {verdict} ({NAMES['mixture']})."
    )


def rise(drift: pd.DataFrame, section: SemanticInformation) -> str:
    """Whether bits still arrive in the second half of human answers, by marginal, next to the first half and to the
    model's own; a table of `human_answers.drift`.
    """
    lines, rises = [], drift[drift["quantity"] == RISE]
    middle = int(drift["position"].max()) // 2
    first = drift[(drift["quantity"] == "S") & (drift["position"] == middle)].set_index(["marginal", "whose"])
    before = first["estimate"] / (middle + 1)
    for name in MARGINALS:
        rows = rises[rises["marginal"] == name].set_index("whose").to_dict("index")
        human, model = (rows[whose] for whose in WHOSE)
        verdict = by_interval(
            human,
            above="**bits still arrive**",
            below="**bits are lost**",
            neither="bits are not shown to arrive any more",
            unknown="on so few this cannot be judged",
        )
        lines.append(
            f"- **{NAMES[name]}**: {quote(human, BITS)} bits per token, after {before[name, 'people']:.2f} in the "
            f"first half: {verdict}. Along the model's own answers {quote(model, BITS)}, after "
            f"{before[name, 'model']:.2f}."
        )
    bank = 1 + section.flow_others
    lines.append(
        f"\nThe mixture over {bank} prompts can show {np.log2(bank):.2f} bits in the whole answer, so little is left "
        "for its second half. The verdict of section 8 therefore takes *own prompt left out*, which has no ceiling."
    )
    return f"In the second half of {human['n']:.0f} human answers:\n\n" + "\n".join(lines)


def rate_distortion(table: pd.DataFrame, section: SemanticInformation) -> str:
    """How close the updates come to closed forms, and what the past saves; a table of `rate_distortion.curves`."""
    flip, n = min(section.flips), section.markov_steps
    at, rates, _ = at_one_distortion(table, section)
    limit = endless(flip, at)
    return (
        f"The computed curves and closed forms differ by at most {off_closed_form(table):.0e} bits "
        f"(tolerance {section.tolerance:g}). A bit that flips with probability {flip:g} costs {rates[1]:.3f} bits if "
        f"it is sent alone, at D = {at:g}; {rates[n]:.3f} per symbol in a message of {n}, which saves "
        f"{1 - rates[n] / rates[1]:.0%}; and {limit:.3f} in the limit: **knowing the whole past saves "
        f"{1 - limit / rates[1]:.0%} of the bits**. This follows from f = {flip:g}: with f = 1/2 nothing is saved."
    )


def naming(ends: pd.DataFrame) -> str:
    """The bits that each twin has gathered from the context, next to those that its names need; a table of
    `checkpoints_in_plane.at_the_end`.
    """
    lines = []
    for row in ends.to_dict("records"):
        gathered = {"estimate": row["gathered"], "low": row["low"], "high": row["high"]}
        beyond = {"estimate": row["beyond"], "low": row["beyond_low"], "high": row["beyond_high"]}
        verdict = "whether it knows more than its names show cannot be told"
        if row["beyond_low"] > 0:
            verdict = "it knows more than its names show"
        elif row["beyond_high"] < 0:
            verdict = "its probabilities hold less than its names need, so they are off"
        if not row["low"] > 0:
            verdict = "it has **not been shown to save any bits**, so its place says nothing yet"
        lines.append(
            f"- **{row['twin']}**: the context saves {quote(gathered | {'n': row['n']}, BITS, 'sentences')} bits per "
            f"token at step {row['step']}. It names {1 - row['error']:.1%} of the tokens, where the most frequent "
            f"token alone would name {1 - row['corner']:.1%}. So many names need {row['needed']:.2f} bits; the "
            f"difference is {quote(beyond, BITS)} bits: {verdict}."
        )
    return "\n".join(lines)


def _excludes_0(row: Mapping[str, Any]) -> bool:
    return row["low"] > 0 or row["high"] < 0


def _last(number: int) -> str:
    return "token" if number == 1 else _tokens(number)


def _tokens(number: int) -> str:
    return f"{number} token{'s' * (number != 1)}"
