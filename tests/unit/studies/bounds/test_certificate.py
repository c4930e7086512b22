from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from bitskept.studies.bounds.certificate import count, known_channels, law, trials
from bitskept.studies.bounds.toy_language import Language
from bitskept.theory import bounds, channels, information

CHANNELS = [
    channels.symmetric(8, 0.1),
    channels.erasure(8, 0.3),
    channels.z_channel(0.2),
    channels.noisy_zipf(200, 0.1),
    channels.gaussian_mixture(8, 16, 0.3),
    Language(3, 4, repeat=0.5, lost=0.2).token(1),
    Language(3, 4, repeat=0.5, lost=0.2, pooled=True).token(1),
]
every = pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
TASKS = [channels.symmetric(8, 0.1), channels.gaussian_mixture(4, 2, 0.3)]
SIZES, DELTAS, REPETITIONS, CORPUS = [100, 1000], [0.05, 0.2], 400, 5000
ROWS = list(count(TASKS, SIZES, DELTAS, REPETITIONS, 3, CORPUS).itertuples(index=False))
SYMMETRIC = {(row.samples, row.delta, row.bound): row for row in ROWS if row.channel == "symmetric"}


def test_every_case_has_a_row_for_each_bound():
    names = [task.name for task in TASKS]
    kinds = ["no limits", "H(X) known", "same samples", "certificate"]
    assert [row[:4] for row in ROWS] == list(product(names, SIZES, DELTAS, kinds))
    assert {(row.channel, row.truth) for row in ROWS} == {(task.name, task.mutual_information) for task in TASKS}


def test_the_certificate_keeps_its_promise_and_costs_bits():
    for row in ROWS:
        slack = 3 * np.sqrt(row.delta * (1 - row.delta) / REPETITIONS)
        assert row.coverage >= 1 - row.delta - slack or row.bound == "no limits"
    by = {row[:4]: row.bits for row in ROWS}
    for (channel, samples, delta, bound), bits in by.items():
        if bound == "certificate":
            assert by[channel, samples, delta, "same samples"] < bits < by[channel, samples, delta, "H(X) known"]
            assert bits < by[channel, samples, delta, "no limits"]


def test_on_the_symmetric_channel_fano_is_tight_and_the_limits_are_needed():
    assert SYMMETRIC[1000, 0.05, "no limits"].coverage < 0.7
    for samples, delta in product(SIZES, DELTAS):  # the limit of a count is a little wider than delta asks for
        assert 1 - delta - 0.06 < SYMMETRIC[samples, delta, "H(X) known"].coverage < 1 - delta + 0.09
    bits = [SYMMETRIC[samples, 0.05, "certificate"].bits for samples in SIZES]
    assert bits[0] < bits[1] < TASKS[0].mutual_information


def test_one_case_against_a_loop_over_the_same_draws():
    rng = np.random.default_rng(5)
    errors, counts = trials(TASKS[0], 100, 50, rng)
    more = counts + rng.multinomial(900, law(TASKS[0]), 50)
    rows = count(TASKS[:1], [100], [0.2], 50, 5, 1000).set_index("bound")
    for bound, taken in {"same samples": counts, "certificate": more}.items():
        values = [bounds.certificate(int(wrong), 100, 8, seen, 0.2) for wrong, seen in zip(errors, taken, strict=True)]
        assert rows.loc[bound, "bits"] == pytest.approx(np.mean(values))
        assert rows.loc[bound, "coverage"] == np.mean([value <= TASKS[0].mutual_information for value in values])


def test_a_corpus_that_is_no_larger_than_the_samples_adds_nothing():
    rows = count(TASKS[:1], [100], [0.2], 20, 5, 50).set_index("bound")
    assert rows.loc["same samples"].equals(rows.loc["certificate"])


@every
def test_the_law_of_tokens_is_that_of_the_draws(channel):
    _, tokens = channel.draw(100_000, np.random.default_rng(0))
    shares = np.bincount(tokens, minlength=channel.alphabet) / 100_000
    np.testing.assert_allclose(law(channel), shares, atol=0.01)
    assert law(channel).sum() == pytest.approx(1)


def test_a_seed_gives_the_same_rows_again():
    assert count(TASKS, [100], [0.05], 20, 1, 200).equals(count(TASKS, [100], [0.05], 20, 1, 200))
    assert not count(TASKS, [100], [0.05], 20, 1, 200).equals(count(TASKS, [100], [0.05], 20, 2, 200))


def test_the_channels_are_those_of_the_section(section):
    tested = known_channels(section)
    assert [task.alphabet for task in tested] == [8, 8, 2, 50, 8, 2, 2]
    assert tested[-1].mutual_information < tested[-2].mutual_information  # pooling loses the order


@every
def test_trials_count_what_draws_would(channel):
    errors, counts = trials(channel, 500, 400, np.random.default_rng(2))
    z, x = channel.draw(200_000, np.random.default_rng(3))
    wrong = channel.guess(z) != x
    assert errors.mean() / 500 == pytest.approx(wrong.mean(), abs=6 * np.sqrt(wrong.var() / 200_000))
    assert errors.std() == pytest.approx(np.sqrt(500 * wrong.var()), rel=0.15)
    assert counts[:, 0].mean() / 500 == pytest.approx((x == 0).mean(), abs=0.01)
    # Errors and tokens come from the same samples: if a token that is often missed came often, errors are many.
    missed = np.bincount(x, weights=wrong, minlength=channel.alphabet) / np.maximum(1, np.bincount(x))
    if missed.std() > 0.05:
        assert np.corrcoef(counts @ missed, errors)[0, 1] > 0.05


@every
@pytest.mark.parametrize("delta", [0.05, 0.3])
def test_the_certificate_stays_below_the_truth(channel, delta):
    repetitions, samples = 400, 500
    errors, counts = trials(channel, samples, repetitions, np.random.default_rng(3))
    assert errors.shape == (repetitions,)
    assert (counts.sum(1) == samples).all()
    every_sentence = counts + np.random.default_rng(4).multinomial(20_000, law(channel), repetitions)
    for taken in (counts, every_sentence):
        certified = bounds.certificate(errors, samples, channel.alphabet, taken, delta)
        failed = int((certified > channel.mutual_information + 4 * channel.information_error).sum())
        # If each failed with a probability of at most delta, so many failures would have a chance below 1e-6.
        assert binom.sf(failed - 1, repetitions, delta) > 1e-6


def test_without_its_limits_the_bound_fails_where_fano_is_tight():
    errors, counts = trials(TASKS[0], 500, 400, np.random.default_rng(4))
    naive = bounds.fano(information.plug_in(counts), errors / 500, 8)
    assert (naive > TASKS[0].mutual_information).mean() > 0.3
    missed = (bounds.error_limit(errors, 500, 0.2) < TASKS[0].bayes_error).mean()
    assert 0.1 < missed < 0.26


def test_the_certificate_promises_something_with_enough_samples():
    errors, counts = trials(TASKS[0], 20_000, 5, np.random.default_rng(5))
    assert (bounds.certificate(errors, 20_000, 8, counts, 0.05) > 0.85 * TASKS[0].mutual_information).all()
