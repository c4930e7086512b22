import numpy as np
import pytest
from scipy.stats import binom

from bitskept.studies.bounds import interval_coverage
from bitskept.studies.bounds.interval_coverage import KINDS, OURS, PERCENTILES, PROMISED, count

DATA_SETS = 1000
TABLE = count([1, 5, 8, 20, 60, 250], DATA_SETS, 0).set_index(["data", "clusters", "method"])
kinds = pytest.mark.parametrize("name", KINDS)


@kinds
def test_intervals_keep_their_promise_where_they_are_given(name):
    """If each covered the truth exactly as often as promised, so few would have a chance below 1e-4."""
    least, rows = PROMISED[KINDS[name]], TABLE.loc[name].xs(OURS, level="method")
    for clusters, row in rows[rows["n"] > 0].iterrows():
        covered = round(row["coverage"] * row["n"])
        assert binom.cdf(covered, row["n"], least) > 1e-4, (clusters, row["coverage"])


def test_where_the_promise_cannot_be_kept_there_is_no_interval():
    rows = TABLE.xs(OURS, level="method")
    none = rows[rows["n"] == 0].index.to_frame(index=False).groupby("data", sort=False)["clusters"].max()
    assert none.tolist() == [5, 1, 1, 8]
    assert rows["none"].isin([0, 1]).all()  # never by the luck of a data set, which would change what is covered
    assert rows.loc[rows["n"] == 0, ["coverage", "low", "high"]].isna().all(axis=None)


@kinds
def test_percentiles_cover_too_little_over_few_clusters(name):
    rows = TABLE.loc[name].xs(PERCENTILES, level="method")
    assert rows.loc[1, "coverage"] == 0
    assert rows.loc[8, "high"] < 0.92
    assert rows.loc[8, "coverage"] < rows.loc[250, "coverage"]


def test_the_limits_are_those_of_clopper_and_pearson():
    row = TABLE.loc[("normal values", 8, OURS)]
    covered = round(row["coverage"] * row["n"])
    assert binom.sf(covered - 1, row["n"], row["low"]) == pytest.approx(0.025, rel=1e-6)
    assert binom.cdf(covered, row["n"], row["high"]) == pytest.approx(0.025, rel=1e-6)
    assert row["n"] == DATA_SETS


@kinds
def test_the_truth_is_that_of_many_data_sets(name):
    sizes = np.linspace(8, 32, 40).round()
    values, weights, truth = KINDS[name](20_000, sizes, np.random.default_rng(0))
    ratios = values.sum(1) / weights.sum()
    assert ratios.mean() == pytest.approx(truth, abs=4 * ratios.std() / np.sqrt(20_000))


def test_data_sets_in_batches_and_alone(monkeypatch):
    few = count([8], 30, 1)
    assert count([8], 30, 1).equals(few)
    assert not count([8], 30, 2).equals(few)
    monkeypatch.setattr(interval_coverage, "BATCH", 7)
    assert (count([8], 30, 1)["n"] == few["n"]).all()


@pytest.mark.parametrize(("clusters", "data_sets"), [([], 5), ([0, 8], 5), ([8], 0)])
def test_nothing_to_draw_is_refused(clusters, data_sets):
    with pytest.raises(ValueError, match="give numbers of sentences and of data sets from 1"):
        count(clusters, data_sets, 0)
