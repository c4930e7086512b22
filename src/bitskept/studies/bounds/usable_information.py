"""How much of H(X) two families of probes can use, over the text that they are fitted on, where each layer holds all
of it: random networks without noise.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import product

import numpy as np
import pandas as pd
import torch
from scipy.stats import t

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import LinearProbe, Moments, ridge
from bitskept.instruments.probes.law import Scores, States, Types
from bitskept.studies.bounds.random_network import RandomNetwork, closest
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.theory import information
from bitskept.theory.channels import zipf

TYPES, LENGTH, DIM = 100, 12, 64
"""Zipf types, tokens of a sentence (drawn independently), and numbers in a state."""
VALIDATION, TEST = 50, 100
"""Sentences on which a probe chooses its settings, and on which it is scored."""
PROBES = {"centroid": centroid, "ridge": ridge}
COLUMNS = ["probe", "layer", "train_sentences", "quantity", "estimate", "low", "high", "unit", "n", "entropy"]
UNITS = {"usable": "bits per token", "recovered": "share of tokens"}


class Trial:
    """One random network and its sentences: those of validation, of the test, and more to train on."""

    def __init__(self, layers: int, seed: int | Sequence[int]) -> None:
        self.law, self.rng = zipf(TYPES), np.random.default_rng(seed)
        self.entropy = information.entropy(self.law)
        self.network = RandomNetwork.draw(TYPES, DIM, layers, self.rng)
        self.validation, self.test = self.read(VALIDATION), self.read(TEST)

    def read(self, sentences: int) -> tuple[States, Types]:
        """The states and the types of the tokens of fresh sentences."""
        tokens = torch.from_numpy(self.rng.choice(TYPES, p=self.law, size=(sentences, LENGTH)))
        return self.network.states(tokens), tokens.flatten()

    def learning(self, sizes: Sequence[int]) -> Iterator[tuple[int, Moments]]:
        """What a probe is fitted on: the moments of so many training sentences, the fewer among the more."""
        moments, taken = Moments(len(self.test[0]), TYPES, DIM), 0
        for size in sorted(set(sizes)):
            moments.update(*self.read(size - taken))
            taken = size
            yield size, moments

    def score(self, fit: Callable[..., LinearProbe], moments: Moments) -> Scores:
        """The test scores of a probe that is fitted on these moments, which stay as they are."""
        return fit(deepcopy(moments), self.network.embeddings, *self.validation).score(*self.test)


@makes_table
def curves(section: TheoryBounds) -> pd.DataFrame:
    """The usable information of the token in its state, by probe, layer and number of training sentences, read from the
    store or computed and stored. Measured by `studies.bounds.usable_information.measure`.
    """
    key = {name: getattr(section, name) for name in ("networks", "network_layers", "network_training", "seed")}
    with _one_thread():
        return store.stored("usable_information", 1, key, lambda: measure(**key))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums by one thread are the same for any number of cores, and small matrices are multiplied faster by one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def measure(networks: int, network_layers: int, network_training: Sequence[int], seed: int) -> pd.DataFrame:
    """The mean over `networks`, each with sentences of its own, and Student's 95 % interval over them, which is missing
    for one network. (Near H(X) the networks differ so little that a bootstrap of so few of them fails.)

    `usable` is H(X) minus the cross-entropy of the probe on the test tokens, in bits (V-information, Xu et al. 2020,
    arXiv 2002.10689: the best predictor that ignores the state knows Zipf's law, so its cross-entropy is H(X));
    `recovered` is the share of test tokens that are named. A third quantity, `closest`, is the least of
    `random_network.closest` over the networks: above 0, no two types share a state. `entropy` is H(X), the truth.
    """
    places = list(product(PROBES, sorted(set(network_training)), range(network_layers + 1)))
    usable, recovered, apart = [], [], []
    for number in range(networks):
        trial = Trial(network_layers, [seed, number])
        apart.append(closest(*trial.test))
        scores = {
            (probe, size): trial.score(fit, moments)
            for size, moments in trial.learning(network_training)
            for probe, fit in PROBES.items()
        }
        usable.append([trial.entropy - float(scores[p, n].surprisal[layer].double().mean()) for p, n, layer in places])
        recovered.append([float(scores[p, n].correct[layer].double().mean()) for p, n, layer in places])
    more = networks, trial.entropy
    rows = [
        (None, layer, None, "closest", share, None, None, "share of the mean distance", *more)
        for layer, share in enumerate(np.min(apart, axis=0))
    ]
    for (quantity, unit), values in zip(UNITS.items(), (usable, recovered), strict=True):
        by_place = pd.DataFrame(values)
        means, reaches = by_place.mean(), by_place.sem() * t.ppf(0.975, networks - 1)
        for (probe, size, layer), mean, reach in zip(places, means, reaches, strict=True):
            rows.append((probe, layer, size, quantity, mean, mean - reach, mean + reach, unit, *more))
    return pd.DataFrame(rows, columns=COLUMNS)
