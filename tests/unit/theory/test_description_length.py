"""The code lengths are those of codes that can be decoded, and the loss has the range that the bound assumes."""

import math
from itertools import product

import numpy as np
import pytest

from bitskept.theory.description_length import (
    choice_bits,
    excess,
    integer_bits,
    longest_code,
    loss_range,
    quantised,
    smoothed_bits,
    symbols_bits,
    vocabulary_bits,
)


@pytest.mark.parametrize(("number", "levels"), [(4, 3), (7, 2), (5, 4)])
def test_the_lengths_of_all_sequences_satisfy_kraft(number, levels):
    lengths = [symbols_bits(np.array(symbols), levels) for symbols in product(range(levels), repeat=number)]
    assert 0.2 < sum(2.0**-length for length in lengths) <= 1


def test_one_symbol_costs_its_table_alone():
    assert symbols_bits(np.zeros(100, int), 3) == math.ceil(math.log2(102 * 101 / 2))


def test_many_symbols_cost_about_their_entropy():
    symbols = np.random.default_rng(0).choice(3, size=10_000, p=[0.7, 0.2, 0.1])
    law = np.bincount(symbols) / len(symbols)
    entropy = -len(symbols) * (law * np.log2(law)).sum()
    assert entropy - 30 < symbols_bits(symbols, 3) < entropy + 30


def test_symbols_beyond_the_levels_are_refused():
    with pytest.raises(ValueError, match="symbol"):
        symbols_bits(np.array([0, 3]), 3)


def test_integers_and_choices_satisfy_kraft():
    assert sum(2.0 ** -integer_bits(number) for number in range(1, 5000)) <= 1
    assert [integer_bits(number) for number in (1, 2, 3, 4)] == [1, 3, 3, 5]
    assert [choice_bits(number) for number in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 3]
    assert vocabulary_bits(258, 256) == 2 * 8 + 2 * 9


def test_the_smoothed_loss_fills_its_range():
    dearest, cheapest = smoothed_bits(np.array([0.0, 1.0]), 0.2, 32)
    assert dearest == pytest.approx(np.log2(32 / 0.2))
    assert dearest - cheapest == pytest.approx(loss_range(0.2, 32))
    law = np.random.default_rng(0).dirichlet(np.ones(32))
    assert (2.0 ** -smoothed_bits(law, 0.2, 32)).sum() == pytest.approx(1)


def test_levels_are_whole_multiples_of_a_scale():
    values = np.random.default_rng(0).standard_normal(2000)
    coarse, fine = (quantised(values, levels) for levels in (3, 33))
    assert set(coarse.symbols) == {0, 1, 2}
    assert coarse.values == pytest.approx((coarse.symbols - 1) * coarse.scale)
    assert float(np.float16(coarse.scale)) == coarse.scale
    # Three levels leave 0.19 of a normal variance (Max 1960), 33 about 0.003.
    assert ((coarse.values - values) ** 2).mean() == pytest.approx(0.19, abs=0.02)
    assert ((fine.values - values) ** 2).mean() < 0.005
    nothing = quantised(np.zeros(5), 5)
    assert nothing.scale == 0
    assert not nothing.values.any()
    with pytest.raises(ValueError, match="odd"):
        quantised(values, 4)


def test_the_excess_is_that_of_hoeffding_at_the_share_of_the_code():
    span, bits, tokens, delta = 3.0, 20, 500, 0.05
    reach = excess(span, bits, tokens, delta)
    assert math.exp(-2 * tokens * (reach / span) ** 2) == pytest.approx(delta * 2.0**-bits)
    longest = longest_code(span, 4.0, 4.0 + reach, tokens, delta)
    assert longest == pytest.approx(bits)
    assert longest_code(span, 5.0, 4.0, tokens, delta) < 0
