import dataclasses

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.heads import head
from bitskept.instruments.likelihood.surprisal import surprisals
from bitskept.instruments.states import stream
from bitskept.sources import models
from bitskept.sources.packages import SourceError

TEXTS = ["the cat sat", "Größe: 42 🙂"]

pytestmark = pytest.mark.usefixtures("one_thread")


def saved(model, folder, kind, **changes):
    """A folder with a network of this kind and the tokenizer of a tiny model; its id."""
    config = type(model.network.config)(**model.network.config.to_dict() | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = kind.from_config(config)
    network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_head_that_is_not_there_is_not_invented(tiny, tmp_path, home, project):
    (project / "params" / "models.yaml").write_text("{}")
    for family in ("bert", "llama"):
        id = saved(tiny(family), tmp_path / family, transformers.AutoModel, tie_word_embeddings=False)
        with pytest.raises(SourceError, match=r"has no head to predict .* tokens .* lacks (cls|lm_head)\."):
            head(models.load(id))


def test_random_weights_have_no_head(tiny):
    with pytest.raises(ValueError, match="llama has random weights"):
        head(dataclasses.replace(tiny("llama"), seed=3))


def test_a_family_without_such_a_head_is_refused(tiny):
    """A network whose attention is not causal has no law of the next token, whatever its family was made for."""
    encoder = dataclasses.replace(tiny("llama"), kind="encoder")
    with pytest.raises(
        ValueError, match=r"llama is an encoder, .* family \(llama\) has no head to predict masked tokens"
    ):
        head(encoder)
    decoder = dataclasses.replace(tiny("mpnet"), kind="decoder")
    with pytest.raises(ValueError, match=r"mpnet is a decoder, .* family \(mpnet\) has no head to predict next tokens"):
        head(decoder)


def test_a_head_that_belongs_to_another_network_is_refused(tiny, tmp_path, home, project):
    (project / "params" / "models.yaml").write_text("{}")
    model = models.load(saved(tiny("llama"), tmp_path, transformers.AutoModelForCausalLM))
    other = transformers.MistralModel(transformers.MistralConfig(**model.network.config.to_dict()))
    other.config, other.name_or_path = model.network.config, model.network.name_or_path
    with pytest.raises(
        SourceError, match=r"network of .* is a MistralModel, and its head belongs to a LlamaForCausalLM"
    ):
        head(dataclasses.replace(model, network=other))


def test_states_that_the_head_does_not_read_are_refused(tiny, tmp_path, home, project, monkeypatch):
    """As those of the last layer before the final norm."""
    (project / "params" / "models.yaml").write_text("{}")
    model = models.load(saved(tiny("llama"), tmp_path, transformers.AutoModelForCausalLM))
    head(model)

    def other_states(*arguments, **options):
        for batch in stream(*arguments, **options):
            yield dataclasses.replace(batch, states=1.01 * batch.states)

    monkeypatch.setattr("bitskept.instruments.likelihood.heads.stream", other_states)
    with pytest.raises(
        SourceError, match=r"does not give the logits of the whole model: they differ by .* of the larg"
    ):
        head(model)


def test_the_network_is_left_as_it_was(tiny, tmp_path, home, project):
    (project / "params" / "models.yaml").write_text("{}")
    model = models.load(saved(tiny("llama"), tmp_path, transformers.AutoModelForCausalLM, tie_word_embeddings=True))
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    read = head(model)
    after = model.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[name], value) for name, value in after.items())
    assert read(torch.zeros(100, model.width)).shape == (100, len(model.embeddings))  # more than the network takes


def test_a_cache_that_needs_earlier_tokens_is_not_asked_for(tiny, tmp_path, home, project):
    """That of RecurrentGemma is of attention alone, and two layers have none."""
    (project / "params" / "models.yaml").write_text("{}")
    tokenizer, options = tiny("llama").tokenizer, {"hidden_size": 16, "lru_width": 16, "intermediate_size": 24}
    config = transformers.RecurrentGemmaConfig(
        vocab_size=len(tokenizer), num_hidden_layers=2, num_attention_heads=2, head_dim=8, **options
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = transformers.AutoModelForCausalLM.from_config(config).eval()
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = models.load(str(tmp_path))
    table = surprisals(model, head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        ids = torch.tensor([[0, *model.tokenizer(text)["input_ids"]]])
        with torch.inference_mode():
            loss = whole(ids, labels=ids, use_cache=False).loss.item()
        assert row.bits == pytest.approx(loss * (ids.shape[1] - 1) / np.log(2), rel=1e-4)


def test_a_model_that_fails_with_its_head_is_refused_in_words(tiny, tmp_path, home, project, monkeypatch):
    (project / "params" / "models.yaml").write_text("{}")
    model = models.load(saved(tiny("llama"), tmp_path, transformers.AutoModelForCausalLM))

    def fail(*_, **__):
        raise ValueError("of the library's own")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", fail)
    with pytest.raises(SourceError, match=r"and its head cannot be read \(ValueError: of the.* leave its likelihoods"):
        head(model)


def test_a_head_of_its_own_is_kept_where_the_configuration_says_that_it_is_tied(tiny, tmp_path, home, project):
    (project / "params" / "models.yaml").write_text("{}")
    id = saved(tiny("llama"), tmp_path, transformers.AutoModelForCausalLM, tie_word_embeddings=False)
    untied = models.load(id)
    wanted = surprisals(untied, head(untied), TEXTS)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    model = models.load(id)
    assert model.network.config.tie_word_embeddings
    np.testing.assert_allclose(surprisals(model, head(model), TEXTS)["bits"], wanted["bits"], rtol=1e-6)
