"""A token that is not in its own state but in its neighbour's: the window finds it, its own state does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.probes.readings import token_reading
from bitskept.instruments.probes.tasks import Task
from bitskept.instruments.states import Encoding, StateBatch

VOCABULARY, LENGTH = 16, 6
SENTENCES = {"train": range(60, 460), "validation": range(40, 60), "test": range(40)}


def table_of(model, *, window, shift):
    """The rows of a task on states that hold the number of the token `shift` places before or after, and noise where
    the sentence has none."""
    random = np.random.default_rng(0)
    ids = [random.integers(VOCABULARY, size=LENGTH) for _ in range(460)]
    encoding = Encoding(ids, [np.ones(LENGTH, dtype=bool)] * 460, 0)
    reading = replace(token_reading(encoding, VOCABULARY, [2], types=99), window=window)
    task = Task(reading, ("ridge", "centroid"), model, 400, corpus="toy", epochs=0, seed=0)

    def batches(part):
        for start in range(0, len(SENTENCES[part]), 20):
            some = SENTENCES[part][start : start + 20]
            tokens = torch.from_numpy(np.stack([ids[sentence] for sentence in some]))
            states = torch.eye(VOCABULARY)[tokens.roll(shift, 1)]
            ends = [place for place in range(LENGTH) if not 0 <= place - shift < LENGTH]
            states[:, ends] = torch.randn(len(some), len(ends), VOCABULARY)
            sentences = torch.tensor(list(some)).repeat_interleave(LENGTH)
            positions = torch.arange(LENGTH).repeat(len(some))
            yield StateBatch(tokens.flatten(), sentences, positions, states.flatten(0, 1)[None], (2,))

    torch.manual_seed(0)
    for batch in batches("train"):
        task.train(batch)
    for batch in batches("validation"):
        task.hold(batch, 1)
    task.fit(progress=None)
    for batch in batches("test"):
        task.test(batch)
    return pd.DataFrame(task.rows(encoding, np.arange(460), np.full(460, 3 * LENGTH)))


@pytest.mark.parametrize("shift", [1, -1])
def test_a_window_finds_what_moved_to_the_neighbour(tiny, shift):
    shares = {}
    for window in (False, True):
        table = table_of(tiny("bert"), window=window, shift=shift)
        assert set(table["reading"]) == {"window" if window else "token"}
        usable = table[table["quantity"] == "usable_share"].set_index("probe")["estimate"]
        shares |= {(window, probe): usable[probe] for probe in ("ridge", "centroid")}
    for probe in ("ridge", "centroid"):
        assert abs(shares[False, probe]) < 0.05
        assert shares[True, probe] > 0.6  # five tokens of six are in a neighbour's state


def test_bits_per_character_are_of_the_centroid_on_single_states(tiny):
    token, window = (table_of(tiny("bert"), window=window, shift=0) for window in (False, True))
    saved = token[token["probe"] == "centroid"].set_index("quantity")["estimate"]
    assert saved["bits_per_character"] == pytest.approx(saved["usable"] / 3)
    assert "bits_per_character" not in set(token[token["probe"] == "ridge"]["quantity"])
    assert "bits_per_character" not in set(window["quantity"])
