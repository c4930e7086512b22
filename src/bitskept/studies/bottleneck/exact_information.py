"""Estimates beside exact values: states that are a function of the token, for a law of sentences that is known.

Let s_x be the soft assignment of the state of token x. Then the soft information of states about their own token is
H(sum p(x) s_x) - sum p(x) H(s_x), and about the next token y it is H(sum p(x) s_x) - sum p(y) H(sum p(x|y) s_x). Both
are sums over a known law, without any sampling.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from bitskept.base.publishing import makes_table
from bitskept.base.store import stored
from bitskept.instruments.soft_entropy.assignments import Anchors, entropy
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.instruments.states import Encoding, cut_as_planned, encode
from bitskept.sources import corpora, model_files, models
from bitskept.studies.bottleneck.known_data import ANCHORS, of_k_grams
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.synonyms import SynonymLanguage

VERSION = 1
"""Raise it when the same plan would give other numbers."""
QUANTITIES = ("complexity", "expressivity", "optimality")
CLASSES, SYNONYMS, CONCENTRATION, LENGTH, DIM = 16, 64, 0.15, 32, 64
"""The language: its classes, the synonyms of each, how uneven its transitions are, tokens in a sentence, and the
dimensions of a token's state."""
CORPUS, LANGUAGE = "corpus, layer 0", "language"


@dataclass(frozen=True)
class Plan:
    """Sentences are drawn `repeats` times in each number: from `population` sentences of a corpus (with replacement,
    cut at `longest` tokens), and from a language with classes and synonyms.
    """

    corpus: str
    population: int
    sentences: tuple[int, ...]
    repeats: int
    longest: int
    seed: int


class Source(NamedTuple):
    """The law of two neighbouring tokens (probabilities or counts), the state of each token, and how sentences are
    drawn: so many of them, with this generator.
    """

    joint: sparse.csr_array
    states: Float[np.ndarray, "type dim"]
    draw: Callable[[int, np.random.Generator], list[Int[np.ndarray, " _length"]]]


def soft_information(pairs: sparse.csr_array, laws: Float[Tensor, "token anchor"]) -> float:
    """I(label; J) in bits, where token and label have the joint law `pairs` and J is drawn from the law of the token,
    its soft assignment: H(sum p(x) s_x) - sum p(label) H(sum p(x|label) s_x).
    """
    by_label = torch.from_numpy((pairs / pairs.sum()).T @ laws.double().numpy())
    weights = by_label.sum(1)
    conditional = by_label[weights > 0] / weights[weights > 0, None]
    return float(entropy(by_label.sum(0)) - weights[weights > 0] @ entropy(conditional))


def exact(joint: sparse.csr_array, laws: Float[Tensor, "token anchor"]) -> dict[str, float]:
    """Complexity, expressivity (bits) and optimality of states that are a function of the token, where `joint` is the
    law of two neighbours [token, next token] and `laws` are the soft assignments (`assigned`).
    """
    kept = soft_information(sparse.diags_array(joint.sum(1)).tocsr(), laws)
    ahead = soft_information(joint, laws)
    return {"complexity": kept, "expressivity": ahead, "optimality": ahead / kept}


def assigned(states: Float[np.ndarray, "type dim"], seed: int) -> Float[Tensor, "type anchor"]:
    """The soft assignment of the state of each token."""
    anchors = Anchors.draw(ANCHORS, states.shape[1], seed=seed)
    return anchors.assign(torch.from_numpy(states)[None])[:, 0]


def language(seed: int) -> SynonymLanguage:
    """The language that sentences are drawn from."""
    return SynonymLanguage.draw(CLASSES, SYNONYMS, CONCENTRATION, seed)


def token_states(random: np.random.Generator) -> Float[np.ndarray, "type dim"]:
    """A fixed state for each token of the language: that of its class plus one of its own, equally long."""
    centres = np.repeat(random.standard_normal((CLASSES, DIM)), SYNONYMS, axis=0)
    return (centres + random.standard_normal(centres.shape)).astype(np.float32)


def neighbours(spoken: SynonymLanguage) -> sparse.csr_array:
    """The law of a token and the next one."""
    steps = np.kron(spoken.transitions, np.full((spoken.synonyms, spoken.synonyms), 1 / spoken.synonyms))
    return sparse.csr_array(spoken.stationary[:, None] * steps)


