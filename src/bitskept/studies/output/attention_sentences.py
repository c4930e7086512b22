"""What the tables of attention's entropy show, in words (Markdown), and the claims that they weigh."""

from collections.abc import Iterator
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, binom, binomtest

from bitskept.base.words import by_interval, has_interval, quote, reverse
from bitskept.instruments.claims import CONTROL, LEVEL, UNTESTED, effect
from bitskept.studies.output.attention import FIRST, GAP, SPREADS
from bitskept.studies.output.attention_runs import RISE
from bitskept.theory.intervals import share_interval
from bitskept.theory.statistics import detectable_correlation, permutation_p, rank_interval, spearman

PAPER = "Zhai 2023"
SHARPER = "trained heads attend more sharply than random ones"
UNSTABLE = "low attention entropy comes with unstable training"
PREVENTED = "attention that cannot collapse keeps training from diverging"
MAXIMUM, RANK, RUNS = "share of the maximum", "rank correlation", "share of runs"
RELEVANT = {MAXIMUM: 0.05, RANK: 0.5, RUNS: 0.5}
"""The smallest effect that would matter, by unit."""
FEW = 4
"""A rank correlation takes so many runs."""
SHORT = 10
"""A lead of fewer steps leaves no time to act."""
VACUOUS = 0.01
"""A least entropy below this share of the maximum says nothing."""


def spread(table: pd.DataFrame) -> str:
    """How widely trained and random heads attend, what the first token does to it, and how near the bound they are; a
    table of `attention.by_layer`.
    """
    trained, random, gap = (_of_all(table, weights) for weights in ("trained", "random", GAP))
    first, others = trained[FIRST], gap["spread without the first"]
    layers = table[(table["weights"] == GAP) & table["layer"].notna() & (table["quantity"] == "spread")]
    sharper = int((layers["low"] > 0).sum())
    least, own = trained["least by own scores"]["estimate"], trained["spread"]["estimate"]
    by_text = trained["least by the text's scores"]["estimate"]
    said = "too little to say anything" if by_text < VACUOUS else "which says something"
    return (
        f"Trained heads spread their attention over {quote(trained['spread'], clusters='sentences')} of the bits that "
        f"they could, random ones over {quote(random['spread'])}: {_compared(gap['spread'])}. The interval of this "
        f"difference lies above 0 in {sharper} of {len(layers)} layers. The first token alone gets {quote(first)} of "
        f"the trained heads' weight, {_sink(gap[FIRST])} Among the other tokens, trained heads spread "
        f"over {quote(trained['spread without the first'])}: {_compared(others)}. For scores as large as those of "
        f"the trained heads, the bound is {least:.0%} of the maximum, or {least / own:.0%} of the measured entropy. "
        f"With the largest singular value of all scores of a text, it is {by_text:.2%} of the maximum, {said}."
    )


def _of_all(table: pd.DataFrame, weights: str) -> dict[str, dict[str, Any]]:
    """The rows of all heads together, by quantity."""
    rows = table[(table["weights"] == weights) & table["layer"].isna()]
    return {row["quantity"]: row for row in rows.to_dict("records")}


def _compared(gap: dict[str, Any]) -> str:
    """A difference, random less trained, in words."""
    size = f"a difference of {quote(gap)}"
    return f"{size}, " + by_interval(
        gap,
        above="so trained heads attend more sharply",
        below="so random heads attend more sharply",
        neither="which may be 0",
        unknown="from too few sentences to judge",
    )


def _sink(gap: dict[str, Any]) -> str:
    if not has_interval(gap):
        return "from too few sentences to say whether that is more than from random ones."
    if gap["high"] < 0:
        return f"{quote(gap | reverse(gap))} more than from random ones: it is their sink."
    return "no more for certain than from random ones: it is no sink."


