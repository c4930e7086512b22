"""The figure of all claims has a line for each of their rows, in multiples of the least effect that counts."""

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

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
    bars = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    return sorted(x for bar in bars for x in np.atleast_1d(bar.lines[0].get_xdata()))


def labels(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def test_effects_are_multiples_of_the_least_that_counts():
    axes = drawn(
        row(), row(claim="B", unit="share", estimate=0.01, low=0.0, high=0.015), row(estimate=99.0, high=100.0)
    )
    assert estimates(axes) == pytest.approx([0.5, 5, 100])  # what is beyond the axis is drawn at its end
    assert labels(axes) == ["A saves bits", "m: r, p", "m: r, p", "B", "m: r, p"]


def test_what_would_have_been_seen_is_a_bar_on_the_line_of_its_row():
    axes = drawn(row(), row(claim="B", detectable=np.inf), row(claim="C", detectable=np.nan))
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2.5, 100, 0])
    assert [bar.get_y() + bar.get_height() / 2 for bar in axes.patches] == pytest.approx([-1, -3, -5])


def test_a_control_is_named_as_such_and_what_was_not_tested_is_counted():
    untested = row(claim="A saves bits (to be tested: more texts)", **claims.UNTESTED)
    axes = drawn(
        row(), untested, untested, row(claim="C (to be tested: luck)", paper=claims.CONTROL, **claims.UNTESTED)
    )
    assert labels(axes) == ["A saves bits (2 not tested)", "m: r, p", "control: C (1 not tested)"]
    assert estimates(axes) == pytest.approx([5])
