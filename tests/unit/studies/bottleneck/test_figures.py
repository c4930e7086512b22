import numpy as np
import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.studies.bottleneck import figures
from bitskept.studies.bottleneck.correlations import REPORTED
from bitskept.studies.bottleneck.section import IbCorrelations


def table(number, *, scored):
    """Optimality and complexity of so many models, raw and corrected; a score of all but the first."""
    rows = [
        {
            "model": f"family{'abcde'[place % 5]}-{place}",
            "quantity": f"{quantity}{end}",
            "estimate": 0.01 * place + shift,
            "parameters": 10.0 ** (7 + place % 4),
        }
        for place in range(number)
        for quantity, shift in (("complexity", 3.0), ("optimality", 0.2))
        for end in ("", "_corrected")
    ]
    found = pd.DataFrame(rows)
    found["average"] = found["model"].map(lambda name: int(name.split("-")[1]) / 100 or None) if scored else None
    found = found.assign(low=found["estimate"] - 0.01, high=found["estimate"] + 0.01)
    four = {"quantity": list(REPORTED), "reported": list(REPORTED.values()), "n": number, "estimate": np.nan}
    return pd.concat([found, pd.DataFrame(four | {"low": np.nan, "high": np.nan})])


@pytest.mark.parametrize(("number", "scored"), [(1, False), (3, False), (3, True), (75, True)])
def test_each_model_has_a_labelled_point_and_no_legend_lists_them(number, scored):
    figure = drawn(figures.correlations, table(number, scored=scored), IbCorrelations.model_construct())
    assert not figure.legends
    *models, four = figure.axes
    for axes in models:
        assert axes.get_legend() is None
        names = [text.get_text() for text in axes.texts]
        assert len(names) == len(set(names)) == number - scored
        points = {line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata())}
        assert {text.xy[0] for text in axes.texts} == points
        assert "complexity" not in axes.get_xlabel()
    assert list(four.get_lines()[0].get_xdata()) == list(REPORTED.values())
    assert set(rendered(figure, "x")) == {"png", "svg"}
