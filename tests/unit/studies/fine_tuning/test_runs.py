import copy
import gzip
import itertools
import json

import numpy as np
import pandas as pd
import pytest

from bitskept.sources import models, registry
from bitskept.studies.fine_tuning import bits_by_layer, runs, score_changes, task_scores
from bitskept.studies.fine_tuning.best_layers import best_layers
from bitskept.studies.fine_tuning.section import FineTuning, at_main_dose, jobs, plans

ARMS = ["recoverability", "continued", "permuted"]
WORDS = ["the", "cat", "sat", "unlocked", "it", "42", ",", ".", "!"]
SIZES = {"train_sentences": 24, "validation_sentences": 6, "test_sentences": 8, "layers": 3, "items": 12}


def texts(number, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=4 + place % 5)) for place in range(number)]


def write_tasks(folder):
    """Small files in the formats of STS-B, SUBJ and BLiMP."""
    for name in ("stsb", "sentences", "blimp"):
        (folder / name).mkdir(parents=True)
    random, some = np.random.default_rng(0), texts(24, 1)
    pairs = [f"a\tb\tc\td\t{random.uniform(0, 5):.2f}\t{one}\t{other}" for one, other in itertools.pairwise(some)]
    for part in ("train", "dev", "test"):
        (folder / "stsb" / f"sts-{part}.csv").write_text("\n".join(pairs), "utf-8")
    labelled = [f"{place % 2} {text}" for place, text in enumerate(texts(60, 2))]
    (folder / "sentences" / "subj.all").write_text("\n".join(labelled), "utf-8")
    for name in registry("tasks")["blimp"]["paradigms"]:
        pair = {"sentence_good": "the cat sat .", "sentence_bad": "cat the sat .", "UID": name}
        (folder / "blimp" / f"{name}.jsonl.gz").write_bytes(gzip.compress(json.dumps(pair).encode()))


@pytest.fixture(scope="module")
def prepared(tiny, tmp_path_factory):
    """A section with an encoder that is tuned in four arms, two seeds and two rates, and a decoder that is only
    measured.
    """
    folder = tmp_path_factory.mktemp("fine_tuning")
    for family in ("bert", "llama"):
        model = copy.deepcopy(tiny(family))
        if family == "bert":
            model.tokenizer.mask_token = "[UNK]"
        model.network.save_pretrained(folder / family)
        model.tokenizer.save_pretrained(folder / family)
    (folder / "text.txt").write_text("\n".join(texts(120, 3)), "utf-8")
    write_tasks(folder / "data")
    encoder, decoder = str(folder / "bert"), str(folder / "llama")
    tuning = {"arms": ARMS, "first_rate_arms": ["sentence"], "rates": [0.02, 0.005], "seeds": [0, 1], "steps": 3}
    section = FineTuning(
        profile="small", tuning={encoder: tuning | {"checkpoints": [2], "dose_tasks": ["subj"], "batch": 4}},
        measuring={encoder: SIZES, decoder: SIZES}, corpus=str(folder / "text.txt"), longest=24, rank=2, negatives=20,
        curve_sentences=6, tasks=["stsb", "subj"], data_tasks=["blimp", "sick"], seed=0,
        dtype="float32", accept_terms=[],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(folder / "home"))
        patch.setenv("BITSKEPT_DATA", str(folder / "data"))
        yield section


@pytest.fixture(scope="module")
def tuned(prepared):
    return runs.tune(prepared)


@pytest.fixture(scope="module")
def all_runs(prepared, tuned):
    return pd.concat([runs.before(prepared), tuned[0]], ignore_index=True)


pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*sentences are longer than"),
]


def test_arms_of_a_seed_differ_in_the_objective_alone_and_training_leaves_the_sweep_its_sentences(prepared):
    every = list(plans(prepared))
    doses = [(plan.arm, plan.schedule.rate, plan.seed) for plan in every]
    first, second = ([*ARMS, "sentence"], [0.02], (0, 1)), (ARMS, [0.005], (0, 1))
    assert doses == [*itertools.product(*first), *itertools.product(*second)]
    for rate in (0.02, 0.005):
        alike = [plan for plan in every if plan.schedule.rate == rate]
        same = {(plan.model, plan.schedule, plan.sentences, plan.held_out, plan.text_seed, plan.rank) for plan in alike}
        assert len(same) == 1
    assert every[0].held_out == 24 + 6 + 8
    assert every[0].sentences == 3 * 4
    assert every[0].checkpoints == (2,)


def test_the_main_dose_is_the_first_rate_to_the_last_step(prepared):
    (model,) = prepared.tuning
    rows = [(model, np.nan, 0), (model, 0.02, 3), (model, 0.02, 1), (model, 0.005, 3), ("untuned", np.nan, 0)]
    table = pd.DataFrame(rows, columns=["model", "rate", "step"], index=[5, 4, 3, 2, 1])
    assert at_main_dose(prepared, table).to_dict() == {5: True, 4: True, 3: False, 2: False, 1: True}


