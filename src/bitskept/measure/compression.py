"""What a model compresses away: soft entropy, complexity, expressivity and optimality by layer, raw and corrected.

`measure` is what notebooks call: it loads, streams and keeps the table in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.measure.floor import Floor
from bitskept.measure.labels import Labels, k_grams
from bitskept.measure.of_model import from_store, label, model_facts, text_key
from bitskept.measure.sentence_labels import LabelInformation, SentenceSums
from bitskept.measure.soft_entropy import Anchors, SoftEntropy, SoftInformation
from bitskept.measure.soft_information import Figure
from bitskept.measure.states import encode, stream
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel
from bitskept.store import entries
from bitskept.theory.statistics import interval

KINDS = {"": "raw", "_corrected": "corrected", "_extrapolated": "extrapolated"}
"""The endings of quantities; see `soft_information` for what the three are."""
VERSION = 1
"""Raise it when the same plan would give other numbers."""
TOKEN_BUDGET = 512
"""Tokens in a batch: the states of all layers are what takes most memory here."""
DETECTED = 3.0
"""A corrected complexity of fewer standard errors is within noise of 0: optimality is then not estimable."""
TEXTS = 2000
"""Labels of whole texts are measured on the first so many."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "sentences", "anchors", "anchor_seed", "calibration"),
    *("label_weights", "layer", "width", "quantity", "estimate", "low", "high", "unit", "n"),
]
QUANTITIES = {
    "soft_entropy": "H(Z)",
    "random_entropy": "h(c): the entropy of the mean of c random states; here `n` is c",
    "complexity": "I(input k-gram; Z), raw; `_floor`, `_corrected` and `_extrapolated` as in `soft_information`",
    "expressivity": "I(output k-gram; Z), likewise",
    "regularity": "complexity / H(Z), with the same endings",
    "optimality": "expressivity / complexity, likewise; missing where complexity is within noise of 0",
    "unique_input": "share of places whose input k-gram occurs once",
    "unique_output": "share of places whose output k-gram occurs once",
    "domain_information": "I(Z; domain of the sentence), with `_floor`, `_corrected` and `_p`",
    "preference_information": "I(Z; preferred or rejected), likewise",
}


@dataclass(frozen=True)
class Instrument:
    """What to measure with: the number of anchors, the seed of their draw, the rule for the temperature, and whether
    labels weigh by their `frequency` or are all `equal`.
    """

    anchors: int = 100
    seed: int = 0
    calibration: str = "exact"
    label_weights: Literal["frequency", "equal"] = "frequency"

    def draw(self, model: LanguageModel) -> Anchors:
        """The anchors for the states of a model."""
        return Anchors.draw(
            self.anchors, model.width, seed=self.seed, calibration=self.calibration, device=model.device
        )


