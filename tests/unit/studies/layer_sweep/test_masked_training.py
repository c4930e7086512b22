import copy
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml

from bitskept.instruments.training import recovery
from bitskept.studies.layer_sweep import figures, masked_sentences
from bitskept.studies.layer_sweep.masked_training import ARMS, COLUMNS, gains, masked_training, training_plans
from bitskept.studies.layer_sweep.section import LayerSweep, random_plan

WORDS = ["the", "cat", "sat", "unlocked", "it", "42", ",", ".", "!"]
RULES = {"continued": "BERT's rule", "mask only": "the mask alone"}


@pytest.fixture
def section(tiny, home, tmp_path, checkout):
    """A section whose masked model is a tiny encoder with a mask token."""
    model = copy.deepcopy(tiny("bert"))
    model.tokenizer.mask_token = "[UNK]"
    for part in (model.network, model.tokenizer):
        part.save_pretrained(home / "models" / "bert")
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=4 + place % 5)) for place in range(90)]
    (tmp_path / "text.txt").write_text("\n".join(texts), "utf-8")
    values = yaml.safe_load((checkout / "params" / "smoke.yaml").read_text("utf-8"))["02_layer_sweep"]
    values |= {"corpus": str(tmp_path / "text.txt"), "train_sentences": 24, "validation_sentences": 6}
    values |= {"test_sentences": 8, "longest": 24, "dtype": "float32", "masked_model": "bert", "masked_steps": 4}
    return LayerSweep(profile="small", **values | {"masked_batch": 4, "masked_rate": 0.02, "masked_seeds": [3]})


@pytest.mark.usefixtures("one_thread")
def test_both_rules_are_read_on_the_way_from_the_same_model_to_the_last_step(section):
    table = masked_training(section)
    assert list(table.columns) == COLUMNS
    assert set(table["seed"].dropna()) == {3}
    prior = table.loc[table["quantity"] == "prior_cross_entropy", "estimate"].item()
    assert 2 < prior < math.log2(16)  # eleven words, of a vocabulary of 16, and not all as frequent
    kept = table[table["quantity"] == "retained_cross_entropy"].set_index(["arm", "probe", "layer", "step"])["estimate"]
    assert set(kept.index) == set(product(ARMS, ("ridge", "centroid"), (0, 3), (0, 2, 4)))
    first, second = (kept.xs(arm).unstack("step") for arm in ARMS)
    assert first[0].equals(second[0])
    last = (slice(None), 3)
    assert not np.allclose(first.loc[last, 4], first.loc[last, 0])
    assert not np.allclose(first.loc[last, 4], second.loc[last, 4])
    costs = table[table["quantity"] == "masked_cross_entropy"].pivot(index="step", columns="arm", values="estimate")
    assert costs.loc[0, ARMS[0]] == costs.loc[0, ARMS[1]]
    assert (costs.loc[4] != costs.loc[0]).all()
    assert {0, 2, 4} <= set(costs.index)
    assert len(figures.masked_training(table).axes) == 3
    assert masked_sentences.before_and_after(table).count("4 steps") == 2


def test_training_leaves_the_sweep_its_sentences_and_the_rules_differ_in_nothing_else(section):
    first, second = training_plans(section.model_copy(update={"masked_seeds": [3]}))
    small = random_plan(section)
    assert first.held_out == small.train + small.validation + small.test
    assert first.sentences == 4 * 4
    assert {name for name, value in vars(first).items() if value != getattr(second, name)} == {"arm"}
    assert set(ARMS) < set(recovery.ARMS)