def test_a_dose_task_that_is_no_task_is_an_error(prepared):
    (model,) = prepared.tuning
    tuning = prepared.tuning[model].model_copy(update={"dose_tasks": ["subj", "trec"]})
    section = prepared.model_copy(update={"tuning": {model: tuning}})
    with pytest.raises(LookupError, match="trec is in `dose_tasks`, but neither in `tasks` nor in `data_tasks`"):
        list(plans(section))


def test_a_model_that_is_tuned_but_not_measured_is_an_error_before_anything_is_trained(prepared):
    (model,) = prepared.tuning
    section = prepared.model_copy(update={"measuring": {"other": prepared.measuring[model]}})
    with pytest.raises(LookupError, match="is to be tuned, but `measuring` does not say"):
        runs.tune(section)


def test_runs_are_trained_once_and_kept_on_the_way(prepared, tuned, monkeypatch):
    table, curves = tuned
    assert len(table) == 2 * len(list(plans(prepared)))
    assert table["step"].tolist() == [2, 3] * len(list(plans(prepared)))
    assert table["id"].is_unique
    assert set(curves["quantity"]) >= {"named", "cross_entropy", "loss"}
    assert set(curves["rate"]) == {0.02, 0.005}
    assert set(curves.loc[curves["quantity"] == "named", "step"]) == {0, 2, 3}, "where the tasks are scored as well"
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    again, same = runs.tune(prepared)
    pd.testing.assert_frame_equal(table, again)
    pd.testing.assert_frame_equal(curves, same)
    (model,) = prepared.tuning
    chosen, _ = runs.tune(prepared, [f"{model.rpartition('/')[2]}-permuted-0.005-1"])
    expected = table[(table["arm"] == "permuted") & (table["seed"] == 1) & (table["rate"] == 0.005)]
    assert chosen["id"].tolist() == expected["id"].tolist()


def test_all_arms_train_as_many_parameters(tuned, tiny):
    linear = [module for module in tiny("bert").network.encoder.modules() if type(module).__name__ == "Linear"]
    attached = sum(2 * (module.in_features + module.out_features) for module in linear)
    assert {models.number_of_weights(id) for id in tuned[0]["id"]} == {attached}


def test_before_and_after_are_measured_and_compared_item_by_item(prepared, all_runs):
    table = all_runs[~all_runs["arm"].isin(["continued", "sentence"])]
    main = table[at_main_dose(prepared, table)]
    encoder, decoder = prepared.measuring
    outcomes, left_out = task_scores.items(prepared, table)
    assert list(outcomes) == table["id"].tolist()
    assert {task for id in main["id"] for task in outcomes[id]["task"]} == {"stsb", "subj"}
    others = [outcomes[id] for id in table["id"] if id not in set(main["id"])]
    assert {task for answers in others for task in answers["task"]} == {"subj"}
    assert {pooling for answers in others for pooling in answers["pooling"]} == {"mean"}
    assert "get the SICK data" in left_out["sick"]
    assert set(left_out) == {"sick", f"blimp of {encoder}", f"blimp of {decoder}"}, (
        "both were saved without their heads"
    )

    scored = task_scores.scored(main, outcomes)
    before, after = scored[scored["id"] == encoder], scored[scored["arm"] == "permuted"]
    assert set(before[before["pooling"] == "mean"]["layer"]) == {0, 2, 3}
    assert set(before[before["pooling"] == "last"]["layer"]) == set(after["layer"]) == {3}
    assert set(after["seed"]) == {0, 1}

    changes = score_changes.changes(table, outcomes)
    pairs = set(changes[["arm", "against"]].itertuples(index=False, name=None))
    assert pairs == {("recoverability", "before"), ("permuted", "before"), ("recoverability", "permuted")}
    assert set(changes["model"]) == {encoder}
    assert set(changes["runs"]) == {2}
    doses = set(changes[["rate", "step"]].itertuples(index=False, name=None))
    assert doses == {(0.02, 2), (0.02, 3), (0.005, 2), (0.005, 3)}
    first = changes[at_main_dose(prepared, changes)]
    at_main = {id: outcomes[id] for id in main["id"]}
    pd.testing.assert_frame_equal(score_changes.changes(table, at_main), first.reset_index(drop=True))
    row = first[(first["arm"] == "recoverability") & (first["against"] == "before")].iloc[0]
    where = {name: row[name] for name in ("task", "quantity", "pooling")}
    same = scored[(scored[list(where)] == pd.Series(where)).all(axis=1) & (scored["layer"] == 3)].set_index("arm")
    assert row["before"] == pytest.approx(same.loc["before", "estimate"].min())
    assert row["after"] == pytest.approx(same.loc["recoverability", "estimate"].mean())

    best = best_layers(main, outcomes)
    assert best.groupby("model").size().to_dict() == {encoder: 3}, "stsb, and subj by two classifiers"
    assert set(best["best_layer"]) <= {0, 2, 3}
    assert (best["n"] <= 6).all(), "half of the items"