@dataclass(frozen=True)
class Plan:
    """What is measured. `sentences` are sample sizes, each a part of the next, so that one pass serves all of them.

    `longest` cuts sentences; `memory` (MB) bounds the sums of all labels of an instrument: where labels are more, those
    that are rare are sampled.
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


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of a model, from the store where it is there. `weights` is the seed of a randomly initialised copy.

    Columns: `COLUMNS`; quantities: `QUANTITIES`; estimates in bits with 95 % intervals over sentences; without a layer:
    the mean over layers 1 to L, and of ratios the ratio of the means. Errors as `models.load` and `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.sentences[-1], seed=plan.seed)
        return compress(model, texts["text"], texts["domain"], plan, progress=progress)

    return from_store("compression", VERSION, model_id, plan, compute, weights=weights, accept_terms=accept_terms)


def measured(plan: Plan) -> pd.DataFrame:
    """The tables of all models that have been measured by this plan, on this computer or any whose store was copied.

    Empty where there are none.
    """
    return measured_as("compression", {name: value for name, value in text_key(plan).items() if name != "dtype"})


def compress(
    model: LanguageModel, texts: Collection[str], domains: Collection[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """The table of a model on these sentences, as `measure` gives it. ValueError where they are too few or too short.

    All sample sizes come from one pass; intervals from sentences drawn anew.
    """
    if len(texts) < plan.sentences[-1]:
        raise ValueError(f"{plan.corpus} gives {len(texts)} sentences, but {plan.sentences[-1]} are asked for")
    encoding = encode(model, list(texts)[: plan.sentences[-1]], longest=plan.longest)
    grams, sentences = k_grams(encoding, plan.widths)
    starts = np.searchsorted(sentences, np.arange(len(encoding) + 1))
    layers = model.layers + 1
    room = {one: plan.memory * 2**20 // (4 * layers * one.anchors) for one in plan.instruments}
    labels = {rows: Labels.build(grams, sentences, rows=rows, seed=plan.seed) for rows in set(room.values())}
    soft = [SoftEntropy(one.draw(model), labels[room[one]], layers, seed=plan.seed) for one in plan.instruments]
    del grams
    domain = np.asarray(list(domains)[: min(TEXTS, len(encoding))])
    of_domain = SentenceSums(soft[0].anchors, layers, len(domain)) if len(set(domain)) > 1 else None
    rows, begin = [], 0
    for end in plan.sentences:
        for one in soft:
            one.open(np.arange(starts[begin], starts[end]))
        title = f"{label(model)}: {end:,} sentences" if progress else None
        for batch in stream(model, encoding, range(begin, end), stacked=False, budget=TOKEN_BUDGET, progress=title):
            places = starts[batch.sentences.cpu().numpy()] + batch.positions.cpu().numpy()
            for one in soft:
                assigned = one.anchors.assign(batch.states)
                one.add(assigned, places)
                if of_domain and one is soft[0]:
                    of_domain.add(assigned, batch.sentences)
            del batch, assigned  # the next one needs their room
        for instrument, one in zip(plan.instruments, soft, strict=True):
            facts = {"sentences": end, **_facts(instrument)}
            rows += [facts | row for row in _rows(one.evaluate(equal=instrument.label_weights == "equal"), plan.widths)]
        begin = end
    if of_domain:
        found = of_domain.information(domain, seed=plan.seed)
        rows += label_rows("domain_information", found, len(domain), plan.instruments[0])
    return to_table(model, plan.corpus, rows)


def measured_as(function: str, wanted: dict[str, Any]) -> pd.DataFrame:
    """What is stored under keys that have all of `wanted`: `dtype`, which a machine chooses for "auto", may differ."""
    tables = [table for key, table in entries(function, VERSION) if wanted.items() <= key.items()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def tidy(found: SoftInformation, widths: Collection[int] = (1, 2, 3, 4)) -> pd.DataFrame:
    """The rows that `measure` would give of such states: quantity, width, layer, estimate, low, high, unit, n."""
    return pd.DataFrame(_rows(found, widths)).astype({name: "Int64" for name in ("layer", "width", "n")})


def _rows(found: SoftInformation, widths: Collection[int]) -> Iterator[dict[str, Any]]:
    """All quantities at every layer, and (without a layer) their means over layers 1 to L."""
    count = {"n": found.places}
    yield from _by_layer("soft_entropy", found.entropy, count)
    yield from _floor_rows(found.floor)
    for width in widths:
        facts = count | {"width": width}
        inputs, outputs = found.sets[f"input {width}"], found.sets[f"output {width}"]
        for name, one in (("complexity", inputs), ("expressivity", outputs)):
            floor = Figure(one.raw.estimate - one.corrected.estimate, one.raw.draws - one.corrected.draws)
            yield from _by_layer(f"{name}_floor", floor, facts)
        for end, kind in KINDS.items():
            complexity, expressivity = getattr(inputs, kind), getattr(outputs, kind)
            yield from _by_layer(f"complexity{end}", complexity, facts)
            yield from _by_layer(f"expressivity{end}", expressivity, facts)
            yield from _by_layer(f"regularity{end}", complexity, facts, over=found.entropy)
            yield from _by_layer(f"optimality{end}", expressivity, facts, over=complexity)
        for side, one in (("input", inputs), ("output", outputs)):
            yield facts | {"quantity": f"unique_{side}", "estimate": one.unique, "unit": "share of places"}


def _floor_rows(floor: Floor) -> Iterator[dict[str, Any]]:
    for size, values, errors in zip(floor.sizes, floor.values, floor.errors, strict=True):
        for layer, (value, error) in enumerate(zip(values, 1.96 * errors, strict=True)):
            ends = {"estimate": value, "low": value - error, "high": value + error}
            yield {"quantity": "random_entropy", "layer": layer, "unit": "bits per token", "n": size} | ends


def _by_layer(
    quantity: str, figure: Figure, facts: dict[str, Any], *, over: Figure | None = None
) -> Iterator[dict[str, Any]]:
    """A figure, or its ratio to another: missing where that other is within noise of 0."""
    row = facts | {"quantity": quantity, "unit": "bits per token" if over is None else "ratio"}
    estimates, draws = _with_mean(figure)
    known = ~np.isnan(estimates)
    if over is not None:
        whole, drawn = _with_mean(over)
        known &= whole > DETECTED * drawn.std(0)
        with np.errstate(divide="ignore", invalid="ignore"):  # where it is not known
            estimates, draws = estimates / whole, draws / drawn
    found = np.full((3, len(known)), np.nan)
    found[:, known] = estimates[known], *interval(draws[:, known])
    for layer, values in enumerate(found.T):
        place = {"layer": layer if layer < len(figure.estimate) else None}
        yield row | place | dict(zip(("estimate", "low", "high"), values, strict=True))


def _with_mean(figure: Figure) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, "replicate layer"]]:
    """Estimates and draws of each layer and, where there are several, of the mean over all but layer 0 at the end."""
    estimates, draws = figure.estimate, figure.draws
    if len(estimates) == 1:
        return estimates, draws
    return np.append(estimates, estimates[1:].mean()), np.column_stack([draws, draws[:, 1:].mean(1)])


def label_rows(quantity: str, found: LabelInformation, texts: int, instrument: Instrument) -> Iterator[dict[str, Any]]:
    """The rows of the information about one label a text."""
    facts, corrected = {"sentences": texts, "n": found.places, **_facts(instrument)}, found.corrected
    yield from _by_layer(quantity, Figure(found.raw, corrected.draws + found.floor), facts)
    yield from _by_layer(f"{quantity}_corrected", corrected, facts)
    for name, values, unit in (("floor", found.floor, "bits per token"), ("p", found.p, "probability")):
        for layer, value in enumerate(values):
            yield facts | {"quantity": f"{quantity}_{name}", "layer": layer, "estimate": value, "unit": unit}


def _facts(instrument: Instrument) -> dict[str, Any]:
    facts = asdict(instrument)
    return {"anchor_seed": facts.pop("seed")} | facts


def to_table(model: LanguageModel, corpus: str, rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows with what holds for all of them, in the columns that every table here has."""
    table = pd.DataFrame([model_facts(model) | {"corpus": corpus} | row for row in rows], columns=COLUMNS)
    return table.astype({name: "Int64" for name in ("seed", "layer", "width", "n")})
