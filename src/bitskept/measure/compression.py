"""What a model compresses away: soft entropy, complexity, expressivity and optimality by layer, raw and corrected.

`measure` and `measure_preference` are what notebooks call: they load, stream and keep the table in the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Int

from bitskept.measure.floor import Floor
from bitskept.measure.labels import Labels, k_grams
from bitskept.measure.sentence_labels import LabelInformation, SentenceSums
from bitskept.measure.soft_entropy import Anchors, SoftEntropy, SoftInformation
from bitskept.measure.soft_information import Figure
from bitskept.measure.states import Encoding, encode, stream
from bitskept.sources import corpora, models, tasks
from bitskept.sources.models import LanguageModel
from bitskept.store import entries, stored
from bitskept.theory.statistics import interval

if TYPE_CHECKING:
    import datasets

KINDS = {"": "raw", "_corrected": "corrected", "_extrapolated": "extrapolated"}
"""The endings of quantities; see `soft_information` for what the three are."""
ENCODED = ("input_ids", "offset_mapping", "special_tokens_mask")
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

    return _stored("compression", _key(plan), model_id, plan.dtype, weights, accept_terms, compute)


def measured(plan: Plan) -> pd.DataFrame:
    """The tables of all models that have been measured by this plan, on this computer or any whose store was copied.

    Empty where there are none.
    """
    return _found("compression", {name: value for name, value in _key(plan).items() if name != "dtype"})


def _key(plan: Plan) -> dict[str, Any]:
    corpora.fetch(plan.corpus)
    # As it is read back from the store: JSON has lists only.
    return json.loads(json.dumps(asdict(plan))) | {"text": corpora.fingerprint(plan.corpus)}


def compress(
    model: LanguageModel, texts: Collection[str], domains: Collection[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """The table of a model on these sentences, as `measure` gives it. ValueError where they are too few or too short.

    All sample sizes come from one pass; intervals from sentences drawn anew.
    """
    if len(texts) < plan.sentences[-1]:
        raise ValueError(f"{plan.corpus} gives {len(texts)} sentences, but {plan.sentences[-1]} are asked for")
    texts, domains = list(texts)[: plan.sentences[-1]], list(domains)[: plan.sentences[-1]]
    encoding = encode(model, texts, longest=plan.longest)
    grams, sentences = k_grams(encoding, plan.widths)
    starts = np.searchsorted(sentences, np.arange(len(encoding) + 1))
    layers, soft = model.layers + 1, []
    for instrument in plan.instruments:
        rows = plan.memory * 2**20 // (4 * layers * instrument.anchors)
        labels = Labels.build(grams, sentences, rows=rows, seed=plan.seed)
        soft.append(SoftEntropy(instrument.draw(model), labels, layers, seed=plan.seed))
    del grams
    whole = SentenceSums(soft[0].anchors, layers, min(TEXTS, len(encoding)))
    rows, begin = [], 0
    for end in plan.sentences:
        for one in soft:
            one.open(np.arange(starts[begin], starts[end]))
        title = f"{_label(model)}: {end:,} sentences" if progress else None
        for batch in stream(model, encoding, range(begin, end), budget=TOKEN_BUDGET, progress=title):
            places = starts[batch.sentences.cpu().numpy()] + batch.positions.cpu().numpy()
            for one in soft:
                one.update(batch.states, places)
            whole.update(batch.states, batch.sentences)
            del batch  # the next one needs its room
        for instrument, one in zip(plan.instruments, soft, strict=True):
            facts = {"sentences": end, **_facts(instrument)}
            rows += [facts | row for row in _rows(one.evaluate(equal=instrument.label_weights == "equal"), plan.widths)]
        begin = end
    domain = np.asarray(domains[:TEXTS])
    if len(set(domain)) > 1:
        facts = {"sentences": len(domain), **_facts(plan.instruments[0])}
        rows += [facts | row for row in _label_rows("domain_information", whole.information(domain, seed=plan.seed))]
    return _table(model, plan.corpus, rows)


def measure_preference(
    model_id: str,
    task: str,
    *,
    pairs: int,
    longest: int = 256,
    instrument: Instrument = Instrument(),
    seed: int = 0,
    dtype: str = "auto",
    weights: int | None = None,
    accept_terms: Collection[str] = (),
    progress: bool = True,
) -> pd.DataFrame:
    """I(Z; preferred or rejected) of the tokens of answers by layer, as `measure` gives its tables.

    Only pairs are read of which prompt and both answers fit in `longest` tokens; of those the first `pairs`. ValueError
    where there are fewer, SourceError where the pairs cannot be had.
    """
    key = _preference_key(task, pairs, longest, instrument, seed)

    def compute(model: LanguageModel) -> pd.DataFrame:
        found = tasks.preference(task, seed=seed)
        encoding, prompts = _answers(model, found, pairs, min(longest, model.longest))
        anchors = instrument.draw(model)
        whole = SentenceSums(anchors, model.layers + 1, len(encoding))
        title = f"{_label(model)}: {task}" if progress else None
        for batch in stream(model, encoding, range(len(encoding)), budget=TOKEN_BUDGET, progress=title):
            whole.update(batch.states, batch.sentences)
        preferred, pair = np.arange(len(encoding)) % 2 == 0, np.arange(len(encoding)) // 2
        result = whole.information(preferred, pairs=pair, clusters=prompts, seed=seed)
        facts = {"sentences": len(encoding), **_facts(instrument)}
        return _table(model, task, [facts | row for row in _label_rows("preference_information", result)])

    return _stored("preference", key, model_id, dtype, weights, accept_terms, compute)


def measured_preference(
    task: str, *, pairs: int, longest: int = 256, instrument: Instrument = Instrument(), seed: int = 0
) -> pd.DataFrame:
    """The tables of all models of which `measure_preference` has been stored with these values, as `measured`."""
    return _found("preference", _preference_key(task, pairs, longest, instrument, seed))


def _preference_key(task: str, pairs: int, longest: int, instrument: Instrument, seed: int) -> dict[str, Any]:
    tasks.fetch(task)
    key = {"task": task, "pairs": pairs, "longest": longest, "instrument": asdict(instrument), "seed": seed}
    return key | {"text": tasks.fingerprint(task)}


def _answers(
    model: LanguageModel, found: datasets.Dataset, pairs: int, longest: int
) -> tuple[Encoding, Int[np.ndarray, " answer"]]:
    """Answers, preferred and rejected in turn, of which only their own tokens are measured; and the prompt of each."""
    ids, measured, prompts, options = [], [], [], {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    for row in found:
        texts = [f"{row['prompt']} {row[name]}" for name in ("preferred", "rejected")]
        encoded = model.tokenizer(texts, verbose=False, **options)
        if max(map(len, encoded["input_ids"])) > longest:
            continue
        for tokens, spans, special in zip(*(encoded[name] for name in ENCODED), strict=True):
            ids.append(np.asarray(tokens, dtype=np.int64))
            measured.append((np.array(spans)[:, 1] > len(row["prompt"])) & (np.array(special) == 0))
            prompts.append(row["prompt"])
        if len(ids) == 2 * pairs:
            return Encoding(ids, measured, 0), np.unique(prompts, return_inverse=True)[1]
    raise ValueError(f"only {len(ids) // 2} pairs fit in {longest} tokens of {model.id}, but {pairs} are asked for")


def _stored(
    function: str,
    key: dict[str, Any],
    model_id: str,
    dtype: str,
    weights: int | None,
    accept_terms: Collection[str],
    compute: Callable[[LanguageModel], pd.DataFrame],
) -> pd.DataFrame:
    """What is computed with a model, by its fingerprint; the model is loaded only where the store has nothing."""
    models.fetch(model_id, accept_terms=accept_terms)
    dtype = models.resolve_dtype(dtype, models.resolve_device("auto"))
    key |= {"id": model_id, "model": models.fingerprint(model_id, seed=weights), "dtype": dtype}
    return stored(
        function,
        VERSION,
        key,
        lambda: compute(models.load(model_id, dtype=dtype, seed=weights, accept_terms=accept_terms)),
    )


def _found(function: str, wanted: dict[str, Any]) -> pd.DataFrame:
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
    for layer, value, draws in _layers(figure):
        if over is not None:
            whole, drawn = next((one, drawn) for place, one, drawn in _layers(over) if place == layer)
            detected = whole > DETECTED * drawn.std()
            value, draws = (value / whole, draws / drawn) if detected else (np.nan, draws)
        low, high = (np.nan, np.nan) if np.isnan(value) else interval(draws)
        yield row | {"layer": layer, "estimate": value, "low": low, "high": high}


def _layers(figure: Figure) -> Iterator[tuple[int | None, float, np.ndarray]]:
    """Each layer, and last, where there are several, the mean over all but layer 0."""
    yield from ((layer, value, figure.draws[:, layer]) for layer, value in enumerate(figure.estimate))
    if len(figure.estimate) > 1:
        yield None, figure.estimate[1:].mean(), figure.draws[:, 1:].mean(1)


def _label_rows(quantity: str, found: LabelInformation) -> Iterator[dict[str, Any]]:
    count, corrected = {"n": found.places}, found.corrected
    yield from _by_layer(quantity, Figure(found.raw, corrected.draws + found.floor), count)
    yield from _by_layer(f"{quantity}_corrected", corrected, count)
    for name, values, unit in (("floor", found.floor, "bits per token"), ("p", found.p, "probability")):
        for layer, value in enumerate(values):
            yield count | {"quantity": f"{quantity}_{name}", "layer": layer, "estimate": value, "unit": unit}


def _facts(instrument: Instrument) -> dict[str, Any]:
    facts = asdict(instrument)
    return {"anchor_seed": facts.pop("seed")} | facts


def _label(model: LanguageModel) -> str:
    return model.id if model.seed is None else f"{model.id}, random weights {model.seed}"


def _table(model: LanguageModel, corpus: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    facts = {"model": model.id, "kind": model.kind, "weights": "trained" if model.seed is None else "random"}
    table = pd.DataFrame([facts | {"seed": model.seed, "corpus": corpus} | row for row in rows], columns=COLUMNS)
    return table.astype({name: "Int64" for name in ("seed", "layer", "width", "n")})
