from collections import Counter

import numpy as np
import pytest
import torch

from bitskept.instruments.probes.readings import OTHERS, POOLINGS, pool, token_reading, with_neighbours
from bitskept.instruments.states import encode, stream

TEXTS = ["the cat sat.", "it", "the un unlocked cat, the 42!", "", "The cat, it sat", "!", "the cat sat.", "42 sat"]
families = pytest.mark.parametrize("family", ["bert", "llama"])


def collect(model, encoding, reading, sentences, budget=40):
    """All views of a stream, put together: states, types, sentences."""
    views = [reading.view(batch) for batch in stream(model, encoding, sentences, budget=budget)]
    assert len(views) > 1
    states, types, owners = zip(*views, strict=True)
    return torch.cat(states, 1), torch.cat(types), torch.cat(owners)


def slow_pool(states, pooling):
    """One sentence, [layer, token, dim]."""
    match pooling:
        case "first":
            return states[:, 0]
        case "last":
            return states[:, -1]
        case "mean":
            return states.mean(1)
        case "mean without first":
            return states[:, 1:].mean(1) if states.shape[1] > 1 else torch.zeros_like(states[:, 0])


@families
def test_each_token_from_its_own_state(tiny, family):
    model = tiny(family)
    encoding = encode(model, TEXTS)
    reading = token_reading(encoding, len(model.tokenizer), [3, 0], types=99)
    everything = np.concatenate([encoding.tokens(sentence) for sentence in range(len(TEXTS))])
    alphabet = np.array([int(np.flatnonzero(reading.rows == row)[0]) for row in range(reading.types)])
    assert sorted(alphabet) == sorted(set(everything))
    asked = [7, 2, 4, 0]
    _, types, owners = collect(model, encoding, reading, asked)
    for sentence in asked:
        assert alphabet[types[owners == sentence]].tolist() == encoding.tokens(sentence).tolist()
    assert len(types) == sum(len(encoding.tokens(sentence)) for sentence in asked)
    for batch in stream(model, encoding, asked):
        torch.testing.assert_close(reading.view(batch).states, batch.states[[3, 0]])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling(pooling):
    states, lengths = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0)), [4, 1, 2, 3]
    expected = torch.stack([slow_pool(part, pooling) for part in states.split(lengths, 1)], 1)
    torch.testing.assert_close(pool(states, torch.tensor(lengths), pooling), expected)
    assert (
        pool(states.bfloat16(), torch.tensor(lengths), "mean").dtype == torch.float32
    )  # sums in bfloat16 stop growing


@pytest.mark.parametrize("position", range(4))
def test_the_mean_of_the_others_ignores_the_place(position):
    states, lengths = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)), [4, 5]
    pooled = pool(states, torch.tensor(lengths), OTHERS, position)
    for sentence, part in enumerate(states.split(lengths, 1)):
        others = [place for place in range(lengths[sentence]) if place != position]
        torch.testing.assert_close(pooled[:, sentence], part[:, others].mean(1))
    states[:, [position, 4 + position]] = 100.0
    torch.testing.assert_close(pool(states, torch.tensor(lengths), OTHERS, position), pooled, atol=1e-4, rtol=1e-4)


def test_a_window_ends_with_its_sentence():
    states, sentences = torch.arange(1.0, 7.0).reshape(1, 6, 1), torch.tensor([4, 4, 4, 0, 9, 9])
    windows = with_neighbours(states, sentences, torch.tensor([[-1.0]]))
    expected = [[-1, 1, 2], [1, 2, 3], [2, 3, -1], [-1, 4, -1], [-1, 5, 6], [5, 6, -1]]
    assert windows[0].tolist() == expected


def test_shuffled_targets_are_the_same_ones_elsewhere(tiny):
    model = tiny("llama")
    encoding = encode(model, TEXTS)
    plain, shuffled, again, other = (
        token_reading(encoding, len(model.tokenizer), [0, 3], types=99, shuffle=seed) for seed in (None, 1, 1, 2)
    )
    assert (plain.shuffled, shuffled.shuffled) == (False, True)
    asked = range(len(TEXTS))
    (states, right, _), (same_states, permuted, _) = (collect(model, encoding, r, asked) for r in (plain, shuffled))
    assert torch.equal(states[[0, 1]], same_states)
    assert Counter(right.tolist()) == Counter(permuted.tolist())
    assert (right != permuted).float().mean() > 0.5
    assert torch.equal(shuffled.targets, again.targets)
    assert not torch.equal(shuffled.targets, other.targets)


def test_the_rarest_types_share_one_place(tiny):
    model = tiny("llama")
    encoding = encode(model, TEXTS)
    table, size = model.embeddings.detach(), len(model.tokenizer)
    reading = token_reading(encoding, size, [0], types=4)
    counts = Counter(token for sentence in range(len(TEXTS)) for token in encoding.tokens(sentence).tolist())
    places = {token: int(reading.rows[token]) for token in counts}
    assert reading.types == 4
    assert (reading.rows >= 0).sum() == len(counts) > 4
    frequent = {token for token, place in places.items() if place < 3}
    others = sorted(set(counts) - frequent)
    assert sorted(places[token] for token in frequent) == [0, 1, 2]
    assert min(counts[token] for token in frequent) >= max(counts[token] for token in others)
    embeddings = reading.embeddings(table)
    torch.testing.assert_close(embeddings[3], table[others].mean(0))
    for token in frequent:
        torch.testing.assert_close(embeddings[places[token]], table[token])


def test_embeddings_of_many_rare_types_are_added_up_in_float32(tiny):
    encoding = encode(tiny("llama"), ["".join(map(chr, range(0x4E00, 0x4E00 + 8)))] * 3 + [TEXTS[2]])
    reading = token_reading(encoding, 5000, [0], types=1)
    reading.rows[:] = 0  # as if all of a large vocabulary were rare
    table = torch.full((5000, 1), 1.0, dtype=torch.bfloat16)
    assert reading.embeddings(table).item() == 1  # in bfloat16 the sum stops at 256


@families
def test_items_are_those_of_a_stream(tiny, family):
    model, asked = tiny(family), [6, 1, 3, 2, 4]
    encoding, size = encode(model, TEXTS), len(model.tokenizer)
    readings = [
        token_reading(encoding, size, range(4), types=5),
        token_reading(encoding, size, range(4), types=99, shuffle=0),
    ]
    for reading in readings:
        _, types, owners = collect(model, encoding, reading, asked, budget=12)
        # A stream comes in another order of sentences, items in the order asked for.
        ordered = torch.cat([types[owners == sentence] for sentence in asked])
        np.testing.assert_array_equal(reading.items(encoding, asked), ordered)
        assert len(reading.items(encoding, [3])) == 0
