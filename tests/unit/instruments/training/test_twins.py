import dataclasses
import functools
import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from damage import flip_a_bit
from safetensors.torch import load_file

from bitskept.instruments.likelihood import heads, surprisal
from bitskept.instruments.states import encode, stream
from bitskept.instruments.training import byte_pairs, twins
from bitskept.instruments.training.builds import Build, network
from bitskept.instruments.training.masking import LEFT_OUT
from bitskept.instruments.training.objectives import Objective
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import models

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
TEXTS = [
    " ".join(WORDS[place] for place in np.random.default_rng(number).integers(len(WORDS), size=2 + number % 5)) + "."
    for number in range(40)
]
BUILD = Build(width=16, depth=2, heads=2, feed_forward=24, state=8, initial=0.2)
SCHEDULE = Schedule(steps=6, batch=4, rate=0.01, save_every=2, measure_every=3)
KINDS = [("llama", objective) for objective in twins.OBJECTIVES] + [("mamba2", "causal")]
kinds = pytest.mark.parametrize(("family", "objective"), KINDS)
pytestmark = pytest.mark.usefixtures("one_thread")


def plan(objective="causal", family="llama", **others):
    build = dataclasses.replace(BUILD, family=family)
    return twins.Plan(**{"objective": objective, "corpus": "none", "schedule": SCHEDULE, "sentences": 30,
                         "held_out": 10, "curve": 8, "longest": 30, "build": build} | others)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return byte_pairs.ready(byte_pairs.learn(TEXTS, 300), 30)


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory):
    """whole(FAMILY, OBJECTIVE): the folder of a tiny twin, trained once, in a BITSKEPT_HOME of its own."""

    @functools.cache
    def train(family, objective):
        folder = tmp_path_factory.mktemp("home") / "models" / "twins" / "one"
        twins.train_twin(tokenizer, TEXTS, plan(objective, family), folder)
        return folder

    return train


@pytest.fixture
def grown(whole, monkeypatch):
    """grown(FAMILY, OBJECTIVE): the ids by step of that twin."""

    def ids(family, objective):
        monkeypatch.setenv("BITSKEPT_HOME", str(whole(family, objective).parents[2]))
        return {step: f"twins/one/step-{step}" for step in twins.checkpoints(SCHEDULE.steps)}

    return ids


def curve(folder):
    return json.loads((folder / "curve.json").read_text())


@pytest.mark.parametrize(("steps", "kept"), [(1, [0, 1]), (6, [0, 2, 4, 6]), (8, [0, 2, 4, 8]), (9, [0, 2, 4, 8, 9])])
def test_checkpoints_double_and_end_with_the_last(steps, kept):
    assert twins.checkpoints(steps) == kept


