"""What the tables of notebook 06 show, in words (Markdown)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.words import has_interval, quote
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic.rate_distortion import closed_form, endless
from bitskept.studies.semantic.rewards import cheapest_rate
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.theory.intervals import EVEN, ratio_interval

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
    """Granger's question for each corpus: does the prompt predict beyond the answer's own past? A table of `gains`."""
    lines = []
    for corpus, rows in gains.groupby("corpus", sort=False):
        by_marginal = rows.set_index("marginal").to_dict("index")
        mixture, left_out, promptless = (quote(by_marginal[name], BITS) for name in MARGINALS)
        sure = by_marginal["mixture"]["low"] > 0
        verdict = (
            "**Yes**: the prompt predicts beyond the answer's own past, by" if sure else "**Not shown**: the gain is"
        )
        if not has_interval(by_marginal["mixture"]):
            verdict = "**Too few to tell**: the gain is"
        ratio = by_marginal["promptless"]["estimate"] / by_marginal["mixture"]["estimate"]
        lines.append(
            f"- **{corpus}**, {int(by_marginal['mixture']['n'])} answers. {verdict} {mixture} bits per token "
            f"against the mixture; with its own prompt left out of the mixture it is {left_out}, and against no "
            f"prompt {promptless}{f', {ratio:.1f} times the gain against the mixture' if sure else ''}."
        )
    return "\n".join(lines)


def context(gains: pd.DataFrame, marginal: str = "left_out") -> str:
    """What it adds to read more of the prompt, for each corpus of a table of `gains_by_context`."""
    lines = []
    for corpus, rows in gains[gains["marginal"] == marginal].groupby("corpus", sort=False):
        first, *_, last = by_context = rows.sort_values("context").to_dict("records")
        part = "nothing is gained"
        if last["estimate"] > 0:
            half = next(row["context"] for row in by_context if row["estimate"] >= last["estimate"] / 2)
            part = f"{_tokens(half)} {'gives' if half == 1 else 'give'} at least half of the last value"
        lines.append(
            f"- **{corpus}**: {quote(first, BITS, 'answers')} bits per token from the last "
            f"{_tokens(first['context'])} of the "
            f"prompt, {quote(last, BITS)} from the last {_tokens(last['context'])}; {part}."
        )
    return "\n".join(lines)


def flow(means: pd.DataFrame) -> str:
    """The test of E[M] = 0 at the last token, for each marginal; a table of `continuations.means`."""
    last, lines = means[means["position"] == means["position"].max()], []
    for marginal, rows in last.groupby("marginal", sort=False):
        by_quantity = rows.set_index("quantity").to_dict("index")
        chance = by_quantity["M"]
        verdict = "**is rejected** at 5 %" if _excludes_0(chance) else "is not rejected at 5 %"
        if not has_interval(chance):
            verdict = "cannot be tested on so few"
        lines.append(
            f"- **{marginal}**: after {last['position'].max() + 1} tokens of {chance['n']} samples S is "
            f"{quote(by_quantity['S'], BITS)} bits, of which A, the expected part, is "
            f"{by_quantity['A']['estimate']:.2f}. M is {quote(chance, BITS)}, z = {chance['z']:.1f}: E[M] = 0 "
            f"{verdict}."
        )
    return "\n".join(lines)


def people(answers: pd.DataFrame, marginal: str = "mixture", *, seed: int = 0) -> str:
    """Where M ends along human answers and along the model's, and their difference, prompt by prompt; a table of
    `human_answers.measure`.
    """
    last = answers[(answers["position"] == answers["position"].max()) & (answers["marginal"] == marginal)]
    ends = last.pivot(index="sample", columns="whose", values="M")
    values = np.stack([ends["people"], ends["model"], ends["people"] - ends["model"]]).astype(float)
    low, high = ratio_interval(values, np.ones(len(ends)), least=EVEN, seed=seed)
    rows = pd.DataFrame({"estimate": values.mean(1), "low": low, "high": high})
    human, model, difference = (quote(row, ".1f") for row in rows.to_dict("records"))
    verdict = f"The difference, {difference} bits, is not significant"
    if not has_interval(rows.loc[2]):
        verdict = f"Whether the difference, {difference} bits, is significant cannot be told from so few prompts"
    if high[2] < 0:
        lower = -rows.loc[2].rename({"low": "high", "high": "low"})
        verdict = f"**M drifts**: it is {quote(lower, '.1f')} bits lower along human answers"
    elif low[2] > 0:
        verdict = f"**M drifts**: it is {difference} bits higher along human answers"
    return (
        f"Over {len(ends)} prompts M ends at {human} bits along human answers and at {model} along the model's. "
        f"{verdict} ({marginal})."
    )


def rate_distortion(table: pd.DataFrame, section: SemanticInformation) -> str:
    """How close the updates come to closed forms, and what the past saves; a table of `rate_distortion.curves`."""
    memoryless = table[table["kind"] != "Markov"].groupby(["kind", "of"])
    differences = [closed_form(*kind, rows["distortion"].to_numpy()) - rows["rate"] for kind, rows in memoryless]
    flip, n = min(section.flips), section.markov_steps
    at = min(0.1, flip / 2)
    markov = table[table["kind"] == "Markov"].groupby("of")
    rates = {of: np.interp(at, rows["distortion"], rows["rate"]) for of, rows in markov}
    limit = endless(flip, at)
    return (
        f"The computed curves and closed forms differ by at most {max(abs(off).max() for off in differences):.0e} bits "
        f"(tolerance {section.tolerance:g}). A bit that flips with probability {flip:g} costs {rates[1]:.3f} bits if "
        f"it is sent alone, at D = {at:g}; {rates[n]:.3f} per symbol if {n} are sent together; and {limit:.3f} in the "
        f"limit: **knowing the past saves {1 - limit / rates[1]:.0%} of the bits**."
    )


def naming(gathered: pd.DataFrame, needed: pd.Series) -> str:
    """The bits that each twin has gathered from the context at its last step, next to those that its names need.

    `gathered` is a table of `twin_measures.next_tokens_of`; `needed` is the least rate by twin and step.
    """
    lines = []
    for twin, rows in gathered.groupby("twin", sort=False):
        wide = rows.pivot_table(index="step", columns="quantity", values="estimate")
        start, end = wide.index[0], wide.index[-1]
        seeds = rows[(rows["step"] == end) & (rows["quantity"] == "gathered")]
        bits = {"estimate": wide.loc[end, "gathered"], "low": seeds["low"].min(), "high": seeds["high"].max()}
        least = needed[twin, end]
        more = bits["estimate"] - least
        lines.append(
            f"- **{twin}**: from {wide.loc[start, 'gathered']:.2f} bits per token at step {start} to "
            f"{quote(bits, BITS)} at step {end}. It names {1 - wide.loc[end, 'error']:.0%} of the tokens, which needs "
            f"at least {least:.2f} bits: it has gathered {abs(more):.2f} bits {'fewer' if more < 0 else 'more'} than "
            "these names need."
        )
    return "\n".join(lines)


def examples(texts: Sequence[str], rewards: Float[np.ndarray, " text"]) -> str:
    """The two continuations with the highest reward and one from the middle, quoted."""
    order = np.argsort(-rewards, kind="stable")[[0, 1, len(rewards) // 2]]
    return "\n>\n".join(f"> {rewards[place]:.0%}: …{texts[place]}".replace("\n", " ") for place in order)


def reward(points: pd.DataFrame, rewards: Float[np.ndarray, " sample"]) -> str:
    """What a higher reward costs, and how much more best-of-N pays; `points` is a table of `rewards.frontier`."""
    best, bound = (points[points["way"] == way].iloc[-1] for way in ("best_of", "bound"))
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
        f"The mean reward is {rewards.mean():.1%} of the words without reweighting. {reached}"
        f"Best of {best['at']:.0f} earns {_named(best, 'reward', '.1%')} and costs {best['rate']:.2f} bits, "
        f"where the bound is {bound['rate']:.2f}; reweighting would earn the same for "
        f"{cheapest_rate(rewards, best['reward']):.2f}."
    )


def verdict(gains: pd.DataFrame, means: pd.DataFrame) -> str:
    """Does the claim hold? Tables of `prompt_information.gains` and of `continuations.means`."""
    mixture = gains[gains["marginal"] == "mixture"]
    chance = means[(means["position"] == means["position"].max()) & (means["quantity"] == "M")].dropna(subset="low")
    tested = "could not be made on so few samples"
    if len(chance):
        rejected = sum(map(_excludes_0, chance.to_dict("records")))
        tested = f"is rejected for {rejected} of {len(chance)} marginals; by chance one test in twenty is rejected"
    return (
        "Each concept has a number, on a model that runs on a laptop. The prompt adds significantly to the answer's "
        f"past in {(mixture['low'] > 0).sum()} of {len(mixture)} corpora. The test that M is a martingale {tested}. "
        "The theory says more than this: its theorems were not tested here."
    )


def _excludes_0(row: Mapping[str, Any]) -> bool:
    return row["low"] > 0 or row["high"] < 0


def _named(row: pd.Series, name: str, style: str) -> str:
    return quote({"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}, style)


def _reached(points: pd.DataFrame) -> str:
    last = points.iloc[-1]
    return f"{_named(last, 'reward', '.1%')} at {_named(last, 'rate', BITS)} bits"


def _tokens(number: int) -> str:
    return f"{number} token{'s' * (number != 1)}"
