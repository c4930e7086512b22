"""What a model compresses away: soft entropy, complexity, expressivity and optimality by layer, raw and corrected."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.store import entries
from bitskept.instruments.measurement import MODEL, Measurement, label, measurement, text_key, to_table
from bitskept.instruments.soft_entropy.accumulator import SoftEntropy, SoftInformation
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.influence import Estimate
from bitskept.instruments.soft_entropy.labels import Labels, k_grams
from bitskept.instruments.soft_entropy.sentence_labels import LabelInformation, SentenceSums
from bitskept.instruments.states import encode, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.statistics import percentiles

KINDS = {"": "raw", "_corrected": "corrected", "_extrapolated": "extrapolated"}
"""The endings of quantities; `information` explains the three."""
TOKEN_BUDGET = 512
"""Tokens in a batch: the states of all layers take most of the memory here."""
DETECTED = 3.0
"""A corrected complexity of fewer standard errors is within noise of 0, so optimality cannot be estimated."""
TEXTS = 2000
"""Labels of whole texts are measured on at most this many texts, the first ones."""
COLUMNS = [
    *(*MODEL, "corpus", "sentences", "anchors", "anchor_seed", "calibration", "label_weights"),
    *("layer", "width", "quantity", "estimate", "low", "high", "unit", "n"),
]


@dataclass(frozen=True)
class Instrument:
    """The settings of a measurement: the number of anchors, the seed of their draw, the rule for the temperature, and
    whether labels are weighted by their `frequency` or all `equal`.
    """

    anchors: int = 100
    seed: int = 0
    calibration: str = "exact"
    label_weights: Literal["frequency", "equal"] = "frequency"

    def draw(self, model: LanguageModel) -> Anchors:
        """The anchors for the states of a model."""
        options = {"seed": self.seed, "calibration": self.calibration, "device": model.device}
        return Anchors.draw(self.anchors, model.width, **options)


@dataclass(frozen=True)
class Plan:
    """What is measured. `sentences` are sample sizes, each a part of the next, so that one pass serves all of them.

    `longest` cuts sentences. `memory` (MB) bounds the sums of all labels of an instrument: if there are more labels,
    the rare ones are sampled.
    """

    corpus: str
    sentences: tuple[int, ...]
    widths: tuple[int, ...] = (1, 2, 3, 4)
    longest: int = 64
    instruments: tuple[Instrument, ...] = (Instrument(),)
    seed: int = 0
    dtype: str = "auto"
    memory: int = 64

    def __post_init__(self) -> None:
        if not self.sentences or list(self.sentences) != sorted(set(self.sentences)) or self.sentences[0] < 1:
            raise ValueError(f"sentences must be growing sample sizes, but are {self.sentences}")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths must be at least 1, but are {self.widths}")


@measurement("compression", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """H(Z), the information of Z about k-grams and domains, and ratios, by layer, with 95 % intervals over sentences.
    Columns: `COLUMNS`; quantities: those of `tidy_rows`, and "domain_information" (`label_rows`).
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences[-1], seed=plan.seed)
    return compress(model, texts["text"], texts["domain"], plan, progress=progress)


def measured(plan: Plan) -> pd.DataFrame:
    """The tables of all models that have been measured by this plan, on this machine or on one from which the store was
    copied.
    """
    return measured_as(measure, {name: value for name, value in text_key(plan).items() if name != "dtype"})


