"""What the tables of notebook 06 show, in words (Markdown)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.words import has_interval, quote
from bitskept.instruments import claims as outcomes
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic.claims import OWN, RELEVANT
from bitskept.studies.semantic.human_answers import DIFFERENCE, WHOSE
from bitskept.studies.semantic.prompt_information import ANOTHER, BEYOND_ANOTHER, CHANGE
from bitskept.studies.semantic.rate_distortion import at_one_distortion, endless, off_closed_form
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.theory.intervals import detectable

BITS = ".2f"


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
    total, most = bits.sum(), bits["mixture"].idxmax()
    token = table.loc[table["position"] == most, "token"].iloc[0]
    return (
        f"The prompt directs {total['mixture']:.2f} bits into this answer. Singling out one of {section.bank} prompts "
        f"takes at most {np.log2(section.bank):.2f} bits. With its own prompt left out of the mixture the sum is "
        f"{total['left_out']:.2f}, and against no prompt it is {total['promptless']:.2f}. The token `{token}` alone "
        f"contributes {bits['mixture'].max() / total['mixture']:.0%} of the bits under the mixture. "
        f"{int((bits['mixture'] < 0).sum())} of {len(bits)} tokens have a negative density: the prompt made the model "
        "expect something else."
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
            f"can show {row['ceiling']:.2f} at most; with its own prompt left out of the mixture it is {left_out}, and "
            f"against no prompt {promptless}. The control: the prompt of another answer already gives "
            f"{quote(another, BITS)} against no prompt, and the own prompt {quote(own, BITS)} on top of that"
            f"{_control(own)}."
        )
    return "\n".join(lines)


def _control(own: Mapping[str, Any]) -> str:
    """What the control of `granger` means, where an answer's own prompt should tell more than another one."""
    if not has_interval(own):
        return ", too few answers to tell"
    return "" if own["low"] > 0 else ": **the control does not tell the two prompts apart**"


def context(gains: pd.DataFrame, marginal: str = "left_out") -> str:
    """What it adds to read more of the prompt, for each corpus of a table of `prompt_information.gains_by_context`."""
    lines = []
    for corpus, rows in gains[gains["marginal"] == marginal].groupby("corpus", sort=False):
        by_context = rows[rows["quantity"] != CHANGE].sort_values("context").to_dict("records")
        first, *_, last = by_context
        [change] = rows[(rows["quantity"] == CHANGE) & (rows["since"] == first["context"])].to_dict("records")
        verdict = f"whether that is more than nothing cannot be told: {_seen(change)} would have been seen"
        if not has_interval(change):
            verdict = "the answers are too few to tell"
        elif change["low"] > 0:
            verdict = "**more context adds more**"
        elif change["high"] < 0:
            verdict = "**more context takes away**"
        lines.append(
            f"- **{corpus}**: {quote(first, BITS, 'answers')} bits per token from the last {_tokens(first['context'])} "
            f"of the prompt, {quote(last, BITS)} from the last {_tokens(last['context'])}. The difference, answer by "
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
            f"- **{marginal}**: after {last['position'].max() + 1} tokens of {chance['n']} samples S is "
            f"{quote(by_quantity['S'], BITS)} bits, of which A, the expected part, is "
            f"{by_quantity['A']['estimate']:.2f}. M is {quote(chance, BITS)}: E[M] = 0 {verdict}."
        )
    return "\n".join(lines)


def people(drift: pd.DataFrame, marginal: str = "mixture") -> str:
    """Where M ends along human answers and along the model's, and their difference, prompt by prompt; a table of
    `human_answers.drift`.
    """
    ends = (drift["position"] == drift["position"].max()) & (drift["quantity"] == "M") & (drift["marginal"] == marginal)
    by_whose = drift[ends].set_index("whose").to_dict("index")
    human, model, difference = (by_whose[whose] for whose in (*WHOSE, DIFFERENCE))
    verdict = f"The difference, {quote(difference, '.1f')} bits, is not significant"
    if not has_interval(difference):
        verdict = f"Whether the difference, {quote(difference, '.1f')} bits, is significant cannot be told"
    elif difference["high"] < 0:
        lower = {"estimate": -difference["estimate"], "low": -difference["high"], "high": -difference["low"]}
        verdict = f"**M drifts**: it is {quote(lower, '.1f')} bits lower along human answers"
    elif difference["low"] > 0:
        verdict = f"**M drifts**: it is {quote(difference, '.1f')} bits higher along human answers"
    else:
        verdict += f"; one of {detectable(difference['low'], difference['high']):.1f} bits would have been seen"
    return (
        f"Over {human['n']} prompts M ends at {quote(human, '.1f')} bits along human answers and at "
        f"{quote(model, '.1f')} along the model's. {verdict} ({marginal})."
    )


