from itertools import product

import numpy as np
import pytest

from bitskept.theory import channels
from bitskept.theory.bounds import certificate
from bitskept.theory.coverage import coverage

TASKS = [channels.symmetric(8, 0.1), channels.gaussian_mixture(4, 2, 0.3)]
SIZES, DELTAS, REPETITIONS = [100, 1000], [0.05, 0.2], 400
ROWS = coverage(TASKS, SIZES, DELTAS, REPETITIONS, 3)
SYMMETRIC = {(row.samples, row.delta, row.bound): row for row in ROWS if row.channel == "symmetric"}


def test_every_case_has_a_row_for_each_bound():
    names = [task.name for task in TASKS]
    bounds = ["no limits", "H(X) known", "certificate"]
    assert [row[:4] for row in ROWS] == list(product(names, SIZES, DELTAS, bounds))
    assert {(row.channel, row.truth) for row in ROWS} == {(task.name, task.mutual_information) for task in TASKS}


def test_the_certificate_keeps_its_promise_and_costs_bits():
    for row in ROWS:
        slack = 3 * np.sqrt(row.delta * (1 - row.delta) / REPETITIONS)
        assert row.coverage >= 1 - row.delta - slack or row.bound == "no limits"
    by = {row[:4]: row.bits for row in ROWS}
    for (channel, samples, delta, bound), bits in by.items():
        if bound == "certificate":
            assert bits < by[channel, samples, delta, "H(X) known"]
            assert bits < by[channel, samples, delta, "no limits"]


def test_on_the_symmetric_channel_fano_is_tight_and_the_limits_are_needed():
    assert SYMMETRIC[1000, 0.05, "no limits"].coverage < 0.7
    for samples, delta in product(SIZES, DELTAS):  # the limit of a count is a little wider than delta asks for
        assert 1 - delta - 0.06 < SYMMETRIC[samples, delta, "H(X) known"].coverage < 1 - delta + 0.09
    bits = [SYMMETRIC[samples, 0.05, "certificate"].bits for samples in SIZES]
    assert bits[0] < bits[1] < TASKS[0].mutual_information


def test_one_case_against_a_loop_over_the_same_draws():
    errors, counts = channels.trials(TASKS[0], 100, 50, np.random.default_rng(5))
    values = [certificate(int(wrong), 100, 8, count, delta=0.2) for wrong, count in zip(errors, counts, strict=True)]
    row = coverage(TASKS[:1], [100], [0.2], 50, 5)[2]
    assert row.bits == pytest.approx(np.mean(values))
    assert row.coverage == np.mean([value <= TASKS[0].mutual_information for value in values])


def test_a_seed_gives_the_same_rows_again():
    assert coverage(TASKS, [100], [0.05], 20, 1) == coverage(TASKS, [100], [0.05], 20, 1)
    assert coverage(TASKS, [100], [0.05], 20, 1) != coverage(TASKS, [100], [0.05], 20, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repetitions": 0}, "repetitions must be at least 1, but is 0"),
        ({"deltas": [1.0]}, "delta must be a probability between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    options = {"tasks": TASKS[:1], "sample_sizes": [10], "deltas": [0.1], "repetitions": 5, "seed": 0}
    with pytest.raises(ValueError, match=message):
        coverage(**options | change)
