import copy
import dataclasses

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.surprisal import head, start_token, surprisals, token_surprisals
from bitskept.sources import models
from bitskept.sources.packages import SourceError

TEXTS = ["the cat sat", "Größe: 42 🙂", "a", "the the cat"]

pytestmark = pytest.mark.usefixtures("one_thread")


def uniform(states):
    """A head to which all of 8 tokens are equally likely."""
    return torch.zeros(len(states), 1024)


def saved(model, folder, kind, **changes):
    """A folder with a network of this kind and the tokenizer of a tiny model; its id."""
    config = type(model.network.config)(**model.network.config.to_dict() | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = kind.from_config(config)
    network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_uniform_head_costs_the_same_for_each_scored_token(tiny):
    table = surprisals(tiny("llama"), uniform, TEXTS)
    counts = [len(ids) - 1 for ids in tiny("llama").tokenizer(TEXTS)["input_ids"]]
    assert list(table.columns) == ["bits", "tokens", "bytes"]
    assert table["tokens"].tolist() == counts
    np.testing.assert_allclose(table["bits"], 10 * np.array(counts))


def test_bytes_are_those_of_the_scored_part(tiny):
    """Without a start token the first token is not scored: "the" and "G" and "a", but all of "the" in "the the"."""
    assert surprisals(tiny("llama"), uniform, TEXTS)["bytes"].tolist() == [8, 15, 0, 8]
    whole = [len(text.encode()) for text in TEXTS]
    assert surprisals(tiny("llama"), uniform, TEXTS, start=0)["bytes"].tolist() == whole
    assert surprisals(tiny("gemma"), uniform, TEXTS)["bytes"].tolist() == whole


def test_a_start_token_of_ones_own_is_that_of_the_tokenizer(tiny):
    """Gemma's tokenizer puts <bos> (0) in front of a text; the other one does it when it is told to."""
    model = dataclasses.replace(tiny("gemma"), tokenizer=tiny("llama").tokenizer)
    weights = torch.randn(tiny("gemma").width, 300, generator=torch.Generator().manual_seed(0))
    own = surprisals(tiny("gemma"), lambda states: states @ weights, TEXTS)
    given = surprisals(model, lambda states: states @ weights, TEXTS, start=0)
    np.testing.assert_allclose(own["bits"], given["bits"], rtol=1e-5)
    # Where there is one, another is not added.
    again = surprisals(tiny("gemma"), lambda states: states @ weights, TEXTS, start=2)
    np.testing.assert_allclose(own["bits"], again["bits"], rtol=1e-5)


def test_what_stood_between_texts(tiny):
    assert start_token(tiny("bert")) is None
    assert start_token(tiny("llama")) == 0
    vocabulary = dict(tiny("llama").tokenizer.get_vocab())
    tokenizer = type(tiny("llama").tokenizer)(
        tokenizer_object=tiny("llama").tokenizer.backend_tokenizer, eos_token="<end>", pad_token="<pad>"
    )
    assert start_token(dataclasses.replace(tiny("llama"), tokenizer=tokenizer)) == 2
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]})
    assert start_token(dataclasses.replace(tiny("llama"), tokenizer=tokenizer)) == len(vocabulary)


def test_what_is_cut_is_not_scored(tiny):
    with pytest.warns(UserWarning, match="1 of 1 sentences are longer than the 4 tokens"):
        table = surprisals(tiny("llama"), uniform, ["the cat sat"], longest=4)
    assert table["tokens"].tolist() == [3]
    assert table["bytes"].tolist() == [len(" cat s")]


def test_a_start_token_leaves_room_for_one_token_less(tiny):
    model = tiny("llama")
    text = " ".join(["the"] * model.longest)
    with pytest.warns(UserWarning, match=f"longer than the {model.longest - 1} tokens"):
        table = surprisals(model, uniform, [text], start=0)
    assert table["tokens"].tolist() == [model.longest - 1]


def test_logits_are_held_for_some_tokens_at_a_time(monkeypatch):
    sizes = []
    states = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20) % 8

    def plain(some):
        sizes.append(len(some))
        return some

    whole = token_surprisals(plain, states, targets)
    monkeypatch.setattr("bitskept.instruments.likelihood.surprisal.CHUNK", 7)
    np.testing.assert_allclose(token_surprisals(plain, states, targets), whole)
    assert sizes == [20, 7, 7, 6]
    np.testing.assert_allclose(whole, -np.log2(states.softmax(1)[torch.arange(20), targets].numpy()), rtol=1e-5)


def test_the_portions_of_masked_copies_do_not_matter(tiny, monkeypatch):
    model = copy.deepcopy(tiny("bert"))
    model.tokenizer.mask_token = "[UNK]"
    weights = torch.randn(model.width, 16, generator=torch.Generator().manual_seed(0))
    whole = surprisals(model, lambda states: states @ weights, ["the cat sat", "it", "the 42 ,"])
    monkeypatch.setattr("bitskept.instruments.likelihood.surprisal.PORTION", 1)
    parts = surprisals(model, lambda states: states @ weights, ["the cat sat", "it", "the 42 ,"])
    np.testing.assert_allclose(parts["bits"], whole["bits"], rtol=1e-5)
    assert whole["tokens"].tolist() == [3, 1, 3]
    assert whole["bytes"].tolist() == [11, 2, 8]


def test_an_encoder_needs_a_mask_token(tiny):
    model = tiny("mpnet")
    with pytest.raises(ValueError, match="the tokenizer of mpnet has no mask token"):
        surprisals(model, uniform, ["it"])


def test_a_head_that_is_not_there_is_not_invented(tiny, tmp_path, home, project):
    (project / "params" / "models.yaml").write_text("{}")
    for family in ("bert", "llama"):
        id = saved(tiny(family), tmp_path / family, transformers.AutoModel, tie_word_embeddings=False)
        with pytest.raises(SourceError, match=r"has no head to predict .* tokens .* lacks (cls|lm_head)\."):
            head(models.load(id))


def test_random_weights_have_no_head(tiny):
    with pytest.raises(ValueError, match="llama has random weights"):
        head(dataclasses.replace(tiny("llama"), seed=3))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # which peft still asks for
@pytest.mark.parametrize("tied", [True, False])
def test_an_adapted_model_is_scored_with_its_own_states_and_the_head_of_its_base(tiny, tmp_path, home, project, tied):
    import peft

    (project / "params" / "models.yaml").write_text("{}")
    kind = transformers.AutoModelForCausalLM
    base = saved(tiny("llama"), tmp_path / "base", kind, tie_word_embeddings=tied)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    config.base_model_name_or_path = base
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        adapted = peft.get_peft_model(transformers.AutoModel.from_pretrained(base), config)
    adapted.save_pretrained(tmp_path / "adapter")
    model = models.load(str(tmp_path / "adapter"))
    table = surprisals(model, head(model), TEXTS[:2])

    whole = kind.from_pretrained(base)
    whole.model = adapted.merge_and_unload()
    for text, row in zip(TEXTS, table.itertuples(), strict=False):
        ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            loss = whole(ids, labels=ids).loss.item()
        assert row.bits == pytest.approx(loss * (ids.shape[1] - 1) / np.log(2), rel=1e-5)
    unadapted = models.load(base)
    assert np.abs(surprisals(unadapted, head(unadapted), TEXTS[:2])["bits"] - table["bits"]).min() > 0.01
