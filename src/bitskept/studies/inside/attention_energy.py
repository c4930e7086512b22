"""Whether one step of a real attention head lowers the energy that theory assigns to it.

A head's keys are the stored patterns, its query is the state, and b is its scale. Queries and keys are taken as the
head compares them, after rotary positions and norms, and a query sees what the head lets it see. The energies, E
("full") and its first term F ("short"), and the theorems about them are in `theory.associative_memory`. The steps are:

- `keys`: attention with the keys as values, which is the theory's step. That it lowers E is a theorem: a share below 1
  would be a mistake in the program.
- `again`: a second such step. If the first one retrieved a pattern, little is left for it.
- `values`: what the head really adds up. This is a proxy: values need not live in the space of the keys, and go on into
  the residual stream, not back into the query.
- `zero`: the query set to 0, a control for `values`. If queries are long, ‖q‖²/2 alone makes E fall.

The quantities are `lowered`, the share of queries whose energy the step does not raise; `drop`, the mean energy before
minus that after the step, times b, in bits; `attention_entropy`, the mean entropy of a query's weights; and
`uniform_entropy`, the same if all the keys that a query sees had equal weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from tqdm import tqdm

from bitskept.base.publishing import makes_table
from bitskept.instruments.attention_heads import Heads, record
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.states import encode
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.associative_memory import attention, energy
from bitskept.theory.intervals import ratio_interval, share_interval

COLUMNS = [
    *MODEL,
    *("corpus", "layer", "head", "form", "step"),
    *("quantity", "estimate", "low", "high", "unit", "n", "queries"),
]
FORMS = ("full", "short")
STEPS = ("keys", "again", "values", "zero")
ROUNDING = 1e-9
"""An energy that rises by less, relative to its terms, has not risen."""


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens; `layers` evenly spaced
    blocks, counted from 1, or all. Queries of special tokens, and those that see a single key, are not measured.
    """

    corpus: str
    sentences: int = 40
    layers: int | None = None
    longest: int = 64
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        at_least(self, sentences=2, layers=1)


@measurement("attention_energy", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per block, head, form, step and quantity, with 95 % intervals over sentences. `head` is missing for the
    mean over a block's heads, and `layer` too for the mean over all. A head's layer is that of the states it writes.
    Columns: `COLUMNS`; `n` counts queries.

    ValueError for a model whose attention cannot be read (see `record`), and texts in which no query sees two keys.
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    encoding = encode(model, texts, longest=plan.longest)
    wanted = np.unique(np.linspace(1, model.layers, min(plan.layers or model.layers, model.layers)).round())
    bar = {"desc": label(model), "unit": "sentence", "disable": not progress, "leave": False}
    sums, sizes, names = [], [], []
    for ids, measured in tqdm(list(zip(encoding.ids, encoding.measured, strict=True)), **bar):
        if measured.sum() < 2:
            continue
        recorded = [heads for heads in record(model, ids) if heads.layer in wanted]
        sums_of_text, sizes_of_text = zip(*[_sums(heads, measured) for heads in recorded], strict=True)
        sums.append(np.concatenate(sums_of_text))
        sizes.append(np.concatenate(sizes_of_text))
        names = [(heads.layer, head) for heads in recorded for head in range(len(heads.queries))]
    if not sums or not np.any(sizes):
        raise ValueError(f"no query of {len(texts)} texts sees two keys: give longer ones")
    rows = _rows(np.array(sums), np.array(sizes), names, plan.seed)
    return to_table(model, rows, COLUMNS, corpus=plan.corpus)


@makes_table
def lowered_by_layer(energies: pd.DataFrame) -> pd.DataFrame:
    """The share of queries whose energy a step does not raise, as means over the heads of each block, and over all
    blocks (without a layer). Measured by `studies.inside.attention_energy.measure`.
    """
    return energies[energies["head"].isna() & (energies["quantity"] == "lowered")]


def lowered_overall(energies: pd.DataFrame) -> pd.DataFrame:
    """The rows of `lowered_by_layer` for all blocks together."""
    rows = lowered_by_layer(energies)
    return rows[rows["layer"].isna()]


def _columns(same_space: bool) -> list[tuple[str | None, str | None, str]]:
    """Form, step and quantity of the numbers in `_sums`; without "values" if these are not of the keys' dimension."""
    steps = [step for step in STEPS if same_space or step != "values"]
    moved = [(form, step, quantity) for form in FORMS for step in steps for quantity in ("lowered", "drop")]
    return [*moved, (None, None, "attention_entropy"), (None, None, "uniform_entropy")]


def _sums(heads: Heads, measured: Bool[np.ndarray, " token"]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the queries of a text [head, number], in the order of `_columns`, and the number of queries [head]."""
    b, keys, queries, visible = heads.scale, heads.keys, heads.queries, heads.visible
    seen = visible.sum(-1)
    used = np.broadcast_to(measured & (seen > 1), queries.shape[:2])
    law = attention(queries, keys, b, visible)
    ends = {"query": queries, "keys": law @ keys}
    ends["again"] = attention(ends["keys"], keys, b, visible) @ keys
    if heads.values.shape == keys.shape:
        ends["values"] = law @ heads.values
    ends["zero"] = np.zeros_like(queries)
    short = {name: energy(points, keys, b, visible, quadratic=False) for name, points in ends.items()}
    halves = {name: (points**2).sum(-1) / 2 for name, points in ends.items()}
    numbers = []
    for form in FORMS:
        for step in list(ends)[1:]:
            start = "keys" if step == "again" else "query"
            drop = short[start] - short[step] + (halves[start] - halves[step] if form == "full" else 0)
            terms = sum(abs(short[name]) + halves[name] for name in (start, step))
            numbers += [drop >= -ROUNDING * terms, drop * b / np.log(2)]
    numbers.append(-(law * np.log2(np.maximum(law, 1e-300))).sum(-1))
    numbers.append(np.broadcast_to(np.log2(seen), used.shape))
    return np.where(used, np.array(numbers, float), 0).sum(-1).T, used.sum(-1)


def _rows(
    sums: Float[np.ndarray, "sentence head number"], sizes: np.ndarray, names: list[tuple[int, int]], seed: int
) -> Iterator[dict[str, Any]]:
    """The rows for all heads together, for the heads of each block, and for each head."""
    layers = np.array([layer for layer, _ in names])
    groups: list[tuple[int | None, int | None, np.ndarray]] = [(None, None, layers > 0)]
    groups += [(int(layer), None, layers == layer) for layer in np.unique(layers)]
    groups += [(layer, head, np.arange(len(names)) == place) for place, (layer, head) in enumerate(names)]
    columns = _columns(sums.shape[-1] == len(_columns(True)))
    shares = [quantity == "lowered" for _, _, quantity in columns]
    for layer, head, chosen in groups:
        total, number = sums[:, chosen].sum(1), sizes[:, chosen].sum(1)
        intervals = np.array(ratio_interval(total.T, number, seed=seed))
        intervals[:, shares] = share_interval(total.T[shares], number)
        ends = np.vstack([total.sum(0) / number.sum(), intervals]).T
        for (form, step, quantity), numbers in zip(columns, ends, strict=True):
            row = {"layer": layer, "head": head, "form": form, "step": step, "quantity": quantity}
            row |= dict(zip(("estimate", "low", "high"), numbers, strict=True))
            yield row | {
                "unit": "share" if quantity == "lowered" else "bits",
                "n": np.count_nonzero(number),
                "queries": int(number.sum()),
            }