def measured_as(instrument: Measurement, key: dict[str, Any]) -> pd.DataFrame:
    """The stored tables whose keys include all of `key`, without the `dtype`, as "auto" depends on the machine."""
    stored = entries(instrument.name, instrument.version)
    tables = [table for known, table in stored if key.items() <= known.items()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def compress(
    model: LanguageModel, texts: Collection[str], domains: Collection[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """The table of a model on these sentences, as `measure` gives it. ValueError where they are too few or too short.

    All sample sizes come from one pass; intervals from a bootstrap over sentences.
    """
    if len(texts) < plan.sentences[-1]:
        raise ValueError(f"{plan.corpus} gives {len(texts)} sentences, but {plan.sentences[-1]} are asked for")
    encoding = encode(model, list(texts)[: plan.sentences[-1]], longest=plan.longest)
    grams, sentences = k_grams(encoding, plan.widths)
    starts = np.searchsorted(sentences, np.arange(len(encoding) + 1))
    layers = model.layers + 1
    room = {tool: plan.memory * 2**20 // (4 * layers * tool.anchors) for tool in plan.instruments}
    labels = {rows: Labels.build(grams, sentences, rows=rows, seed=plan.seed) for rows in set(room.values())}
    soft = {tool: SoftEntropy(tool.draw(model), labels[room[tool]], layers, seed=plan.seed) for tool in room}
    del grams
    domain, (first, *_) = np.asarray(list(domains)[: min(TEXTS, len(encoding))]), room
    by_text = SentenceSums(soft[first].anchors, layers, len(domain)) if len(set(domain)) > 1 else None
    rows, begin = [], 0
    for end in plan.sentences:
        for accumulator in soft.values():
            accumulator.open(np.arange(starts[begin], starts[end]))
        title = f"{label(model)}: {end:,} sentences" if progress else None
        for batch in stream(model, encoding, range(begin, end), stacked=False, budget=TOKEN_BUDGET, progress=title):
            places = starts[batch.sentences.cpu().numpy()] + batch.positions.cpu().numpy()
            for tool, accumulator in soft.items():
                assigned = accumulator.anchors.assign(batch.states)
                accumulator.add(assigned, places)
                if by_text and tool is first:
                    by_text.add(assigned, batch.sentences)
            del batch, assigned  # makes room for the next one
        for tool, accumulator in soft.items():
            soft_information = accumulator.evaluate(equal=tool.label_weights == "equal")
            rows += [_facts(tool, end) | row for row in tidy_rows(soft_information, plan.widths)]
        begin = end
    if by_text:
        rows += label_rows("domain_information", by_text.information(domain, seed=plan.seed), len(domain), first)
    return to_table(model, rows, COLUMNS, corpus=plan.corpus)


def tidy_rows(soft: SoftInformation, widths: Collection[int]) -> Iterator[dict[str, Any]]:
    """H(Z) and h(c) (where `n` is c); for each width the complexity I(input k-gram; Z), the expressivity I(output
    k-gram; Z), the regularity = complexity / H(Z) and the optimality = expressivity / complexity, with their floors and
    in all `KINDS`, and the shares of places whose k-gram occurs once. In bits.

    A row without a layer is the mean over layers 1 to L; of a ratio, the ratio of the means. A ratio is missing where
    its denominator is within noise of 0.
    """
    count = {"n": soft.places}
    yield from _by_layer("soft_entropy", soft.entropy, count)
    for size, values, errors in zip(soft.floor.sizes, soft.floor.values, 1.96 * soft.floor.errors, strict=True):
        facts = {"quantity": "random_entropy", "unit": "bits per token", "n": size}
        for layer, (value, error) in enumerate(zip(values, errors, strict=True)):
            yield facts | {"layer": layer, "estimate": value, "low": value - error, "high": value + error}
    for width in widths:
        facts = count | {"width": width}
        inputs, outputs = soft.sets[f"input {width}"], soft.sets[f"output {width}"]
        for name, side in (("complexity", inputs), ("expressivity", outputs)):
            floor = Estimate(side.raw.value - side.corrected.value, side.raw.draws - side.corrected.draws)
            yield from _by_layer(f"{name}_floor", floor, facts)
        for end, kind in KINDS.items():
            complexity, expressivity = getattr(inputs, kind), getattr(outputs, kind)
            yield from _by_layer(f"complexity{end}", complexity, facts)
            yield from _by_layer(f"expressivity{end}", expressivity, facts)
            yield from _by_layer(f"regularity{end}", complexity, facts, over=soft.entropy)
            yield from _by_layer(f"optimality{end}", expressivity, facts, over=complexity)
        for name, side in (("input", inputs), ("output", outputs)):
            yield facts | {"quantity": f"unique_{name}", "estimate": side.unique, "unit": "share of places"}


def label_rows(
    quantity: str, information: LabelInformation, texts: int, instrument: Instrument
) -> Iterator[dict[str, Any]]:
    """The information about one label per text: raw, floor, corrected, and p of no information."""
    floor, corrected = information.floor, information.corrected
    facts = {"n": information.places, "clusters": information.clusters} | _facts(instrument, texts)
    yield from _by_layer(quantity, Estimate(information.raw, corrected.draws + floor), facts)
    yield from _by_layer(f"{quantity}_corrected", corrected, facts)
    for name, values, unit in (("floor", floor, "bits per token"), ("p", information.p, "probability")):
        for layer, value in enumerate(values):
            yield facts | {"quantity": f"{quantity}_{name}", "layer": layer, "estimate": value, "unit": unit}


def _facts(instrument: Instrument, sentences: int) -> dict[str, Any]:
    facts = asdict(instrument)
    return {"sentences": sentences, "anchor_seed": facts.pop("seed")} | facts


def _by_layer(
    quantity: str, estimate: Estimate, facts: dict[str, Any], *, over: Estimate | None = None
) -> Iterator[dict[str, Any]]:
    """An estimate, or its ratio to another one: missing where that is within noise of 0."""
    row = facts | {"quantity": quantity, "unit": "bits per token" if over is None else "ratio"}
    values, draws = _with_mean(estimate)
    known = ~np.isnan(values)
    if over is not None:
        whole, drawn = _with_mean(over)
        known &= whole > DETECTED * drawn.std(0)
        with np.errstate(divide="ignore", invalid="ignore"):  # where it is unknown
            values, draws = values / whole, draws / drawn
    numbers = np.full((3, len(known)), np.nan)
    numbers[:, known] = values[known], *percentiles(draws[:, known])
    for layer, triple in enumerate(numbers.T):
        place = {"layer": layer if layer < len(estimate.value) else None}
        yield row | place | dict(zip(("estimate", "low", "high"), triple, strict=True))


def _with_mean(estimate: Estimate) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, "replicate layer"]]:
    """Values and draws of each layer and, at the end, of the mean over all but layer 0 (if there are several)."""
    values, draws = estimate.value, estimate.draws
    if len(values) == 1:
        return values, draws
    return np.append(values, values[1:].mean()), np.column_stack([draws, draws[:, 1:].mean(1)])
