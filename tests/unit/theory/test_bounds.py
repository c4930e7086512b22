from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import laws
from scipy.stats import beta, binom, binomtest

from bitskept.theory import bounds
from bitskept.theory.channels import symmetric
from bitskept.theory.information import conditional_entropy, entropy, mutual_information, plug_in, total_correlation

exact = settings(deadline=None, derandomize=True, max_examples=100)
seeds = st.integers(0, 2**32 - 1)


def error_of(joint, guesses):
    """The exact error rate of a predictor that answers guesses[z]."""
    return min(1.0, max(0.0, 1 - joint[guesses, np.arange(joint.shape[1])].sum()))


@exact
@given(laws(min_side=2, max_side=5), seeds)
def test_fano_holds_for_any_predictor(joint, seed):
    guesses = np.random.default_rng(seed).integers(len(joint), size=joint.shape[1])
    bound = bounds.fano(entropy(joint, 0), error_of(joint, guesses), len(joint))
    assert bound <= mutual_information(joint, 0, 1) + 1e-10


@exact
@given(laws(min_side=2, max_side=5), seeds)
def test_fano_is_the_cross_entropy_bound_of_the_crudest_law(joint, seed):
    guesses = np.random.default_rng(seed).integers(len(joint), size=joint.shape[1])
    error = error_of(joint, guesses)
    surprisal = bounds.cross_entropy(joint, bounds.crudest_prediction(guesses, error, len(joint)))
    assert surprisal == pytest.approx(bounds.fano_equivocation(error, len(joint)), abs=1e-9)
    both = bounds.cross_entropy_bound(entropy(joint, 0), surprisal), bounds.fano(entropy(joint, 0), error, len(joint))
    assert both[0] == pytest.approx(both[1], abs=1e-9)


@exact
@given(laws(min_side=2, max_side=5), seeds)
def test_no_other_error_rate_in_the_crudest_law_does_better(joint, seed):
    rng = np.random.default_rng(seed)
    guesses = rng.integers(len(joint), size=joint.shape[1])
    other = bounds.cross_entropy(joint, bounds.crudest_prediction(guesses, rng.uniform(0.01, 0.99), len(joint)))
    assert other >= bounds.fano_equivocation(error_of(joint, guesses), len(joint)) - 1e-9


@exact
@given(laws(min_side=2, max_side=5), seeds)
def test_cross_entropy_bound_holds_for_any_law_and_is_tight_for_the_posterior(joint, seed):
    h, information = entropy(joint, 0), mutual_information(joint, 0, 1)
    any_law = np.random.default_rng(seed).dirichlet(np.ones(len(joint)), size=joint.shape[1])
    assert bounds.cross_entropy_bound(h, bounds.cross_entropy(joint, any_law)) <= information + 1e-10
    seen = joint.sum(0) > 0
    joint = joint[:, seen]
    posterior = (joint / joint.sum(0)).T
    tight = bounds.cross_entropy_bound(h, bounds.cross_entropy(joint, posterior))
    assert tight == pytest.approx(information, abs=1e-10)


def test_a_law_that_excludes_what_happens_promises_nothing():
    joint = np.eye(2) / 2
    wrong = bounds.cross_entropy(joint, np.eye(2)[::-1].copy())
    assert wrong == np.inf
    assert bounds.cross_entropy_bound(1.0, wrong) == 0


@exact
@given(laws(min_side=2, max_side=5))
def test_feder_merhav_holds_for_the_bayes_error(joint):
    error = error_of(joint, joint.argmax(0))
    assert bounds.feder_merhav(error) <= conditional_entropy(joint, 0, 1) + 1e-10


@pytest.mark.parametrize("k", [1, 2, 3, 7, 100])
def test_feder_merhav_is_met_by_uniform_lists(k):
    # A state that leaves k equally likely types has the Bayes error (k-1)/k and the conditional entropy log2 k.
    assert bounds.feder_merhav((k - 1) / k) == pytest.approx(np.log2(k), abs=1e-12)


