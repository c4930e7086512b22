"""The figures of notebook 03 from small tables: what is filled, moved apart and cut off."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning import figures


def test_only_sure_differences_are_filled():
    rows = [("a", "above", 0.3), ("b", "", 0.2), ("c", None, 0.25)]  # a CSV file has no empty strings
    table = pd.DataFrame(rows, columns=["score", "sure", "estimate"]).assign(low=0.1, high=0.4)
    (axes,) = figures.differences(table.assign(model="m", arm="recoverability", against="before")).axes
    marks = [line for line in axes.lines if line.get_marker() == "s"]
    faces = {place: line.get_markerfacecolor() for line in marks for place in line.get_xdata()}
    assert (faces[0.3], faces[0.2], faces[0.25]) == ("black", "white", "white")
    _, labels = axes.get_legend_handles_labels()
    assert sorted(labels) == ["before, not sure", "before, sure"]


def test_arms_are_moved_apart_by_a_small_share_of_the_distance_between_layers():
    rows = [(arm, layer, probe) for arm in figures.LOOKS for layer in (0, 6) for probe in ("centroid", "ridge")]
    table = pd.DataFrame(rows, columns=["arm", "layer", "probe"]).assign(model="m", estimate=0.5, low=0.4, high=0.6)
    without = table.assign(estimate=0.45, low=np.nan, high=np.nan)  # few sentences have no interval
    for axes in [*figures.layers(table).axes, *figures.layers(without).axes]:
        assert axes.get_ylim() == pytest.approx((0.4, 1.03))
        ends = np.array([line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2])
        assert len(np.unique(ends[:, 0])) == 5
        assert abs(ends - [0, 6]).max() < 0.15 * 6


def test_a_long_interval_does_not_set_the_scale_of_the_poolings():
    table = pd.DataFrame({"task": ["a", "b"], "before": [0.2, 0.5], "after": [0.3, 0.4], "estimate": [0.1, -0.1]})
    table = table.assign(model="m", pooling="mean", low=-5.0, high=5.0)
    table = table.assign(arm="recoverability", against="before", quantity="spearman")
    other = table.assign(against="continued", before=-1.0)
    (axes,) = figures.poolings(pd.concat([table, other])).axes
    assert axes.get_xlim() == pytest.approx((0.15, 0.55))
    arrows = [(line.get_marker(), *line.get_xdata()) for line in axes.lines if line.get_marker() in ("<", ">")]
    assert arrows == [("<", pytest.approx(0.15))] * 2 + [(">", pytest.approx(0.55))] * 2
    (axes,) = figures.poolings(table.assign(low=table["estimate"], high=table["estimate"])).axes
    assert not [line for line in axes.lines if line.get_marker() in ("<", ">")]


def test_the_legend_names_other_doses_last():
    figure = figures.Figure()
    axes = figure.subplots()
    for label in ("yes, other dose", "yes"):
        axes.plot([0, 1], label=label)
    figures._legend_beside(figure, last="other dose")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["yes", "yes, other dose"]


def test_the_surprisal_that_frequencies_leave_is_a_line_beside_the_surprisal_alone():
    table = pd.DataFrame([(quantity, step) for quantity in ("named", "cross_entropy") for step in (0, 60)])
    table = table.set_axis(["quantity", "step"], axis=1).assign(model="m", arm="recoverability", rate=0.1)
    table = table.assign(estimate=0.5, low=0.4, high=0.6, frequencies=9.5)
    named, surprisal = figures.learning(table).axes
    assert "frequencies alone" not in named.get_legend_handles_labels()[1]
    (line,) = [line for line in surprisal.lines if line.get_label() == "frequencies alone"]
    assert set(line.get_ydata()) == {9.5}


def test_of_continued_the_hidden_targets_are_drawn_where_some_are_not():
    rows = [("named", 0.5), ("cross_entropy", 9.0), ("masked_cross_entropy", 10.6)]
    table = pd.DataFrame([{"model": "m", "arm": "continued", "rate": 0.1, "step": step, "quantity": quantity,
                           "estimate": value, "low": value, "high": value, "frequencies": 9.5}
                          for quantity, value in rows for step in (0, 60)])  # fmt: skip
    _, surprisal = figures.learning(table).axes
    (line,) = [line for line in surprisal.lines if line.get_label() == "continued, hidden targets"]
    assert set(line.get_ydata()) == {10.6}
    _, surprisal = figures.learning(table[table["quantity"] != "masked_cross_entropy"]).axes
    assert "continued, hidden targets" not in surprisal.get_legend_handles_labels()[1]


def test_what_guessing_gives_stands_beside_each_score():
    table = pd.DataFrame({"score": ["lee", "blimp"], "estimate": 0.6, "low": 0.5, "high": 0.7})
    (axes,) = figures.scores(table.assign(model="m", arm="before")).axes
    (lines,) = [drawn for drawn in axes.collections if drawn.get_label() == "guessing"]
    assert [path[0][0] for path in lines.get_segments()] == [0.0, 0.5]


def test_arms_that_were_not_run_at_a_rate_are_named_and_each_model_has_its_own_axis():
    rows = [("m", "recoverability", 0.1, 1.0), ("m", "permuted", 0.1, -1.0), ("m", "recoverability", 0.05, 0.1),
            ("n", "recoverability", 0.1, 0.2)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "arm", "rate", "estimate"])
    table = pd.concat([table.assign(score=score, step=step) for score in ("targets named", "stsb") for step in (0, 60)])
    table = table.assign(against=None, low=table["estimate"], high=table["estimate"])
    axes = figures.doses(table).axes
    assert [[text.get_text() for text in panel.texts] for panel in axes] == [[], ["not run: permuted"], [], [], [], []]
    ends = [panel.get_ylim() for panel in axes[3:]]
    assert ends[0] == ends[1] != ends[2]


def test_claims_near_the_border_are_hollow_and_what_was_not_tested_is_named():
    rows = [("m", "a", "no", True), ("m", "b", "too near the border", True), ("m", "a", "yes", False),
            ("m", "a", "yes", False), ("n", "a", "no", True)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "score", "outcome", "primary"])
    table = table.assign(arm="recoverability", rate=np.nan, reading=["mean", "mean", "first", "last", "mean"])
    table = table.assign(train_sentences=9, estimate=0.1, low=0.0, high=0.2, detectable=np.inf)
    first, second = figures.claims(table).axes
    labels = first.get_legend_handles_labels()[1]
    assert {"no", "too near the border", "yes, other dose or pooling"} <= set(labels)
    near = [line for line in first.lines if line.get_markerfacecolor() == "white" and line.get_marker() == "s"]
    assert [line.get_ydata()[0] for line in near] == [pytest.approx(0.85)]
    (others,) = [line for line in first.lines if line.get_label() == "yes, other dose or pooling"]
    assert len(set(others.get_ydata())) == 2, "beside each other"
    assert [text.get_text() for text in first.texts] == []
    assert [(text.get_text(), text.get_position()[1]) for text in second.texts] == [("not tested", 1)]
