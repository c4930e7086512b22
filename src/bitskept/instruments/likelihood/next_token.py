"""The information of a decoder's context about the next token: the bits that it saves, and how often it predicts the
token.

These are two distortions of one task. Under log-loss -log2 q(x), the reproduction of a token is a law q of the next
token, R(D) = H - D, and the bits gathered are the difference between the cost of the tokens by their frequencies and
under the model. Under the Hamming distortion the reproduction is the likeliest token, and R(D) is
`theory.naming.naming_rate` of those frequencies.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from bitskept.instruments.embeddings import with_special_tokens
from bitskept.instruments.likelihood import heads, surprisal
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, measurement, model_facts
from bitskept.instruments.states import Encoding, encode, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.intervals import ratio_interval, share_interval

COLUMNS = ["model", "kind", "weights", "seed", "corpus", "quantity", "estimate", "low", "high", "unit", "n"]
QUANTITIES = {
    "frequency_entropy": "bits per token",  # -log2 of a token's frequency: what it costs without its context
    "cross_entropy": "bits per token",  # -log2 of the model's probability, given the tokens before it
    "gathered": "bits per token",  # the first minus the second
    "error": "share",  # of the tokens that are not the likeliest one
}


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens. The frequencies of
    tokens are counted in the `counted` sentences that follow.
    """

    corpus: str
    sentences: int
    counted: int
    longest: int = 128
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, sentences=1, counted=1)


@measurement("next_token", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per quantity (`QUANTITIES`) with a 95 % interval over sentences.

    A token is scored if another precedes it; the first one is if the tokenizer puts a start token in front of it.
    ValueError for an encoder, SourceError for a model without a head; other errors as `models.load` and `corpora.load`.
    """
    require_decoder(model)
    scored, counted = encodings(model, plan)
    shares = frequencies(counted, len(model.tokenizer))
    sums, sizes = context_bits(model, heads.head(model), scored, shares, model.id if progress else None)
    bits, errors = ratio_interval(sums[:-1], sizes, seed=plan.seed), share_interval(sums[-1:], sizes)
    low, high = np.concatenate([bits, errors], axis=1)
    numbers = {"estimate": sums.sum(1) / sizes.sum(), "low": low, "high": high, "unit": list(QUANTITIES.values())}
    table = pd.DataFrame({"quantity": list(QUANTITIES)} | numbers).assign(
        **model_facts(model), corpus=plan.corpus, n=plan.sentences
    )
    return table[COLUMNS].astype({"seed": "Int64", "n": "Int64"})


@measurement("token_frequencies", 1, logged=False)
def law(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The `share` of each type of the model's vocabulary, in its order, among the tokens that the plan counts."""
    return pd.DataFrame({"share": frequencies(encodings(model, plan)[1], len(model.tokenizer))})


def encodings(model: LanguageModel, plan: Plan) -> tuple[Encoding, Encoding]:
    """The sentences that are scored, and those in which tokens are counted."""
    texts = corpora.load(plan.corpus, sentences=plan.sentences + plan.counted, seed=plan.seed)["text"][:]
    parts = texts[: plan.sentences], texts[plan.sentences :]
    scored, counted = (encode(model, part, longest=plan.longest) for part in parts)
    return scored, counted


def frequencies(encoding: Encoding, types: int) -> Float[np.ndarray, " {types}"]:
    """The share of each type among the measured tokens, with 1/2 added to each count."""
    tokens = np.concatenate([encoding.tokens(place) for place in range(len(encoding))])
    counts = np.bincount(tokens, minlength=types) + 0.5
    return counts / counts.sum()


@torch.inference_mode()
def context_bits(
    model: LanguageModel,
    head: heads.Head,
    encoding: Encoding,
    shares: Float[np.ndarray, " vocab"],
    progress: str | None = None,
) -> tuple[Float[np.ndarray, "quantity sentence"], Float[np.ndarray, " sentence"]]:
    """The sums of `QUANTITIES` over the scored tokens of each sentence, and the number of these tokens."""
    scored = [mask & (np.arange(len(mask)) > 0) for mask in encoding.measured]
    whole = with_special_tokens(Encoding(encoding.ids, scored, 0))
    sums, costs = np.zeros((len(QUANTITIES), len(encoding))), -np.log2(shares)
    for batch in stream(model, whole, range(len(whole)), layers=(model.layers,), progress=progress):
        sentences = batch.sentences.cpu().numpy()
        places = np.flatnonzero(np.concatenate([scored[sentence] for sentence in pd.unique(sentences)]))
        for part in np.array_split(places, -(-len(places) // surprisal.CHUNK) or 1):
            targets = batch.tokens[part].cpu().numpy()
            bits = head(batch.states[0][part - 1]).float().log_softmax(-1).cpu().numpy() / -np.log(2)
            cost = bits[np.arange(len(part)), targets]
            values = np.stack([costs[targets], cost, costs[targets] - cost, bits.argmin(1) != targets])
            np.add.at(sums.T, sentences[part], values.T)
    return sums, np.array([mask.sum() for mask in scored], float)