def test_feder_merhav_is_met_between_two_uniform_lists():
    joint = np.array([[1 / 4, 1 / 6], [1 / 4, 1 / 6], [0, 1 / 6]])
    error = error_of(joint, joint.argmax(0))
    assert bounds.feder_merhav(error) == pytest.approx(conditional_entropy(joint, 0, 1), abs=1e-12)


def test_the_two_sides_enclose_a_region():
    errors = np.linspace(0, 0.9, 1001)
    assert (bounds.feder_merhav(errors) <= bounds.fano_equivocation(errors, 10) + 1e-12).all()


@pytest.mark.parametrize("alphabet", [2, 3, 50])
@pytest.mark.parametrize("error", [0.0, 0.1, 0.4])
def test_fano_is_tight_on_the_symmetric_channel(alphabet, error):
    channel = symmetric(alphabet, error)
    bound = bounds.fano(channel.entropy, channel.bayes_error, alphabet)
    assert bound == pytest.approx(channel.mutual_information, abs=1e-10)


@exact
@given(laws(2, 4, max_side=3))
def test_sandwich(joint):
    s = bounds.sandwich(joint)
    assert s.lower - 1e-10 <= s.information <= s.upper + 1e-10
    identity = sum(s.tokens) - s.total_correlation + s.conditional_total_correlation
    assert s.information == pytest.approx(identity, abs=1e-10)


