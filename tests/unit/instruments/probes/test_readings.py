from collections import Counter

import numpy as np
import pytest
import torch

from bitskept.instruments.probes.readings import POOLINGS, pool, sentence_readings, token_reading
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


@families
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_token_from_one_vector_for_its_sentence(tiny, family, pooling):
    model = tiny(family)
    encoding = encode(model, TEXTS)
    readings = sentence_readings(encoding, len(model.tokenizer), range(4), types=99, positions=3)
    readings = [reading for reading in readings if reading.pooling == pooling]
    assert [reading.position for reading in readings] == [0, 1, 2]
    long = [sentence for sentence in range(len(TEXTS)) if len(encoding.tokens(sentence)) >= 3]
    assert 2 < len(long) < len(TEXTS) - 1  # others are short
    for position, reading in enumerate(readings):
        wanted = {sentence: int(encoding.tokens(sentence)[position]) for sentence in long}
        assert torch.nonzero(reading.rows >= 0)[:, 0].tolist() == sorted(set(wanted.values()))
        assert reading.types == len(set(wanted.values()))
        states, types, owners = collect(model, encoding, reading, range(len(TEXTS)))
        assert sorted(owners.tolist()) == long
        for index, sentence in enumerate(owners.tolist()):
            assert types[index] == reading.rows[wanted[sentence]]
            [batch] = stream(model, encoding, [sentence])
            torch.testing.assert_close(states[:, index], slow_pool(batch.states, pooling), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling(pooling):
    states, lengths = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0)), [4, 1, 2, 3]
    expected = torch.stack([slow_pool(part, pooling) for part in states.split(lengths, 1)], 1)
    torch.testing.assert_close(pool(states, torch.tensor(lengths), pooling), expected)
    assert (
        pool(states.bfloat16(), torch.tensor(lengths), "mean").dtype == torch.float32
    )  # sums in bfloat16 stop growing


def test_no_sentence_is_long_enough(tiny):
    encoding = encode(tiny("bert"), ["the cat", "it"])
    with pytest.raises(ValueError, match="no sentence has 3 tokens"):
        sentence_readings(encoding, len(tiny("bert").tokenizer), [0], types=99, positions=3)


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
        *sentence_readings(encoding, size, range(4), types=3, positions=3),
    ]
    for reading in readings:
        _, types, owners = collect(model, encoding, reading, asked, budget=12)
        # A stream comes in another order of sentences, items in the order asked for.
        ordered = torch.cat([types[owners == sentence] for sentence in asked])
        np.testing.assert_array_equal(reading.items(encoding, asked), ordered)
        assert len(reading.items(encoding, [3])) == 0
    assert len(readings) == 2 + 3 * len(POOLINGS)
