import dataclasses
import functools
import json

import made_up
import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal, assert_series_equal

from bitskept.base import store
from bitskept.instruments.soft_entropy.accumulator import SoftEntropy
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.compression import (
    COLUMNS,
    Instrument,
    Plan,
    compress,
    measure,
    measured,
    tidy_rows,
)
from bitskept.instruments.soft_entropy.labels import Labels, k_grams
from bitskept.instruments.states import encode
from bitskept.sources import models

WORDS = ["the", "cat", "sat", "un", "it", "42", "The", "at"]
FIRST, SECOND = Instrument(anchors=12), Instrument(anchors=8, seed=5, calibration="reference")
PLAN = Plan("synthetic", (40, 120), widths=(1, 2, 4), instruments=(FIRST, SECOND), dtype="float32")
ENDINGS = ("", "_floor", "_corrected", "_extrapolated")
RATIOS = ("regularity", "optimality")
families = pytest.mark.parametrize("family", ["bert", "llama"])
pytestmark = pytest.mark.usefixtures("one_thread")


sentences = functools.partial(made_up.sentences, WORDS, 8, 12)
TEXTS = sentences(120)
DOMAINS = ["news" if "42" in text else "prose" for text in TEXTS]


@pytest.fixture(scope="module")
def tables(tiny):
    return {family: compress(tiny(family), TEXTS, DOMAINS, PLAN) for family in ("bert", "llama")}


def of(table, sentences=120, instrument=FIRST):
    return table[(table["sentences"] == sentences) & (table["anchors"] == instrument.anchors)]


def estimate(table, quantity, width=None):
    """By layer; the mean over layers stands under -1."""
    rows = table[
        (table["quantity"] == quantity) & (table["width"].isna() if width is None else table["width"] == width)
    ]
    return rows.assign(layer=rows["layer"].fillna(-1).astype(int)).set_index("layer").drop(columns="quantity")


# ---- the table ----


@families
def test_one_tidy_table(tables, family):
    table = tables[family]
    assert list(table.columns) == COLUMNS
    assert not table.drop(columns=["estimate", "low", "high"]).duplicated().any(), "two rows say what one should"
    facts = {"model": family, "kind": "encoder" if family == "bert" else "decoder", "weights": "trained"}
    for name, value in (facts | {"corpus": "synthetic"}).items():
        assert set(table[name]) == {value}
    assert table["seed"].isna().all()
    assert (table["n"] > 0).all()
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["high"]).all()
    ratio = table["quantity"].str.split("_").str[0].isin(RATIOS)
    assert set(table.loc[ratio, "unit"]) == {"ratio"}
    assert table.loc[~ratio, "estimate"].notna().all()


@families
def test_every_quantity_size_instrument_layer_and_width_is_there(tables, family):
    table, expected = tables[family], set()
    for name in ("complexity", "expressivity"):
        expected |= {f"{name}{end}" for end in ENDINGS}
    for name in RATIOS:
        expected |= {f"{name}{end}" for end in ENDINGS if end != "_floor"}
    by_width = table[table["width"].notna()]
    instruments = {(one.anchors, one.seed, one.calibration) for one in (FIRST, SECOND)}
    for key, rows in by_width.groupby(["sentences", "anchors", "anchor_seed", "calibration"]):
        assert key[0] in (40, 120)
        assert key[1:] in instruments
        assert set(rows["quantity"]) == expected | {"unique_input", "unique_output"}
        for _, one in rows[rows["quantity"].isin(expected)].groupby("quantity"):
            assert sorted(one["layer"].fillna(-1)) == sorted([-1, 0, 1, 2, 3] * 3)
            assert set(one["width"]) == {1, 2, 4}
    assert len(by_width) == 4 * 3 * (len(expected) * 5 + 2)
    without = table[table["width"].isna()].groupby("quantity").size().to_dict()
    assert without.pop("random_entropy") % (4 * 2) == 0  # of 4 layers and 2 instruments
    domain = {"domain_information": 5, "domain_information_corrected": 5}
    domain |= {"domain_information_floor": 4, "domain_information_p": 4}
    assert without == {"soft_entropy": 4 * 5} | domain


