"""How many directions the states of a layer use, and how fast their variances fall off: RankMe and alpha-ReQ.

Both come from the eigenvalues of the covariance of a layer's states, over the measured tokens of all sentences. Li et
al. (2025, arXiv 2509.23024) follow the two through pre-training and report three phases: collapse, expansion,
compression.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import t as student

from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.states import StateBatch, encode, resolve_layers, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

Spectrum = Float[np.ndarray, " dim"]
"""Eigenvalues of a covariance, from the largest."""

FEWEST = 5
"""The least number of eigenvalues to fit a power law to."""
COLUMNS = [*MODEL, "corpus", "layer", "quantity", "estimate", "low", "high", "unit", "n"]


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens; all layers, or a
    number of evenly spaced ones.

    The power law is fitted over `ranks`, first and last, counted from 1 and at most to half the width: the leading
    eigenvalues do not follow it, nor does the tail, which the width and the number of tokens cut off. The default, 11
    to 100, lies within the ranges of others: the code of Stringer et al. (2019) 10 to 500, the package reptrix of the
    authors of alpha-ReQ 6 to 100. The rounding of bfloat16 fills the tail, so the default is float32.

    `without_first` leaves out the first measured token of each sentence, where many decoders have massive activations.
    The intervals come from leaving out one of `groups` groups of sentences at a time (a matrix per group and layer).
    """

    corpus: str
    sentences: int
    ranks: tuple[int, int] = (11, 100)
    layers: int | None = None
    without_first: bool = False
    groups: int = 8
    longest: int = 64
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not 1 <= self.ranks[0] < self.ranks[1]:
            raise ValueError(f"ranks must be a first and a later one, counted from 1, but are {self.ranks}")
        if not 2 <= self.groups <= self.sentences:
            raise ValueError(f"groups must be 2 to {self.sentences}, the number of sentences, but is {self.groups}")
        at_least(self, layers=1)


@measurement("effective_rank", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """RankMe, alpha-ReQ and variance of each layer, with 95 % intervals over sentences. Columns: `COLUMNS`.

    Garrido et al. (2023) take the singular values of embeddings as they are. Here states are centred; otherwise their
    mean, which in many decoders is larger than all the rest, would dominate. "rankme" is that of the variances
    themselves, as in Li et al., "rankme_singular" that of their roots. Few tokens bias ranks downwards: compare on the
    same text.
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    return ranks(model, texts, plan, progress=progress)


def ranks(model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: bool = False) -> pd.DataFrame:
    """The table of a model on these texts, as `measure` gives it. ValueError for fewer than two tokens."""
    encoding = encode(model, texts, longest=plan.longest)
    layers = resolve_layers(model, plan.layers)
    moments = Moments(plan.groups, len(layers), model.width, model.device)
    bar = label(model) if progress else None
    for batch in stream(model, encoding, range(len(encoding)), layers=layers, progress=bar):
        moments.update(batch, without_first=plan.without_first)
        del batch  # makes room for the next one
    rows = [{"layer": layer} | row for place, layer in enumerate(layers) for row in _rows(moments, place, plan)]
    return to_table(model, rows, COLUMNS, corpus=plan.corpus, n=int(moments.counts.sum()))


class Moments:
    """Counts, sums and second moments of states by group of sentences and layer, in float64, from one pass."""

    def __init__(self, groups: int, layers: int, width: int, device: torch.device) -> None:
        self.counts = np.zeros(groups, dtype=int)
        self._sums = torch.zeros(groups, layers, width, dtype=torch.float64, device=device)
        self._products = torch.zeros(groups, layers, width, width, dtype=torch.float64, device=device)

    def update(self, batch: StateBatch, *, without_first: bool = False) -> None:
        """Add the states of a batch; the group of a sentence is its number modulo the number of groups."""
        groups = batch.sentences % len(self.counts)
        for group in groups.unique().tolist():
            chosen = (groups == group) & ((batch.positions > 0) | (not without_first))
            self.counts[group] += int(chosen.sum())
            for layer, states in enumerate(batch.states):
                part = states[chosen].double()
                self._sums[group, layer] += part.sum(0)
                self._products[group, layer].addmm_(part.T, part)

    def spectrum(self, layer: int, *, without: int | None = None) -> Spectrum:
        """The eigenvalues of a layer's covariance, from all groups together or all but one.

        ValueError for fewer than two tokens.
        """
        kept = [group for group in range(len(self.counts)) if group != without]
        if (count := self.counts[kept].sum()) < 2:
            raise ValueError(f"a covariance takes two tokens at least, but there are {count}: take more sentences")
        mean = self._sums[kept, layer].sum(0) / count
        covariance = (self._products[kept, layer].sum(0) / count).addr_(mean, mean, alpha=-1)
        return torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0).cpu().numpy()


def rankme(values: Float[np.ndarray, " dim"]) -> float:
    """exp of the entropy of the values, normalised to sum to 1: the number of equal values with the same entropy.

    Roy and Vetterli 2007; of singular values, the RankMe of Garrido et al. 2023. NaN where all values are 0.
    """
    if not values.sum() > 0:
        return float("nan")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def power_law(eigenvalues: Spectrum, first: int, last: int) -> float:
    """alpha of lambda_i ∝ i^-alpha over the ranks i = first..last, counted from 1: least squares of log on log, each
    rank with a weight of 1/i, so that equal stretches of log i count equally (Stringer et al. 2019; Agrawal et al.
    2022).

    Ranks beyond half the width are not used, nor eigenvalues that are rounding error; NaN where fewer than `FEWEST`
    remain.
    """
    index = np.arange(first, min(last, len(eigenvalues) // 2) + 1)
    values = eigenvalues[index - 1]
    sure = values > eigenvalues[:1] * len(eigenvalues) * np.finfo(np.float32).eps ** 2
    if sure.sum() < FEWEST:
        return float("nan")
    slope, _ = np.polyfit(np.log(index[sure]), np.log(values[sure]), 1, w=index[sure] ** -0.5)
    return float(-slope)


def _rows(moments: Moments, layer: int, plan: Plan) -> Iterator[dict[str, object]]:
    whole = moments.spectrum(layer)
    reduced = [moments.spectrum(layer, without=group) for group in range(plan.groups)]
    for name, quantity, unit in (
        ("rankme", rankme, "directions"),
        ("rankme_singular", lambda spectrum: rankme(np.sqrt(spectrum)), "directions"),
        ("alpha_req", lambda spectrum: power_law(spectrum, *plan.ranks), "exponent"),
        ("variance", lambda spectrum: float(spectrum.sum()), "squared activation"),
    ):
        estimate = quantity(whole)
        # The jackknife over groups (Tukey 1958), with Student's quantile as there are few.
        error = np.sqrt((plan.groups - 1) * np.var([quantity(spectrum) for spectrum in reduced]))
        reach = student.ppf(0.975, plan.groups - 1) * error
        ends = {"low": estimate - reach, "high": estimate + reach}
        yield {"quantity": name, "estimate": estimate, "unit": unit} | ends
