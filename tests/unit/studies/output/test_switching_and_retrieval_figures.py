"""The figures are drawn from their tables as they are read from CSV."""

import io

from bitskept.base import figures
from bitskept.base.publishing import read_table
from bitskept.studies.output import retrieval_tables, switch_curve
from bitskept.studies.output.figures import retrieval, retrieval_drift, switching


def drawn(draw, table):
    with figures.style():
        return draw(read_table(io.BytesIO(table.to_csv(index=False).encode())))


def test_switching(informative, setting):
    figure = drawn(switching, switch_curve.curve(informative, setting, 0))
    assert [axes.get_ylabel() for axes in figure.axes] == ["bits per token"] * 3
    assert len(figure.axes[0].get_lines()) == 6  # five switches, and where the large twin alone is
    assert [text.get_text() for text in figure.axes[1].texts] == [f"W = {window}" for window in setting.windows]


def test_retrieval(knn_tokens, knn_weights):
    figure = drawn(retrieval, retrieval_tables.gains(knn_tokens, knn_weights, 0))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][:3] == [
        "all tokens",
        "not in the store",
        "rare in the store",
    ]
    drift = drawn(retrieval_drift, retrieval_tables.along(knn_tokens, knn_weights, 0))
    names = [line.get_label().removesuffix(" (no interval)") for line in drift.axes[0].get_lines()]
    assert names == ["people", "kNN-LM, nucleus 1"]
