"""What Bai (2025, arXiv 2511.01202) claims about the inside of language models, as far as it can be weighed here, in
the form of `instruments.claims`. The paper's theorems were not available: each claim is that of its abstract, and the
reading says what was measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED, effect
from bitskept.instruments.training import twin_runs
from bitskept.studies.inside import infonce, projected_embeddings
from bitskept.studies.inside.attention_energy import lowered_overall
from bitskept.studies.inside.capacity import EXPONENTIAL, TOLD
from bitskept.studies.inside.generalisation import ALL, COUNTS, FEW
from bitskept.studies.inside.generalisation_sentences import wide
from bitskept.studies.inside.projected_embeddings import EMBEDDINGS
from bitskept.studies.inside.section import InsideTransformer

PAPER = "P3"
TIGHT = "training's lower bound on an answer is tight: the answer gives its prompt away"
HALVES = "an embedding keeps what the two halves of a text share"
PROMPT = "a prompt directs information into its answer, whichever the architecture"
FEWER = "embeddings of tokens need fewer dimensions than the model has"
SHAPES = "layers differ in their geometry by more than two samples of sentences do"
ENERGY = "what attention adds up lowers its energy, more often than the control"
MEMORY = "the patterns that attention stores grow exponentially with the dimension"
BOUND = "the training text alone bounds a network's cost below that of the uniform distribution"
THEOREMS = "the theorems on training, embedding, attention and generalisation (to be tested: the paper's full text)"
LAW = "(to be tested: a distribution of the next token, which masked diffusion does not give)"
SLOPES = "(to be tested: dimensions that tell the laws of growth apart)"
ROOM = "(to be tested: a control that leaves room for more)"
LEARNED = "(to be tested: a network that has learned more than how frequent tokens are)"

ARRIVED, BITS, GAIN, DISTORTION = "of the bank's bits", "bits", "bits per token", "of a squared distance"
DISTANCE, QUERIES, SLOPE = "of a mean distance", "of the queries", "bits per dimension"
BELOW = "bits per token below the uniform distribution"
GAINS = {"left_out": "gain over other prompts", "promptless": "gain over no prompt"}
NEAR = 0.9
"""The share of the bank's bits from which a bound counts as tight."""
RELEVANT = {
    ARRIVED: NEAR, BITS: 0.5, GAIN: 0.05, DISTORTION: 0.0, DISTANCE: 0.1, QUERIES: 0.05, SLOPE: 0.2, BELOW: 0.1,
}  # fmt: skip
"""The least values that count, by unit."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The notebook's tables: of `elbo.bounds`, `infonce.between_halves`, `architectures.by_checkpoint` for the last
    step, `projected_embeddings.distortions`, `layer_shapes.compared`, `attention_energy.measure`, `capacity.growth` and
    `generalisation.bounds`.
    """

    answers: pd.DataFrame
    halves: pd.DataFrame
    twins: pd.DataFrame
    distortions: pd.DataFrame
    shapes: pd.DataFrame
    energies: pd.DataFrame
    growth: pd.DataFrame
    bounds: pd.DataFrame