@exact
@given(seeds)
def test_independent_tokens_keep_at_least_the_sum(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    joint = np.multiply.outer(first, second)[..., None] * rng.dirichlet(np.ones(5) / 2, size=(3, 4))
    assert total_correlation(joint, (0, 1)) == pytest.approx(0, abs=1e-12)
    s = bounds.sandwich(joint)
    assert s.information >= sum(s.tokens) - 1e-10


def test_error_limit_is_clopper_pearson():
    for errors, samples in [(0, 10), (3, 10), (10, 10), (120, 3000)]:
        # A one-sided limit at 5 % is the upper end of the two-sided interval at 90 %.
        expected = binomtest(errors, samples).proportion_ci(0.9, "exact").high
        assert bounds.error_limit(errors, samples, 0.05) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
def test_error_limit_covers_exactly(truth):
    errors = np.arange(41)
    below = bounds.error_limit(errors, 40, 0.1) < truth
    assert binom.pmf(errors, 40, truth)[below].sum() <= 0.1


def test_entropy_limit_has_the_largest_change_that_one_sample_can_make():
    samples, largest = 8, 0.0
    for counts in product(range(samples + 1), repeat=4):
        if sum(counts) == samples:
            for source, target in product(range(4), repeat=2):
                moved = np.array(counts)
                moved[source] -= 1
                moved[target] += 1
                if moved[source] >= 0:
                    largest = max(largest, abs(plug_in(moved) - plug_in(np.array(counts))))
    counts, delta = np.full(8, 1), 0.2
    taken_off = plug_in(counts) - bounds.entropy_limit(counts, delta)
    assert taken_off == pytest.approx(largest * np.sqrt(samples * np.log(1 / delta) / 2), abs=1e-12)
    assert largest < (np.log2(samples) + np.log2(np.e)) / samples


def test_certificate_nears_fano_with_more_samples_and_never_passes_it():
    law = np.full(16, 1 / 16)
    values = [bounds.certificate(n // 10, n, 16, n * law, 0.05) for n in (160, 1600, 16_000, 16_000_000)]
    assert values == sorted(values)
    truth = bounds.fano(4.0, 0.1, 16)
    assert values[-1] < truth < values[-1] + 0.02


def test_certificate_takes_other_samples_for_the_entropy():
    counts = np.full(16, 10_000)
    assert bounds.certificate(10, 100, 16, counts, 0.05) > bounds.certificate(10, 100, 16, counts // 100, 0.05)


@pytest.mark.parametrize("errors", [90, 96, 100])
def test_certificate_of_a_predictor_no_better_than_chance_is_nothing(errors):
    # With Pe above 1 - 1/|A| Fano's formula rises again; an upper limit there must not be put in.
    assert bounds.certificate(errors, 100, 4, np.full(4, 10_000_000), 0.05) == 0


def test_numbers_broadcast():
    errors, alphabets = np.array([0.0, 0.1, 0.2]), np.array([[4], [8]])
    grid = bounds.fano(3.0, errors, alphabets)
    assert grid.shape == (2, 3)
    assert grid[1, 2] == bounds.fano(3.0, 0.2, 8)
    assert isinstance(bounds.fano(3.0, 0.2, 8), float)
    assert bounds.certificate(np.array([1, 2]), 50, 2, np.array([[20, 30], [25, 25]]), 0.1).shape == (2,)


COUNTS = np.array([5, 5])


@pytest.mark.parametrize(
    ("function", "arguments", "told"),
    [
        (bounds.fano, (1.0, 1.2, 4), "error must be a rate from 0 to 1, but is 1.2"),
        (bounds.fano, (1.0, -0.1, 4), "error .* but is -0.1"),
        (bounds.fano, (1.0, np.nan, 4), "error .* but is nan"),
        (bounds.fano, (1.0, np.array([0.1, 2.0]), 4), "error .* but is 2"),
        (bounds.fano, (1.0, 0.1, 1), "alphabet must be .* at least 2 types, but is 1"),
        (bounds.fano, (1.0, 0.1, 4.5), "alphabet .* but is 4.5"),
        (bounds.fano, (-1.0, 0.1, 4), "entropy must be at least 0, but is -1"),
        (bounds.fano, (np.inf, 0.1, 4), "entropy .* but is inf"),
        (bounds.cross_entropy_bound, (1.0, np.nan), "cross_entropy .* but is nan"),
        (bounds.cross_entropy_bound, (1.0, -0.5), "cross_entropy .* but is -0.5"),
        (bounds.cross_entropy, (np.full((2, 2), 0.3), np.eye(2)), "joint must sum to 1"),
        (bounds.cross_entropy, (np.eye(2) / 2, np.full((2, 2), 0.4)), "prediction's row must sum to 1"),
        (bounds.crudest_prediction, (np.array([0, 3]), 0.1, 3), "guesses must be types from 0 to 2, but is 3"),
        (bounds.feder_merhav, (1.0,), "error must be a Bayes error from 0 to below 1, but is 1"),
        (bounds.binary_entropy, (1.5,), "probability .* but is 1.5"),
        (bounds.sandwich, (np.full((2, 2, 2), 0.2),), "law must sum to 1"),
        (bounds.error_limit, (3, 2, 0.1), "errors must be .* number of samples, 2, but is 3"),
        (bounds.error_limit, (0, 0, 0.1), "samples .* but is 0"),
        (bounds.certificate, (1, 10, 4, COUNTS, 0.0), "delta must be .* but is 0"),
        (bounds.certificate, (1, 10, 4, COUNTS, 1.0), "delta must be .* but is 1"),
        (bounds.certificate, (1, 10, 1, COUNTS, 0.1), "alphabet .* but is 1"),
        (
            bounds.certificate,
            (1, 10, 2, np.array([5, 4, 1]), 0.1),
            "counts has 3 non-zero classes, but alphabet is only 2",
        ),
        (
            bounds.certificate,
            (1, 10, 2, np.array([0.7, 0.3]), 0.1),
            "counts must be whole numbers of at least 0, but is 0.7",
        ),
    ],
)
def test_bad_input_is_refused_by_name_and_value(function, arguments, told):
    with pytest.raises(ValueError, match=told):
        function(*arguments)


def test_the_certificate_splits_delta_between_the_error_and_the_entropy():
    """By hand: Clopper and Pearson's limit and McDiarmid's, each at delta / 2."""
    error = beta.ppf(1 - 0.05 / 2, 101, 900)
    change = (1000 * np.log2(1000) - 999 * np.log2(999)) / 1000
    entropy = 3 - change * np.sqrt(1000 * np.log(2 / 0.05) / 2)
    spread = -error * np.log2(error) - (1 - error) * np.log2(1 - error) + error * np.log2(7)
    certain = bounds.certificate(errors=100, samples=1000, alphabet=8, counts=np.full(8, 125), delta=0.05)
    assert certain == pytest.approx(entropy - spread, abs=1e-9)
