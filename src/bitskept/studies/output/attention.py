"""How sharply attention heads attend: the entropy of a query's weights over the keys that it sees, in bits, against
log2 of the number of these keys, which is the most that it can be.

Trained decoders put much weight on the first token, whatever it is (an attention sink). The weights have the entropy
H = h(a) + (1 - a) H', where a is the weight of the first token, h the binary entropy and H' the entropy of the weights
of the other tokens among themselves. A head that rests on the sink has a low H and may have a high H', so both are
measured. The least entropies that scores of their size allow (`theory.attention_entropy`) stand beside them: `least`
from the norm of a query's own scores about their mean, `least_of_text` from the spectral norm of all scores of a text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from pydantic import Field, NonNegativeInt, PositiveInt
from tqdm import tqdm

from bitskept.base.params import Strict
from bitskept.base.publishing import makes_table
from bitskept.instruments.attention_heads import Heads, record
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.states import cut_as_planned, encode
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.associative_memory import attention
from bitskept.theory.attention_entropy import entropy, least_entropy, without_key
from bitskept.theory.intervals import derived_interval, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap

SUMS = ("queries", "entropy", "most", "others", "most_of_others", "on_first", "least", "least_of_text")
"""What is summed over the queries of a sentence."""
COLUMNS = [*MODEL, "corpus", "layer", "head", "item", *SUMS]
FIRST = "weight on the first"
RATIOS = {
    "spread": ("entropy", "most"),
    "spread without the first": ("others", "most_of_others"),
    FIRST: ("on_first", "queries"),
    "least by own scores": ("least", "most"),
    "least by the text's scores": ("least_of_text", "most"),
}
"""Each quantity as a ratio of two of these sums."""
SPREADS = {"spread": "all tokens", "spread without the first": "without the first token"}
"""The two spreads, and over which tokens."""
GAP = "random − trained"


class Attention(Strict):
    """What is measured of attention."""

    sentences: int = Field(ge=2)  # of the corpus
    longest: int = Field(ge=3)  # tokens of a sentence; longer ones are cut
    random_seeds: list[NonNegativeInt] = Field(min_length=1)  # of the model's random copies
    rates: list[float] = Field(min_length=2)  # the highest learning rates of the runs
    fixed_rates: list[float]  # runs with scores that training cannot enlarge; a calm rate is their control
    run_seeds: list[NonNegativeInt] = Field(min_length=1)  # of the runs, for each rate
    width: PositiveInt  # of the states of a run
    heads: PositiveInt  # of a run, in each layer
    steps: int = Field(ge=8)  # of a run
    batch: PositiveInt  # rows of text per step
    run_sentences: PositiveInt  # that runs are trained on
    rows: PositiveInt  # of held-out text, on which a run is measured


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens. Queries of special
    tokens, and those that see a single key, are not measured.
    """

    corpus: str
    sentences: int
    longest: int
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        at_least(self, sentences=2, longest=3)


@measurement("attention_spread", 1)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per head and sentence (`item`) with the sums over its queries. Columns: `COLUMNS`.

    `queries` counts them; `entropy` and `most` are the bits of their weights and log2 of the keys that they see,
    `others` and `most_of_others` the same without the first token, `on_first` is the weight on it, `least` and
    `least_of_text` are the bounds. A head's layer is that of the states it writes. ValueError as `record`, and for
    texts in which no query sees two keys.
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    with cut_as_planned():
        encoding = encode(model, texts, longest=plan.longest)
    bar = {"desc": label(model), "unit": "sentence", "disable": not progress, "leave": False}
    rows = []
    for item, (ids, measured) in enumerate(tqdm(list(zip(encoding.ids, encoding.measured, strict=True)), **bar)):
        if len(ids) > 1 and measured[1:].any():
            rows += [row | {"item": item} for heads in record(model, ids) for row in _sums(heads, measured)]
    if not rows:
        raise ValueError(f"no query of {len(texts)} texts sees two keys: give longer ones")
    return to_table(model, rows, COLUMNS, corpus=plan.corpus)


