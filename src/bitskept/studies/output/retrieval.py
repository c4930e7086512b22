"""A kNN-LM on held-out texts and on what it writes itself: the bits of each token, and the entropies along the text.

Khandelwal and others (2020, arXiv 1911.00172) mix a model's distribution with that of its nearest neighbours in a store
of text, and save bits. Wang and others (2023, arXiv 2305.14625) find that most tokens lose all the same, and that the
entropy of the retrieval distribution rises along text that the kNN-LM writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd
import torch
from pydantic import Field, PositiveInt

from bitskept.base.params import Name, Names, Strict
from bitskept.instruments.likelihood import heads
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, label, measurement, model_facts
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.output import knn_texts, mixing, neighbours
from bitskept.studies.output.knn_texts import Predicted
from bitskept.studies.output.neighbours import Store

SAME, SHUFFLED, OTHER = "same domain", "next tokens shuffled", "other domain"
STORES = (SAME, SHUFFLED, OTHER)
PEOPLE = "people"
TOKENS = [
    *("part", "whose", "store", "temperature", "text", "position", "token", "frequency"),
    *("own_bits", "own_entropy", "retrieved", "entropy"),
]
"""Columns of the tokens, after those of the model."""


class Retrieval(Strict):
    """A kNN-LM, and the texts that it is measured on."""

    corpus: str = Name  # of the texts, and of the store of the same domain
    other_corpus: str = Name  # corpus of the store of another domain
    texts: PositiveInt  # for measurements
    validation_texts: PositiveInt  # on which weight and temperature are chosen
    stored: PositiveInt  # tokens of each store
    longest: int = Field(ge=2)  # tokens of a text that are read; shorter ones are left out of measurement and choice
    context: PositiveInt  # the first tokens of a text, which the kNN-LM continues to `longest`
    neighbours: PositiveInt
    temperatures: list[Annotated[float, Field(gt=0)]] = Names  # in mean squared distances of a neighbour
    weights: list[Annotated[float, Field(ge=0, lt=1)]] = Names  # of the retrieval distribution
    nuclei: list[Annotated[float, Field(gt=0, le=1)]] = Names  # of which the kNN-LM draws; 1 is the whole distribution

    def plan(self, seed: int, dtype: str) -> "Plan":
        """The measurement of a model."""
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in self}
        return Plan(**values, seed=seed, dtype=dtype)


@dataclass(frozen=True)
class Plan:
    """Of a corpus, in the order drawn by `seed`, the first `texts` of `longest` tokens or more are measured, the next
    `validation_texts` serve to choose, and those that follow, of any length, are the store, up to `stored` tokens.
    """

    corpus: str
    other_corpus: str
    texts: int
    validation_texts: int
    stored: int
    longest: int
    context: int
    neighbours: int
    temperatures: tuple[float, ...]
    weights: tuple[float, ...]
    nuclei: tuple[float, ...]
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, texts=1, validation_texts=1, context=1, neighbours=1, stored=self.neighbours)
        if self.longest <= self.context:
            raise ValueError(f"longest must be above the context of {self.context}, but is {self.longest}")


@measurement("retrieval", 1)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row for each token, store and temperature: columns `measurement.MODEL` and `TOKENS`.

    `part` is validation or test; `whose` text it is: people's, or "kNN-LM, nucleus P", which continues the first
    `context` tokens of the same texts, with the store of the same domain and the weight and temperature that are best
    on the validation texts. `position` counts from 0, `frequency` is the token's share of the store of the same domain.
    `own_bits` is -log2 of the model's probability and `own_entropy` the entropy of its distribution; `retrieved` is the
    probability under the retrieval distribution (`neighbours`) and `entropy` that distribution's. Entropies are in
    bits. A temperature is in units of the mean squared distance of a neighbour, over the validation texts and the store
    of the same domain. The two other stores have as many tokens.

    ValueError for an encoder, and for a corpus that is too small; SourceError for a model without a head.
    """
    require_decoder(model)
    head, bar = heads.head(model), label(model) if progress else None
    texts = knn_texts.read(model, plan.corpus, plan.longest, plan.seed)
    measured = knn_texts.long_texts(texts, plan.texts, plan.longest)
    validation = knn_texts.long_texts(texts, plan.validation_texts, plan.longest)
    same = knn_texts.store_of(model, texts, plan.stored, bar)
    foreign = knn_texts.read(model, plan.other_corpus, plan.longest, plan.seed)
    other = knn_texts.store_of(model, foreign, plan.stored, bar)
    stores = dict(zip(STORES, (same, same.shuffled(plan.seed), other), strict=True))
    shares = torch.bincount(same.tokens, minlength=len(model.embeddings)).numpy() / plan.stored

    def with_own_law(of: Predicted, **facts: str) -> dict[str, object]:
        where = {"text": of.text, "position": of.position, "token": of.tokens.numpy()}
        return facts | where | {"frequency": shares[where["token"]]} | knn_texts.own_law(head, of, model.device)

    parts, tests = knn_texts.predicted(model, validation, bar), knn_texts.predicted(model, measured, bar)
    scale = float(neighbours.nearest(same, parts.states, plan.neighbours).distances.mean())
    tables = []
    for part, of in (("validation", parts), ("test", tests)):
        facts = with_own_law(of, part=part, whose=PEOPLE)
        for name, store in stores.items():
            tables += _retrieved(store, of, plan.neighbours, plan.temperatures, scale, facts | {"store": name})
    best = mixing.chosen(pd.concat(tables), plan.weights).set_index("store").loc[SAME]
    temperature, weight = float(best["temperature"]), float(best["weight"])
    for nucleus in plan.nuclei:
        writer = knn_texts.Writer(model, head, same, plan.neighbours, temperature * scale, weight, nucleus)
        of = writer.continue_texts(measured, plan.context, plan.longest, plan.seed)
        facts = with_own_law(of, part="test", whose=f"kNN-LM, nucleus {nucleus:g}", store=SAME)
        tables += _retrieved(same, of, plan.neighbours, [temperature], scale, facts)
    facts = model_facts(model)
    table = pd.concat(tables, ignore_index=True).assign(**facts)
    return table[[*facts, *TOKENS]].astype({"seed": "Int64"})


def _retrieved(
    store: Store, of: Predicted, k: int, temperatures: Sequence[float], scale: float, facts: dict[str, object]
) -> Iterator[pd.DataFrame]:
    """The tokens with what the retrieval distribution says of them, at each temperature."""
    near = neighbours.nearest(store, of.states, k)
    for temperature in temperatures:
        shares = neighbours.weights(near, temperature * scale)
        law = {
            "retrieved": neighbours.probability(near, shares, of.tokens),
            "entropy": neighbours.entropy(near, shares),
        }
        law = {name: values.double().numpy() for name, values in law.items()}
        yield pd.DataFrame(facts | {"temperature": temperature} | law)