@families
def test_the_quantities_agree_with_each_other(tables, family):
    table = of(tables[family])
    entropy = estimate(table, "soft_entropy")["estimate"]
    assert ((entropy > 0) & (entropy <= np.log2(12))).all()
    for width in PLAN.widths:
        for name in ("complexity", "expressivity"):
            raw, corrected, floor = (
                estimate(table, f"{name}{end}", width)["estimate"] for end in ("", *ENDINGS[2:0:-1])
            )
            np.testing.assert_allclose(raw, corrected + floor, atol=1e-9)
            assert (raw <= entropy + 1e-6).all()
        for end in ("", "_corrected", "_extrapolated"):
            complexity = estimate(table, f"complexity{end}", width)["estimate"]
            expressivity = estimate(table, f"expressivity{end}", width)["estimate"]
            for ratio, value in (("regularity", complexity / entropy), ("optimality", expressivity / complexity)):
                result = estimate(table, f"{ratio}{end}", width)["estimate"].dropna()
                np.testing.assert_allclose(result, value[result.index])  # -1, the mean over layers, is a ratio of means
    optimality = estimate(table, "optimality", 1)["estimate"]
    assert len(optimality.dropna()) == 5
    assert abs(optimality[-1] - optimality[[1, 2, 3]].mean()) > 1e-4  # which is not the mean of the ratios


@families
def test_rows_without_a_layer_are_means_over_layers_1_to_the_last(tables, family):
    table = of(tables[family])
    for quantity, width in (("soft_entropy", None), ("complexity", 2), ("expressivity_corrected", 1)):
        values = estimate(table, quantity, width)["estimate"]
        assert values[-1] == pytest.approx(values[[1, 2, 3]].mean())
        assert values[-1] != pytest.approx(values[[0, 1, 2, 3]].mean(), rel=1e-6)


def test_a_lookup_holds_its_token_and_no_more(tables):
    """Layer 0 of a decoder: one state a token, so H(Z|token) is h(1) however many states there are."""
    table = of(tables["llama"])
    regularity, raw = estimate(table, "regularity", 1)["estimate"], estimate(table, "complexity", 1)["estimate"]
    assert estimate(table, "complexity_extrapolated", 1)["estimate"][0] == pytest.approx(raw[0], abs=1e-4)
    assert regularity[0] == regularity.max()


@families
def test_a_smaller_sample_is_the_beginning_of_the_larger(tiny, tables, family):
    model = tiny(family)
    alone = compress(model, TEXTS[:40], DOMAINS[:40], Plan("synthetic", (40,), PLAN.widths, instruments=(FIRST,)))
    first = of(tables[family], sentences=40)
    assert set(first["n"]) < set(of(tables[family])["n"]) | set(first["n"])
    for quantity, width in (("soft_entropy", None), ("complexity", 1), ("expressivity", 4), ("unique_input", 2)):
        one, other = estimate(first, quantity, width), estimate(of(alone, 40), quantity, width)
        np.testing.assert_allclose(one["estimate"], other["estimate"], atol=1e-5)
        np.testing.assert_array_equal(one["n"], other["n"])
    grams, owners = k_grams(encode(model, TEXTS[:120]), PLAN.widths)
    places = {size: int((grams["input 1"][owners < size] >= 0).sum()) for size in (40, 120)}
    assert tables[family].dropna(subset="width").groupby("sentences")["n"].unique().map(list).to_dict() == {
        size: [number] for size, number in places.items()
    }


@families
def test_the_share_of_unique_labels(tiny, tables, family):
    grams, _ = k_grams(encode(tiny(family), TEXTS[:120]), PLAN.widths)
    for width in PLAN.widths:
        for side in ("input", "output"):
            _, counts = np.unique(grams[f"{side} {width}"][grams["input 1"] >= 0], return_counts=True)
            result = estimate(of(tables[family]), f"unique_{side}", width)["estimate"]
            assert result.to_numpy() == pytest.approx([(counts == 1).sum() / counts.sum()])


