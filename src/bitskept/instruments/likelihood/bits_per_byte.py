"""Bits per byte of held-out text under a model: a scale that allows comparing models with any tokenizer."""

from dataclasses import dataclass

import pandas as pd

from bitskept.instruments.likelihood import diffusion_bound, heads, surprisal
from bitskept.instruments.measurement import at_least, measurement, model_facts
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.intervals import ratio_interval

COLUMNS = ["model", "kind", "weights", "seed", "corpus", "quantity", "estimate", "low", "high", "unit", "n"]
QUANTITIES = {
    "bits_per_byte": "-log2 p under a decoder, exact; the end of the text is not scored",
    "bits_per_byte_bound": "upper bound on -log2 p under a masked diffusion model, given the number of tokens",
    "pseudo_bits_per_byte": "each token of an encoder given all others; neither a code length nor a bound on one",
}


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens.

    An encoder is measured by its pseudo-likelihood (`way` "likelihood") or, if it was trained as a diffusion model, by
    the bound on its likelihood (`way` "diffusion"), from `draws` draws of the hidden tokens.
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
        at_least(self, sentences=1)


@measurement("bits_per_byte", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row: bits per byte, with a 95 % interval over texts. Columns: `COLUMNS`; quantities: `QUANTITIES`.

    SourceError for a model without a head, ValueError for a decoder measured as a diffusion model; other errors as
    `models.load` and `corpora.load`.
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    head = heads.head(model)
    options = {"longest": plan.longest, "progress": model.id if progress else None}
    if plan.way == "diffusion":
        quantity = "bits_per_byte_bound"
        costs = diffusion_bound.bounds(model, head, texts, draws=plan.draws, seed=plan.seed, **options)
    else:
        quantity = "bits_per_byte" if model.kind == "decoder" else "pseudo_bits_per_byte"
        costs = surprisal.surprisals(model, head, texts, **options)
    bits, sizes = costs["bits"].to_numpy(), costs["bytes"].to_numpy()
    low, high = ratio_interval(bits, sizes, seed=plan.seed)
    numbers = {"estimate": bits.sum() / sizes.sum(), "low": low, "high": high, "unit": "bits per byte", "n": len(texts)}
    row = model_facts(model) | {"corpus": plan.corpus, "quantity": quantity} | numbers
    return pd.DataFrame([row], columns=COLUMNS).astype({"seed": "Int64", "n": "Int64"})