def collapse(outcomes: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Whether attention's entropy collapses with training's divergence, before it, and only with it; tables of
    `attention_runs.outcomes` and `instruments.claims`.
    """
    free, fixed = outcomes[~outcomes["fixed"]], outcomes[outcomes["fixed"]]
    learned, diverged = (free[free["outcome"] == name] for name in ("learned", "diverged"))
    stuck = len(free) - len(learned) - len(diverged)
    counts = (
        f"Of {len(free)} runs with free scores {len(learned)} learned, {stuck} came to no more than the distribution "
        f"of single tokens, and {len(diverged)} diverged (rates {_rates(diverged)}): their held-out loss rose by "
        f"{RISE:g} bit a token or more, or was not finite."
    )
    if diverged.empty or learned.empty:
        missing = "diverged" if diverged.empty else "learned"
        return f"{counts} As none {missing}, nothing can be said of collapse: take other rates."
    parts = [_ends(diverged), _margins(learned), _limits(free, diverged), _apart(learned, diverged)]
    parts += [_of_rates(free, claims), _warning(learned)]
    parts += [_timing(diverged), _held(free, fixed)]
    return " ".join([counts, *filter(None, parts)])


def _rates(runs: pd.DataFrame) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted(runs["rate"].unique())) or "none"


def _ends(diverged: pd.DataFrame) -> str:
    """Where the runs that diverged came to stand: a divergence may be passing."""
    above = (diverged["loss"] - diverged["single"]).to_numpy(float)
    if not np.isfinite(above).all():
        return "Not all of them came back from there."
    low, high = above.min(), above.max()
    return f"At the end they stand {low:z.2f} to {high:z.2f} bits above the distribution of single tokens."


def _margins(learned: pd.DataFrame) -> str:
    """By how much the runs that learned did so."""
    below = learned["single"] - learned["loss"]
    return f"Those that learned end {below.min():.2f} to {below.max():.2f} bits below it."


def _of_rates(free: pd.DataFrame, claims: pd.DataFrame) -> str:
    """How many rates a correlation over runs stands on, and what is left of it with rates as the sample."""
    rates, rows = free["rate"].nunique(), claims[claims["claim"].str.startswith(UNSTABLE)]
    over_runs, over_rates = (rows.loc[rows["primary"] == primary, "outcome"].iloc[0] for primary in (True, False))
    said = (
        f"Both entropy and loss follow the rate, of which there are {rates}: that they go together does not say which "
        "of them drives the other."
    )
    if over_runs == "not tested" or over_rates == "not tested":
        return f"{said} The rates are too few to be a sample."
    decides = ", so **that runs count as independent decides**" if over_rates != over_runs else ""
    return (
        f"{said} Over runs, whose seeds count as independent, the answer is **{over_runs}**. Over rates, of which even "
        f"a perfect order has p = {2 / factorial(rates):.2g} (two-sided), it is **{over_rates}**{decides}."
    )


def _limits(free: pd.DataFrame, diverged: pd.DataFrame) -> str:
    """Which other limits to the rise of the loss would find the same runs to diverge."""
    calm, wild = free.loc[free["outcome"] != "diverged", "rise"].max(), diverged["rise"].min()
    return f"Any limit from {calm:.2f} to {wild:.2f} bits would sort them alike." if calm < wild else ""


def _apart(learned: pd.DataFrame, diverged: pd.DataFrame) -> str:
    """Whether the least entropy tells diverged runs from those that learned."""
    most, least = diverged["least_spread"].max(), learned["least_spread"].min()
    facts = (
        f"The mean entropy fell to {most:.1%} of its maximum or less in every run that diverged, and to no less than "
        f"{least:.1%} in those that learned"
    )
    return f"{facts}: {'the two are apart' if most < least else 'the two overlap'}."


def _warning(learned: pd.DataFrame) -> str:
    """What a fall of entropy meant among the runs that learned, from the lowest rate to the highest."""
    slow, fast = (learned[learned["rate"] == rate] for rate in (learned["rate"].min(), learned["rate"].max()))
    if slow["rate"].iloc[0] == fast["rate"].iloc[0]:
        return "Runs learned at one rate only, so they cannot show whether a fall of entropy does harm by itself."
    facts = (
        f"From rate {slow['rate'].iloc[0]:g} to {fast['rate'].iloc[0]:g}, runs that learned ended with "
        f"{slow['spread'].mean():.0%} and {fast['spread'].mean():.0%} of the maximum and a loss of "
        f"{slow['loss'].mean():.2f} and {fast['loss'].mean():.2f} bits a token"
    )
    falls, cheaper = fast["spread"].mean() < slow["spread"].mean(), fast["loss"].mean() < slow["loss"].mean()
    if falls and cheaper:
        return f"{facts}: a fall of entropy is no harm by itself; heads that learn what to attend to lose entropy."
    return f"{facts}: {'where entropy fell, less was learned' if falls else 'entropy did not fall with the rate'}."


def _timing(diverged: pd.DataFrame) -> str:
    """Whether entropy fell before the loss rose."""
    timed = diverged.dropna(subset=["fell", "rose"])
    if timed.empty:
        return "No run that diverged was seen to halve its entropy before the end."
    before, same = int((timed["fell"] < timed["rose"]).sum()), int((timed["fell"] == timed["rose"]).sum())
    lead = (timed["rose"] - timed["fell"]).median()
    short = ", too short to serve as a warning at such rates" if lead < SHORT else ""
    return (
        f"Entropy had halved before the loss rose by a bit in {before} of {len(timed)} runs that diverged and by the "
        f"same step in {same}; the median lead is {lead:g} {'step' if lead == 1 else 'steps'}{short}."
    )


def _held(free: pd.DataFrame, fixed: pd.DataFrame) -> str:
    """What happened where scores could not grow: at rates at which free scores diverge, and at calm ones (control)."""
    calm, wild = _by_rate(free, fixed)
    if wild.empty:
        return ""
    diverged, learned = (int((wild["outcome"] == name).sum()) for name in ("diverged", "learned"))
    facts = (
        f"With scores fixed in size, entropy stayed at {fixed['least_spread'].min():.0%} of its maximum or more, and "
        f"{diverged} of {len(wild)} runs at rates {_rates(wild)} diverged"
    )
    if not _holds(calm):
        broken = int((calm["outcome"] == "diverged").sum())
        return (
            f"{facts}. This says nothing of the collapse: of {len(calm)} such runs at rates at which free scores do "
            f"not diverge, {broken} diverged, so **the control is not passed**."
        )
    control = (
        f" (the control: at rates {_rates(calm)}, at which free scores do not diverge, none of {len(calm)} did, and "
        f"{int((calm['outcome'] == 'learned').sum())} learned)"
    )
    if diverged == len(wild):
        tried, border = pd.concat([free["rate"], calm["rate"]]), wild["rate"].min()
        return (
            f"{facts} all the same{control}: at these rates the collapse is a companion of the divergence, not what it "
            f"takes. No rate between {tried[tried < border].max():g} and {border:g} was tried, so nothing is known of "
            "the border, where a collapse could still decide."
        )
    if diverged:
        return f"{facts}{control}: without the collapse fewer runs diverge, but some do."
    return f"{facts}{control}: without the collapse there is no divergence, and {learned} of them learned."


def _by_rate(free: pd.DataFrame, fixed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs with fixed scores at rates at which no run with free scores diverges, and at the others."""
    wild = fixed["rate"].isin(free.loc[free["outcome"] == "diverged", "rate"])
    return fixed[~wild], fixed[wild]


def _holds(calm: pd.DataFrame) -> bool:
    """Whether there are runs with fixed scores at calm rates, and none of them diverges: it is not fixing the scores
    that breaks training.
    """
    return len(calm) > 0 and not (calm["outcome"] == "diverged").any()


def claims(table: pd.DataFrame, outcomes: pd.DataFrame, *, seed: int) -> Iterator[dict[str, Any]]:
    """The rows for `instruments.claims`, from `attention.by_layer` and `attention_runs.outcomes`."""
    gaps, model = _of_all(table, GAP), table["model"].iloc[0]
    for place, (quantity, reading) in enumerate(SPREADS.items()):
        gap = gaps[quantity]
        facts = {"claim": SHARPER, "paper": CONTROL, "reading": reading, "probe": "entropy", "model": model}
        yield facts | {"unit": MAXIMUM, "clusters": gap["n"]} | effect(gap) | {"primary": place == 0}
    free, fixed = outcomes[~outcomes["fixed"]], outcomes[outcomes["fixed"]]
    runs = free.assign(rise=np.nan_to_num(free["rise"].to_numpy(float), posinf=1e9))
    by_rate = runs.groupby("rate", as_index=False)[["least_spread", "rise"]].mean()
    yield _correlation(runs, f"runs at {len(by_rate)} rates, whose seeds count as independent", seed)
    yield _correlation(by_rate, "rates, each the mean of its runs", seed) | {"primary": False}
    yield _prevention(free, fixed)


def _correlation(runs: pd.DataFrame, probe: str, seed: int) -> dict[str, Any]:
    """The rank correlation of the least entropy with the largest rise of the loss, its sign reversed."""
    facts = {"claim": UNSTABLE, "paper": PAPER, "reading": "least entropy, largest rise of the loss", "unit": RANK}
    facts |= {"probe": probe, "model": "next token", "clusters": len(runs), "primary": True}
    least, rise = (runs[name].to_numpy(float) for name in ("least_spread", "rise"))
    if len(runs) < FEW or np.ptp(rise) == 0 or np.ptp(least) == 0:
        return facts | UNTESTED | {"claim": f"{UNSTABLE} (to be tested: more runs, at more rates)"}
    correlation = -spearman(least, rise)
    low, high = rank_interval(correlation, len(runs))
    facts |= {"estimate": correlation, "low": low, "high": high, "detectable": detectable_correlation(len(runs))}
    return facts | {"p": permutation_p(least, rise, seed=seed) if correlation > 0 else 1.0}


def _prevention(free: pd.DataFrame, fixed: pd.DataFrame) -> dict[str, Any]:
    """Of the rates and seeds at which free scores diverge, the share at which fixed ones do not. It is tested only
    where fixed scores do not diverge at calm rates either.
    """
    facts = {"claim": PREVENTED, "paper": PAPER, "reading": "scores fixed in size", "unit": RUNS}
    names = ["rate", "seed"]
    pairs = free[free["outcome"] == "diverged"][names].merge(fixed[[*names, "outcome"]], on=names)
    saved = (pairs["outcome"] != "diverged").to_numpy(float)
    facts |= {"probe": f"runs that diverge with free scores (rates {_rates(pairs)})", "model": "next token"}
    facts |= {"clusters": len(pairs)}
    if not len(pairs):
        return facts | UNTESTED | {"claim": f"{PREVENTED} (to be tested: rates at which runs diverge)"}
    if not _holds(_by_rate(free, fixed)[0]):
        return facts | UNTESTED | {"claim": f"{PREVENTED} (to be tested: fixed scores that hold at calm rates)"}
    low, high = share_interval(saved, np.ones(len(saved)))
    p = binomtest(int(saved.sum()), len(saved), RELEVANT[RUNS], alternative="greater").pvalue
    seen = _least_share(len(saved))
    return facts | {"estimate": saved.mean(), "low": low, "high": high, "p": p, "detectable": seen, "least": seen}


def _least_share(runs: int) -> float:
    """The true share that is found to be above the relevant one in so many runs 80 % of the time, by the exact test and
    at the first of Holm's steps for the two claims of the paper; infinite where all runs would not do.
    """
    needed = next((k for k in range(runs + 1) if binom.sf(k - 1, runs, RELEVANT[RUNS]) < LEVEL / 2), None)
    return np.inf if needed is None else float(beta.ppf(0.8, needed, runs - needed + 1))
