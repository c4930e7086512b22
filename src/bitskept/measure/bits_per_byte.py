"""What a byte of held-out text costs under a model, in bits: the one scale on which models of any tokenizer meet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from bitskept.measure import diffusion_bound, likelihood
from bitskept.measure.of_model import from_store, model_facts
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel
from bitskept.theory.statistics import cluster_bootstrap, interval

VERSION = 1
"""Raise it when the same plan would give other numbers."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "quantity", "estimate", "low", "high", "unit", "n"),
]
QUANTITIES = {
    "bits_per_byte": "-log2 p of a decoder, exact; where the text ends is no part of it",
    "bits_per_byte_bound": "upper bound on -log2 p of a masked diffusion model, given the number of tokens",
    "pseudo_bits_per_byte": "each token of an encoder given all others; neither a code length nor a bound on one",
}


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens.

    An encoder is measured by its pseudo-likelihood or, if it was trained as a `diffusion` model, by the bound on its
    likelihood, from `draws` draws of what is hidden.
    """

    corpus: str
    sentences: int
    way: str = "likelihood"
    draws: int = 16
    longest: int = 128
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.way not in ("likelihood", "diffusion"):
            raise ValueError(f"there is no way {self.way!r} to measure: choose likelihood or diffusion")
        if self.sentences < 1:
            raise ValueError(f"sentences must be at least 1, but is {self.sentences}")


def measure(model_id: str, plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> pd.DataFrame:
    """One row: what a byte costs, from the store where it is there. Columns: `COLUMNS`; quantities: `QUANTITIES`.

    SourceError for a model without a head, ValueError for a decoder measured as a diffusion model; other errors as
    `models.load` and `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
        return cost(model, likelihood.head(model), texts, plan, progress=progress)

    return from_store("bits_per_byte", VERSION, model_id, plan, compute, accept_terms=accept_terms)


def cost(
    model: LanguageModel, head: likelihood.Head, texts: Sequence[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """The row of a model on these texts, as `measure` gives it, with a 95 % interval over texts."""
    options = {"longest": plan.longest, "progress": model.id if progress else None}
    if plan.way == "diffusion":
        quantity = "bits_per_byte_bound"
        found = diffusion_bound.bounds(model, head, texts, draws=plan.draws, seed=plan.seed, **options)
    else:
        quantity = "bits_per_byte" if model.kind == "decoder" else "pseudo_bits_per_byte"
        # A tokenizer that puts a start token in front of a text leaves no room to be kept for one.
        own = model.tokenizer("")["input_ids"][:1] == [model.tokenizer.bos_token_id]
        start = None if own else likelihood.start_token(model)
        found = likelihood.surprisals(model, head, texts, start=start, **options)
    bits, sizes = found["bits"].to_numpy(), found["bytes"].to_numpy()
    low, high = interval(cluster_bootstrap(bits, sizes, seed=plan.seed))
    row = model_facts(model) | {
        "corpus": plan.corpus,
        "quantity": quantity,
        "estimate": bits.sum() / sizes.sum(),
        "low": low,
        "high": high,
        "unit": "bits per byte",
        "n": len(texts),
    }
    return pd.DataFrame([row], columns=COLUMNS).astype({"seed": "Int64", "n": "Int64"})
