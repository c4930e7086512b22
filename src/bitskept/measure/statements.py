"""What the tables of semantic information say, in sentences that would change if the numbers did."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bitskept.theory.statistics import cluster_bootstrap, interval

SURE = 1.96
SHARE = ".0%"
FINDINGS = (("short", "keys"), ("full", "values"), ("full", "zero"))
"""Forms of the energy and steps that are no theorem."""


def gain_sentences(gains: pd.DataFrame) -> list[str]:
    """Granger's question for each corpus of `information_density.gains`: does the prompt predict beyond the answer's
    own past, and do the marginals agree?
    """
    said = []
    for corpus, rows in gains.groupby("corpus", sort=False):
        found = rows.set_index("marginal")
        own, without, proxy = (_quoted(found.loc[name]) for name in ("mixture", "left_out", "promptless"))
        sure = found.loc["mixture", "low"] > 0
        verdict = "**Yes**: the prompt predicts beyond the answer's own past" if sure else "**Not for sure**"
        times = found.loc["promptless", "estimate"] / found.loc["mixture", "estimate"]
        compared = f", {times:.1f} times the first" if sure else ""
        said.append(
            f"- **{corpus}**, {int(found['n'].iloc[0])} answers. {verdict}, by {own} bits a token against the mixture; "
            f"without its own prompt in the mixture it is {without}; against no prompt at all {proxy}"
            f"{compared}."
        )
    return said


def infonce_sentence(bounds: pd.DataFrame) -> str:
    """What two halves of a text share for sure, by the layer and the critic that prove most, and its control."""
    real, control = (bounds[bounds["shuffled"] == shuffled] for shuffled in (False, True))
    best, first = real.loc[real["estimate"].idxmax()], real[real["layer"] == real["layer"].min()]
    start = first.loc[first["estimate"].idxmax()]
    wrong = int((control["low"] > 0).sum())
    kept = "no bound of the control lies" if wrong == 0 else f"**{wrong} bounds of the control lie**"
    more = "surely more than" if best["low"] > start["high"] else "not surely more than"
    return (
        f"Two halves of a text share {_quoted(best)} bits at least, of at most {best['ceiling']:.0f} that this many "
        f"pairs can show; layer {int(best['layer'])} with the critic *{best['critic']}* proves it, {more} layer "
        f"{int(start['layer'])} with {_quoted(start)}. Of halves that do not belong together {kept} above 0. A lower "
        "bound that rises with depth shows that the critic finds it more easily there; a later layer cannot know more."
    )


def context_sentences(gains: pd.DataFrame, marginal: str = "mixture") -> list[str]:
    """What more of the prompt adds, for each corpus of gains at several contexts."""
    said = []
    for corpus, rows in gains[gains["marginal"] == marginal].groupby("corpus", sort=False):
        rows = rows.sort_values("context")
        first, last = rows.iloc[0], rows.iloc[-1]
        half = rows[rows["estimate"] >= last["estimate"] / 2].iloc[0]
        part = f"half of that is there with {int(half['context'])}" if last["estimate"] > 0 else "nothing is gained"
        said.append(
            f"- **{corpus}**: {_quoted(first)} bits a token with the last {_tokens(int(first['context']))} of the "
            f"prompt, {_quoted(last)} with the last {_tokens(int(last['context']))}; {part}."
        )
    return said


def martingale_sentences(means: pd.DataFrame) -> list[str]:
    """The test of E[M] = 0 at the last token of a table of `continuations.means`, for each marginal."""
    last = means[means["position"] == means["position"].max()]
    said = []
    for marginal, rows in last.groupby("marginal", sort=False):
        s, a, m = (rows[rows["quantity"] == name].iloc[0] for name in ("S", "A", "M"))
        kept = "is not rejected" if abs(m["z"]) < SURE else "**is rejected**"
        said.append(
            f"- **{marginal}**: after {int(m['position']) + 1} tokens of {m['n']} samples S is {_quoted(s)} bits, of "
            f"which A foresees {a['estimate']:.2f}. M is {_quoted(m)}, z = {m['z']:.1f}: E[M] = 0 {kept} at 5 %."
        )
    return said


def people_sentence(table: pd.DataFrame, marginal: str = "mixture", *, seed: int = 0) -> str:
    """How far M ends from 0 along people's answers and along the model's own, prompt by prompt (`human_answers`)."""
    last = table[(table["position"] == table["position"].max()) & (table["marginal"] == marginal)]
    ends = last.pivot(index="sample", columns="whose", values="M")
    both = np.stack([ends["people"], ends["model"], ends["people"] - ends["model"]]).astype(float)
    low, high = interval(cluster_bootstrap(both, np.ones(len(ends)), seed=seed))
    people, own, apart = (f"{one:.1f} [{a:.1f}, {b:.1f}]" for one, a, b in zip(both.mean(1), low, high, strict=True))
    kind = "lower" if high[2] < 0 else "higher" if low[2] > 0 else ""
    verdict = f"**People's answers drift**: M ends {kind}" if kind else "No drift is sure: M ends"
    return (
        f"Over {len(ends)} prompts M ends at {people} bits along people's answers and at {own} along the model's own. "
        f"{verdict} by {apart} bits along people's ({marginal})."
    )


def reward_sentence(table: pd.DataFrame, rewards: np.ndarray, cheapest: Mapping[float, float]) -> str:
    """What a higher reward costs, and what best-of-N wastes; `cheapest` is the least rate by reward of best-of-N."""
    far = table[table["way"] == "reweighted"].iloc[-1]
    best = table[table["way"] == "best_of"].iloc[-1]
    bound = table[table["way"] == "bound"].iloc[-1]
    earned, reached = (
        f"{row['reward']:.1%} [{row['reward_low']:.1%}, {row['reward_high']:.1%}]" for row in (best, far)
    )
    paid = f"{best['rate']:.2f} bits, the bound {bound['rate']:.2f}, and reweighting would earn the same"
    return (
        f"The mean reward is {rewards.mean():.1%} of the words at 0 bits. Reweighting {len(rewards)} samples reaches "
        f"{reached} at {far['rate']:.2f} [{far['rate_low']:.2f}, {far['rate_high']:.2f}] bits, with "
        f"{far['effective']:.0f} effective samples left: beyond that these samples say nothing. Best of "
        f"{best['at']:.0f} earns {earned}: it costs {paid} at {cheapest[best['reward']]:.2f}."
    )


def naming_sentences(table: pd.DataFrame, needed: pd.Series) -> list[str]:
    """The bits that each twin's context has gathered at its last step, beside those that its errors ask for.

    `table` has rows twin, step, quantity, estimate, low, high; `needed` the least rate by (twin, step).
    """
    said = []
    for twin, rows in table.groupby("twin", sort=False):
        wide = rows.pivot_table(index="step", columns="quantity", values="estimate")
        first, last = wide.iloc[0], wide.iloc[-1]
        ends = _ends(rows[(rows["step"] == wide.index[-1]) & (rows["quantity"] == "gathered")])
        least = needed[twin, wide.index[-1]]
        said.append(
            f"- **{twin}**: from {first['gathered']:.2f} bits a token at step {wide.index[0]} to "
            f"{last['gathered']:.2f} {ends} at step {wide.index[-1]}. It names {1 - last['error']:.0%} of the tokens, "
            f"for which {least:.2f} bits are enough: {last['gathered'] - least:+.2f} bits tell of the others."
        )
    return said


def architecture_sentences(table: pd.DataFrame) -> list[str]:
    """What text costs each twin and what a prompt adds, from rows twin, quantity, marginal, estimate, low and high of
    its last step: the mean over seeds, and the ends of their intervals that lie farthest out.
    """
    said = []
    for twin, rows in table.groupby("twin", sort=False):
        cost = rows[rows["quantity"].str.contains("bits_per_byte")]
        bound = " at most" if cost["quantity"].str.endswith("bound").all() else ""
        text = f"- **{twin}**: a byte costs{bound} {cost['estimate'].mean():.2f} {_ends(cost)} bits"
        told, proxy = (rows[rows["marginal"] == marginal] for marginal in ("left_out", "promptless"))
        if len(told):
            text += f"; the prompt adds {told['estimate'].mean():.2f} bits a token against other prompts {_ends(told)}"
            text += f", and {proxy['estimate'].mean():.2f} against none {_ends(proxy)}"
        said.append(f"{text}.")
    return said


def energy_sentences(table: pd.DataFrame) -> list[str]:
    """Which steps lower which energy, from a table of `attention_energy` of trained and of random weights."""
    whole = table[table["layer"].isna() & table["head"].isna() & (table["quantity"] == "lowered")]
    found = whole.set_index(["weights", "form", "step"])
    keys = found.xs(("full", "keys"), level=("form", "step"))
    raised = round(((1 - keys["estimate"]) * keys["n"]).sum())
    verdict = "**which a theorem forbids: the program is wrong**" if raised else "as the theorem wants"
    said = [f"- Of {int(keys['n'].sum())} steps of attention over keys {raised or 'none'} raised E, {verdict}."]
    for weights in dict.fromkeys(whole["weights"]):
        short, values, zero = (found.loc[(weights, form, step)] for form, step in FINDINGS)
        fewer = "surely fewer" if values["high"] < zero["low"] else "not surely more"
        compared = "surely more" if values["low"] > zero["high"] else fewer
        said.append(
            f"- {weights.capitalize()} weights: the first term falls as well for {_quoted(short, SHARE)} of the "
            f"queries. The head's own sum of values lowers E for {_quoted(values, SHARE)}, {compared} than the query "
            f"set to 0 does: {_quoted(zero, SHARE)}."
        )
    return said


def memory_sentences(table: pd.DataFrame) -> list[str]:
    """How the capacity of each memory grows with the dimension, and where the perceptron loses half of its labellings;
    a table of `associative_memory.Retrieval` and `.Dichotomies` with a column `scale`.
    """
    said = []
    for scale, rows in table[table["quantity"] == "capacity"].groupby("scale", sort=False):
        known = rows.dropna(subset="estimate").sort_values("dimension")
        beyond = [str(one) for one in sorted(set(rows["dimension"]) - set(known["dimension"]))]
        text = f"- {scale}: " + ", ".join(
            f"{row.estimate:g} [{row.low:g}, {_or_more(row.high)}] patterns at d = {row.dimension}"
            for row in known.itertuples()
        )
        text += f"; more than was tried at d = {', '.join(beyond)}" if beyond else ""
        if len(known) > 1:
            slope, expected = (
                np.polyfit(known["dimension"], np.log2(known[name]), 1)[0] for name in ("estimate", "expected")
            )
            text += f". That is {slope:.2f} bits a dimension; {expected:.2f} are expected"
        said.append(f"{text}.")
    learnt = table[table["quantity"] == "learnt"].sort_values("load")
    half = learnt["estimate"] >= 0.5
    around = pd.concat([learnt[half].tail(1), learnt[~half].head(1)])
    shares = " and ".join(
        f"{_quoted(row, SHARE)} with {row['load']:.1f} points a weight" for _, row in around.iterrows()
    )
    inside = ((learnt["low"] <= learnt["expected"]) & (learnt["expected"] <= learnt["high"])).sum()
    said.append(
        f"- perceptron: of the labellings it learns {shares}. Cover's count lies in {inside} of the {len(learnt)} "
        "intervals."
    )
    return said


def _or_more(number: float) -> str:
    return "more" if np.isnan(number) else f"{number:g}"


def _ends(rows: pd.DataFrame) -> str:
    return f"[{rows['low'].min():.2f}, {rows['high'].max():.2f}]"


def _quoted(row: pd.Series, style: str = ".2f") -> str:
    return f"{row['estimate']:{style}} [{row['low']:{style}}, {row['high']:{style}}]"


def _tokens(number: int) -> str:
    return "token" if number == 1 else f"{number} tokens"
