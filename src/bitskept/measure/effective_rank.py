"""In how many directions the states of a layer spread, and how fast their variances fall off: RankMe and alpha-ReQ.

Both come from the eigenvalues of the covariance of a layer's states, measured tokens of all sentences together. Li et
al. (2025, arXiv 2509.23024) follow the two through pre-training and report three phases: collapse, expansion,
compression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import t as student

from bitskept.measure.of_model import from_store, label, model_facts
from bitskept.measure.states import StateBatch, encode, stream
from bitskept.measure.sweep import side_layers
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel

Spectrum = Float[np.ndarray, " dim"]
"""Eigenvalues of a covariance, from the largest."""

VERSION = 1
"""Raise it when the same plan would give other numbers."""
FEWEST = 5
"""A power law is fitted to no fewer eigenvalues."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "layer", "quantity", "estimate", "low", "high", "unit", "n"),
]
QUANTITIES = {
    "rankme": "exp of the entropy of the eigenvalues, normalised to sum 1: of the centred covariance",
    "rankme_singular": "the same of their square roots, the singular values of the centred states",
    "alpha_req": "exponent of the power law that the eigenvalues follow over `ranks`",
    "variance": "sum of the eigenvalues",
}


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens.

    Garrido et al. (2023) take singular values of embeddings as they are; here states are centred, or their mean, which
    in many decoders is larger than all the rest, would be most of the answer, and, as in Li et al., the eigenvalues
    are the variances themselves. Ranks are biased low by few tokens: compare models on the same text.

    The power law is fitted over `ranks`, first and last, counted from 1 and at most to half the width: the leading
    eigenvalues and the tail, which is cut off by the width and by the number of tokens, do not follow it. The default,
    11 to 100, lies within what others fit: the code of Stringer et al. (2019) 10 to 500, the package reptrix of the
    authors of alpha-ReQ 6 to 100. The rounding of bfloat16 fills the tail, so states are float32 unless asked for.

    `without_first` leaves out the first measured token of each sentence, where many decoders have massive activations.
    `groups` of sentences, in turn left out, give the intervals; each takes a matrix a layer in memory. `layers`
    evenly spaced ones are measured, or all.
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
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of a model, from the store where it is there. `weights` is the seed of a randomly initialised copy.

    Columns: `COLUMNS`; quantities: `QUANTITIES`, with 95 % intervals over sentences. Errors as `models.load` and
    `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
        return ranks(model, texts, plan, progress=progress)

    return from_store("effective_rank", VERSION, model_id, plan, compute, weights=weights, accept_terms=accept_terms)


def ranks(model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: bool = False) -> pd.DataFrame:
    """The table of a model on these texts, as `measure` gives it. ValueError for fewer than two tokens."""
    encoding = encode(model, texts, longest=plan.longest)
    layers = side_layers(model.layers, plan.layers or model.layers + 1)
    moments = Moments(plan.groups, len(layers), model.width, model.device)
    for batch in stream(
        model, encoding, range(len(encoding)), layers=layers, progress=label(model) if progress else None
    ):
        moments.update(batch, without_first=plan.without_first)
        del batch  # the next one needs its room
    known = model_facts(model) | {"corpus": plan.corpus, "n": int(moments.counts.sum())}
    rows = [known | {"layer": layer} | row for place, layer in enumerate(layers) for row in _rows(moments, place, plan)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({name: "Int64" for name in ("seed", "layer", "n")})


class Moments:
    """Counts, sums and second moments of states by group of sentences and layer, in float64, from one pass."""

    def __init__(self, groups: int, layers: int, width: int, device: torch.device) -> None:
        self.counts = np.zeros(groups, dtype=int)
        self._sums = torch.zeros(groups, layers, width, dtype=torch.float64, device=device)
        self._products = torch.zeros(groups, layers, width, width, dtype=torch.float64, device=device)

    def update(self, batch: StateBatch, *, without_first: bool = False) -> None:
        """Add the states of a batch; a sentence belongs to the group of its number modulo the number of groups."""
        group = batch.sentences % len(self.counts)
        for which in group.unique().tolist():
            chosen = (group == which) & ((batch.positions > 0) | (not without_first))
            self.counts[which] += int(chosen.sum())
            for layer, states in enumerate(batch.states):
                part = states[chosen].double()
                self._sums[which, layer] += part.sum(0)
                self._products[which, layer].addmm_(part.T, part)

    def spectrum(self, layer: int, *, without: int | None = None) -> Spectrum:
        """The eigenvalues of a layer's covariance, all groups together or all but one.

        ValueError for fewer than two tokens.
        """
        kept = [group for group in range(len(self.counts)) if group != without]
        if (count := self.counts[kept].sum()) < 2:
            raise ValueError(f"a covariance takes two tokens at least, but there are {count}: take more sentences")
        mean = self._sums[kept, layer].sum(0) / count
        covariance = (self._products[kept, layer].sum(0) / count).addr_(mean, mean, alpha=-1)
        return torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0).cpu().numpy()


def rankme(values: Float[np.ndarray, " dim"]) -> float:
    """exp of the entropy of the values normalised to sum 1: the number of equal ones that would be as spread out.

    Roy and Vetterli 2007; of singular values the RankMe of Garrido et al. 2023. NaN where all are 0.
    """
    if not values.sum() > 0:
        return float("nan")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def power_law(eigenvalues: Spectrum, first: int, last: int) -> float:
    """alpha of lambda_i ∝ i^-alpha over the ranks i = first..last, counted from 1: least squares of log on log, each
    rank weighing 1/i, so that equal stretches of log i count equally (Stringer et al. 2019; Agrawal et al. 2022).

    Ranks beyond half the width are not used, nor eigenvalues that are rounding; NaN where fewer than FEWEST are left.
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
    without = [moments.spectrum(layer, without=group) for group in range(plan.groups)]
    quantities: dict[str, tuple[Callable[[Spectrum], float], str]] = {
        "rankme": (rankme, "directions"),
        "rankme_singular": (lambda spectrum: rankme(np.sqrt(spectrum)), "directions"),
        "alpha_req": (lambda spectrum: power_law(spectrum, *plan.ranks), "exponent"),
        "variance": (lambda spectrum: float(spectrum.sum()), "squared activation"),
    }
    for name, (quantity, unit) in quantities.items():
        estimate, others = quantity(whole), np.array([quantity(one) for one in without])
        # The jackknife over groups (Tukey 1958), with Student's quantile for so few.
        error = np.sqrt((plan.groups - 1) * others.var())
        reach = student.ppf(0.975, plan.groups - 1) * error
        bounds = {"low": estimate - reach, "high": estimate + reach}
        yield {"quantity": name, "estimate": estimate, "unit": unit} | bounds
