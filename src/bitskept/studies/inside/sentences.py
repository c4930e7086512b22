"""What the tables of notebook 07 show, in words (Markdown)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL
from bitskept.studies.inside import projected_embeddings
from bitskept.studies.inside.attention_energy import lowered_overall
from bitskept.studies.inside.capacity_sentences import memory as memory
from bitskept.studies.inside.claims import DISTANCE, PROMPT, RELEVANT, beyond_sampling, leaves_room
from bitskept.studies.inside.infonce import Plan as Pairs
from bitskept.studies.inside.projected_embeddings import EMBEDDINGS, RANDOM
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import johnson_lindenstrauss

BITS = ".2f"
EARLY = 1 / 8
"""A twin has hardly begun to learn if another one is as good after this part of the steps."""
ROUNDING = 1e-6
"""Bits by which rounding may put an answer below its bound."""
FINDINGS = (("short", "keys"), ("full", "values"), ("full", "zero"))
"""Forms of the energy and steps about which there is no theorem."""


def elbo(table: pd.DataFrame, section: InsideTransformer) -> str:
    """Whether the bound holds, how close it is, and how much of the ceiling is used; a table of `elbo.bounds`."""
    gap, arriving = _gap(table), table.dropna(subset="tokens")
    near = table.assign(near=table["mixture"] - table["elbo"] < 0.1).dropna(subset="mixture")
    by_corpus = near.groupby("corpus", sort=False)["near"].agg(["sum", "size"])
    away = ", ".join(f"{corpus} {count} of {number}" for corpus, count, number in by_corpus.itertuples())
    last = arriving.groupby("corpus", sort=False)[["estimate", "low", "high", "n"]].last()
    last[["estimate", "low", "high"]] /= np.log2(section.bank)
    shares = ", ".join(f"{corpus} {quote(row, clusters='answers')}" for corpus, row in last.to_dict("index").items())
    return (
        f"{(gap < -ROUNDING).sum()} of {len(gap)} answers lie below the bound; the smallest gap is {gap.min():.3f} "
        f"bits, the largest {gap.max():.2f}. In {(gap < 0.1).sum()} answers it is below a tenth of a bit ({away}). On "
        f"average the first {section.length} tokens of an answer contain this share of the bits that single out its "
        f"prompt: {shares}. Where it is near 100 %, the mixture has reached its ceiling, and with a larger bank the "
        "prompt would direct more bits into an answer."
    )


def infonce(bounds: pd.DataFrame) -> str:
    """The bits that two halves of a text certainly share, by the layer and critic that prove most, and the control."""
    real, control = (bounds[bounds["shuffled"] == shuffled] for shuffled in (False, True))
    best, first = real.loc[real["estimate"].idxmax()], real[real["layer"] == real["layer"].min()]
    start = first.loc[first["estimate"].idxmax()]
    wrong = int((control["low"] > 0).sum())
    above = f"**{wrong} bounds lie** above 0" if wrong else "no bound lies above 0"
    if control["low"].isna().all():
        above = "no bound has an interval"
    of = best.to_dict() | {"n": best["n"] // Pairs.size}
    more = "significantly more than" if best["low"] > start["high"] else "not significantly more than"
    return (
        f"Two halves of a text share at least {quote(of, BITS, 'blocks of pairs')} bits, of at most "
        f"{best['ceiling']:.0f} that this many pairs can show; layer {best['layer']} with the critic "
        f"*{best['critic']}* proves this, {more} layer {start['layer']}, which proves {quote(start.to_dict(), BITS)}. "
        f"For halves of different texts {above}. A lower bound that rises with depth shows that the critic finds the "
        "information more easily there; a later layer cannot contain more."
    )


def architectures(table: pd.DataFrame) -> str:
    """What text costs each twin after its last step, and what a prompt adds; a table of `architectures.by_checkpoint`.
    Numbers are means over seeds, with the outermost ends of their intervals.
    """
    lines = []
    for twin, rows in table[table["step"] == table["step"].max()].groupby("twin", sort=False):
        cost = rows[rows["quantity"].str.contains("bits_per_byte")]
        bound = " at most" if cost["quantity"].str.endswith("bound").all() else ""
        text = f"- **{twin}**: a byte costs{bound} {_spread(cost, 'sentences')} bits"
        left_out, promptless = (rows[rows["marginal"] == marginal] for marginal in ("left_out", "promptless"))
        if len(left_out):
            text += f"; the prompt adds {_spread(left_out, 'answers')} bits per token against other prompts"
            text += f", and {_spread(promptless)} against no prompt"
        lines.append(f"{text}.{_hardly_begun(table, twin)}")
    return "\n".join(lines)


def _hardly_begun(table: pd.DataFrame, twin: str) -> str:
    """Whether another twin has come as far as this one in an `EARLY` part of the steps."""
    costs = table[table["quantity"].str.contains("bits_per_byte")].pivot_table("estimate", "step", "twin")
    steps, end = costs.index[-1], costs[twin].iloc[-1]
    reached = costs.index[(costs.drop(columns=twin) <= end).any(axis=1)]
    if not len(reached) or reached[0] > EARLY * steps:
        return ""
    moved = end - costs[twin].iloc[-2]
    return (
        f" Another twin got there by step {reached[0]} of {steps}, and since step {costs.index[-2]} this one has moved "
        f"by {moved:+.2f} bits: it has **hardly begun to learn**, and its cost says little about its kind."
    )


def dimension(table: pd.DataFrame, section: InsideTransformer) -> str:
    """Which dimension is enough, whether the lemma promises one below the model's width, and whether embeddings fare
    otherwise than random points; a table of `projected_embeddings.distortions`.
    """
    worst = table[(table["quantity"] == "max_distortion") & (table["points"] == EMBEDDINGS)]
    worst = worst.set_index("dimension")["estimate"]
    enough = worst.index[worst <= section.distortion]
    first = f"first at {enough[0]} dimensions" if len(enough) else "at none of the dimensions tried"
    types, width = table[["types", "width"]].iloc[0]
    short, exact = (
        [formula(points, section.distortion) for points in (section.points, int(types))]
        for formula in (johnson_lindenstrauss.short_form, johnson_lindenstrauss.dasgupta_gupta)
    )
    verdict = "promises a map into fewer dimensions than" if exact[1] < width else "promises nothing below"
    return (
        f"{section.points} embeddings of {width} dimensions. A distortion of {section.distortion:g} for the worst of "
        f"{table['n'].iloc[0]:,} pairs is reached {first}; by the formulas {short[0]} and {exact[0]} are enough. For "
        f"all {types:,} types {short[1]} and {exact[1]} would be; the model has {width}. So at this distortion the "
        f"lemma **{verdict}** the model's width. This depends on the distortion: {_least_distortion(types, width)}. "
        f"{_of_all_types(table, section)} {_against_random_points(table)}"
    )


def _least_distortion(types: int, width: int) -> str:
    """From which distortion the lemma promises fewer dimensions than a width."""
    tried = np.arange(1, 100) / 100
    enough = [eps for eps in tried if johnson_lindenstrauss.dasgupta_gupta(types, eps) < width]
    if not enough:
        return "for all types, no distortion below 1 would let the lemma promise that"
    return f"for all types, the lemma promises that from a distortion of {enough[0]:.2f}"


def _of_all_types(table: pd.DataFrame, section: InsideTransformer) -> str:
    """Whether the number of points decides what half of the width can do."""
    rows = table[table["points"] == EMBEDDINGS]
    types, dimension = int(rows["types"].iloc[0]), int(projected_embeddings.at_half(rows)["dimension"])
    share = projected_embeddings.share_beyond(dimension, section.distortion)
    drawn, every = (share * points * (points - 1) / 2 for points in (section.points, types))
    counted = f"{every:,.0f}" if every >= 10 else f"{every:.2g}"
    text = (
        f"A random projection into {dimension} dimensions is expected to distort {drawn:.2g} of these pairs by more "
        f"than {section.distortion:g}, whichever points they are of, and {counted} of the pairs of all types"
    )
    if every < 1:
        return f"{text}: {dimension} dimensions would do for all of them."
    turn = np.ceil((1 + np.sqrt(1 + 8 / share)) / 2)
    return (
        f"{text}: they would need more dimensions, so an outcome for {section.points} points holds for **this number "
        f"of points**. From {turn:,.0f} points on, at least one pair is expected."
    )


def _against_random_points(table: pd.DataFrame) -> str:
    """Whether embeddings fare otherwise than points without any structure."""
    rows = {points: projected_embeddings.at_half(part) for points, part in table.groupby("points", sort=False)}
    words, random = rows[EMBEDDINGS], rows[RANDOM]
    apart = words["high"] < random["low"] or words["low"] > random["high"]
    meaning = "so **the structure of embeddings counts**"
    if not apart:
        meaning = "no difference shows, and the lemma is about any points: this says **nothing about embeddings**"
    return (
        f"In {words['dimension']} dimensions the worst pair of embeddings is distorted by {quote(words, BITS)}, that "
        f"of as many random points by {quote(random, BITS)}: {meaning}."
    )


def geometry(table: pd.DataFrame) -> str:
    """Which layers differ most, and whether by more than two samples of sentences do, and by less than random points;
    a table of `layer_shapes.compared`.
    """
    shapes = table[table["quantity"] == "gromov_wasserstein"]
    between, again = shapes[shapes["against"] == "layer"], shapes[shapes["against"] == "permuted"]
    far = between.loc[between["estimate"].idxmax()].to_dict()
    sampled, random = (
        shapes[(shapes["against"] == against) & shapes["layer"].notna()].set_index("layer")
        for against in ("other texts", "random points")
    )
    sides = [between["layer"].to_numpy(), between["other"].to_numpy()]
    most_sampled = np.maximum(*(sampled["high"].loc[side].to_numpy() for side in sides))
    least_random = np.minimum(*(random["low"].loc[side].to_numpy() for side in sides))
    above, below = ((between["low"] > most_sampled).sum(), (between["high"] < least_random).sum())
    rest = ""
    if above < len(between):
        rest = (
            " Of the others, the sample **cannot tell** whether layers differ, or only the texts that stand for them."
        )
    meaning = " Only such pairs are known to be more alike than a layer and points without any structure."
    if not below:
        meaning = " So no two layers are known to be more alike than a layer and points without any structure."
    excess = beyond_sampling(shapes)
    counts = int((excess["high"] >= RELEVANT[DISTANCE]).sum())
    return (
        f"Layers {far['layer']} and {far['other']} are farthest apart, by {quote(far, BITS)} of a mean distance. A "
        f"layer differs from itself under other sentences by {sampled['estimate'].mean():.2f} on average, and from "
        f"random points by {random['estimate'].mean():.2f}. {above} of {len(between)} pairs of layers are farther "
        f"apart than either is from itself (the interval lies above both anchors').{rest} {counts} of {len(between)} "
        f"pairs may be farther apart than the larger anchor by {RELEVANT[DISTANCE]:g}, which is what counts in the "
        f"last section. {below} of {len(between)} "
        f"pairs are closer than either is to random points.{meaning} A layer and the same layer reordered are 0 apart; "
        f"the search finds at most {again['estimate'].max():.3f}, which shows how well it works."
    )


def energy(energies: pd.DataFrame) -> str:
    """Which steps lower which energy, from tables of `attention_energy.measure` for trained and for random weights."""
    raised, steps = _raised(energies)
    verdict = "**which a theorem forbids: the program is wrong**" if raised else "as the theorem requires"
    lines = [f"- Of {steps} steps of attention over keys {raised or 'none'} raise E, {verdict}."]
    for weights, rows in lowered_overall(energies).groupby("weights", sort=False):
        by_step = rows.set_index(["form", "step"]).to_dict("index")
        short, values, zero = (by_step[finding] for finding in FINDINGS)
        lines.append(
            f"- {weights.capitalize()} weights: the first term falls as well for "
            f"{quote(short, clusters='sentences')} of the queries. What "
            f"the head adds up, its values, lowers E for {quote(values)}, {_compared(values, zero)} setting the query "
            f"to 0 does: {quote(zero)}."
        )
        if not leaves_room(zero):
            lines[-1] += " That is so near to all that **no head could be above it by what counts**."
    return "\n".join(lines)


def _compared(values: Mapping[str, Any], zero: Mapping[str, Any]) -> str:
    """How often the values lower E, next to the control. Where that lowers E for every query, no query is left that
    only the values could lower: the paired difference is the first share less 1, with its interval.
    """
    if zero["estimate"] == 1:
        return f"query by query {'significantly less' if values['high'] < 1 else 'no more'} often than"
    if values["high"] < zero["low"]:
        return "significantly less often than"
    if values["low"] > zero["high"]:
        return "significantly more often than"
    return "neither significantly more nor significantly less often (the intervals are not paired) than"


def verdict(bounds: pd.DataFrame, energies: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Whether the theorems hold for these numbers, and what became of each claim: tables of `elbo.bounds`, of
    `attention_energy.measure` and of `claims.claims`.
    """
    gap, (raised, steps) = _gap(bounds), _raised(energies)
    below = (gap < -ROUNDING).sum()
    counts = f"{below} of {len(gap)} answers lie below their ELBO, and {raised} of {steps} steps of attention raise E"
    held = "What must hold does hold"
    if below or raised:
        held = "**What must hold does not hold, so the program is wrong**"
    papers = claims[claims["primary"] & (claims["paper"] != CONTROL)]
    tested = papers[papers["outcome"] != "not tested"]
    said = [f"- {claim}: **{outcomes.verdict(rows)}**" for claim, rows in tested.groupby("claim", sort=False)]
    said += _against_no_prompt(claims)
    left = len(papers) - len(tested)
    same = claims[(claims["paper"] == CONTROL) & (claims["outcome"] == "yes")]
    warned = [f"A control says yes too: {row['claim']} ({row['model']})." for row in same.to_dict("records")]
    if warned:
        said.append(
            "\n" + " ".join([*warned, "So the same claim about a model says little about what it has learned."])
        )
    return "\n".join(
        [
            f"{held}: {counts}. This tests the program and not the theory. What can be tested by measuring:\n",
            *said,
            f"\n{left} primary row{'' if left == 1 else 's'} of the table could not be tested. Nothing here measures "
            "whether the theory's theorems are true.",
        ]
    )


