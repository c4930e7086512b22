"""What the tables of attention's entropy show, in words (Markdown), and the claims that they weigh."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, binom, binomtest

from bitskept.base.words import by_interval, has_interval, quote, reverse
from bitskept.instruments.claims import CONTROL, LEVEL, UNTESTED, effect
from bitskept.studies.output.attention import GAP, SPREADS
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
    first, others = trained["weight on the first"], gap["spread without the first"]
    layers = table[(table["weights"] == GAP) & table["layer"].notna() & (table["quantity"] == "spread")]
    sharper = int((layers["low"] > 0).sum())
    least, own = trained["least by own scores"]["estimate"], trained["spread"]["estimate"]
    by_text = trained["least by the text's scores"]["estimate"]
    said = "too little to say anything" if by_text < VACUOUS else "which says something"
    return (
        f"Trained heads spread their attention over {quote(trained['spread'], clusters='sentences')} of the bits that "
        f"they could, random ones over {quote(random['spread'])}: {_compared(gap['spread'])}. The interval of this "
        f"difference lies above 0 in {sharper} of {len(layers)} layers. The first token alone gets {quote(first)} of "
        f"the trained heads' weight, {_sink(gap['weight on the first'])} Among the other tokens, trained heads spread "
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


def collapse(outcomes: pd.DataFrame) -> str:
    """Whether attention's entropy collapses with training's divergence, before it, and only with it; a table of
    `attention_runs.outcomes`.
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
    parts = [_ends(diverged), _limits(free, diverged), _apart(learned, diverged), _of_rates(free), _warning(learned)]
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


def _of_rates(free: pd.DataFrame) -> str:
    """How many rates a correlation over runs stands on."""
    rates = free["rate"].nunique()
    return (
        f"Both entropy and loss follow the rate, of which there are {rates}: that they go together does not say which "
        "of them drives the other."
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
        return f"{facts} all the same{control}: here the collapse is a companion of the divergence, not what it takes."
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
    yield _correlation(free, seed)
    yield _prevention(free, fixed)


def _correlation(free: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Over runs: the rank correlation of the least entropy with the largest rise of the loss, its sign reversed."""
    facts = {"claim": UNSTABLE, "paper": PAPER, "reading": "least entropy, largest rise of the loss", "unit": RANK}
    probe = f"runs at {free['rate'].nunique()} rates, whose seeds count as independent"
    facts |= {"probe": probe, "model": "next token", "clusters": len(free)}
    least, rise = free["least_spread"].to_numpy(float), np.nan_to_num(free["rise"].to_numpy(float), posinf=1e9)
    if len(free) < FEW or np.ptp(rise) == 0 or np.ptp(least) == 0:
        return facts | UNTESTED | {"claim": f"{UNSTABLE} (to be tested: more runs, at more rates)"}
    correlation = -spearman(least, rise)
    low, high = rank_interval(correlation, len(free))
    facts |= {"estimate": correlation, "low": low, "high": high, "detectable": detectable_correlation(len(free))}
    return facts | {"p": permutation_p(least, rise, seed=seed) if correlation > 0 else 1.0}


def _prevention(free: pd.DataFrame, fixed: pd.DataFrame) -> dict[str, Any]:
    """Of the rates and seeds at which free scores diverge, the share at which fixed ones do not. It is tested only
    where fixed scores do not diverge at calm rates either.
    """
    facts = {"claim": PREVENTED, "paper": PAPER, "reading": "scores fixed in size", "unit": RUNS}
    facts |= {"probe": "runs that diverge with free scores", "model": "next token"}
    names = ["rate", "seed"]
    pairs = free[free["outcome"] == "diverged"][names].merge(fixed[[*names, "outcome"]], on=names)
    saved = (pairs["outcome"] != "diverged").to_numpy(float)
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