def rate_distortion(table: pd.DataFrame, section: SemanticInformation) -> str:
    """How close the updates come to closed forms, and what the past saves; a table of `rate_distortion.curves`."""
    flip, n = min(section.flips), section.markov_steps
    at, rates, _ = at_one_distortion(table, section)
    limit = endless(flip, at)
    return (
        f"The computed curves and closed forms differ by at most {off_closed_form(table):.0e} bits "
        f"(tolerance {section.tolerance:g}). A bit that flips with probability {flip:g} costs {rates[1]:.3f} bits if "
        f"it is sent alone, at D = {at:g}; {rates[n]:.3f} per symbol if {n} are sent together; and {limit:.3f} in the "
        f"limit: **knowing the past saves {1 - limit / rates[1]:.0%} of the bits**."
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
            f"- **{row['twin']}**: {quote(gathered | {'n': row['n']}, BITS, 'sentences')} bits per token at step "
            f"{row['step']}. It names {1 - row['error']:.1%} of the tokens, where the most frequent token alone would "
            f"name {1 - row['corner']:.1%}. So many names need {row['needed']:.2f} bits; the difference is "
            f"{quote(beyond, BITS)}: {verdict}."
        )
    return "\n".join(lines)


def examples(texts: Sequence[str], rewards: Float[np.ndarray, " text"]) -> str:
    """The two continuations with the highest reward and one from the middle, quoted."""
    order = np.argsort(-rewards, kind="stable")[[0, 1, len(rewards) // 2]]
    return "\n>\n".join(f"> {rewards[place]:.0%}: …{texts[place]}".replace("\n", " ") for place in order)


def reward(points: pd.DataFrame, rewards: Float[np.ndarray, " sample"], excess: pd.DataFrame) -> str:
    """What a higher reward costs, and how much more best-of-N pays; `points` is a table of `rewards.frontier`, `excess`
    one of `rewards.excess`.
    """
    tilted = points[points["way"] == "reweighted"]
    sure = tilted[tilted["rate_low"].notna()]
    if tilted.empty:
        reached = f"{len(rewards)} samples are too few to reweight. "
    elif len(sure) == len(tilted):
        reached = (
            f"Reweighting {len(rewards)} samples reaches {_reached(sure)}, with {sure['effective'].iloc[-1]:.0f} "
            "effective samples left; these samples cannot show more. "
        )
    else:
        far = tilted.iloc[-1]
        as_far = f"Reweighting {len(rewards)} samples reaches {_reached(sure)}. Beyond that" if len(sure) else "Already"
        reached = (
            f"{as_far} a few samples with high rewards decide how large reward and rate are, which leaves them without "
            f"an interval: at the steepest slope these samples suggest {far['reward']:.1%} at {far['rate']:.2f} bits. "
        )
    return (
        f"The mean reward is {rewards.mean():.1%} of the words without reweighting. {reached}{_best_of(points, excess)}"
    )


def _best_of(points: pd.DataFrame, excess: pd.DataFrame) -> str:
    """Best-of-N at the largest N whose least rate is known, and how many N lie beyond."""
    known = excess[excess["known"].astype(bool)]
    beyond = len(excess) - len(known)
    more = f" For {beyond} larger N these samples cannot tell the least rate." if beyond and len(known) else ""
    if known.empty:
        return "For no N can these samples tell the least rate of what best-of-N earns."
    last = known.iloc[-1]
    best, bound = (
        points[(points["way"] == way) & (points["at"] == last["at"])].iloc[0] for way in ("best_of", "bound")
    )
    return (
        f"Best of {last['at']:.0f} earns {_named(best, 'reward', '.1%')} and costs {best['rate']:.2f} bits, where the "
        f"bound is {bound['rate']:.2f}. That is {quote(last, BITS)} more than the least rate.{more}"
    )


def verdict(table: pd.DataFrame) -> str:
    """Does the claim hold? The outcome of each primary claim of `claims.claims`, and of the controls."""
    primary = table[table["primary"]]
    names = primary["claim"].str.partition(" (")[0].where(primary["outcome"] != "not tested", primary["claim"])
    least = ", ".join(f"{size:g} {unit}" for unit, size in RELEVANT.items())
    lines = [f"An effect counts from these sizes on, which were fixed before the run: {least}.", ""]
    for paper, rows in primary.groupby("paper", sort=False):
        lines.append("**Controls**\n" if paper == outcomes.CONTROL else "**The paper's concepts**\n")
        named = rows.groupby(names.loc[rows.index], sort=False)
        lines += [f"- {name}: **{outcomes.verdict(part)}**" for name, part in named]
        lines.append("")
    if (table.loc[table["claim"] == OWN, "outcome"] != "yes").any():
        lines.append(
            "The control with another answer's prompt was **not passed everywhere**: there, what a prompt adds is not "
            "shown to come from this prompt."
        )
    return "\n".join(lines).strip()


def _excludes_0(row: Mapping[str, Any]) -> bool:
    return row["low"] > 0 or row["high"] < 0


def _named(row: pd.Series, name: str, style: str) -> str:
    return quote({"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}, style)


def _reached(points: pd.DataFrame) -> str:
    last = points.iloc[-1]
    return f"{_named(last, 'reward', '.1%')} at {_named(last, 'rate', BITS)} bits"


def _tokens(number: int) -> str:
    return f"{number} token{'s' * (number != 1)}"