def against_exact(model_id: str, plan: Plan, accept_terms: Collection[str] = ()) -> pd.DataFrame:
    """Estimates of samples beside exact values; stored. One row for each source, number of sentences, repetition,
    quantity and kind: `estimate`, `low`, `high`, `exact`. The corpus is read in this model's tokens, and a token's
    state is its embedding. Errors as `models.load` and `corpora.load`.
    """
    model_files.fetch(model_id, accept_terms=accept_terms)
    corpora.fetch(plan.corpus)
    key = asdict(plan) | {"sentences": list(plan.sentences), "model": model_files.fingerprint(model_id)}
    key |= {"text": corpora.fingerprint(plan.corpus)}
    return stored("against_exact", VERSION, key, lambda: pd.DataFrame(_computed(model_id, plan, accept_terms)))


def _computed(model_id: str, plan: Plan, accept_terms: Collection[str]) -> Iterator[dict[str, object]]:
    for name, source in (CORPUS, _of_corpus(model_id, plan, accept_terms)), (LANGUAGE, _of_language(plan)):
        truth = exact(source.joint, assigned(source.states, plan.seed))
        for size in plan.sentences:
            for repeat in range(plan.repeats):
                random = np.random.default_rng([plan.seed, size, repeat])
                for row in _estimates(source.states, source.draw(size, random), plan.seed):
                    exactly = {"exact": truth[row["quantity"]]}
                    yield {"source": name, "sentences": size, "repeat": repeat} | row | exactly


def _estimates(
    states: Float[np.ndarray, "type dim"], sentences: list[Int[np.ndarray, " _length"]], seed: int
) -> Iterator[dict[str, object]]:
    sample = Encoding(sentences, [np.ones(len(sentence), bool) for sentence in sentences], 0)
    table = of_k_grams(states[np.concatenate(sample.ids)], sample, (1,), seed=seed).set_index("quantity")
    for name in QUANTITIES:
        for end, kind in KINDS.items():
            yield {"quantity": name, "kind": kind} | table.loc[name + end, ["estimate", "low", "high"]].to_dict()


def _of_corpus(model_id: str, plan: Plan, accept_terms: Collection[str]) -> Source:
    """All sentences of the population are its law; tokens are numbered anew, as few of a vocabulary occur."""
    texts = corpora.load(plan.corpus, sentences=plan.population, seed=plan.seed)
    model = models.load(model_id, dtype="float32", accept_terms=accept_terms)
    with cut_as_planned():
        encoding = encode(model, texts["text"], longest=plan.longest)
    types, tokens = np.unique(np.concatenate([encoding.tokens(i) for i in range(len(encoding))]), return_inverse=True)
    ends = np.cumsum([measured.sum() for measured in encoding.measured])
    sentences = [sentence for sentence in np.split(tokens, ends[:-1]) if len(sentence) > 1]
    states = model.embeddings.detach().float().cpu().numpy()[types]
    pairs = np.concatenate([np.stack([sentence[:-1], sentence[1:]]) for sentence in sentences], axis=1)
    joint = sparse.coo_array((np.ones(pairs.shape[1]), tuple(pairs)), (len(types), len(types))).tocsr()
    return Source(
        joint, states, lambda size, random: [sentences[i] for i in random.integers(len(sentences), size=size)]
    )


def _of_language(plan: Plan) -> Source:
    random, spoken = np.random.default_rng(plan.seed), language(plan.seed)
    return Source(
        neighbours(spoken), token_states(random), lambda size, random: list(spoken.sample(size, LENGTH, random))
    )


@makes_table
def exactness(estimates: pd.DataFrame) -> pd.DataFrame:
    """For each source, number of sentences, quantity and kind: the mean estimate over the repetitions with its 95 %
    interval, the `exact` value, the `bias` as a share of it, and `covered`, the share of intervals that hold it.
    `estimates` are those of `against_exact`.
    """
    table = estimates.assign(covered=estimates["exact"].between(estimates["low"], estimates["high"]))
    groups = table.groupby(["source", "sentences", "quantity", "kind"], sort=False)
    means = groups.agg(exact=("exact", "first"), covered=("covered", "mean"), repeats=("covered", "size")).reset_index()
    ends = [mean_over_runs(rows["estimate"].to_numpy(float), 0.0) for _, rows in groups]
    means[["estimate", "low", "high"]] = [(mean.estimate, mean.low, mean.high) for mean in ends]
    unit = np.where(means["quantity"] == "optimality", "ratio", "bits per token")
    return means.assign(bias=means["estimate"] / means["exact"] - 1, unit=unit)


def shown(exactness: pd.DataFrame) -> pd.DataFrame:
    """Bias and coverage in words, by source, quantity and kind (rows) and number of sentences."""
    words = [f"{row.bias:+z.0%}, {row.covered * row.repeats:.0f} of {row.repeats}" for row in exactness.itertuples()]
    index = ["source", "quantity", "kind"]
    table = exactness.assign(words=words).pivot(index=index, columns="sentences", values="words")
    return table.loc[pd.MultiIndex.from_frame(exactness[index].drop_duplicates())]
