"""What Bai (2025, arXiv 2511.01202) claims about the inside of language models, as far as it can be weighed here, in
the form of `instruments.claims`. The paper's theorems were not available: each claim is that of its abstract, and the
reading says what was measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import CONTROL, UNTESTED
from bitskept.instruments.training import twin_runs
from bitskept.studies.inside import infonce
from bitskept.studies.inside.capacity import EXPONENTIAL, TOLD
from bitskept.studies.inside.generalisation import ALL, COUNTS, FEW
from bitskept.studies.inside.generalisation_sentences import wide
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory.intervals import ONE_SIDED, standard_error

PAPER = "P3"
TIGHT = "training's lower bound on an answer is tight: the answer gives its prompt away"
HALVES = "an embedding keeps what the two halves of a text share"
PROMPT = "a prompt directs information into its answer, whichever the architecture"
FEWER = "embeddings of tokens need fewer dimensions than the model has"
SHAPES = "layers differ in their geometry"
ENERGY = "what attention adds up lowers its energy, more often than the control"
MEMORY = "the patterns that attention stores grow exponentially with the dimension"
BOUND = "the training text alone bounds what a network costs by less than knowing nothing"
THEOREMS = "the theorems on training, embedding, attention and generalisation (to be tested: the paper's full text)"
LAW = "(to be tested: a law of the next token, which masked diffusion does not give)"
SLOPES = "(to be tested: dimensions that tell the laws of growth apart)"

ARRIVED, BITS, GAIN, DISTORTION = "of the bank's bits", "bits", "bits per token", "of a squared distance"
DISTANCE, QUERIES, SLOPE = "of a mean distance", "of the queries", "bits per dimension"
BELOW = "bits per token below the uniform law"
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


def _weighed(row: Any, null: float = 0.0) -> Row:
    """Estimate and interval of a row with the p-value of being above `null`, and what would have been seen."""
    error = float(standard_error(row["low"], row["high"]))
    p = float(norm.sf((row["estimate"] - null) / error)) if error > 0 else float("nan")
    seen = null + ONE_SIDED * error if error > 0 else float("nan")
    ends = {name: float(row[name]) for name in ("estimate", "low", "high")}
    if not error > 0:
        ends |= {"low": float("nan"), "high": float("nan")}
    return ends | {"p": p, "detectable": seen}


def _less(first: Any, second: Any) -> Row:
    """The first minus the second, each with its interval, as if they were independent: too wide for the same texts."""
    estimate = first["estimate"] - second["estimate"]
    reach = 1.96 * np.hypot(*(standard_error(row["low"], row["high"]) for row in (first, second)))
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach}


def _tight(answers: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    for corpus, rows in answers.dropna(subset="tokens").groupby("corpus", sort=False):
        share = rows.iloc[-1][["estimate", "low", "high"]].astype(float) / np.log2(section.bank)
        reading = f"share of the bank's bits, {section.length} tokens"
        yield _facts(TIGHT, reading, f"{section.model} ({corpus})", ARRIVED, rows["n"].iloc[-1]) | _weighed(share, NEAR)


def _halves(halves: pd.DataFrame) -> Iterator[Row]:
    """The last layer by the critic that is fitted least, so that nothing is chosen by the result; n is of blocks."""
    rows = halves[(halves["layer"] == halves["layer"].max()) & (halves["critic"] == "cosine")]
    for row in rows.to_dict("records"):
        facts = _facts(
            HALVES, f"InfoNCE, layer {row['layer']}, cosine", row["model"], BITS, row["n"] // infonce.Plan.size
        )
        if row["shuffled"]:
            facts |= {"paper": CONTROL, "claim": "halves of different texts share something"}
        yield facts | _weighed(row)


def _prompt(twins: pd.DataFrame) -> Iterator[Row]:
    for twin, rows in twins.groupby("twin", sort=False):
        facts = _facts(PROMPT, "gain over other prompts", f"{twin} (twin)", GAIN, None)
        if not twin_runs.is_causal(twin):
            yield facts | UNTESTED | {"claim": f"{PROMPT} {LAW}"}
            continue
        gains = rows[rows["marginal"] == "left_out"]
        spread = {"estimate": gains["estimate"].mean(), "low": gains["low"].min(), "high": gains["high"].max()}
        yield facts | {"clusters": gains["n"].iloc[0]} | _weighed(spread)


def _fewer(distortions: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The most dimensions that were tried up to half of the width."""
    width = int(distortions["width"].iloc[0])
    worst = distortions[(distortions["quantity"] == "max_distortion") & (distortions["dimension"] <= width / 2)]
    row = worst.loc[worst["dimension"].idxmax()]
    spared = {"estimate": section.distortion - row["estimate"]}
    spared |= {"low": section.distortion - row["high"], "high": section.distortion - row["low"]}
    reading = f"{section.distortion:g} minus the worst pair's, {row['dimension']} of {width} dimensions"
    yield _facts(FEWER, reading, section.model, DISTORTION, section.projections) | _weighed(spared)


