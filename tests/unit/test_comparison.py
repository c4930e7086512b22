import copy
import gzip
import itertools
import json

import numpy as np
import pandas as pd
import pytest

from bitskept import __main__ as command_line
from bitskept import params
from bitskept.sources import models, registry
from bitskept.training import comparison, recovery

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
    """A section with an encoder that is tuned in three arms and two seeds, and a decoder that is only measured."""
    folder = tmp_path_factory.mktemp("comparison")
    for family in ("bert", "llama"):
        model = copy.deepcopy(tiny(family))
        if family == "bert":
            model.tokenizer.mask_token = "[UNK]"
        model.network.save_pretrained(folder / family)
        model.tokenizer.save_pretrained(folder / family)
    (folder / "text.txt").write_text("\n".join(texts(120, 3)), "utf-8")
    write_tasks(folder / "data")
    encoder, decoder = str(folder / "bert"), str(folder / "llama")
    arms = ["recoverability", "continued", "permuted"]
    section = params.FineTuning(
        profile="smoke", tuning={encoder: {"arms": arms, "seeds": [0, 1], "steps": 3, "rate": 0.02}},
        measuring={encoder: SIZES, decoder: SIZES}, corpus=str(folder / "text.txt"), longest=24, batch=4, rank=2,
        negatives=20, curve_sentences=6, tasks=["stsb", "subj"], data_tasks=["blimp", "sick"], seed=0, dtype="float32",
        accept_terms=[],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(folder / "home"))
        patch.setenv("BITSKEPT_DATA", str(folder / "data"))
        yield section


@pytest.fixture(scope="module")
def runs(prepared):
    return comparison.tune(prepared, progress=False)


pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*sentences are longer than"),
]


def test_arms_of_a_seed_differ_in_the_objective_alone_and_training_leaves_the_sweep_its_sentences(prepared):
    plans = list(comparison.plans(prepared))
    assert [(plan.arm, plan.seed) for plan in plans] == list(itertools.product(recovery.ARMS, (0, 1)))
    same = {(plan.model, plan.schedule, plan.sentences, plan.held_out, plan.text_seed, plan.rank) for plan in plans}
    assert len(same) == 1
    assert plans[0].held_out == 24 + 6 + 8
    assert plans[0].sentences == 3 * 4


def test_a_model_that_is_tuned_but_not_measured_is_told_before_anything_is_trained(prepared):
    (model,) = prepared.tuning
    section = prepared.model_copy(update={"measuring": {"other": prepared.measuring[model]}})
    with pytest.raises(LookupError, match="is to be tuned, but `measuring` does not say"):
        comparison.tune(section)


def test_runs_come_with_what_they_started_from_and_a_second_time_from_disk(prepared, runs, monkeypatch):
    table, curves = runs
    encoder, decoder = prepared.measuring
    assert table["id"].tolist()[:2] == [encoder, decoder]
    assert table.iloc[2:]["arm"].tolist() == [arm for arm in recovery.ARMS for _ in range(2)]
    assert table["id"].is_unique
    assert set(curves["quantity"]) == {"named", "cross_entropy", "loss"}
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    again, same = comparison.tune(prepared)
    pd.testing.assert_frame_equal(table, again)
    pd.testing.assert_frame_equal(curves, same)


def test_the_command_line_tunes_what_the_profile_names(prepared, runs, monkeypatch, capsys):
    monkeypatch.setattr(params, "load", lambda _: {"03_fine_tuning": prepared})
    assert command_line.main(["tune", "--profile", "smoke"]) == 0
    assert capsys.readouterr().out.split() == runs[0]["id"].tolist()


def test_all_arms_train_as_many_parameters(prepared, runs, tiny):
    effort = comparison.effort(prepared, runs[0])
    assert effort["runs"].tolist() == [2, 2, 2]
    assert effort["sentences"].tolist() == [12, 12, 12]
    modules = tiny("bert").network.encoder.modules()
    attached = sum(2 * (one.in_features + one.out_features) for one in modules if type(one).__name__ == "Linear")
    assert effort["parameters"].tolist() == [attached] * 3


def test_before_and_after_are_measured_and_compared_item_by_item(prepared, runs):
    table = runs[0][runs[0]["arm"] != "continued"]
    encoder, decoder = prepared.measuring
    here, missing = comparison.available(prepared)
    assert here == ["stsb", "subj", "blimp"]
    assert "get the SICK data" in missing["sick"]

    outcomes, refused = comparison.items(prepared, table, here, progress=False)
    assert list(outcomes) == table["id"].tolist()
    assert set(refused) == {f"blimp of {model}" for model in (encoder, decoder)}, "both were saved without their heads"

    scored = comparison.scored(table, outcomes)
    before, after = scored[scored["id"] == encoder], scored[scored["arm"] == "permuted"]
    assert set(before[before["pooling"] == "mean"]["layer"]) == {0, 2, 3}
    assert set(before[before["pooling"] == "last"]["layer"]) == set(after["layer"]) == {3}
    assert set(after["seed"]) == {0, 1}

    changed = comparison.changed(table, outcomes)
    pairs = set(changed[["arm", "against"]].itertuples(index=False, name=None))
    assert pairs == {("recoverability", "before"), ("permuted", "before"), ("recoverability", "permuted")}
    assert set(changed["model"]) == {encoder}
    assert set(changed["runs"]) == {2}
    row = changed[(changed["arm"] == "recoverability") & (changed["against"] == "before")].iloc[0]
    where = {name: row[name] for name in ("task", "quantity", "pooling")}
    some = scored[(scored[list(where)] == pd.Series(where)).all(axis=1) & (scored["layer"] == 3)].set_index("arm")
    assert row["before"] == pytest.approx(some.loc["before", "estimate"].min())
    assert row["after"] == pytest.approx(some.loc["recoverability", "estimate"].mean())


def test_every_run_is_swept_on_the_same_sentences(prepared, runs):
    table = runs[0]
    chosen = table[(table["seed"] == 0).fillna(False) | (table["id"] == next(iter(prepared.measuring)))]
    swept = comparison.sweeps(prepared, chosen, progress=False)
    assert set(swept["id"]) == set(chosen["id"])
    entropies = swept[(swept["quantity"] == "entropy") & (swept["probe"] == "centroid")]["estimate"]
    assert entropies.nunique() == 1
    assert set(swept["probe"].dropna()) == {"centroid", "ridge"}


def test_each_model_has_its_own_last_layer_and_minimal_pairs_have_none():
    table = pd.DataFrame({"model": ["a", "a", "b", "b", "b"], "layer": pd.array([0, 6, 0, 12, None], dtype="Int64")})
    assert comparison.last(table).index.tolist() == [1, 3, 4]


def test_seeds_are_averaged_and_their_far_ends_kept():
    table = pd.DataFrame({"model": "m", "arm": ["a", "a", "b"], "step": 1, "estimate": [1.0, 3.0, 5.0]})
    found = comparison.over_seeds(table, "step").set_index("arm")
    assert found.loc["a", ["estimate", "low", "high"]].tolist() == [2, 1, 3]
    with_ends = comparison.over_seeds(table.assign(low=table["estimate"] - 1, high=[9.0, 3.5, 6.0]), "step")
    assert with_ends.set_index("arm").loc["a", ["estimate", "low", "high"]].tolist() == [2, 0, 9]
