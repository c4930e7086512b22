"""The figure of all claims has a line for each of them, in multiples of the least effect that counts."""

import numpy as np
import pytest

from bitskept.base import figures
from bitskept.instruments import claims
from bitskept.studies.output import claims_figures

RELEVANT = {"bits": 0.1, "share": 0.02}


def row(**changes):
    facts = {"paper": "P", "claim": "A saves bits", "reading": "r", "probe": "p", "unit": "bits", "model": "m"}
    numbers = {"estimate": 0.5, "low": 0.3, "high": 0.7, "p": 0.001, "detectable": 0.25, "clusters": 9}
    return facts | numbers | changes


def drawn(*rows):
    with figures.style():
        return claims_figures.draw(claims.table(rows, relevant=RELEVANT), relevant=RELEVANT).axes[0]


def estimates(axes):
    return sorted(x for bars in axes.containers for x in np.atleast_1d(bars.lines[0].get_xdata()))


def test_effects_are_multiples_of_the_least_that_counts():
    axes = drawn(
        row(), row(claim="B", unit="share", estimate=0.01, low=0.0, high=0.015), row(estimate=99.0, high=100.0)
    )
    assert estimates(axes) == pytest.approx([0.5, 5, 100])  # what is beyond the axis is drawn at its end
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["A saves bits", "B"]


def test_what_was_not_tested_is_counted():
    untested = row(claim="A saves bits (to be tested: more texts)", **claims.UNTESTED)
    axes = drawn(row(), untested, untested, row(claim="C (to be tested: luck)", **claims.UNTESTED))
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["A saves bits", "C"]
    assert [text.get_text() for text in axes.texts] == ["2 not tested", "1 not tested"]
    assert estimates(axes) == pytest.approx([5])
