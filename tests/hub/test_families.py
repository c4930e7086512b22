"""Every family of the registry, from the hub through all instruments: none is refused, and bits are transformers' own.

The models were fetched over HTTP; the table of families and steps is printed at the end by `make test-hub`.
"""

import math
from functools import cache

import families
import numpy as np
import pytest
import torch
import transformers
from hub import repositories

from bitskept.instruments.likelihood import bits_per_byte, heads, surprisal
from bitskept.instruments.probes import sweep
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.states import encode, stream
from bitskept.instruments.training import recovery
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import model_files, models

TEXTS = [*families.SENTENCES[:3], "It sat.", "The cat sat on the mat."]
TINY = {"sentences": (10, 20), "widths": (1, 2), "longest": 48}

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def original(folder, kind):
    """The network with its head, as transformers reads it, in float32."""
    auto = transformers.AutoModelForMaskedLM if kind == "encoder" else transformers.AutoModelForCausalLM
    return auto.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def states(id, place):
    """The states of each token at each layer are those of its sentence alone, which transformers gives."""
    model = models.load(id, accept_terms=repositories.TERMS)
    encoding, whole = encode(model, TEXTS), original(model_files.fetch(id, accept_terms=repositories.TERMS), model.kind)
    for batch in stream(model, encoding, range(len(TEXTS))):
        assert batch.states.shape == (3, len(batch.tokens), model.width)
        for text in batch.sentences.unique().tolist():
            with torch.inference_mode():
                hidden = whole(torch.from_numpy(encoding.ids[text])[None], output_hidden_states=True).hidden_states
            if hidden[0].shape == hidden[-1].shape:
                known = torch.stack(hidden)[:, 0, torch.from_numpy(encoding.measured[text])]
                torch.testing.assert_close(batch.states[:, batch.sentences == text], known, rtol=1e-4, atol=1e-4)


def probes(id, place):
    """A layer sweep."""
    plan = sweep.Plan(str(place.corpus), 40, 10, 10, dtype="float32", side_layers=3, shuffled=False, longest=48)
    table = sweep.measure(id, plan, accept_terms=repositories.TERMS, progress=False)
    shares = table[table["quantity"] == "retained_cross_entropy"]
    assert set(shares["layer"].dropna()) == {0, 1, 2}
    assert np.isfinite(shares["estimate"].astype(float)).all()


def soft_entropy(id, place):
    """Soft entropy and what goes with it, by layer."""
    plan = compression.Plan(str(place.corpus), dtype="float32", instruments=(compression.Instrument(20),), **TINY)
    table = compression.measure(id, plan, accept_terms=repositories.TERMS, progress=False)
    bits = table[(table["quantity"] == "soft_entropy") & table["layer"].notna()]
    assert len(bits) == 6
    assert bits["estimate"].between(0, np.log2(20)).all()


def likelihood(id, place):
    """The bits of each sentence are transformers' own: its loss, or one forward pass for each hidden token."""
    model = models.load(id, accept_terms=repositories.TERMS)
    whole = original(model_files.fetch(id, accept_terms=repositories.TERMS), model.kind)
    start = model.tokenizer.convert_ids_to_tokens(surprisal.start_tokens(model))
    assert model.kind == "encoder" or start == [families.start(families.family_of(id))]
    table = surprisal.surprisals(model, heads.head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        bits = _pseudo_bits(whole, model, text) if model.kind == "encoder" else _bits(whole, model, text)
        assert row.bits == pytest.approx(bits, rel=1e-4)
    plan = bits_per_byte.Plan(str(place.corpus), 6, longest=48, dtype="float32")
    measured = bits_per_byte.measure(id, plan, accept_terms=repositories.TERMS, progress=False)
    assert measured["estimate"].item() > 0


def _bits(whole, model, text):
    """The loss of each token of a text after its start."""
    start = surprisal.start_tokens(model)
    ids = torch.tensor(start + model.tokenizer(text, add_special_tokens=False)["input_ids"])
    with torch.inference_mode():
        laws = whole(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)
    return -laws.gather(1, ids[1:, None])[len(start) - 1 :].sum().item() / math.log(2)


def _pseudo_bits(whole, model, text):
    encoded, bits = model.tokenizer(text, return_special_tokens_mask=True), 0.0
    ids = torch.tensor([encoded["input_ids"]])
    for place in np.flatnonzero(np.array(encoded["special_tokens_mask"]) == 0):
        masked = ids.clone()
        masked[0, place] = model.tokenizer.mask_token_id
        with torch.inference_mode():
            bits -= whole(input_ids=masked).logits[0, place].log_softmax(-1)[ids[0, place]].item() / math.log(2)
    return bits


def tuning(id, place):
    """Two steps of fine-tuning for recoverability, whose model loads and differs from its base."""
    plan = recovery.Plan(id, "recoverability", str(place.corpus), Schedule.usual(2, 4, 1e-2), sentences=8, held_out=10,
                         curve=5, longest=48, rank=4, negatives=64, dtype="float32")  # fmt: skip
    tuned = recovery.tune(plan, accept_terms=repositories.TERMS)
    model, base = (models.load(name, accept_terms=repositories.TERMS) for name in (tuned.id, id))
    assert model.fingerprint != base.fingerprint
    encoding = encode(model, TEXTS)
    last = [
        torch.cat([batch.states[-1] for batch in stream(one, encoding, range(len(TEXTS)))]) for one in (model, base)
    ]
    assert not torch.allclose(*last, atol=1e-4)


STEPS = {"states": states, "probes": probes, "soft entropy": soft_entropy, "likelihood": likelihood, "tuning": tuning}


IN_ANY_CASE = ("fetch", "states", "likelihood")
UNLIKE = ("bert", "deberta-v2", "modernbert-decoder", "gpt2", "gpt_neox", "opt-350m", "llama2", "gemma3", "phi3")
"""Families with other linear maps, layers or widths than those before them: they take every step in small as well."""


def asked():
    """Every id and step; in small, the steps that depend least on the family only where families are `UNLIKE`."""
    ids = [id for id in repositories.SERVED if "@" not in id]
    steps = [(id, step) for id in ids for step in ("fetch", *STEPS)]
    return [(id, step) for id, step in steps
            if repositories.WHOLE or step in IN_ANY_CASE or families.family_of(id) in UNLIKE]  # fmt: skip


@pytest.mark.parametrize(("id", "step"), asked())
def test_no_family_of_the_registry_is_refused(fetched, here, cells, id, step):
    row = id if repositories.WHOLE else families.family_of(id)
    try:
        if step == "fetch":
            assert f"{id} is here" in fetched[1].stdout, fetched[1].stderr
        else:
            STEPS[step](id, here)
    except Exception as error:
        cells[row, step] = repositories.words_of(str(error).splitlines()[0] if str(error) else repr(error))[:160]
        raise
    cells[row, step] = "ok"
