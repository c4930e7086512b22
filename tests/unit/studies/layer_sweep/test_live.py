from bitskept.base.figures import rendered
from bitskept.studies.layer_sweep import live


def test_there_is_a_curve_for_each_model_reading_and_number_of_training_sentences(trained):
    table = live.usable(trained)
    assert set(table["reading"]) == {"token", "window", "bag"}
    assert list(table["train_sentences"].unique()) == [40, 80], "in order, as a slider has them"
    curve = ["model", "reading", "train_sentences", "depth"]
    assert not table.duplicated(curve).any(), "one pooling, one probe, no shuffled targets"
    assert len(table.drop_duplicates(curve[:3])) == 3 * 3 * 2


def test_models_that_dropped_a_few_sentences_share_the_largest_number(trained):
    fewer = (trained["model"] == "a") & (trained["train_sentences"] == 80)
    table = live.usable(trained.assign(train_sentences=trained["train_sentences"].mask(fewer, 78)))
    assert list(table["train_sentences"].unique()) == [40, 80]


def test_the_figure_shows_the_chosen_curves_and_the_others_thinly(trained):
    table = live.usable(trained)
    figure = live.layers(table, reading="token", train_sentences=40)
    assert rendered(figure, "x", ["png"])
    (axes,) = figure.axes
    assert axes.get_title() == "Reading “token”, a probe with 40 training sentences"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a (encoder)", "b (encoder)", "c (decoder)"]
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    chosen = [line for line in axes.get_lines() if line not in thin]
    assert len(thin) == len(chosen) == 3
    at_40, at_80 = (line.get_ydata()[0] for line in (chosen[0], thin[0]))
    assert (at_40, at_80) == (0.8, 1.0)


def test_of_few_sentences_there_is_a_figure_without_intervals(trained):
    table = live.usable(trained).assign(low=float("nan"), high=float("nan"))
    low, high = live.layers(table, reading="bag", train_sentences=80).axes[0].get_ylim()
    shown = table.loc[table["reading"] == "bag", "estimate"]
    assert low <= shown.min() < shown.max() < high