def _against_no_prompt(claims: pd.DataFrame) -> list[str]:
    """The outcomes about prompts that are others if an answer is compared with that to no prompt."""
    rows = claims[claims["claim"] == PROMPT]
    main, rest = (rows[rows["primary"] == primary] for primary in (True, False))
    others = rest[rest["outcome"] != rest["model"].map(main.set_index("model")["outcome"])]
    if others.empty:
        return []
    return [
        f"\nWhether a prompt directs information depends on what it is compared with: against *no prompt* in place of "
        f"other prompts the outcome is **{outcomes.verdict(others)}**. But any prompt may give such a gain, whether it "
        "is the answer's own or another."
    ]


def _gap(table: pd.DataFrame) -> pd.Series:
    """Bits between the log-probability of each answer and its ELBO."""
    return (table["mixture"] - table["elbo"]).dropna()


def _raised(energies: pd.DataFrame) -> tuple[int, int]:
    """How many steps over keys raise the full energy, and of how many."""
    whole = lowered_overall(energies)
    keys = whole[(whole["form"] == "full") & (whole["step"] == "keys")]
    return round(((1 - keys["estimate"]) * keys["queries"]).sum()), int(keys["queries"].sum())


def _spread(rows: pd.DataFrame, clusters: str = "") -> str:
    ends = {"estimate": rows["estimate"].mean(), "low": rows["low"].min(), "high": rows["high"].max()}
    return quote(ends | {"n": rows["n"].iloc[0]}, "z.2f", clusters)
