"""Whether one step of a real attention head lowers the energy that theory has for it.

A head's keys are the stored patterns, its query is the state, b its own scale (1/sqrt(d) in most models); queries and
keys are taken as the head compares them, after rotary positions and norms, and a query sees what the head lets it see.
`theory.associative_memory` has the energies, E ("full") and its first term F ("short"), and what is a theorem about
them. Steps, and what each is:

- `keys`: attention with the keys as values, which is the theory's step. That it lowers E is a theorem and no finding:
  a share below 1 would be a mistake in the program. By how much it does, and whether F falls as well, is a finding.
- `again`: a second such step, from where the first one ended. If one step were to retrieve a pattern, as theory says of
  well separated ones, little would be left for it.
- `values`: what the head really adds up, its values. They live in a space of their own, which need not be that of the
  keys, and go on through the output projection into the residual stream, not back into the query: a proxy.
- `zero`: the query set to 0, a control for `values`. Wherever queries are long the term |q|²/2 alone makes E fall, with
  whatever is shorter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm.auto import tqdm

from bitskept.measure.of_model import from_store, label, model_facts
from bitskept.measure.states import encode
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel
from bitskept.theory.associative_memory import attention, energy
from bitskept.theory.statistics import cluster_bootstrap, interval

VERSION = 1
"""Raise it when the same plan would give other numbers."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "layer", "head", "form", "step"),
    *("quantity", "estimate", "low", "high", "unit", "n"),
]
FORMS = ("full", "short")
STEPS = ("keys", "again", "values", "zero")
QUANTITIES = {
    "lowered": "share of queries whose energy the step does not raise",
    "drop": "mean energy before less after the step, times b, in bits",
    "attention_entropy": "mean entropy of the weights of a query",
    "uniform_entropy": "the same if all the keys that a query sees had equal weights",
}
ROUNDING = 1e-9
"""An energy that rises by less, relative to its terms, has not risen."""
RECORDER = "bitskept_recorder"
"""The name under which transformers knows the attention that takes notes."""
CHANGED = ("softcap", "position_bias", "s_aux")
"""What a head may add to its scores or their sum that the energy does not know."""


@dataclass(frozen=True)
class Heads:
    """One block's heads on one text. Query heads that share keys have them each; `visible` is what a query sees."""

    layer: int
    queries: Float[np.ndarray, "head token dim"]
    keys: Float[np.ndarray, "head token dim"]
    values: Float[np.ndarray, "head token _value"]
    visible: Bool[np.ndarray, "#head token token"]
    scale: float


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
        if self.sentences < 2:
            raise ValueError(f"sentences must be at least 2, but is {self.sentences}")
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of `energies`, from the store where it is there. `weights` is the seed of a randomly initialised copy.
    Errors as `models.load`, `corpora.load` and `energies`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
        return energies(model, texts, plan, progress=progress)

    return from_store("attention_energy", VERSION, model_id, plan, compute, weights=weights, accept_terms=accept_terms)


def energies(model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: bool = False) -> pd.DataFrame:
    """One row a block, head, form, step and quantity, with 95 % intervals over sentences; `head` is missing for the
    mean over the heads of a block, `layer` too for that over all. A head's layer is that of the states it writes.
    Columns: `COLUMNS`, quantities: `QUANTITIES`; `n` counts queries, of all heads in question.

    ValueError for a model whose attention cannot be read (see `record`), and texts in which no query sees two keys.
    """
    encoding = encode(model, texts, longest=plan.longest)
    wanted = np.unique(np.linspace(1, model.layers, min(plan.layers or model.layers, model.layers)).round()).astype(int)
    sums, sizes, names = [], [], []
    for ids, measured in tqdm(
        zip(encoding.ids, encoding.measured, strict=True),
        total=len(encoding),
        desc=label(model),
        unit="sentence",
        disable=not progress,
        leave=False,
    ):
        if measured.sum() < 2:
            continue
        recorded = [heads for heads in record(model, ids) if heads.layer in wanted]
        found = [_sums(heads, measured) for heads in recorded]
        sums.append(np.concatenate([values for values, _ in found]))
        sizes.append(np.concatenate([numbers for _, numbers in found]))
        names = [(heads.layer, head) for heads in recorded for head in range(len(heads.queries))]
    if not sums or not np.any(sizes):
        raise ValueError(f"no query of {len(texts)} texts sees two keys: give longer ones")
    return _table(np.array(sums), np.array(sizes), names, model, plan)