def _shapes(shapes: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The first and the last layer, beyond the larger of their distances from themselves under other texts."""
    rows = shapes[shapes["quantity"] == "gromov_wasserstein"]
    between = rows[rows["against"] == "layer"]
    ends = int(between["layer"].min()), int(between["other"].max())
    row = between[(between["layer"] == ends[0]) & (between["other"] == ends[1])].iloc[0]
    sampled = rows[(rows["against"] == "other texts") & rows["layer"].isin(ends)]
    reading = f"layers {ends[0]} and {ends[1]}, above other texts in one layer"
    larger = sampled.loc[sampled["estimate"].idxmax()]
    yield _facts(SHAPES, reading, row["model"], DISTANCE, section.geometry_groups) | _weighed(_less(row, larger))


def _energy(energies: pd.DataFrame) -> Iterator[Row]:
    whole = energies[energies["layer"].isna() & energies["head"].isna() & (energies["quantity"] == "lowered")]
    for weights, rows in whole[whole["form"] == "full"].groupby("weights", sort=False):
        by_step = rows.set_index("step")
        row = by_step.loc["values"]
        facts = _facts(ENERGY, "values, above the query set to 0", f"{row['model']} ({weights})", QUERIES, row["n"])
        yield facts | {"primary": weights == "trained"} | _weighed(_less(row, by_step.loc["zero"]))


def _memory(growth: pd.DataFrame) -> Iterator[Row]:
    """The slope of an exponential law, where the sample can tell this law from the others."""
    untested = UNTESTED | _facts(f"{MEMORY} {SLOPES}", None, "random patterns", SLOPE, None)
    if growth.empty:
        yield untested
    for scale, fits in growth.groupby("scale", sort=False):
        row = fits[fits["law"] == EXPONENTIAL].iloc[0]
        model = f"random patterns, {scale}"
        if row["worse"] < TOLD and (fits["worse"] < TOLD).sum() > 1:
            yield untested | {"model": model}
            continue
        yield _facts(MEMORY, f"one step, {row['n']} dimensions", model, SLOPE, row["n"]) | _weighed(row)


def _bound(table: pd.DataFrame, section: InsideTransformer) -> Iterator[Row]:
    """The gain over the uniform law on the training text, with the interval that the code leaves. p is the least
    failure rate at which the bound would be below the uniform law. Primary are networks of the usual size and text.
    """
    usual = section.training.width, section.training.sentences
    for row in wide(table).to_dict("records"):
        gain, excess = row["uniform"] - row["coded_training"], row["excess"]
        power = min(0.0, np.log2(section.generalisation.delta) + row["code"] - max(0.0, row["longest_code"]))
        model = {ALL: "all weights", FEW: f"{row['numbers']:,} numbers", COUNTS: "token counts"}[row["kind"]]
        reading = f"{row['sentences']:,} sentences" + (f", width {row['width']}" if row["width"] else "")
        facts = _facts(BOUND, reading, model, BELOW, int(row["tokens"]))
        facts |= {"primary": (row["width"], row["sentences"]) in (usual, (0, usual[1]))}
        if row["kind"] == COUNTS:
            facts |= {"paper": CONTROL, "claim": "the same for a law without any context"}
        ends = {"estimate": gain, "low": gain - excess, "high": gain + excess}
        yield facts | ends | {"p": float(2.0**power), "detectable": excess}
