"""The conclusions of notebook 01 in words, computed from its tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.studies.bounds.interval_coverage import KINDS, OURS, PERCENTILES, PROMISED
from bitskept.theory import bounds, information
from bitskept.theory.channels import GaussianMixture, zipf

ROUNDING = 1e-9
"""Bits by which the truth may miss a bound through rounding alone."""
RELEVANT = 0.1
"""Bits per token that are too few to matter."""


def identity(terms: pd.DataFrame) -> str:
    """Whether the identity holds: `terms` has its four terms for three small laws, their sum and the information."""
    gap = (terms["their sum"] - terms["I(X;Z)"]).abs().max()
    agree = terms.loc["do they agree?"]
    return (
        f"The four terms add up to $I(X;Z)$ {_within(gap)}. Where $Z$ keeps only whether the tosses agree, it "
        f"contains {agree.iloc[:2].sum():.0f} bits about the single tokens and {agree['I(X;Z)']:.0f} about the "
        "sentence: **the sum over tokens is not the whole information.**"
    )


def sandwich(table: pd.DataFrame) -> str:
    """How far the bounds are apart, and what the pooled encoder loses."""
    bits = table.pivot(index=["encoder", "lost"], columns="quantity", values="estimate")
    width = ((bits["upper"] - bits["lower"]) / bits["entropy"]).clip(lower=0)
    encoder, lost = width.idxmax()
    least, whole = table["lost"].min(), bits["entropy"].max()
    slots, pool = (bits.loc[(name, least), "information"] for name in table["encoder"].unique())
    return (
        f"The truth lies within the bounds in {_inside(bits).mean():.0%} of the cases. The bounds are "
        f"{width.min():.0%} to {width.max():.0%} of $H(X)$ apart, widest for {encoder} at a loss of {lost:.0%}; they "
        f"are never more than $TC(X) + TC(X|Z)$ apart. At a loss of {least:.0%} the slots keep {slots:.2f} of "
        f"{whole:.2f} bits and the pooled state {pool:.2f}: **forgetting the order alone costs "
        f"{slots - pool:.2f} bits.**"
    )


def fano_region(table: pd.DataFrame) -> str:
    """Whether the random channels lie in their region, and what is proved by a probe that names half of the tokens."""
    within = _within_region(table)
    half = table[(table["quantity"] == "Fano bound") & (table["named right"] == 0.5)].set_index("alphabet")["estimate"]
    few, many = half.index.min(), half.index.max()
    return (
        f"Of {len(within)} random channels, {within.mean():.0%} lie in their region. With the vocabulary of a language "
        f"model, {many:,} equally likely types, a probe that names half of the tokens proves {half[many]:.0%} of the "
        f"bits; with {few} types it would prove {half[few]:.0%}. The larger the vocabulary, the closer the share of "
        r"bits that is proved comes to the share of tokens named right: compared with $\log_2|A|$, the answer to *was "
        "the guess right?* costs little."
    )


def ladder(bits: Mapping[str, float]) -> str:
    """What each predictor over the two lines proves, in bits by its name."""
    gap = abs(bits["Fano"] - bits["doubt spread evenly"])
    frequency, posterior = bits["doubt spread by frequency"], bits["the posterior"]
    return (
        f"Fano's bound and the cross-entropy bound of the crudest prediction agree {_within(gap)}. Knowing how "
        f"frequent each type is adds {frequency - bits['Fano']:.2f} bits to the {bits['Fano']:.2f}, and knowing which "
        f"line was used {posterior - frequency:.2f} more. The posterior agrees with the "
        f"truth, {bits['the truth']:.2f}, {_within(abs(bits['the truth'] - posterior))}."
    )


def _within(gap: float) -> str:
    return f"within {gap:.0e} bits" if gap > ROUNDING else "up to rounding"


def probes(table: pd.DataFrame, source: GaussianMixture) -> str:
    """What is proved by probes that were fitted on few samples, and on many."""
    medians = table.groupby(["bound", "probe", "training"])["estimate"].median()
    fano, sure = medians["Fano"]["any"], medians["cross-entropy"]["as sure as the truth"]
    aware, few, many = medians["cross-entropy"]["allows for its own error"], fano.index.min(), fano.index.max()
    verb = "less" if sure[few] < fano[few] else "more"
    return (
        f"The truth is {source.mutual_information:.3f} ± {source.information_error:.4f} bits; the largest of "
        f"{len(table)} bounds is {table['estimate'].max():.3f}. With {many} samples per class, Fano proves "
        f"{fano[many]:.2f} bits and the cross-entropy {sure[many]:.2f}. With {few}, the probabilities of a probe that "
        f"treats its means as exact prove **{verb} than its guesses alone**: {sure[few]:.2f} against {fano[few]:.2f} "
        f"bits. A probe that allows for its error reaches {aware[few]:.2f}."
    )


def coverage(table: pd.DataFrame, repetitions: int) -> str:
    """Whether the certificate kept its promise, and what it costs."""
    broken = _broken(table[table["bound"] != "no limits"], repetitions)
    certified = table[table["bound"] == "certificate"]
    deltas, largest = table["delta"].unique(), table["samples"].max()
    risk, delta = deltas.max(), deltas[len(deltas) // 2]
    tight = table[(table["channel"] == "symmetric") & (table["samples"] == largest) & (table["delta"] == risk)]
    held = tight.set_index("bound")["coverage"]
    final = certified[(certified["samples"] == largest) & (certified["delta"] == delta)].set_index("channel")
    share = final["bits"] / final["truth"]
    return (
        f"**{broken.sum()} of {len(broken)} shares are below 1 − δ** by more than the sampling error of "
        f"{repetitions:,} repetitions; the lowest share of the certificate is {certified['coverage'].min():.3f}. "
        f"Without limits the bound holds only {held['no limits']:.0%} of the time on the symmetric channel, where Fano "
        f"is tight. With $H(X)$ known it holds {held['H(X) known']:.1%} of the time, where {1 - risk:.0%} were "
        f"promised. With {largest:,} samples and δ = {delta} the certificate proves from {share.min():.0%} "
        f"({share.idxmin()}) to {share.max():.0%} ({share.idxmax()}) of the truth. {_more_sentences(table, delta)}"
    )


def _more_sentences(table: pd.DataFrame, delta: float) -> str:
    """What it adds to take the entropy from all sentences, where that adds most."""
    few = table[(table["delta"] == delta) & (table["samples"] == table["samples"].min())]
    bits = few.pivot(index="channel", columns="bound", values="bits")
    channel = (bits["certificate"] - bits["same samples"]).idxmax()
    before, after = bits.loc[channel, ["same samples", "certificate"]]
    return (
        f"With {table['samples'].min():,} samples, taking $H(X)$ from all sentences instead of these samples "
        f"changes the certificate most for {channel}: from {before:.2f} to {after:.2f} bits."
    )


def interval_coverage(table: pd.DataFrame) -> str:
    """How often the percentiles of a bootstrap miss the truth, and whether this project's intervals keep their promise
    where they are given.
    """
    given = table[table["n"] > 0]
    before, after = (given[given["method"] == method] for method in (PERCENTILES, OURS))
    worst, least = before.loc[before["coverage"].idxmin()], after.loc[after["coverage"].idxmin()]
    missing = table[(table["method"] == OURS) & (table["n"] == 0)].groupby("data", sort=False)["clusters"].max()
    none = "; ".join(f"{data}: none up to {_sentences(most)}" for data, most in missing.items())
    short = after[after["high"] < after["data"].map({name: PROMISED[draw] for name, draw in KINDS.items()})]
    verdict = "None covers significantly less than it is held to."
    if len(short):
        places = ", ".join(f"{row.data} with {_sentences(row.clusters)}" for row in short.itertuples())
        verdict = f"**Too few are covered** for {places}."
    return (
        f"Of the intervals between bootstrap percentiles, which promise 95 %, {worst['coverage']:.0%} contain the "
        f"truth in the worst case ({worst['data']}, {_sentences(worst['clusters'])}). Of those that this project "
        f"prints, {least['coverage']:.1%} or more do (least for {least['data']}, {_sentences(least['clusters'])}). "
        f"{verdict} Where that is out of reach there is no interval{f' ({none})' if none else ''}."
    )


def _sentences(number: int | np.integer) -> str:
    return f"{number} sentence{'' if number == 1 else 's'}"


def plug_in(table: pd.DataFrame, estimates: pd.DataFrame, vocabulary: int) -> str:
    """What the bias and the deviation take off the entropy; `estimates` has one row per repetition."""
    truth = information.entropy(zipf(vocabulary))
    taken = table[table["low"].isna()].pivot(index="samples", columns="quantity", values="estimate")
    bias, deviation = taken["bias of the plug-in"], taken["deviation"]
    few, many = taken.index.min(), taken.index.max()
    ratio = (taken["customary deviation"] / deviation).min()
    over = (estimates.loc[estimates["estimate of H(X)"] == "Miller-Madow", "estimate"] > truth).mean()
    return (
        f"With {few} samples the plug-in estimate misses {bias[few]:.2f} of {truth:.2f} bits and the deviation takes "
        f"another {deviation[few]:.2f}; with {many:,} it is {bias[many]:.2f} and {deviation[many]:.2f}. The customary "
        f"constant would take at least {ratio:.1f} times as much. Miller-Madow lies above the truth in {over:.0%} of "
        "the draws. The bias of the plug-in estimate lowers every bound here: **on average it costs bits and does not "
        "invent any.**"
    )


def usable_information(table: pd.DataFrame) -> str:
    """What the probes use of the token in the last layer with little text and with much, where all of it is there."""
    apart = table.loc[table["quantity"] == "closest", "estimate"].min()
    if not apart > 0:
        return (
            "**Two different tokens share a state**, at least in the precision of the numbers. So a layer may hold "
            "less than $H(X)$ here, and these curves do not show what a probe misses."
        )
    entropy, last = table["entropy"].iloc[0], table["layer"].max()
    found = table.set_index(["quantity", "probe", "layer", "train_sentences"]).sort_index()
    few, many = table["train_sentences"].min(), table["train_sentences"].max()
    little, much = (found.loc[("usable", "centroid", last, size)] for size in (few, many))
    first, ridge = found.loc[("usable", "centroid", 0, few)], found.loc[("usable", "ridge", last, many)]
    named = {size: found.loc[("recovered", "centroid", last, size), "estimate"] for size in (few, many)}
    reached = (
        f"which is all of it within {RELEVANT} bits"
        if entropy - much["estimate"] <= RELEVANT
        else f"which is not all of it within {RELEVANT} bits"
    )
    return (
        f"No two different tokens share a state in the test: the closest two lie {apart:.0%} of the mean distance of "
        f"two states apart. So **each layer holds all of the {entropy:.2f} bits.** With {_sentences(int(few))} to "
        f"learn from, the centroid probe can use {quote(little, '.2f', 'networks')} of them in the last layer and "
        f"names {named[few]:.0%} of the tokens; in layer 0 it can use {first['estimate']:.2f}. With {int(many):,} "
        f"sentences it can use {quote(much, '.2f')} in the last layer, {reached}, and names {named[many]:.0%}. "
        f"{_text_decides(little, much)} {_family_decides(ridge, much, int(many))}"
    )


def _text_decides(little: pd.Series, much: pd.Series) -> str:
    if not (has_interval(little) and has_interval(much)):
        return f"Whether the text makes the difference cannot be told from {int(little['n'])} networks."
    if much["low"] > little["high"]:
        return "**What looked forgotten was there, and took more text to find.**"
    return "The intervals overlap, so more text may not have helped."


def _family_decides(other: pd.Series, much: pd.Series, sentences: int) -> str:
    text = f"The ridge probe can use {quote(other, '.2f')} with {sentences:,} sentences"
    if not (has_interval(other) and has_interval(much)):
        return f"{text}; whether the two families differ cannot be told from {int(much['n'])} networks."
    if other["high"] < much["low"] or much["high"] < other["low"]:
        return f"{text}: **the family of predictors decides as well as the sample.**"
    return f"{text}; the intervals of the two families overlap, so they may not differ."


def verdict(sandwich_table: pd.DataFrame, region: pd.DataFrame, covered: pd.DataFrame, repetitions: int) -> str:
    """Whether the claims hold on everything that was tried."""
    bits = sandwich_table.pivot(index=["encoder", "lost"], columns="quantity", values="estimate")
    certified = covered[covered["bound"] == "certificate"]
    held = {
        "the sandwich": _inside(bits).all(),
        "Fano's bound": _within_region(region).all(),
        "the certificate": not _broken(certified, repetitions).any(),
    }
    failed = [name for name, holds in held.items() if not holds]
    if failed:
        return f"**Not everything held here.** What failed: {', '.join(failed)}. Find out why before you continue."
    return (
        "**Both claims hold wherever we could check them.** But the error of a probe proves bits about a *token*, "
        "and the bounds for the sentence can be as far apart as its total correlations. And an error rate counted on "
        "finitely many samples proves something only if estimates are replaced by limits."
    )


def _inside(bits: pd.DataFrame) -> pd.Series:
    """Whether the truth lies between the bounds of each sandwich."""
    return bits["information"].between(bits["lower"] - ROUNDING, bits["upper"] + ROUNDING)


def _within_region(table: pd.DataFrame) -> pd.Series:
    """Whether each random channel lies between Feder and Merhav's bound and Fano's."""
    dots = table[table["quantity"] == "equivocation"]
    error, size = 1 - dots["named right"].to_numpy(), dots["alphabet"].iloc[0]
    low, high = bounds.feder_merhav(error), bounds.fano_equivocation(error, size)
    return dots["estimate"].between(low - ROUNDING, high + ROUNDING)


def _broken(table: pd.DataFrame, repetitions: int) -> pd.Series:
    """Whether each bound held less often than promised, by more than three standard errors."""
    promise = 1 - table["delta"]
    return table["coverage"] < promise - 3 * np.sqrt(table["delta"] * promise / repetitions)