def record(model: LanguageModel, ids: np.ndarray) -> list[Heads]:
    """The heads of every block, in order, for one text given as token ids.

    ValueError for a model that has no attention heads (a state-space model), whose heads transformers does not pass
    through its attention interface, or that changes its scores in a way that the energy does not know (a bias by
    position, capped scores, sinks).
    """
    found: list[Heads] = []
    with _recording(model, found), torch.inference_mode():
        model.network(input_ids=torch.from_numpy(ids)[None].to(model.device))
    if not found:
        raise ValueError(
            f"{model.id} has no heads whose queries and keys can be read: take a model with attention such as Llama's"
        )
    return found


@contextmanager
def _recording(model: LanguageModel, found: list[Heads]) -> Iterator[None]:
    """While this lasts, every attention of the network leaves a note of what it compares."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    network, known = model.network, AttentionInterface()
    own = network.config._attn_implementation
    usual = known[own if own in known else "sdpa"]  # "eager" is not among them; both compute the same

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any) -> Any:
        if changed := [name for name in CHANGED if options.get(name) is not None]:
            raise ValueError(f"{model.id} has heads with {changed[0]}, which their energy does not know")
        scale = options.get("scaling") or query.shape[-1] ** -0.5
        found.append(_heads(len(found) + 1, query, key, value, mask, float(scale)))
        return usual(module, query, key, value, mask, **options)

    AttentionInterface.register(RECORDER, attend)
    AttentionMaskInterface.register(RECORDER, eager_mask)
    try:
        if network._can_set_attn_implementation():
            network.set_attn_implementation(RECORDER)
        yield
    finally:
        if network.config._attn_implementation == RECORDER:
            network.set_attn_implementation(own)


def _heads(layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Heads:
    groups, length = query.shape[1] // key.shape[1], query.shape[2]
    queries, keys, values = (one[0].double().cpu().numpy() for one in (query, key, value))
    everything = np.ones((1, length, length), bool)
    visible = everything if mask is None else (mask[0] == 0).cpu().numpy()
    return Heads(layer, queries, keys.repeat(groups, 0), values.repeat(groups, 0), visible, scale)


def _columns(same_space: bool) -> list[tuple[str | None, str | None, str]]:
    """Form, step and quantity of the numbers in `_sums`."""
    steps = [step for step in STEPS if same_space or step != "values"]
    moved = [(form, step, quantity) for form in FORMS for step in steps for quantity in ("lowered", "drop")]
    return [*moved, (None, None, "attention_entropy"), (None, None, "uniform_entropy")]


def _sums(heads: Heads, measured: Bool[np.ndarray, " token"]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the queries of a text [head, number], in the order of `_columns`, and how many queries [head]."""
    b, keys, queries = heads.scale, heads.keys, heads.queries
    seen = heads.visible.sum(-1)
    used = np.broadcast_to(measured & (seen > 1), queries.shape[:2])
    law = attention(queries, keys, b, heads.visible)
    ends = {"query": queries, "keys": law @ keys}
    ends["again"] = attention(ends["keys"], keys, b, heads.visible) @ keys
    if heads.values.shape == keys.shape:
        ends["values"] = law @ heads.values
    ends["zero"] = np.zeros_like(queries)
    short = {name: energy(one, keys, b, heads.visible, quadratic=False) for name, one in ends.items()}
    halves = {name: (one**2).sum(-1) / 2 for name, one in ends.items()}
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


def _table(
    sums: Float[np.ndarray, "sentence head number"],
    sizes: np.ndarray,
    names: list[tuple[int, int]],
    model: LanguageModel,
    plan: Plan,
) -> pd.DataFrame:
    """Each head, the heads of each block, and all together."""
    columns = _columns(sums.shape[-1] == len(_columns(True)))
    layers = np.array([layer for layer, _ in names])
    groups: list[tuple[int | None, int | None, np.ndarray]] = [(None, None, layers > 0)]
    groups += [(int(layer), None, layers == layer) for layer in np.unique(layers)]
    groups += [(layer, head, np.arange(len(names)) == place) for place, (layer, head) in enumerate(names)]
    known = model_facts(model) | {"corpus": plan.corpus}
    rows = []
    for layer, head, chosen in groups:
        total, number = sums[:, chosen].sum(1), sizes[:, chosen].sum(1)
        low, high = interval(cluster_bootstrap(total.T, number, seed=plan.seed))
        means = total.sum(0) / number.sum()
        for place, (form, step, quantity) in enumerate(columns):
            named = {"layer": layer, "head": head, "form": form, "step": step, "quantity": quantity}
            ends = {"estimate": means[place], "low": low[place], "high": high[place]}
            unit = "share" if quantity == "lowered" else "bits"
            rows.append(known | named | ends | {"unit": unit, "n": int(number.sum())})
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({name: "Int64" for name in ("seed", "layer", "head", "n")})
