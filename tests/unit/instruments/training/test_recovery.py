import copy
import math
import shutil
from dataclasses import replace

import pytest
import torch
from damage import flip_a_bit
from torch import nn

from bitskept.instruments.states import encode
from bitskept.instruments.training.recovery import ARMS, LEFT_OUT, Plan, Recovery, fine_tune, is_tuned, objective, tune
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import models

TEXTS = [
    "the cat sat",
    "the unlocked cat sat, 42!",
    "it sat.",
    "The cat",
    "the cat sat, it sat, the cat.",
    "cat cat",
] * 4
SCHEDULE = Schedule(steps=6, batch=4, rate=0.02, save_every=2, measure_every=3)


def plan(arm="recoverability", **others):
    return Plan(**{"model": "base", "arm": arm, "corpus": "none", "schedule": SCHEDULE, "sentences": 16,
                   "held_out": 8, "curve": 6, "rank": 2, "negatives": 20} | others)  # fmt: skip


@pytest.fixture
def llama(tiny):
    return copy.deepcopy(tiny("llama"))


@pytest.fixture
def bert(tiny):
    model = copy.deepcopy(tiny("bert"))
    model.tokenizer.mask_token = "[UNK]"
    return model


def question(model, arm, items=((0, 0), (1, 1), (4, 2)), **others):
    asks = objective(model, encode(model, TEXTS), plan(arm, **others))
    return asks([{"sentence": sentence, "draw": draw} for sentence, draw in items])


def test_recoverability_asks_for_the_token_itself_and_for_no_padding_or_special_token(bert):
    asked = question(bert, "recoverability")
    special = torch.isin(asked["ids"], torch.tensor(bert.tokenizer.all_special_ids)) & (asked["ids"] != 3)
    wanted = asked["wanted"]
    assert torch.equal(wanted[~special], asked["ids"][~special])
    assert (wanted[special] == LEFT_OUT).all()
    assert torch.equal(asked["attention"].sum(1), torch.tensor([5, 11, 12]))


def test_a_decoder_that_continues_is_asked_for_the_next_token(llama):
    asked = question(llama, "continued")
    for row, length in enumerate(asked["attention"].sum(1).tolist()):
        assert torch.equal(asked["wanted"][row, : length - 1], asked["ids"][row, 1:length])
        assert (asked["wanted"][row, length - 1 :] == LEFT_OUT).all()


def test_an_encoder_that_continues_is_asked_for_what_was_hidden(bert):
    places = tuple((index, draw) for draw in range(30) for index in range(6))
    plain, asked = question(bert, "recoverability", places), question(bert, "continued", places, hidden=0.3)
    chosen = asked["wanted"] != LEFT_OUT
    assert chosen.any(1).all()
    assert torch.equal(asked["wanted"][chosen], plain["ids"][chosen])
    assert torch.equal(asked["ids"][~chosen], plain["ids"][~chosen])
    assert (chosen <= (plain["wanted"] != LEFT_OUT)).all()
    share = chosen.sum() / (plain["wanted"] != LEFT_OUT).sum()
    assert 0.25 < share < 0.45
    masked = (asked["ids"][chosen] == bert.tokenizer.mask_token_id).float().mean()
    assert 0.7 < masked < 0.95
    again = question(bert, "continued", places[::-1], hidden=0.3)
    assert torch.equal(again["ids"].flip(0), asked["ids"])


def test_an_encoder_without_a_mask_token_cannot_continue(tiny):
    with pytest.raises(ValueError, match="bert has no mask token"):
        question(tiny("bert"), "continued")


def test_mask_only_hides_the_tokens_that_bert_s_rule_hides_and_shows_the_mask_for_each(bert):
    places = tuple((index, draw) for draw in range(10) for index in range(6))
    bert_rule, asked = (question(bert, arm, places, hidden=0.3) for arm in ("continued", "mask only"))
    assert torch.equal(asked["wanted"], bert_rule["wanted"])
    chosen = asked["wanted"] != LEFT_OUT
    assert (asked["ids"][chosen] == bert.tokenizer.mask_token_id).all()
    assert torch.equal(asked["ids"][~chosen], bert_rule["ids"][~chosen])


def test_a_decoder_never_sees_a_mask(llama):
    with pytest.raises(ValueError, match="llama is a decoder and never sees a mask"):
        question(llama, "mask only")


