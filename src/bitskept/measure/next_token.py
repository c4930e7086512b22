"""What a decoder's context tells of the next token: by how much it makes the token cheaper, and how often it names it.

Two distortions of one task. With log-loss, -log2 q(x), a law q of the next token is what stands for it, R(D) = H - D,
and what is gathered is the bits by which the model undercuts the tokens' own frequencies. With the Hamming distortion
the likeliest token stands for it, and R(D) is `theory.naming.naming_rate` of those frequencies.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from bitskept.measure import likelihood
from bitskept.measure.embeddings import with_special_tokens
from bitskept.measure.information_density import decoder
from bitskept.measure.of_model import from_store, model_facts
from bitskept.measure.states import Encoding, encode, stream
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel
from bitskept.theory.statistics import cluster_bootstrap, interval

VERSION = 1
"""Raise it when the same plan would give other numbers."""
COLUMNS = ["model", "kind", "weights", "seed", "corpus", "quantity", "estimate", "low", "high", "unit", "n"]
QUANTITIES = {
    "frequency_entropy": "bits per token",  # -log2 of how frequent a token is: what it costs without its context
    "cross_entropy": "bits per token",  # -log2 of the model's probability, given the tokens before it
    "gathered": "bits per token",  # the former less the latter
    "error": "share",  # the likeliest token is another
}


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens; how frequent a token is
    is counted in the `counted` sentences that follow, and each type is counted half a time more.
    """

    corpus: str
    sentences: int
    counted: int
    longest: int = 128
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.sentences < 1 or self.counted < 1:
            raise ValueError(f"sentences and counted must be at least 1, but are {self.sentences} and {self.counted}")


def measure(model_id: str, plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> pd.DataFrame:
    """One row a quantity (`QUANTITIES`) with a 95 % interval over sentences, from the store where it is there.

    A token is scored if another stands before it. ValueError for an encoder, SourceError for a model without a head;
    other errors as `models.load` and `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        decoder(model)
        texts = drawn(plan)
        law = counted(model, texts[plan.sentences :], plan)
        encoding = encode(model, texts[: plan.sentences], longest=plan.longest)
        sums, sizes = gathered(model, likelihood.head(model), encoding, law, model.id if progress else None)
        low, high = interval(cluster_bootstrap(sums, sizes, seed=plan.seed))
        numbers = {"estimate": sums.sum(1) / sizes.sum(), "low": low, "high": high, "unit": list(QUANTITIES.values())}
        table = pd.DataFrame({"quantity": list(QUANTITIES)} | numbers).assign(
            **model_facts(model), corpus=plan.corpus, n=plan.sentences
        )
        return table[COLUMNS].astype({"seed": "Int64", "n": "Int64"})

    return from_store("next_token", VERSION, model_id, plan, compute, accept_terms=accept_terms)


def law(model_id: str, plan: Plan) -> Float[np.ndarray, " vocab"]:
    """How frequent each type of the model's vocabulary is in the sentences that the plan counts, from the store where
    that is there. Errors as `models.load` and `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        return pd.DataFrame({"share": counted(model, drawn(plan)[plan.sentences :], plan)})

    return from_store("token_frequencies", VERSION, model_id, plan, compute, logged=False)["share"].to_numpy()


def drawn(plan: Plan) -> list[str]:
    """The sentences of a plan, those that are counted last."""
    return list(corpora.load(plan.corpus, sentences=plan.sentences + plan.counted, seed=plan.seed)["text"])


def counted(model: LanguageModel, texts: list[str], plan: Plan) -> Float[np.ndarray, " vocab"]:
    """How frequent each type is in texts."""
    return frequencies(encode(model, texts, longest=plan.longest), len(model.tokenizer))


def frequencies(encoding: Encoding, types: int) -> Float[np.ndarray, " {types}"]:
    """The share of each type among the measured tokens, with half a token more of each type."""
    tokens = np.concatenate([encoding.tokens(place) for place in range(len(encoding))])
    counts = np.bincount(tokens, minlength=types) + 0.5
    return counts / counts.sum()


@torch.inference_mode()
def gathered(
    model: LanguageModel,
    head: likelihood.Head,
    encoding: Encoding,
    law: Float[np.ndarray, " vocab"],
    progress: str | None = None,
) -> tuple[Float[np.ndarray, "quantity sentence"], Float[np.ndarray, " sentence"]]:
    """The sums of `QUANTITIES` over the scored tokens of each sentence, and how many these are."""
    scored = [mask & (np.arange(len(mask)) > 0) for mask in encoding.measured]
    whole = with_special_tokens(Encoding(encoding.ids, scored, 0))
    sums, costs = np.zeros((len(QUANTITIES), len(encoding))), -np.log2(law)
    for batch in stream(model, whole, range(len(whole)), layers=(model.layers,), progress=progress):
        sentences = batch.sentences.cpu().numpy()
        places = np.flatnonzero(np.concatenate([scored[one] for one in pd.unique(sentences)]))
        for some in np.array_split(places, -(-len(places) // likelihood.CHUNK) or 1):
            targets = batch.tokens[some].cpu().numpy()
            laws = head(batch.states[0][some - 1]).float().log_softmax(-1).cpu().numpy() / -np.log(2)
            bits = laws[np.arange(len(some)), targets]
            found = np.stack([costs[targets], bits, costs[targets] - bits, laws.argmin(1) != targets])
            np.add.at(sums.T, sentences[some], found.T)
    return sums, np.array([mask.sum() for mask in scored], float)