def _sums(heads: Heads, measured: Bool[np.ndarray, " token"]) -> Iterator[dict[str, Any]]:
    """The sums over the queries of a text, head by head."""
    law = attention(heads.queries, heads.keys, heads.scale, heads.visible)
    seen = np.broadcast_to(heads.visible.sum(-1), law.shape[:2])
    used = np.broadcast_to(measured & (seen > 1), seen.shape)
    sees_first = np.broadcast_to(heads.visible[..., 0], seen.shape)
    scores = heads.scale * heads.queries @ np.swapaxes(heads.keys, -1, -2)
    mean = np.where(heads.visible, scores, 0).sum(-1, keepdims=True) / seen[..., None]
    norms = np.linalg.norm(np.where(heads.visible, scores - mean, 0), axis=-1)
    largest = np.sqrt(np.linalg.eigvalsh(scores @ np.swapaxes(scores, -1, -2))[:, -1:])
    numbers = {
        "queries": np.ones(seen.shape),
        "entropy": entropy(law),
        "most": np.log2(seen),
        "others": entropy(without_key(law, 0)),
        "most_of_others": np.log2(np.maximum(seen - sees_first, 1)),
        "on_first": law[..., 0],
        "least": least_entropy(norms, seen),
        "least_of_text": least_entropy(np.broadcast_to(largest, seen.shape), seen),
    }
    totals = {name: np.where(used, values, 0).sum(-1) for name, values in numbers.items()}
    for head in range(len(law)):
        yield {"layer": heads.layer, "head": head} | {name: float(total[head]) for name, total in totals.items()}


@makes_table
def by_layer(trained: pd.DataFrame, randoms: Sequence[pd.DataFrame], seed: int) -> pd.DataFrame:
    """The quantities of `RATIOS` for each head of the trained model, for the heads of each layer together, and for all
    heads (`layer` missing), of the trained model, of its random copies together, and the difference of the two
    (`weights`: `GAP`), each with its interval over sentences.

    Columns: model, weights, layer, head, quantity, estimate, low, high, unit, n (sentences).
    """
    both = {"trained": trained, "random": pd.concat(randoms)}
    sums = {name: _by_sentence(table) for name, table in both.items()}
    layers: list[int | None] = [None, *map(int, sorted(trained["layer"].unique()))]
    rows = [*_of_heads(sums["trained"], seed)]
    for layer in layers:
        chosen = {name: _total(table, layer) for name, table in sums.items()}
        for quantity, (numerator, size) in RATIOS.items():
            facts = {"layer": layer, "quantity": quantity}
            parts = {name: (total[numerator].to_numpy(), total[size].to_numpy()) for name, total in chosen.items()}
            rows += [facts | {"weights": name} | _ratio(*part, quantity, seed) for name, part in parts.items()]
            rows.append(facts | {"weights": GAP} | _difference(parts["random"], parts["trained"], seed))
    table = pd.DataFrame(rows).assign(model=trained["model"].iloc[0], unit="share")
    columns = ["model", "weights", "layer", "head", "quantity", "estimate", "low", "high", "unit", "n"]
    return table.reindex(columns=columns).astype({"layer": "Int64", "head": "Int64"})


def _by_sentence(table: pd.DataFrame) -> pd.DataFrame:
    """The sums of each head and sentence, over copies."""
    return table.groupby(["layer", "head", "item"])[list(SUMS)].sum()


def _total(sums: pd.DataFrame, layer: int | None) -> pd.DataFrame:
    """The sums of each sentence over the heads of a layer, or all."""
    return (sums if layer is None else sums.loc[layer]).groupby("item").sum()


def _of_heads(sums: pd.DataFrame, seed: int) -> Iterator[dict[str, Any]]:
    for (layer, head), part in sums.groupby(["layer", "head"]):
        for quantity in (*SPREADS, FIRST):
            numerator, size = (part[name].to_numpy() for name in RATIOS[quantity])
            yield {"weights": "trained", "layer": layer, "head": head, "quantity": quantity} | _ratio(
                numerator, size, quantity, seed
            )


def _ratio(
    numerator: Float[np.ndarray, " sentence"], size: Float[np.ndarray, " sentence"], quantity: str, seed: int
) -> dict[str, Any]:
    """An estimate with its interval; the weight on the first token is a share of the queries' weight."""
    counted = quantity == FIRST
    low, high = share_interval(numerator, size) if counted else ratio_interval(numerator, size, seed=seed)
    return {"estimate": numerator.sum() / size.sum(), "low": low, "high": high, "n": np.count_nonzero(size)}


def _difference(more: tuple[np.ndarray, np.ndarray], less: tuple[np.ndarray, np.ndarray], seed: int) -> dict[str, Any]:
    """The difference of two ratios over the same sentences."""
    estimate = more[0].sum() / more[1].sum() - less[0].sum() / less[1].sum()
    replicates = cluster_bootstrap(*more, seed=seed) - cluster_bootstrap(*less, seed=seed)
    number = int(np.count_nonzero(more[1]))
    low, high = derived_interval(replicates, estimate, number)
    return {"estimate": estimate, "low": low, "high": high, "n": number}
