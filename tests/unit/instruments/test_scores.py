import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from bitskept.instruments.scores import _counts, _ranks, changes, scores


def items(values, reference=None, texts=None, quantity="linear_accuracy", **facts):
    """A table as `understanding.measure` gives it, of one setting unless stated otherwise."""
    number = len(values)
    missing = pd.array([None] * number, dtype="Int64")
    first, second = texts if texts is not None else (missing, missing)
    known = {"model": "a", "kind": "encoder", "weights": "trained", "seed": missing, "task": "task", "layer": 1}
    known |= {"pooling": "mean", "item": np.arange(number), "group": None, "first": first, "second": second}
    known |= {"reference": np.nan if reference is None else reference, "quantity": quantity, "value": values}
    return pd.DataFrame(known | facts)


def pairs(number=60, texts=None, noise=1.0, seed=0, **facts):
    """Pairs of texts, all different or drawn from some, with cosines that follow the scores."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=number)
    drawn = np.arange(2 * number) if texts is None else rng.integers(texts, size=2 * number)
    values = reference + noise * rng.normal(size=number)
    return items(values, reference, drawn.reshape(2, -1), "spearman", **facts)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=12))
def test_ranks_are_those_of_items_that_are_repeated(drawn):
    values, counts = np.array(drawn, dtype=float).T
    if counts.sum() == 0:
        return
    repeated = np.repeat(np.arange(len(values)), counts.astype(int))
    result = _ranks(values, counts[:, None])[:, 0]
    np.testing.assert_allclose(result[repeated], rankdata(values[repeated]) - 0.5)


def test_a_mean_with_its_interval():
    values = np.random.default_rng(0).random(400) < 0.7
    row = scores(items(values.astype(float))).iloc[0]
    share = values.mean()
    error = np.sqrt(share * (1 - share) / 400)
    assert (row["estimate"], row["n"], row["unit"]) == (share, 400, "share of texts")
    assert row["low"] == pytest.approx(share - 1.96 * error, abs=0.01)
    assert row["high"] == pytest.approx(share + 1.96 * error, abs=0.01)


def test_one_row_a_model_task_quantity_layer_and_pooling():
    table = pd.concat(
        [
            pairs(model=model, layer=layer, pooling=pooling)
            for model in ("a", "b")
            for layer in (0, 2)
            for pooling in ("mean", "last")
        ]
        + [items(np.ones(8), quantity="pair_accuracy", layer=None, pooling=None)]
    )
    result = scores(table.sample(frac=1, random_state=0))
    assert len(result) == 9
    assert result["layer"].isna().sum() == result["pooling"].isna().sum() == 1
    assert not result.duplicated(["model", "task", "quantity", "layer", "pooling"]).any()


def test_a_correlation_that_is_not_defined_is_missing():
    table = pd.concat([pairs(), pairs(layer=2).assign(value=0.5)])
    result = scores(table)
    assert result.set_index("layer")[["estimate", "low", "high"]].isna().all(axis=1).tolist() == [False, True]


def test_pairs_that_share_no_text_are_as_good_as_draws_of_pairs():
    table = pairs(300)
    row = scores(table).iloc[0]
    rng = np.random.default_rng(1)
    places = rng.integers(300, size=(1000, 300))
    drawn = [spearmanr(table["value"].iloc[some], table["reference"].iloc[some])[0] for some in places]
    assert row["high"] - row["low"] == pytest.approx(np.subtract(*np.quantile(drawn, [0.975, 0.025])), rel=0.15)


def test_pairs_that_share_texts_say_less():
    """A text that model and people rate too high is rated so in all of its pairs."""
    rng = np.random.default_rng(0)
    first, second = np.triu_indices(25, 1)
    values, reference = (off[first] + off[second] for off in rng.normal(size=(2, 25)))
    shared = scores(items(values, reference, (first, second), "spearman")).iloc[0]
    apart = np.arange(2 * len(first)).reshape(2, -1)
    alone = scores(items(values, reference, apart, "spearman")).iloc[0]
    assert shared["estimate"] == alone["estimate"]
    assert shared["high"] - shared["low"] > 1.5 * (alone["high"] - alone["low"])


@pytest.mark.parametrize("wrong", ["missing", "twice"])
def test_missing_or_repeated_items_are_refused(wrong):
    table = pd.concat([pairs(), pairs(layer=2)])
    table = table.iloc[1:] if wrong == "missing" else pd.concat([table, table.iloc[:1]])
    with pytest.raises(ValueError, match="some items of task, spearman are not there in every layer and pooling"):
        scores(table)


# ---- before and after ----


@pytest.mark.parametrize("table", [pairs(), pairs(texts=9), items(np.arange(9.0))])
def test_equal_tables_show_no_change(table):
    row = changes([table], [table, table, table]).iloc[0]
    assert (row["estimate"], row["runs"]) == (0, 3)
    assert row[["low", "high", "p"]].isna().all()  # where nothing differs nothing says how much it could
    assert row["before"] == row["after"]


def test_the_same_items_are_drawn_before_and_after():
    """What all items gain nearly alike is nearly certain, however much the items differ."""
    rng = np.random.default_rng(0)
    before = items(rng.normal(size=30) * 100, quantity="pair_margin")
    row = changes([before], [before.assign(value=before["value"] + 0.5 + 0.01 * rng.normal(size=30))]).iloc[0]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((0.5, 0.5, 0.5), abs=0.01)
    assert row["high"] - row["low"] == pytest.approx(2 * 2.045 * 0.01 / np.sqrt(30), rel=0.4)
    assert row["unit"] == "bits per pair"


def test_the_seeds_of_training_count_as_well():
    """The interval holds what the runs differ by, though the items say that the gain is certain."""
    before = items(np.zeros(50), quantity="pair_margin")
    after = [before.assign(value=gain) for gain in (1.0, 2.0, 3.0)]
    row = changes([before], after).iloc[0]
    assert (row["before"], row["after"], row["estimate"], row["runs"], row["n"]) == (0, 2, 2, 3, 50)
    # Student's law with 2 degrees of freedom: 4.303 standard errors of 1 / sqrt(3).
    assert row["high"] - row["estimate"] == pytest.approx(4.303 / np.sqrt(3), rel=1e-3)


def test_the_clusters_of_a_change_are_the_items_or_the_texts_of_pairs():
    table = pairs(number=60, texts=9)
    row = changes([table], [table.assign(value=table["value"] ** 3)]).iloc[0]
    assert (row["n"], row["clusters"]) == (60, 9)
    alone = items(np.arange(9.0))
    row = changes([alone], [alone]).iloc[0]
    assert (row["n"], row["clusters"]) == (9, 9)


def test_arms_are_compared_run_by_run():
    seeds = [items(np.full(9, float(seed)), quantity="pair_margin") for seed in range(3)]
    gains = 1 + np.linspace(-0.01, 0.01, 9)
    row = changes(seeds, [one.assign(value=one["value"] + gains) for one in seeds]).iloc[0]
    assert (row["before"], row["after"], row["estimate"]) == pytest.approx((1, 2, 1))
    assert (row["low"], row["high"]) == pytest.approx((1, 1), abs=0.01)  # not the 1 by which the runs differ


def test_shares_bits_and_correlations_have_intervals_of_their_own():
    kinds = {"pair_accuracy": np.repeat([1.0, 0.0], [25, 5]), "pair_margin": np.arange(30.0)}
    for quantity, values in kinds.items():
        row = scores(items(values, quantity=quantity)).iloc[0]
        assert row["low"] < row["estimate"] < row["high"]
    always = scores(items(np.ones(30), quantity="pair_accuracy")).iloc[0]
    assert (always["low"], always["high"]) == pytest.approx((0.025 ** (1 / 30), 1))
    few = scores(items(np.arange(12.0), quantity="pair_margin")).iloc[0]
    assert few[["low", "high"]].isna().all()


def test_a_change_of_correlation_is_that_of_the_two():
    before, after = pairs(noise=1), [pairs(noise=0.3), pairs(noise=0.5)]
    row = changes([before], after).iloc[0]
    old, *new = (spearmanr(table["value"], table["reference"])[0] for table in (before, *after))
    assert row["before"] == pytest.approx(old)
    assert row["estimate"] == pytest.approx(np.mean(new) - old)
    assert 0 < row["low"] < row["estimate"] < row["high"]
    assert row["p"] < 0.05


def test_the_order_of_the_rows_does_not_matter():
    table = pd.concat([pairs(), pairs(layer=2)])
    expected = scores(table)
    pd.testing.assert_frame_equal(scores(table.iloc[::-1]), expected)


def test_a_change_that_is_not_defined_is_missing():
    row = changes([pairs().assign(value=1.0)], [pairs()]).iloc[0]
    assert row[["before", "estimate", "low", "high", "p"]].isna().all()
    assert np.isfinite(row["after"])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([pairs()], [], "1 tables before cannot be compared with 0 after"),
        ([pairs(), pairs()], [pairs()] * 3, "2 tables before cannot be compared with 3 after"),
        ([pairs()], [pairs(seed=1)], "other items of task"),
        ([pairs()], [pairs(layer=2)], "other layers or poolings of task"),
        ([pairs()], [pairs(task="other")], "the same tasks and quantities: .* is not everywhere"),
        ([pairs()], [pairs(number=30)], "other items of task"),
        ([pairs(texts=9)], [pairs(texts=8)], "other items of task"),
    ],
)
def test_what_cannot_be_compared(before, after, message):
    with pytest.raises(ValueError, match=message):
        changes(before, after)


def test_counts_are_those_of_draws_with_replacement():
    counts = _counts(np.random.default_rng(0), 7, 500)
    assert counts.shape == (7, 500)
    assert (counts.sum(axis=0) == 7).all()
    assert counts.var() == pytest.approx(6 / 7, rel=0.1)
