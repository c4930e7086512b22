"""Tokens made by hand, for switches and for the kNN-LM."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED
from bitskept.studies.output.switch_curve import Pair
from bitskept.studies.output.switches import Switching


@pytest.fixture(scope="session")
def setting():
    return Switching(
        widths=[2, 4], validation_sentences=30, test_sentences=60, windows=[1, 3], least=2, shares=[0.25, 0.5, 0.75]
    )


def switched_tokens(texts, informative, seed=0):
    """Tokens whose gain, about 0 or 1 bit, is what the entropy says, or has nothing to do with it."""
    random = np.random.default_rng(seed)
    lengths = random.integers(5, 30, texts)
    number = lengths.sum()
    gain = random.integers(0, 2, number) + 1e-3 * random.uniform(size=number)
    entropy = random.uniform(size=number) + (2 * gain if informative else 0)
    bits = 3 + random.exponential(size=number)
    columns = {"small_bits": bits, "large_bits": bits - gain, "small_entropy": entropy, "large_entropy": entropy / 2}
    return pd.DataFrame({"text": np.repeat(np.arange(texts), lengths)} | columns)


@pytest.fixture(scope="session")
def informative():
    return Pair(switched_tokens(60, True), switched_tokens(30, True, seed=1), 0.25)


@pytest.fixture(scope="session")
def blind():
    return Pair(switched_tokens(60, False), switched_tokens(30, False, seed=1), 0.25)


KNN = "kNN-LM, nucleus 1"


@pytest.fixture(scope="session")
def knn_weights():
    return [0.0, 0.1, 0.3, 0.5]


@pytest.fixture
def knn_tokens():
    """Tokens of which retrieval is right in half of the cases with the same domain, and never with others. The entropy
    of retrieval rises along the kNN-LM's text, by 10 bits in 100 tokens, and not along people's."""
    random, parts = np.random.default_rng(0), []
    for part, whose, stores in (
        ("validation", PEOPLE, (SAME, SHUFFLED, OTHER)),
        ("test", PEOPLE, (SAME, SHUFFLED, OTHER)),
        ("test", KNN, (SAME,)),
    ):
        position = np.tile(np.arange(40), 24)
        if whose == KNN:
            position = np.tile(np.arange(10, 40), 24)
        text = np.repeat(np.arange(24), len(position) // 24)
        frequency = random.choice([0.0, 0.0005, 0.005, 0.05], len(position))
        right = random.uniform(size=len(position)) < np.where(frequency == 0.0005, 0.8, 0.3)
        own = 4 + random.uniform(size=len(position))
        for store in stores:
            for temperature in (0.5, 1.0):
                retrieved = np.where(right & (frequency > 0) & (store == SAME), temperature, 0.0)
                rise = 0.1 * position if whose == KNN else 0
                columns = {"position": position, "text": text, "frequency": frequency, "own_bits": own, "token": 0}
                columns |= {"own_entropy": own - 1, "retrieved": retrieved, "entropy": 1.0 + rise}
                facts = {"model": "m", "part": part, "whose": whose, "store": store, "temperature": temperature}
                parts.append(pd.DataFrame(facts | columns))
    return pd.concat(parts, ignore_index=True)