def test_a_sentence_names_each_of_its_tokens_from_the_mean_of_their_states(bert):
    module, asked = Recovery(bert, plan("sentence")).eval(), question(bert, "sentence")
    assert torch.equal(asked["wanted"], question(bert, "recoverability")["wanted"])
    with torch.no_grad():
        named, types = module._named(asked["ids"], asked["attention"], asked["wanted"])
        expected = []
        for ids, attention in zip(asked["ids"], asked["attention"], strict=True):  # alone, without padding
            states = bert.network(input_ids=ids[None, : attention.sum()]).last_hidden_state[0]
            inner = states[1:-1]  # between [CLS] and [SEP]
            expected.append(inner.mean(0).expand_as(inner) @ module.head.weight.T)
    assert torch.allclose(named, torch.cat(expected), atol=1e-5)
    assert torch.equal(types, asked["wanted"][asked["wanted"] != LEFT_OUT])


def test_the_permutation_is_one_to_one_and_the_seeds(llama):
    plain, asked = question(llama, "recoverability"), question(llama, "permuted")
    pairs = {(int(a), int(b)) for a, b in zip(plain["wanted"].ravel(), asked["wanted"].ravel(), strict=True)}
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert torch.equal(question(llama, "permuted")["wanted"], asked["wanted"])
    assert not torch.equal(question(llama, "permuted", seed=1)["wanted"], asked["wanted"])


def test_the_sampled_partition_function_is_right_on_average(llama):
    module = Recovery(llama, plan(negatives=40)).eval()
    asked = question(llama, "recoverability")
    with torch.no_grad():
        named, types = module._named(asked["ids"], asked["attention"], asked["wanted"])
        scores = named @ llama.embeddings.T
        exact = scores.logsumexp(1).exp()
        own = scores.gather(1, types[:, None])[:, 0]
        torch.manual_seed(0)
        # One token wanted: its loss is then log Z - its score.
        one = torch.full_like(asked["wanted"], LEFT_OUT)
        one[0, 0] = asked["wanted"][0, 0]
        losses = torch.stack([module(**asked | {"wanted": one})["loss"] for _ in range(600)])
        drawn = (losses + own[0]).exp()
    assert abs(drawn.mean() - exact[0]) < 4 * drawn.std() / math.sqrt(len(drawn))


def test_answers_are_those_of_the_whole_softmax(llama):
    module = Recovery(llama, plan()).eval()
    with torch.no_grad():
        nn.init.normal_(module.head.weight, std=0.3)
        asked = [question(llama, "recoverability"), question(llama, "recoverability", ((2, 0),))]
        answers = module.answers(asked)
        parts = [module._named(one["ids"], one["attention"], one["wanted"]) for one in asked]
        named, types = (torch.cat(part) for part in zip(*parts, strict=True))
        law = torch.log_softmax(named @ llama.embeddings.T, 1)
    assert answers["named"] == pytest.approx((law.argmax(1) == types).float().mean().item())
    assert answers["cross_entropy"] == pytest.approx(
        -law.gather(1, types[:, None]).mean().item() / math.log(2), rel=1e-5
    )


def test_a_decoder_that_continues_starts_with_the_head_that_it_had(llama):
    module = Recovery(llama, plan("continued")).eval()
    asked = question(llama, "continued", ((1, 0),))
    with torch.no_grad():
        states = llama.network(input_ids=asked["ids"]).last_hidden_state[0, :-1]
        law = torch.log_softmax(states @ llama.embeddings.T, 1)
    expected = -law.gather(1, asked["ids"][0, 1:, None]).mean().item() / math.log(2)
    assert module.answers([asked])["cross_entropy"] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def base(home, tiny):
    """Tiny models as ids of the test's own home."""
    for family in ("llama", "bert"):
        model = tiny(family)
        for part in (model.network, model.tokenizer):
            part.save_pretrained(home / "models" / family)
    return home


