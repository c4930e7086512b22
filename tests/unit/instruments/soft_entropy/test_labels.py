import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitskept.instruments.soft_entropy.labels import ABSENT, Labels, k_grams
from bitskept.instruments.states import Encoding

BEGIN, END = 90, 91


def framed(texts):
    """Sentences between special tokens, which are not measured."""
    ids = [np.array([BEGIN, *text, END]) for text in texts]
    return Encoding(ids, [(tokens != BEGIN) & (tokens != END) for tokens in ids], 0)


def slow(texts, widths):
    """(sentence, position, {name: tuple of tokens}) of every place; none of them where one is not whole."""
    widest, result = max(widths), []
    for sentence, tokens in enumerate(texts):
        for i in range(len(tokens)):
            grams = {}
            if i - widest + 1 >= 0 and i + widest < len(tokens):
                for k in widths:
                    grams[f"input {k}"] = tuple(tokens[i - k + 1 : i + 1])
                    grams[f"output {k}"] = tuple(tokens[i + 1 : i + 1 + k])
            result.append((sentence, i, grams))
    return result


def build(rows=1000, seed=0, sentences=None, **sets):
    sets = {name: np.asarray(values) for name, values in sets.items()}
    places = len(next(iter(sets.values())))
    return Labels.build(sets, np.arange(places) if sentences is None else sentences, rows=rows, seed=seed)


# ---- k-grams ----


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=11), max_size=6),
    st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
)
def test_k_grams_are_those_of_a_loop_over_sentences(texts, widths):
    expected = slow(texts, widths)
    if not any(grams for _, _, grams in expected):
        with pytest.raises(ValueError, match="no sentence has "):
            k_grams(framed(texts), widths)
        return
    labels, sentences = k_grams(framed(texts), widths)
    assert sentences.tolist() == [sentence for sentence, _, _ in expected]
    assert set(labels) == {f"{side} {width}" for side in ("input", "output") for width in widths}
    for name, values in labels.items():
        assert [value == ABSENT for value in values] == [not grams for _, _, grams in expected]
        both = {(value, grams[name]) for value, (_, _, grams) in zip(values, expected, strict=True) if grams}
        # One number a k-gram, and one k-gram a number.
        assert len(both) == len({value for value, _ in both}) == len({gram for _, gram in both})


def test_the_input_ends_at_a_place_and_the_output_follows_it():
    labels, sentences = k_grams(framed([[5, 6, 7, 5, 6, 7, 8], [6, 7, 5]]), [1, 2])
    assert sentences.tolist() == [0] * 7 + [1] * 3
    bigram, following = labels["input 2"], labels["output 2"]
    assert np.flatnonzero(bigram != ABSENT).tolist() == [1, 2, 3, 4]  # too near to an end; the other is too short
    # Input bigrams 56, 67, 75, 56; output bigrams 75, 56, 67, 78.
    assert bigram[1] == bigram[4]
    assert len(set(bigram[1:5])) == 3
    assert len(set(following[1:5])) == 4
    assert (following[2], following[3], following[1]) == (bigram[1], bigram[2], bigram[3])  # one numbering for both


def test_too_short_sentences_are_refused_with_what_is_needed():
    with pytest.raises(ValueError, match="no sentence has the 6 tokens that 3-grams on both sides of a place need"):
        k_grams(framed([[1, 2, 3, 4, 5], [1]]), [1, 3])
    k_grams(framed([[1, 2, 3, 4, 5, 6]]), [1, 3])
    with pytest.raises(ValueError, match="no sentence has a token to be measured"):
        k_grams(framed([[], []]), [1])


# ---- numbering ----


@given(st.lists(st.integers(-2, 6), min_size=1, max_size=40))
def test_labels_are_numbered_from_the_most_frequent(values):
    result = build(x=values).sets["x"]
    assert [label == ABSENT for label in result.labels] == [value < 0 for value in values]
    assert (np.diff(result.counts) <= 0).all()
    assert (result.counts > 1).all()
    for value, label in zip(values, result.labels, strict=True):
        if value >= 0 and values.count(value) == 1:
            assert label == result.unique
        elif value >= 0:
            assert result.counts[label] == values.count(value)
            assert (result.labels == label).tolist() == [other == value for other in values]


def test_labels_may_be_words_or_truth_values():
    labels = build(domain=["news", "prose", "news", "law"], preferred=[True, False, False, True])
    assert labels.sets["domain"].labels.tolist() == [0, 1, 0, 1]
    assert labels.sets["domain"].unique == 1
    assert sorted(labels.sets["preferred"].labels.tolist()) == [0, 0, 1, 1]


# ---- rows ----


def needing(*repeated):
    """Label sets with so many labels that occur repeatedly: 2 times, and the first half of them 3 times."""
    places = 3 * max(repeated) + 1
    sets = {}
    for number, several in enumerate(repeated):
        values = [*range(several), *range(several), *range(several // 2)]
        sets[f"set {number}"] = [*values, *range(1000, 1000 + places - len(values))]
    return sets


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(8, 100), st.integers(0, 3))
def test_rows_keep_to_the_budget(repeated, rows, seed):
    labels = build(rows=rows, seed=seed, **needing(*repeated))
    given_ = np.concatenate([one.row[one.row >= 0] for one in labels.sets.values()])
    assert labels.rows == min(rows, sum(repeated))
    assert sorted(given_.tolist()) == list(range(labels.rows))
    for one, several in zip(labels.sets.values(), repeated, strict=True):
        assert len(one.row) == several
        # An even share is every set's due, and who needs less gets all.
        assert (one.row >= 0).sum() >= min(several, rows // len(repeated))


def test_fewer_than_two_rows_a_set_are_refused():
    with pytest.raises(ValueError, match="3 rows are too few for 2 label sets: allow more memory"):
        build(rows=3, **needing(4, 5))


def test_what_a_small_set_does_not_need_is_there_for_the_others():
    labels = build(rows=20, **needing(40, 2, 30))
    assert [(one.row >= 0).sum() for one in labels.sets.values()] == [9, 2, 9]
    assert list(labels.sets) == ["set 0", "set 1", "set 2"]


def test_half_of_a_short_share_goes_to_the_most_frequent_and_half_to_a_sample():
    drawn = [build(rows=20, seed=seed, **needing(100)).sets["set 0"] for seed in range(200)]
    chosen = np.array([one.row >= 0 for one in drawn])
    assert (drawn[0].counts[:10] == 3).all()
    assert chosen[:, :10].all()
    assert (chosen.sum(1) == 20).all()
    # The other 90 have one chance in nine each: 22 of 200 on average, with a standard deviation of 4.4.
    often = chosen[:, 10:].sum(0)
    assert often.min() >= 22 - 5 * 4.4
    assert often.max() <= 22 + 5 * 4.4


# ---- errors ----


def test_a_label_set_of_the_wrong_length():
    with pytest.raises(ValueError, match="label set y has 3 labels for 4 places"):
        build(x=[0, 0, 1, 1], y=[0, 1, 1])


def test_a_label_set_that_measures_other_places():
    with pytest.raises(ValueError, match="label set y measures other places than x"):
        build(x=[0, 0, 1, -1], y=[0, 0, -1, 1])
    with pytest.raises(ValueError, match="label set y measures other places than x"):
        build(x=[0, 0, 1, -1], y=["a", "a", "b", "b"])
