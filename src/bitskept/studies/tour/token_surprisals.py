"""Single tokens read back from the layers of a model: what an average over a corpus is made of."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

from bitskept.base import store
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments
from bitskept.instruments.probes.readings import token_reading
from bitskept.instruments.probes.sweep import Plan, split
from bitskept.instruments.states import encode, resolve_layers, stream
from bitskept.sources import corpora, models
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.tour.section import Tour, plan

VERSION = 1


def measure(section: Tour) -> pd.DataFrame:
    """The table of `token_surprisals` for the sentence of the section (number 0) and those of its corpus, read from
    the store or computed and stored. Errors as `models.load` and `corpora.load`.
    """
    model, parts = section.model, plan(section)
    (fingerprint,) = models.fingerprints([model], accept_terms=section.accept_terms).values()
    corpora.fetch(section.corpus)
    sources = {"model": fingerprint, "text": corpora.fingerprint(section.corpus)}

    def compute() -> pd.DataFrame:
        network = models.load(model, dtype=parts.dtype, accept_terms=section.accept_terms)
        sentences = parts.train + parts.validation + parts.test - 1
        others = corpora.load(section.corpus, sentences=sentences, seed=section.seed)["text"]
        return token_surprisals(network, [section.sentence, *others], parts, progress=model)

    return store.stored("tour", VERSION, sources | {"sentence": section.sentence, "plan": asdict(parts)}, compute)


def token_surprisals(
    model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """How well the centroid probe names each test token at each of `plan.side_layers` layers: one row per token and
    layer.

    `texts` holds the test sentences, then those for validation, then those for training, as many as the plan says.
    Columns: model, kind, sentence (its index in `texts`), position, token (its text), seen (its count in training),
    without_state (bits: -log2 of its smoothed share in training), layer, surprisal (bits: -log2 of the probability that
    the probe gave it), correct (whether it was the probe's best guess). Errors as `sweep.split`.
    """
    encoding = encode(model, texts, longest=plan.longest)
    test, validation, train = split(encoding, plan)
    layers = resolve_layers(model, plan.side_layers)
    reading = token_reading(encoding, len(model.embeddings), layers, types=plan.types)
    moments = Moments(len(layers), reading.types, model.width, model.device)
    for batch in stream(model, encoding, train, layers=layers, progress=progress):
        view = reading.view(batch)
        moments.update(view.states, view.types)
    held = [reading.view(batch) for batch in stream(model, encoding, validation, layers=layers)]
    states, types = torch.cat([view.states for view in held], dim=1), torch.cat([view.types for view in held])
    probe = centroid(moments, reading.embeddings(model.embeddings.detach().float()), states, types)
    parts = []
    for batch in stream(model, encoding, test, layers=layers):
        view = reading.view(batch)
        scores = probe.score(view.states, view.types)
        tokens = {"sentence": batch.sentences, "position": batch.positions, "seen": moments.counts[view.types].long()}
        tokens["without_state"] = -probe.prior.log[view.types] / np.log(2)
        facts = pd.DataFrame({name: value.cpu().numpy() for name, value in tokens.items()})
        facts.insert(2, "token", [model.tokenizer.decode([token]).strip() for token in batch.tokens.tolist()])
        for place, layer in enumerate(layers):
            bits, right = scores.surprisal[place].cpu().numpy(), scores.correct[place].cpu().numpy()
            parts.append(facts.assign(model=model.id, kind=model.kind, layer=layer, surprisal=bits, correct=right))
    return pd.concat(parts).sort_values(["sentence", "position", "layer"], ignore_index=True)
