"""The tables of notebook 01 against what is known about them."""

import numpy as np
import pytest

from bitskept.studies.bounds import fano, plug_in, probes, sandwich
from bitskept.studies.bounds.random_numbers import draw
from bitskept.theory import bounds, information
from bitskept.theory.channels import zipf


@pytest.fixture(scope="module")
def drawn(section):
    return draw(section)


def test_the_truth_lies_in_the_sandwich_which_closes_when_all_is_lost(section):
    table = sandwich.by_loss(section).pivot_table("estimate", ["encoder", "lost"], "quantity", sort=False)
    assert len(table) == 6
    assert table["information"].between(table["lower"] - 1e-9, table["upper"] + 1e-9).all()
    assert table["information"].xs(1.0, level="lost").to_list() == pytest.approx([0, 0], abs=1e-9)
    slots, pooled = table["information"].xs(0.0, level="lost")
    assert slots == pytest.approx(table["entropy"].max())
    assert pooled < slots


def test_the_sides_meet_where_words_are_independent_and_part_as_they_repeat(section):
    table = sandwich.by_source(section).pivot_table("estimate", "repeat", "quantity")
    width = table["upper"] - table["lower"]
    assert width.iloc[0] == pytest.approx(0, abs=1e-9)
    assert width.iloc[-1] > 0.1
    assert (table["entropy"] == 1).all()


def test_the_region_has_fanos_curve_and_the_equivocation_of_each_law(drawn):
    table = fano.region(drawn.laws[:3])
    curve = table[(table["quantity"] == "Fano bound") & (table["alphabet"] == 1000)].set_index("named right")
    assert curve.loc[0.5, "estimate"] == pytest.approx(bounds.fano(np.log2(1000), 0.5, 1000) / np.log2(1000))
    assert curve.loc[1.0, "estimate"] == pytest.approx(1)
    dots = table[table["quantity"] == "equivocation"]
    law = drawn.laws[0]
    assert dots.iloc[0]["named right"] == pytest.approx(law.max(0).sum())
    left_open = information.entropy(law) - information.entropy(law.sum(0))
    assert dots.iloc[0]["estimate"] == pytest.approx(left_open)


def test_predictors_that_know_more_prove_more():
    lines = fano.two_lines(50)
    laws = fano.predictions(lines)
    for law in laws.values():
        np.testing.assert_allclose(law.sum(1), 1)
    proved = [
        bounds.cross_entropy_bound(lines.entropy, bounds.cross_entropy(lines.joint, law)) for law in laws.values()
    ]
    assert proved[0] == pytest.approx(bounds.fano(lines.entropy, lines.bayes_error, 50))
    assert proved[0] < proved[1] < proved[2]
    assert proved[2] == pytest.approx(lines.mutual_information)


def test_class_means_are_the_means_of_the_classes():
    states = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]])
    means = probes.class_means(states, np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(means, [[2, 1], [0, 0], [5, 5]])


def test_scores_count_errors_and_surprise():
    law = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert probes.scores(law, np.array([0, 0])) == (0.5, 1.5)


def test_probes_prove_less_than_the_truth_and_more_with_more_training(section, drawn):
    source = probes.channel(section)
    table = probes.proofs(source, drawn.training, drawn.test)
    assert len(table) == 2 * probes.REPEATS * 4
    assert (table["estimate"] < table["truth"] + 0.02).all()  # chance in 10,000 test states
    medians = table.groupby(["bound", "probe", "training"])["estimate"].median().unstack()
    assert (medians[64] > medians[1] + 1).all()
    assert medians.loc[("cross-entropy", "as sure as the truth"), 64] > 0.97 * source.mutual_information


def test_what_is_taken_off_the_entropy_adds_up(drawn):
    values = plug_in.estimates(drawn.counts)
    table = plug_in.taken_off(values, 50)
    taken = table[table["low"].isna()].pivot(index="samples", columns="quantity", values="estimate")
    limit = values[values["estimate of H(X)"] == plug_in.LIMIT].groupby("samples")["estimate"].mean()
    left = information.entropy(zipf(50)) - taken["bias of the plug-in"] - taken["deviation"]
    np.testing.assert_allclose(left, limit)
    assert (taken["customary deviation"] > taken["deviation"]).all()
    spread = table[table["low"].notna()]
    assert (spread["low"] <= spread["estimate"]).all()
    assert (spread["estimate"] <= spread["high"]).all()


def test_the_same_seed_draws_the_same(section, drawn):
    again = draw(section)
    np.testing.assert_array_equal(drawn.laws, again.laws)
    np.testing.assert_array_equal(drawn.test[0], again.test[0])
    assert drawn.laws.sum((1, 2)) == pytest.approx(1)
    assert [size for size, _ in drawn.training] == [1] * probes.REPEATS + [64] * probes.REPEATS
    for size, counts in drawn.counts.items():
        assert (counts.sum(1) == size).all()