@pytest.mark.parametrize("signal", [0.0, 3.0])
def test_optimality_is_missing_where_complexity_is_within_noise_of_0(signal):
    """Noise has a raw optimality all the same; a signal at layers 1 and 2 has a corrected one as well."""
    rng, places = np.random.default_rng(0), 600
    sets = {f"{side} 1": rng.integers(150, size=places) for side in ("input", "output")}
    states = rng.standard_normal((3, places, 8))
    states[1:] += signal * rng.standard_normal((150, 8))[sets["input 1"]]
    anchors = Anchors.draw(12, 8, seed=0)
    soft = SoftEntropy(anchors, Labels.build(sets, np.arange(places) // 6, rows=400, seed=0), 3)
    soft.open(np.arange(places))
    soft.add(anchors.assign(torch.tensor(states, dtype=torch.float32)), np.arange(places))
    table = pd.DataFrame(tidy_rows(soft.evaluate(), widths=(1,))).astype({"layer": "Int64"})
    for end in ("_corrected", "_extrapolated"):
        complexity, optimality = (estimate(table, f"{name}{end}", 1) for name in ("complexity", "optimality"))
        there = pd.Series([False, *[signal > 0] * 3], complexity.index)  # layers 0, 1, 2 and their mean
        error = (complexity["high"] - complexity["low"]) / 3.92
        assert ((complexity["estimate"] > 6 * error) == there).all()
        known = optimality[["estimate", "low", "high"]].notna()
        assert known.all(axis=1).equals(there)
        assert known.any(axis=1).equals(there)
    raw = estimate(table, "optimality", 1)
    assert (raw["estimate"][[0]] > 0.9).all()
    assert (raw["high"] - raw["low"] < 0.3).all()


def test_random_entropy_is_the_floor_of_a_label_with_so_many_states(tables):
    rows = of(tables["llama"]).query("quantity == 'random_entropy'")
    assert rows["width"].isna().all()
    curve = rows.pivot(index="n", columns="layer", values="estimate")
    assert curve.index.tolist()[:4] == [1, 2, 4, 8]
    assert (curve.diff().iloc[1:] > -0.02).all(axis=None)
    whole = estimate(of(tables["llama"]), "soft_entropy")["estimate"]
    assert (curve.iloc[-1].to_numpy() <= whole[[0, 1, 2, 3]].to_numpy() + 0.02).all()
    single = rows[rows["n"] == 1]
    assert (single["low"] == single["high"]).all()  # known exactly


def test_where_no_label_comes_twice_nothing_is_extrapolated(tiny):
    texts = ["".join(chr(97 + (5 * number + place) % 26) for place in range(5)) for number in range(5)]
    table = compress(tiny("llama"), texts, ["all"] * 5, Plan("letters", (5,), widths=(1,), instruments=(FIRST,)))
    assert (estimate(table, "unique_input", 1)["estimate"] == 1).all()
    rows = table[table["quantity"].str.endswith("_extrapolated")]
    assert len(rows) == 20
    assert rows[["estimate", "low", "high"]].isna().all(axis=None)
    np.testing.assert_allclose(estimate(table, "complexity_corrected", 1)["estimate"], 0, atol=1e-6)
    assert not table["quantity"].str.startswith("domain").any()  # which is the same for all


@families
def test_the_domain_is_told_apart_where_it_shows(tables, family):
    domain = tables[family][tables[family]["quantity"].str.startswith("domain_information")]
    assert set(domain["sentences"]) == {120}
    assert set(domain["anchors"]) == {12}
    raw, floor, corrected, p = (
        estimate(domain, f"domain_information{end}")["estimate"][[0, 1, 2, 3]]
        for end in ("", "_floor", "_corrected", "_p")
    )
    np.testing.assert_allclose(raw, floor + corrected)
    assert (p < 0.01).any()
    assert set(domain.loc[domain["quantity"] == "domain_information_p", "unit"]) == {"probability"}


def test_a_small_memory_samples_the_labels(tiny):
    # 1 MB holds 218 sums of 4 layers and 300 anchors, and the six label sets have more labels than that.
    plan, little = (
        Plan("synthetic", (120,), PLAN.widths, instruments=(Instrument(anchors=300),), memory=memory)
        for memory in (128, 1)
    )
    every, some = (compress(tiny("llama"), TEXTS, DOMAINS, one) for one in (plan, little))
    pairs = [
        [estimate(table, quantity, width) for table in (every, some)]
        for quantity in ("complexity_corrected", "expressivity_corrected")
        for width in PLAN.widths
    ]
    assert any((one["estimate"] != other["estimate"]).any() for one, other in pairs)
    for one, other in pairs:
        error = (other["high"] - other["low"]) / 3.92
        assert ((one["estimate"] - other["estimate"]).abs() < 4 * error).all()


def test_labels_may_weigh_the_same_however_frequent(tiny):
    equal = dataclasses.replace(FIRST, label_weights="equal")
    table = compress(tiny("llama"), TEXTS, DOMAINS, Plan("synthetic", (120,), (1,), instruments=(FIRST, equal)))
    by_frequency, equally = (table[table["label_weights"] == name] for name in ("frequency", "equal"))
    one, other = (estimate(part, "soft_entropy")["estimate"] for part in (by_frequency, equally))
    assert_series_equal(one, other)
    one, other = (estimate(part, "complexity", 1)["estimate"] for part in (by_frequency, equally))
    assert ((one - other).abs() > 1e-3).all()


def test_the_same_plan_gives_the_same_table(tiny, tables):
    assert_frame_equal(compress(tiny("llama"), TEXTS, DOMAINS, PLAN), tables["llama"])


# ---- errors ----


def test_too_few_or_too_short_sentences(tiny):
    with pytest.raises(ValueError, match="synthetic gives 100 sentences, but 120 are asked for"):
        compress(tiny("bert"), TEXTS[:100], DOMAINS[:100], PLAN)
    plan = Plan("synthetic", (2,), widths=(1, 3), instruments=(FIRST,))
    with pytest.raises(ValueError, match="no sentence has the 6 tokens that 3-grams on both sides of a place need"):
        compress(tiny("bert"), ["the cat sat it.", "it 42"], ["all", "all"], plan)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sentences": ()}, "sentences must be growing sample sizes"),
        ({"sentences": (20, 10)}, "sentences must be growing sample sizes"),
        ({"sentences": (10, 10)}, "sentences must be growing sample sizes"),
        ({"sentences": (0, 10)}, "sentences must be growing sample sizes"),
        ({"widths": ()}, "widths must be at least 1"),
        ({"widths": (0, 1)}, "widths must be at least 1"),
    ],
)
def test_a_plan_that_cannot_be_measured_is_refused(facts, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{"corpus": "synthetic", "sentences": (10,)} | facts)