def results(after, costs=(9.0, 9.0), seeds=(0, 1)):
    """The table where the last layer keeps 50 % before, and `after` the training by rule; `costs` are those after it,
    for each rule, from 12 bits. The second seed keeps one point more.
    """
    rows = [{"model": "m", "step": 0, "quantity": "prior_cross_entropy", "estimate": 10.0, "n": 50}]
    for (arm, cost), seed, step in product(zip(RULES, costs, strict=True), seeds, (0, 8)):
        facts = {"model": "m", "arm": arm, "seed": seed, "step": step, "n": 40, "train_sentences": 60}
        rows.append(facts | {"quantity": "masked_cross_entropy", "estimate": cost if step else 12.0})
        for layer, probe in product((0, 6), ("ridge", "centroid")):
            share = 0.5 if not step else after[arm] + 0.01 * seed
            share = share if layer else 1.0
            kept = {"layer": layer, "probe": probe, "quantity": "retained_cross_entropy", "estimate": share}
            rows.append(facts | kept | {"low": share - 0.02, "high": share + 0.02})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("share", "cost", "expected"),
    [
        (0.7, 9.0, "It keeps more after the training than before."),
        (0.7, 11.0, "It keeps more after the training than before."),
        (0.53, 9.0, "It is not seen to keep more after the training under every probe."),
        (
            0.3,
            11.0,
            "Whether it would keep more after learning cannot be said: the model has hardly learned from context.",
        ),
    ],
)
def test_more_is_kept_after_a_rule_if_every_seed_and_probe_ends_above_the_start(share, cost, expected):
    lines = masked_sentences.before_and_after(results({"continued": 0.7, "mask only": share}, (9.0, cost))).splitlines()
    assert lines[0] == (
        "- **BERT's rule**, 8 steps: the last layer keeps 50.0% [48.0%, 52.0%] before and 70.5% [68.0%, 73.0%] "
        "after (centroid), 50.0% [48.0%, 52.0%] before and 70.5% [68.0%, 73.0%] after (ridge). It keeps more after the "
        "training than before. A held-out hidden token costs 12.0 bits before and 9.0 after. At step 8 the centroid "
        "shows 70.5%, and a hidden token costs 9.0 bits."
    )
    assert lines[1].startswith("- **the mask alone**, 8 steps: ")
    assert f" after (ridge). {expected} A held-out hidden token costs 12.0 bits before and {cost} after" in lines[1]
    assert lines[-1] == (
        "By frequencies alone a token costs 10.0 bits. That is the mean over other tokens: all those of the 50 test "
        "sentences, by their shares in the probe's training text."
    )


def test_one_probe_and_seed_without_a_rise_is_enough_to_doubt_it():
    table = results({"continued": 0.7, "mask only": 0.5})
    table.loc[(table["probe"] == "ridge") & (table["step"] == 8) & (table["seed"] == 1), "low"] = 0.5
    assert "It is not seen" in masked_sentences.before_and_after(table).splitlines()[0]


@pytest.mark.parametrize(
    ("shares", "cost", "answer"),
    [
        ({"continued": 0.7, "mask only": 0.5}, 9.0, "So BERT's rule brings more of it back."),
        ({"continued": 0.5, "mask only": 0.7}, 9.0, "So the mask alone brings more of it back."),
        ({"continued": 0.7, "mask only": 0.69}, 9.0, "So neither is seen to bring more of it back under every probe."),
        ({"continued": 0.7, "mask only": 0.5}, 11.0, "So the rules cannot be compared: one of them has not been"),
    ],
)
def test_the_two_rules_are_compared_at_the_last_layer(shares, cost, answer):
    text = masked_sentences.rules(results(shares, (9.0, cost)))
    assert answer in text
    gap = 100 * (shares["continued"] - shares["mask only"])
    assert f"in points: {gap:+.1f} [{gap - 3.5:+.1f}, {gap + 3.5:+.1f}] (centroid), {gap:+.1f} [" in text
    assert "2 seeds of each and the outer ends of their intervals, which are over sentences and not over seeds." in text


def test_rules_that_differ_under_one_probe_alone_are_not_told_apart():
    table = results({"continued": 0.7, "mask only": 0.5})
    table.loc[(table["probe"] == "ridge") & (table["step"] == 8), "low"] = 0.1
    assert "So neither is seen to bring more of it back under every probe." in masked_sentences.rules(table)


def test_gains_take_the_outer_ends_over_the_seeds_and_say_which_rule_was_learned():
    table = gains(results({"continued": 0.7, "mask only": 0.5}, costs=(9.0, 11.0))).set_index(["arm", "probe"])
    assert len(table) == 4
    row = table.loc[("continued", "ridge")]
    assert row["estimate"] == pytest.approx((0.70 + 0.71) / 2 - (0.50 + 0.50) / 2)
    assert row["low"] == pytest.approx(row["estimate"] - math.hypot(0.705 - 0.68, 0.02))
    assert table["learned"].groupby("arm").first().to_dict() == {"continued": True, "mask only": False}
    assert set(table["train_sentences"]) == {60}


def test_each_probe_has_a_panel_with_a_curve_for_each_rule_and_seed():
    *shares, cost = figures.masked_training(results({"continued": 0.7, "mask only": 0.5})).axes
    assert [axes.get_title() for axes in shares] == ["last layer, ridge", "last layer, centroid"]
    ends = [(line.get_color(), round(line.get_ydata()[-1], 2)) for line in shares[0].lines]
    assert ends == [("C0", 0.7), ("C0", 0.71), ("C1", 0.5), ("C1", 0.51)]
    assert [list(line.get_ydata()) for line in cost.lines] == [[12.0, 9.0]] * 4 + [[10.0, 10.0]]
    labels = [text.get_text() for text in shares[0].figure.legends[0].get_texts()]
    assert labels == ["BERT's rule", "mask only"]