@pytest.mark.parametrize(
    ("family", "arm"),
    [(family, arm) for family in ("llama", "bert") for arm in ARMS if (family, arm) != ("llama", "mask only")],
)
def test_each_arm_learns_and_leaves_a_model(base, family, arm):
    model = models.load(family)
    model.tokenizer.mask_token = model.tokenizer.mask_token or model.tokenizer.unk_token or "<end>"
    target = base / "models" / "tuned" / "one"
    fine_tune(model, TEXTS, plan(arm, model=family), target)
    curve = (target / "curve.json").read_text()
    assert all(name in curve for name in ("named", "cross_entropy", "loss"))
    assert ("masked_cross_entropy" in curve) == (family == "bert" and arm in ("continued", "mask only"))
    tuned, before = models.load("tuned/one"), models.load(family)
    assert tuned.fingerprint != before.fingerprint
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert not torch.allclose(tuned.network(ids).last_hidden_state, before.network(ids).last_hidden_state)
    assert torch.equal(tuned.embeddings, before.embeddings)


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(base):
    class Killed(Exception):
        pass

    def kill(module, *_):
        module.passes = getattr(module, "passes", 0) + 1
        if module.passes == 6:
            raise Killed

    whole, target = base / "models" / "whole", base / "models" / "killed"
    with_steps = plan(model="llama", checkpoints=(1, 4, 5, 6))
    fine_tune(models.load("llama"), TEXTS, with_steps, whole)
    doomed = models.load("llama")
    doomed.network.register_forward_hook(kill)
    with pytest.raises(Killed):
        fine_tune(doomed, TEXTS, with_steps, target)
    assert not target.exists()
    assert any((base / "models" / "killed.training").glob("checkpoint-*"))
    fine_tune(models.load("llama"), TEXTS, with_steps, target)
    for name in ("adapter_model.safetensors", "adapter_config.json", "curve.json"):
        assert (target / name).read_bytes() == (whole / name).read_bytes()
    assert {path.name for path in target.glob("step-*")} == {"step-1", "step-4", "step-5"}
    for step in ("", "/step-1", "/step-4", "/step-5"):
        assert models.fingerprint(f"killed{step}") == models.fingerprint(f"whole{step}")


def test_checkpoints_are_the_models_on_the_way_and_change_nothing(base, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(f"{text} {place}" for place, text in enumerate(TEXTS)), "utf-8")
    without = tune(plan(model="llama", corpus=str(corpus)))
    tuned = tune(plan(model="llama", corpus=str(corpus), checkpoints=(4, 2, 6)))
    assert without.ids == {6: without.id}
    assert list(tuned.ids) == [2, 4, 6]
    assert tuned.ids[6] == tuned.id
    assert models.fingerprint(tuned.id) == models.fingerprint(without.id)
    first, *others = [models.load(id).network for id in ("llama", *tuned.ids.values())]
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        start = first(ids).last_hidden_state
        changes = [(network(ids).last_hidden_state - start).norm().item() for network in others]
    assert 0 < changes[0] < changes[1] != changes[2]
    named = tuned.curve.query("quantity == 'named'")
    assert named["step"].tolist() == [0, 2, 3, 4, 6]
    assert without.curve.query("quantity == 'named'")["step"].tolist() == [0, 3, 6]


def test_all_weights_can_be_trained(base):
    fine_tune(models.load("llama"), TEXTS, plan(model="llama", rank=0), base / "models" / "full")
    full, before = models.load("full"), models.load("llama")
    assert full.kind == "decoder"
    assert not torch.equal(full.embeddings, before.embeddings)


def test_an_adapter_is_added_to_the_weights_of_its_base(base):
    model = models.load("llama")
    fine_tune(model, TEXTS, plan(model="llama"), base / "models" / "tuned")
    states = model.network.eval()(torch.tensor([[5, 6, 7]])).last_hidden_state
    merged = models.load("tuned").network(torch.tensor([[5, 6, 7]])).last_hidden_state
    assert torch.allclose(states, merged, atol=1e-4)
    assert models.load("tuned", dtype="bfloat16").network.dtype == torch.bfloat16
    assert torch.equal(models.load("tuned", seed=1).embeddings, models.load("llama", seed=1).embeddings)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "curve.json"])
def test_a_tuned_model_that_is_damaged_is_told_and_tuned_again_once_removed(base, tmp_path, file):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(f"{text} {place}" for place, text in enumerate(TEXTS)), "utf-8")
    one = plan(model="llama", corpus=str(corpus))
    assert not is_tuned(one)
    made = tune(one)
    assert is_tuned(one)
    folder = base / "models" / made.id
    before = models.fingerprint(made.id)
    flip_a_bit(folder / file)
    for again in (lambda: models.load(made.id), lambda: models.fingerprint(made.id), lambda: tune(one)):
        with pytest.raises(models.SourceError, match=rf"is damaged \({file}\): remove {folder} and run this again"):
            again()
    shutil.rmtree(folder)
    assert tune(one).curve.equals(made.curve)
    assert models.fingerprint(made.id) == before
    left = folder.with_name(f"{folder.name}.training")
    left.mkdir()  # as a kill at the very end leaves it
    tune(one)
    assert not left.exists()


def test_an_adapter_that_names_no_base_is_refused(base):
    folder = base / "models" / "lost"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(models.SourceError, match="names no model to be added to"):
        models.load("lost")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arm": "masked"}, "no arm 'masked'"),
        ({"curve": 9}, "1 to 8"),
        ({"hidden": 1.0}, "hidden must lie"),
        ({"checkpoints": (2, 7)}, "one of the steps 1 to 6, not 7"),
        ({"checkpoints": (0,)}, "not 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(plan(), **wrong)