# ---- from the store ----


@pytest.fixture
def sources(tiny, tmp_path, home, monkeypatch):
    """A folder with a model and a file with sentences, and the store's run log: (model id, plan, log)."""
    model = tiny("llama")
    model.network.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    corpus = tmp_path / "sentences.txt"
    corpus.write_text("\n".join(sentences(40)), "utf-8")
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))
    plan = Plan(str(corpus), (20, 40), widths=(1,), instruments=(FIRST,), dtype="float32")
    return str(tmp_path / "model"), plan, tmp_path / "log"


def refuse(*_, **__):
    raise AssertionError("the model was loaded")


def from_store(log):
    return [json.loads(line)["from_store"] for line in log.read_text("utf-8").splitlines()]


def test_what_has_been_measured_by_a_plan_is_found(sources, monkeypatch):
    model, plan, log = sources
    nothing = measured(plan)
    assert nothing.empty
    assert list(nothing.columns) == COLUMNS
    trained, random = measure(model, plan, progress=False), measure(model, plan, weights=3, progress=False)
    for other in ({"widths": (1, 2)}, {"sentences": (40,)}, {"seed": 1}, {"instruments": (SECOND,)}):
        measure(model, Plan(**vars(plan) | other), progress=False)
    measure(model, Plan(**vars(plan) | {"dtype": "bfloat16"}), progress=False)  # what "auto" may be elsewhere
    assert from_store(log) == [False] * 7
    monkeypatch.setattr(models, "load", refuse)
    result = measured(plan)
    assert len(result) == 3 * len(trained)
    assert (set(random["weights"]), set(random["seed"])) == ({"random"}, {3})
    for table in (trained, random):
        assert any(
            part.reset_index(drop=True).equals(table)
            for part in (result[start : start + len(table)] for start in range(0, len(result), len(table)))
        )
    assert (random["estimate"].dropna() != trained["estimate"].dropna()).any()