@kinds
def test_a_twin_learns_and_its_checkpoints_are_models(whole, grown, tokenizer, family, objective):
    ids, folder = grown(family, objective), whole(family, objective)
    assert {path.name for path in folder.iterdir()} == {
        "bitskept.json",
        "curve.json",
        *(f"step-{step}" for step in ids),
    }
    assert {path.name for path in folder.parent.iterdir()} == {"one", "one.training"}
    loaded = {step: models.load(id) for step, id in ids.items()}
    assert {model.kind for model in loaded.values()} == {"decoder" if objective == "causal" else "encoder"}
    assert {model.longest for model in loaded.values()} == {30}
    assert {model.layers for model in loaded.values()} == {4 if family == "mamba2" else 2}
    assert len({model.fingerprint for model in loaded.values()}) == len(ids)
    for text in TEXTS[:5]:
        assert loaded[2].tokenizer(text)["input_ids"] == tokenizer(text)["input_ids"]
    untrained = network(dataclasses.replace(BUILD, family=family), tokenizer, causal=objective == "causal", seed=0)
    assert torch.equal(loaded[0].embeddings, untrained.get_input_embeddings().weight)
    held = {row["step"]: row["estimate"] for row in curve(folder) if row["quantity"] == "held_out"}
    assert list(held) == [0, 3, 6]
    assert held[6] < held[0]
    assert [row["step"] for row in curve(folder) if row["quantity"] == "loss"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("family", ["llama", "mamba2"])
def test_the_held_out_objective_of_a_causal_twin_is_its_likelihood(whole, grown, family):
    model = models.load(grown(family, "causal")[6])
    found = surprisal.surprisals(model, heads.head(model), TEXTS[2:10])
    [last] = [row["estimate"] for row in curve(whole(family, "causal"))[:3] if row["step"] == 6]
    assert last == pytest.approx(found["bits"].sum() / found["bytes"].sum(), rel=1e-5)
    assert found["bytes"].tolist() == [len(text.encode()) for text in TEXTS[2:10]]


class Killed(BaseException):
    pass


def test_the_output_of_an_untied_twin_has_a_table_of_its_own(tokenizer, home):
    folder = home / "models" / "twins" / "one"
    twins.train_twin(tokenizer, TEXTS, plan(tied=False), folder)
    weights = load_file(folder / "step-6/model.safetensors")
    assert (weights["lm_head.weight"] - weights["model.embed_tokens.weight"]).abs().max() > 0.1
    model = models.load("twins/one/step-6")
    found = surprisal.surprisals(model, heads.head(model), TEXTS[2:10])
    [last] = [row["estimate"] for row in curve(folder)[:3] if row["step"] == 6]
    assert last == pytest.approx(found["bits"].sum() / found["bytes"].sum(), rel=1e-5)


def test_a_plan_says_what_becomes_of_the_tokens_that_are_asked_for(tokenizer, monkeypatch, tmp_path):
    seen = {}

    def record(*_, **options):
        seen.update(options)
        raise Killed

    monkeypatch.setattr(twins, "Objective", record)
    with pytest.raises(Killed):
        twins.train_twin(tokenizer, TEXTS, plan("masked", hidden=0.4, replaced=0.0, kept=0.2), tmp_path / "one")
    assert {name: seen[name] for name in ("hidden", "replaced", "kept")} == {
        "hidden": 0.4,
        "replaced": 0.0,
        "kept": 0.2,
    }


@pytest.mark.parametrize(("family", "objective"), [("llama", "diffusion"), ("mamba2", "causal")])
def test_a_killed_run_ends_with_the_same_weights(whole, tokenizer, monkeypatch, tmp_path, family, objective):
    passes, untrained = [], twins.untrained

    def watched(*arguments):
        def count(module, *_):
            passes.append(1) if module.training else None
            if len(passes) == 6:
                raise Killed

        model = untrained(*arguments)
        model.network.base_model.register_forward_hook(count)
        return model

    monkeypatch.setattr(twins, "untrained", watched)
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        twins.train_twin(tokenizer, TEXTS, plan(objective, family), folder)
    assert {path.name for path in folder.iterdir()} == {"step-0", "step-2", "step-4"}
    passes[:] = [0] * 10
    twins.train_twin(tokenizer, TEXTS, plan(objective, family), folder)
    assert len(passes) == 12  # the fifth step and the sixth: it did not begin anew
    for step in twins.checkpoints(SCHEDULE.steps):
        one, other = (load_file(path / f"step-{step}/model.safetensors") for path in (folder, whole(family, objective)))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert (folder / "curve.json").read_bytes() == (whole(family, objective) / "curve.json").read_bytes()


def test_a_run_killed_after_its_last_step_has_its_curve_to_write_only(whole, tokenizer, monkeypatch, tmp_path):
    def kill(log, folder):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(twins, "write_curve", kill)
        with pytest.raises(Killed):
            twins.train_twin(tokenizer, TEXTS, plan(), tmp_path / "killed")
    assert not (tmp_path / "killed/curve.json").exists()
    twins.train_twin(tokenizer, TEXTS, plan(), tmp_path / "killed")
    assert curve(tmp_path / "killed") == curve(whole("llama", "causal"))


def test_a_checkpoint_is_there_whole_or_not_at_all(tokenizer, monkeypatch, tmp_path):
    saved, save = [], type(tokenizer).save_pretrained

    def die(self, folder):
        saved.append((folder / "model.safetensors").stat().st_size)
        if len(saved) == 2:
            raise Killed
        save(self, folder)

    monkeypatch.setattr(type(tokenizer), "save_pretrained", die)
    with pytest.raises(Killed):
        twins.train_twin(tokenizer, TEXTS, plan(), tmp_path / "killed")
    assert saved[0] == saved[1] > 0  # its weights were written already
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["step-0"]


def test_all_twins_see_the_same_text_in_the_same_order(tokenizer):
    seen = {}
    for family, objective in [*KINDS, ("roberta", "causal"), ("roberta-prelayernorm", "masked")]:
        one = plan(objective, family)
        encoding = encode(twins.untrained(tokenizer, one), TEXTS)
        asked = Objective(objective, encoding, tokenizer, types=300, hidden=0.3, batch=4, seed=0)(
            twins.data(encoding, one)
        )
        # What a token is before it is hidden: the wanted one where one is wanted, else the one shown.
        wanted = asked["wanted"].roll(1, 1) if objective == "causal" else asked["wanted"]
        seen[family, objective] = torch.where(wanted == LEFT_OUT, asked["ids"], wanted)
    for one, other in itertools.pairwise(seen.values()):
        assert torch.equal(one, other)
    assert len(one) == 24
    other_seed = twins.data(encoding, plan(seed=1))
    assert [item["sentence"] for item in other_seed] != [item["sentence"] for item in twins.data(encoding, plan())]
    assert min(item["sentence"] for item in other_seed) >= 10  # the held-out sentences are left alone


@pytest.mark.parametrize(("longest", "rows"), [(7, None), (10_000, 1)])
def test_training_text_is_joined_and_cut_into_rows(tokenizer, longest, rows):
    one = plan(longest=longest)
    encoding = encode(twins.untrained(tokenizer, plan()), TEXTS)
    found, text = twins.joined(encoding, one), np.concatenate(encoding.ids[10:])
    assert all(map(np.array_equal, found.ids[:10], encoding.ids[:10]))
    assert all(map(np.array_equal, found.measured[:10], encoding.measured[:10]))
    assert len(found) - 10 == (rows or len(text) // longest)
    together = np.concatenate(found.ids[10:])
    assert together.tolist() == text[: len(together)].tolist()
    assert len(text) - len(together) < longest  # what is left over does not fill a row
    assert {len(row) for row in found.ids[10:]} == {min(longest, len(text))}
    assert np.concatenate(found.measured[10:]).all()
    assert {item["sentence"] for item in twins.data(found, one)} <= set(range(10, len(found)))


@kinds
def test_states_do_not_depend_on_what_a_sentence_is_batched_with(grown, family, objective):
    model = models.load(grown(family, objective)[6])
    texts = [*TEXTS[:6], "whale"]
    encoding = encode(model, texts)
    [together] = stream(model, encoding, range(len(texts)))
    assert len(together.states) == model.layers + 1
    torch.testing.assert_close(together.states[0], model.embeddings.detach()[together.tokens])
    for sentence in range(len(texts)):
        [alone] = stream(model, encoding, [sentence])
        here = together.sentences == sentence
        assert torch.equal(together.tokens[here], alone.tokens)
        torch.testing.assert_close(together.states[:, here], alone.states, rtol=1e-4, atol=1e-5)


def test_a_state_space_twin_in_bfloat16(grown):
    exact, rounded = (models.load(grown("mamba2", "causal")[6], dtype=dtype) for dtype in ("float32", "bfloat16"))
    [one], [other] = (stream(model, encode(model, TEXTS[:3]), range(3)) for model in (exact, rounded))
    assert len(one.states) == len(other.states) == 5
    assert (one.states - other.states.float()).norm() < 0.03 * one.states.norm()


def test_a_plan_is_run_once(home, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(sorted(set(TEXTS))), "utf-8")
    schedule = Schedule(steps=2, batch=4, rate=0.01)
    one = plan("diffusion", corpus=str(corpus), schedule=schedule, sentences=20, vocabulary=290)
    assert not twins.is_trained(one)
    twin = twins.grow(one)
    assert twins.is_trained(one)
    assert list(twin.ids) == [0, 2]
    weights = home / "models" / twin.ids[2] / "model.safetensors"
    before = weights.stat().st_mtime_ns
    left = weights.parents[1].with_name(f"{weights.parents[1].name}.training")
    left.mkdir()  # as a kill at the very end leaves it
    again = twins.grow(one)
    assert not left.exists()
    assert again.ids == twin.ids
    assert weights.stat().st_mtime_ns == before
    assert again.curve.equals(twin.curve)
    assert list(twin.curve) == ["step", "quantity", "estimate", "unit"]
    assert set(twin.curve["quantity"]) == {"loss", "held_out"}
    other = twins.grow(dataclasses.replace(one, objective="masked"))
    assert set(other.ids.values()).isdisjoint(twin.ids.values())
    assert len(list((home / "tokenizers").iterdir())) == 1
    assert not list(home.rglob(".*"))


@pytest.mark.parametrize("file", ["step-1/model.safetensors", "step-1/tokenizer.json", "curve.json"])
def test_a_twin_that_is_damaged_is_told_and_grown_again_once_removed(home, tmp_path, file):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(sorted(set(TEXTS))), "utf-8")
    schedule = Schedule(steps=1, batch=4, rate=0.01)
    one = plan(corpus=str(corpus), schedule=schedule, sentences=20, vocabulary=290)
    twin = twins.grow(one)
    before = {step: models.fingerprint(id) for step, id in twin.ids.items()}
    damaged = (home / "models" / twin.ids[1]).parent / file
    flip_a_bit(damaged)
    with pytest.raises(models.SourceError, match=rf"is damaged \({damaged.name}\): remove {damaged.parent} and run"):
        models.load(twins.grow(one).ids[1])
    shutil.rmtree(damaged.parent)
    again = twins.grow(one)
    assert again.curve.equals(twin.curve)
    assert {step: models.fingerprint(id) for step, id in again.ids.items()} == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"objective": "next"}, "no objective 'next': choose one of causal, masked, diffusion"),
        ({"objective": "masked", "family": "mamba2"}, "mamba2 reads from left to right only"),
        ({"curve": 11}, "1 to 10"),
        ({"hidden": 0.0}, "hidden must lie"),
        ({"longest": 2}, "longest must be at least 3"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        plan(**wrong)