@makes_table
def claims(found: Found, section: InsideTransformer) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`."""
    parts = [_tight(found.answers, section), _halves(found.halves), _prompt(found.twins)]
    parts += [_fewer(found.distortions, section), _shapes(found.shapes, section), _energy(found.energies)]
    parts += [_memory(found.growth), _bound(found.bounds, section)]
    rows = [row for part in parts for row in part]
    return outcomes.table([*rows, UNTESTED | _facts(THEOREMS, None, None, BITS, None)], relevant=RELEVANT)


def _facts(claim: str, reading: str | None, model: str | None, unit: str, clusters: Any, **others: Any) -> Row:
    return {
        "paper": PAPER,
        "claim": claim,
        "reading": reading,
        "model": model,
        "unit": unit,
        "clusters": clusters,
    } | others


def _less(first: Any, second: Any) -> Row:
    """The first minus the second, each with its interval, as if they were independent: too wide for the same texts."""
    estimate = first["estimate"] - second["estimate"]
    reach = np.hypot(*((row["high"] - row["low"]) / 2 for row in (first, second)))
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach}


def _tight(answers: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    for corpus, rows in answers.dropna(subset="tokens").groupby("corpus", sort=False):
        share = rows.iloc[-1][["estimate", "low", "high"]].astype(float) / np.log2(section.bank)
        reading, model = f"share of the bank's bits, {section.length} tokens", f"{section.model} ({corpus})"
        yield _facts(TIGHT, reading, model, ARRIVED, rows["n"].iloc[-1]) | effect(share, least=NEAR, most=1.0)


def _halves(halves: pd.DataFrame) -> Iterator[Row]:
    """The last layer by the critic that is fitted least, so that nothing is chosen by the result; n is of blocks."""
    rows = halves[(halves["layer"] == halves["layer"].max()) & (halves["critic"] == "cosine")]
    for row in rows.to_dict("records"):
        facts = _facts(
            HALVES, f"InfoNCE, layer {row['layer']}, cosine", row["model"], BITS, row["n"] // infonce.Plan.size
        )
        if row["shuffled"]:
            facts |= {"paper": CONTROL, "claim": "halves of different texts share something"}
        yield facts | effect(row)


def _prompt(twins: pd.DataFrame) -> Iterator[Row]:
    for twin, rows in twins.groupby("twin", sort=False):
        facts = _facts(PROMPT, GAINS["left_out"], f"{twin} (twin)", GAIN, None)
        if not twin_runs.is_causal(twin):
            yield facts | UNTESTED | {"claim": f"{PROMPT} {LAW}"}
            continue
        for marginal, reading in GAINS.items():
            gains = rows[rows["marginal"] == marginal]
            spread = {"estimate": gains["estimate"].mean(), "low": gains["low"].min(), "high": gains["high"].max()}
            facts |= {"reading": reading, "clusters": gains["n"].iloc[0], "primary": marginal == "left_out"}
            yield facts | effect(spread)


def _fewer(distortions: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The most dimensions that were tried up to half of the width, for embeddings and for random points. The claim says
    so where both are within the distortion.
    """
    control = projected_embeddings.at_half(distortions[distortions["points"] != EMBEDDINGS])
    claim = FEWER + (", as random points do" if control["high"] < section.distortion else "")
    for points, rows in distortions.groupby("points", sort=False):
        row, width = projected_embeddings.at_half(rows), rows["width"].iloc[0]
        spared = {"estimate": section.distortion - row["estimate"]}
        spared |= {"low": section.distortion - row["high"], "high": section.distortion - row["low"]}
        reading = f"{section.distortion:g} minus the worst pair's, {row['dimension']} of {width} dimensions"
        model = f"{section.model} ({section.points:,} of {rows['types'].iloc[0]:,} tokens)"
        facts = _facts(claim, reading, model, DISTORTION, section.projections)
        if points != EMBEDDINGS:
            model = f"{section.points:,} {points}"
            facts |= {"paper": CONTROL, "claim": "points need fewer dimensions than they have", "model": model}
        yield facts | effect(spared)


def _shapes(shapes: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The first and the last layer stand for all."""
    pairs = beyond_sampling(shapes)
    first, last = int(pairs["layer"].min()), int(pairs["other"].max())
    row = pairs[(pairs["layer"] == first) & (pairs["other"] == last)].iloc[0]
    reading = f"layers {first} and {last}, above other texts in one layer"
    yield _facts(SHAPES, reading, row["model"], DISTANCE, section.geometry_groups) | effect(row)


def beyond_sampling(shapes: pd.DataFrame) -> pd.DataFrame:
    """By how much the distance of two layers (layer, other) is above the larger of their distances from themselves
    under other texts (estimate, low, high: 95 %), from a table of `layer_shapes.compared`.
    """
    rows = shapes[shapes["quantity"] == "gromov_wasserstein"]
    sampled = rows[rows["against"] == "other texts"].set_index("layer")
    pairs = []
    for row in rows[rows["against"] == "layer"].to_dict("records"):
        anchors = sampled.loc[[row["layer"], row["other"]]]
        larger = anchors.iloc[anchors["estimate"].argmax()]
        pairs.append({"model": row["model"], "layer": row["layer"], "other": row["other"]} | _less(row, larger))
    return pd.DataFrame(pairs)


def _energy(energies: pd.DataFrame) -> Iterator[Row]:
    """Not weighed where the control is so near to all queries that no head could be above it by what counts."""
    whole = lowered_overall(energies)
    for weights, rows in whole[whole["form"] == "full"].groupby("weights", sort=False):
        by_step = rows.set_index("step")
        row = by_step.loc["values"]
        facts = _facts(ENERGY, "values, above the query set to 0", f"{row['model']} ({weights})", QUERIES, row["n"])
        facts |= {"primary": weights == "trained"}
        if leaves_room(by_step.loc["zero"]):
            yield facts | effect(_less(row, by_step.loc["zero"]))
        else:
            yield facts | UNTESTED | {"claim": f"{ENERGY} {ROOM}", "clusters": None}


def leaves_room(control: Any) -> bool:
    """Whether a share may be above the control's by what counts."""
    return bool(1 - control["estimate"] >= RELEVANT[QUERIES])


def _memory(growth: pd.DataFrame) -> Iterator[Row]:
    """The slope of an exponential law, where the sample can tell this law from the others. If another law is better,
    the slope is no evidence, however steep.
    """
    untested = UNTESTED | _facts(f"{MEMORY} {SLOPES}", None, "random patterns", SLOPE, None)
    if growth.empty:
        yield untested
    for scale, fits in growth.groupby("scale", sort=False):
        row = fits[fits["law"] == EXPONENTIAL].iloc[0]
        model = f"random patterns, {scale}"
        if row["worse"] < TOLD and (fits["worse"] < TOLD).sum() > 1:
            yield untested | {"model": model}
            continue
        weighed = effect(row) | ({"p": 1.0} if row["worse"] >= TOLD else {})
        yield _facts(MEMORY, f"one step, slope over {row['n']} values of d", model, SLOPE, row["n"]) | weighed


def _bound(table: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The gain over the uniform distribution on the training text, with the interval that the code leaves. p is the
    least failure rate at which the bound would be below the uniform distribution. Primary are networks of the usual
    size and text. The claim says so where the control, a distribution without context, is bounded below the uniform
    distribution too. A network that costs its training text no less than this control has nothing to weigh.
    """
    usual, networks = (section.training.width, section.training.sentences), wide(table)
    control = networks[networks["kind"] == COUNTS].iloc[0]
    claim = BOUND + (", as that of a distribution without context" if control["bound"] < control["uniform"] else "")
    for row in networks.to_dict("records"):
        gain, excess = row["uniform"] - row["coded_training"], row["excess"]
        power = min(0.0, np.log2(section.generalisation.delta) + row["code"] - row["longest_code"])
        model = {ALL: "all weights", FEW: f"{row['numbers']:,} numbers", COUNTS: "token counts"}[row["kind"]]
        reading = f"{row['sentences']:,} sentences" + (f", width {row['width']}" if row["width"] else "")
        facts = _facts(claim, reading, model, BELOW, int(row["tokens"]))
        facts |= {"primary": (row["width"], row["sentences"]) in (usual, (0, usual[1]))}
        if row["kind"] == COUNTS:
            facts |= {
                "paper": CONTROL,
                "claim": "the training text alone bounds the cost of a distribution without context",
            }
        elif row["training"] >= control["training"]:
            yield facts | UNTESTED | {"claim": f"{claim} {LEARNED}", "clusters": None}
            continue
        ends = {"estimate": gain, "low": gain - excess, "high": gain + excess}
        detectable = excess if excess < row["uniform"] else np.inf  # no gain can be larger than all
        yield facts | ends | {"p": float(2.0**power), "detectable": detectable}