def test_every_run_of_the_main_dose_is_swept_on_the_same_sentences(prepared, all_runs):
    of_encoder = all_runs[all_runs["model"] == next(iter(prepared.measuring))]
    chosen = of_encoder[of_encoder["seed"].isna() | (of_encoder["seed"] == 0)]
    swept = bits_by_layer.sweeps(prepared, chosen)
    assert set(swept["id"]) == set(chosen.loc[at_main_dose(prepared, chosen), "id"])
    assert swept["id"].nunique() == 5
    entropies = swept[(swept["quantity"] == "entropy") & (swept["probe"] == "centroid")]["estimate"]
    assert entropies.nunique() == 1
    assert set(swept["probe"].dropna()) == {"centroid", "ridge"}


def test_each_job_measures_its_own_run(prepared, all_runs, monkeypatch):
    asked = []
    for module, name in ((bits_by_layer, "sweeps"), (task_scores, "items")):
        monkeypatch.setattr(module, name, lambda section, runs, name=name: asked.append((name, *runs["id"])))
    listed = list(jobs(prepared))
    first, second = ["tune", "measure", "measure"] * 8, ["tune", "measure"] * 6
    assert [job.command for job in listed] == ["measure"] * 4 + first + second
    for job in listed:
        job.work()
    ids = [(id,) for id in prepared.measuring]
    tuned = all_runs[all_runs["step"] > 0].groupby(["rate", "arm", "seed"], sort=False)["id"]
    measures = [(name, *pair) for pair in ids for name in ("sweeps", "items")]
    for (rate, _, _), pair in tuned:
        measures += [(name, *pair) for name in (("sweeps", "items") if rate == 0.02 else ("items",))]
    assert asked == measures
    names = [job.name for job in listed if job.command == "tune"]
    needs = [job.needs for job in listed if job.command == "measure"]
    assert needs == [()] * 4 + [(name,) for place, name in enumerate(names) for _ in range(2 if place < 8 else 1)]


def test_each_model_has_its_own_last_layer_and_minimal_pairs_have_none():
    table = pd.DataFrame({"model": ["a", "a", "b", "b", "b"], "layer": pd.array([0, 6, 0, 12, None], dtype="Int64")})
    assert task_scores.at_last_layer(table).index.tolist() == [1, 3, 4]


def test_learning_curves_are_averaged_over_seeds_and_their_far_ends_kept():
    facts = {"model": "m", "rate": 0.1, "step": 1, "quantity": "named"}
    table = runs.learning(
        pd.DataFrame(facts | {"arm": ["a", "a", "b"], "estimate": [1.0, 3.0, 5.0]}), pd.Series({"m": 9.5})
    )
    assert table["frequencies"].tolist() == [9.5, 9.5]
    assert table.set_index("arm").loc["a", ["estimate", "low", "high"]].tolist() == [2, 1, 3]


def test_the_first_rate_of_each_model_is_that_which_comes_first():
    table = pd.DataFrame({"model": ["m", "m", "n", "m"], "rate": [0.1, 0.2, 0.2, 0.1]})
    assert runs.at_first_rate(table).index.tolist() == [0, 2, 3]


def test_the_last_layers_are_listed_by_model_and_arm():
    rows = [("b", "before", 0, 1.0), ("b", "before", 6, 0.5), ("a", "before", 3, 0.2), ("b", "permuted", 6, 0.4),
            ("b", "recoverability", 6, 0.6), ("a", "continued", 3, 0.1)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "arm", "layer", "estimate"])
    wide = bits_by_layer.at_last_layer(pd.concat([table.assign(probe="ridge"), table.assign(probe="centroid")]))
    assert list(wide.index) == [
        ("b", "before"), ("b", "recoverability"), ("b", "permuted"), ("a", "before"), ("a", "continued"),
    ]  # fmt: skip
    assert wide["ridge"].tolist() == [0.5, 0.6, 0.4, 0.2, 0.1]


def test_poolings_show_what_recoverability_changed_and_hold_what_the_claims_are_made_from():
    changes = pd.DataFrame(
        {"pooling": ["last", "mean", pd.NA, "mean", "mean", "first"], "estimate": [1.0] * 5 + [np.nan]}
    )
    changes["quantity"] = ["spearman"] * 4 + ["neighbour_accuracy", "linear_accuracy"]
    changes = pd.concat([changes.assign(arm=arm, against="before") for arm in ("recoverability", "permuted")])
    changes.iloc[3, changes.columns.get_loc("against")] = "continued"
    table = task_scores.poolings(changes)
    assert table["pooling"].tolist() == ["mean", "mean", "mean", "first", "last"]
    assert set(table["arm"]) == {"recoverability"}
    assert task_scores.recoverability(table)["pooling"].tolist() == ["mean", "last"]


@pytest.mark.parametrize(
    ("score", "share"), [("lee", 0), ("blimp", 0.5), ("subj (linear)", 1 / 2), ("trec (neighbours)", 1 / 6)]
)
def test_what_guessing_gives_is_that_of_the_task(score, share):
    assert task_scores.guessing(score) == share
