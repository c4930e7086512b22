"""What the figures of notebook 05 derive from their tables."""

import itertools

import pandas as pd

from bitskept.instruments import claims as outcomes
from bitskept.instruments.training.twin_runs import BERT, COLOURS, DIFFUSION, NEXT
from bitskept.studies.dynamics import figures
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.section import TrainingDynamics
from bitskept.studies.dynamics.sizes import LABELS, along

POINTS = [(48, 64), (96, 64), (24, 64), (48, 16)]
"""Width and sentences: the middle size with all the text, two other widths, and less text."""


def sizes(points=POINTS):
    rows = [
        {"twin": "mask only", "size": size, "amount": amount, "quantity": quantity, "estimate": 1.0, "low": 0.5,
         "high": 2.0}
        for (size, amount), quantity in itertools.product(points, LABELS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_sizes_vary_with_all_the_text_and_amounts_at_the_middle_width():
    assert set(along(sizes(), "size")["size"]) == {24, 48, 96}
    assert set(along(sizes(), "amount")["amount"]) == {16, 64}
    assert set(along(sizes(POINTS[:1]), "size")["size"]) == {48}
    panels = figures.size_and_data(sizes(), TrainingDynamics.model_construct(least_gain=0.4)).axes
    assert not any(len(axes.lines[1].get_xdata()) for axes in panels)  # crosses
    assert [axes.lines[0].get_xdata().tolist() for axes in panels] == [[24, 48, 96]] * 3 + [[16, 64]] * 3
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["mask only"]
    assert [axes.get_ylabel() for axes in panels] == [*LABELS.values()] * 2


def test_networks_that_have_not_learned_are_crossed_out_and_no_gain_is_drawn_below_0():
    table = sizes()
    table.loc[(table["amount"] == 16) & (table["quantity"] == GAIN), ["estimate", "low", "high"]] = [-7.0, -8.0, -6.0]
    table.loc[(table["amount"] == 16) & (table["quantity"] == "late_forgetting"), "estimate"] = -0.5
    panels = figures.size_and_data(table, TrainingDynamics.model_construct(least_gain=0.4)).axes
    assert [axes.lines[1].get_xdata().tolist() for axes in panels] == [[]] * 3 + [[16]] * 3
    assert [axes.lines[0].get_ydata()[0] for axes in panels[3:]] == [0, 1, -0.5]
    assert panels[3].collections[0].get_paths()[0].vertices[:, 1].min() == 0


def test_two_runs_have_no_band():
    rows = [
        {"twin": twin, "probe": "ridge", "step": step, "estimate": 1.0, "low": -7.0, "high": 9.0, "runs": runs}
        for (twin, runs), step in itertools.product(((NEXT, 3), (DIFFUSION, 2)), (0, 1, 4))
    ]
    figure = figures.forgetting(pd.DataFrame([row | {"probe": name} for row in rows for name in ("ridge", "centroid")]))
    heights = [set(band.get_paths()[0].vertices[:, 1]) for band in figure.axes[0].collections]
    assert heights == [{-7.0, 9.0}, {1.0}]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [NEXT, f"{DIFFUSION} (2 runs, no band)"]


def over_steps(twin, quantity, values):
    rows = [{"twin": twin, "quantity": quantity, "step": step, "estimate": value} for step, value in enumerate(values)]
    return pd.DataFrame(rows).assign(low=-9.0, high=9.0)


def test_what_was_learned_is_drawn_with_its_least_and_code_lengths_where_there_are_some():
    table = pd.concat([
        *(over_steps(twin, GAIN, [-1.0, 2.5]) for twin in (NEXT, BERT, DIFFUSION)),
        over_steps(NEXT, "bits_per_byte", [4.0, 2.0]),
        over_steps(DIFFUSION, "bits_per_byte_bound", [5.0, 3.0]),
    ])  # fmt: skip
    figure = figures.learning(table, TrainingDynamics.model_construct(least_gain=2.0))
    gained, costs = figure.axes
    assert [line.get_ydata()[-1] for line in gained.lines] == [2.5, 2.5, 2.5, 2.0]  # the last one is the least
    drawn = {line.get_color(): line.get_linestyle() for line in costs.lines if len(line.get_xdata())}
    assert drawn == {COLOURS[NEXT]: "-", COLOURS[DIFFUSION]: "--"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [NEXT, BERT, DIFFUSION, "2 bits: has learned"]


def test_a_run_has_a_line_in_the_panel_of_each_probe_and_a_twin_one_label():
    rows = [
        {"twin": twin, "seed": seed, "step": step, "probe": probe, "gain": step - 3.0, "estimate": 1 - step / 9}
        for twin, seed, probe, step in itertools.product((NEXT, BERT), (0, 1), ("centroid", "ridge"), (0, 4))
    ]
    figure = figures.kept_and_learned(pd.DataFrame(rows))
    assert [axes.get_title() for axes in figure.axes] == ["centroid", "ridge"]
    for axes in figure.axes:
        assert [len(line.get_xdata()) for line in axes.lines] == [2, 1] * 4  # the last step of each has a dot
        assert axes.get_xlim()[0] == -1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [NEXT, BERT]


def test_runs_have_a_point_for_each_target_and_measure_that_was_taken():
    rows = [
        {"twin": twin, "run": f"{twin}-{seed}", "quantity": quantity, "estimate": seed + place}
        for twin, seed in itertools.product((NEXT, BERT), (0, 1))
        for place, quantity in enumerate(("rankme", "retained", GAIN, "bits_per_byte", "blimp accuracy"))
        if (twin, quantity) != (BERT, "bits_per_byte")
    ]
    figure = figures.run_measures(pd.DataFrame(rows))
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels[-2:]] == ["retained", "rankme"]
    assert [axes.get_ylabel() for axes in panels[::2]] == ["unigram\ngain", "bits\nper byte", "blimp\naccuracy"]
    # The gain of twins that predict the next token is bits per byte in other units.
    assert [[line.get_color() for line in axes.lines] for axes in panels[::2]] == [
        [COLOURS[BERT]],
        [COLOURS[NEXT]],
        [COLOURS[BERT], COLOURS[NEXT], "grey"],  # chance
    ]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {NEXT, BERT}


def test_primary_claims_are_drawn_with_their_networks():
    row = {"paper": "P1", "claim": "a", "reading": "token", "probe": "centroid", "train_sentences": 60,
           "estimate": 0.3, "low": 0.1, "high": 0.5, "unit": "bits per token", "clusters": 3, "detectable": 0.2,
           "p": 0.01}  # fmt: skip
    rows = [row | {"model": "x (language)"}, row | {"model": "y (real text)"}, row | {"model": "z", "primary": False}]
    rows.append(row | outcomes.UNTESTED | {"model": "w (real text)", "claim": "a (to be tested: more)"})
    table = outcomes.table(pd.DataFrame(rows).fillna({"primary": True}), relevant=0.1)
    figure = figures.claims(table)
    words = " ".join(text.get_text() for axes in figure.axes for text in [*axes.get_yticklabels(), *axes.texts])
    assert "x (language)" in words
    assert "y (real text)" in words
    assert "z" not in words
    assert "w (real text): a (to be tested: more)" in words
    assert "centroid" not in words


def test_a_build_has_a_panel_and_each_initial_scale_a_colour():
    rows = [
        {"family": family, "causal": causal, "initial": initial, "probe": probe, "layer": layer, "estimate": 0.5,
         "low": 0.4, "high": 0.6}
        for family, causal, initial, probe, layer in itertools.product(
            ("mamba2", "llama"), (True, False), (0.1, 0.02), ("ridge", "centroid"), (0, 1)
        )
    ]  # fmt: skip
    panels = figures.untrained(pd.DataFrame(rows)).axes
    assert [axes.get_title() for axes in panels] == [
        *("mamba2\ncentroid", "llama\ncentroid", "mamba2\nridge", "llama\nridge")
    ]
    assert [(line.get_color(), line.get_linestyle()) for line in panels[0].lines] == [
        *(("C0", "-"), ("C1", "-"), ("C0", "--"), ("C1", "--"))
    ]
