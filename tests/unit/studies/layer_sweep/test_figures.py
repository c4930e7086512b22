from itertools import pairwise

import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.studies.layer_sweep import (
    bits_by_layer,
    claims,
    controls,
    figures,
    forgetting,
    learning,
    one_vector,
    units,
    which_tokens,
)
from bitskept.studies.layer_sweep.section import LayerSweep


@pytest.fixture(scope="module")
def tables(trained, copies):
    tokens = bits_by_layer.main_reading(trained)
    return {
        "retained": bits_by_layer.retained(tokens),
        "readings": bits_by_layer.readings(trained),
        "sentence": one_vector.sentence(trained),
        "places": one_vector.places(trained, copies),
        "learning": learning.learning(trained),
        "words": units.words(tokens),
        "bounds": bits_by_layer.bounds(tokens),
        "probes": bits_by_layer.probes(tokens),
        "random": controls.random_copies(copies),
        "forgetting": forgetting.forgetting(trained),
        "settings": forgetting.by_setting(trained),
        "tokens": which_tokens.by_group(tokens),
    }


NAMES = ["retained", "readings", "sentence", "places", "learning", "words", "bounds", "probes", "random", "forgetting",
         "settings", "tokens"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_curve_has_a_name_beside_it(name, tables):
    figure = drawn(getattr(figures, name), tables[name], LayerSweep.model_construct())
    assert set(rendered(figure, name)) == {"png", "svg"}
    if name == "retained":
        written = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert len(written) == len(set(written)) == 3
    else:
        legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
        assert len(legends) == 1
        labels = [text.get_text() for text in legends[0].get_texts()]
        assert len(labels) == len(set(labels)) >= 2


def test_labels_at_the_ends_of_curves_do_not_overlap(tables):
    same = pd.concat([tables["retained"].query("model == 'a'").assign(model=model) for model in "abc"])
    figure = drawn(figures.retained, same, LayerSweep.model_construct())
    heights = sorted(text.xy[1] for text in figure.axes[0].texts)
    assert min(second - first for first, second in pairwise(heights)) > 0.05


@pytest.mark.parametrize("name", ["retained", "readings", "bounds", "probes"])
def test_where_intervals_of_neighbours_differ_much_they_are_bars(name, tables):
    figure = drawn(getattr(figures, name), tables[name], LayerSweep.model_construct())
    for axes in figure.axes:
        assert {type(part).__name__ for part in axes.collections} == {"LineCollection"}


@pytest.mark.parametrize("name", ["sentence", "bounds", "probes"])
def test_panels_say_which_model_is_a_decoder(name, tables):
    figure = drawn(getattr(figures, name), tables[name], LayerSweep.model_construct())
    assert [axes.get_title() for axes in figure.axes] == ["a (encoder)", "b (encoder)", "c (decoder)"]


def test_the_figure_of_contrasts_marks_what_would_have_been_seen(tables):
    figure = drawn(figures.forgetting, tables["forgetting"], LayerSweep.model_construct())
    assert [axes.get_title() for axes in figure.axes] == [
        "token:\na later layer above an earlier one", "window:\na later layer above an earlier one",
        "bag:\nbest inner layer above the first", "token:\nlate layers above the last",
        "window:\nlate layers above the last", "bag:\nbest inner layer above the last",
    ]  # fmt: skip
    bars = [line for line in figure.axes[0].get_lines() if line.get_marker() == "|" and len(line.get_xdata()) == 3]
    assert any(list(line.get_xdata()) == [0.1, 0.1, 0.1] for line in bars)


def test_the_figure_of_claims_has_a_panel_for_each_claim_of_the_paper_and_says_once_what_is_not_tested(
    trained, copies, masked
):
    random = controls.differences(controls.random_copies(copies))
    figure = drawn(figures.claims, claims.claims(trained, random, masked), LayerSweep.model_construct())
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes if axes.get_title(loc="left")]
    assert sorted(titles) == sorted(claims.LAYERS.values())
    lines = {axes.get_xlabel(): line.get_xdata()[0] for axes in figure.axes for line in axes.get_lines()
             if line.get_linestyle() == ":"}  # fmt: skip
    assert lines == {"bits per token": claims.BITS}
    assert figure.get_suptitle() == "centroid probe, 80 training sentences"
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert {"a: token", "c: window", "b: bag: mean"} <= set(labels), "probe and text are said once, in the title"
    words = figure.axes[-1].texts[0].get_text()
    assert words.count(claims.KEEPS) == 1
