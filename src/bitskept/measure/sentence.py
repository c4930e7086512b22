"""Single tokens read back from the layers of a model: what an average over a corpus is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from bitskept.measure.probes import Moments, centroid
from bitskept.measure.readings import token_reading
from bitskept.measure.states import encode, stream
from bitskept.measure.sweep import Plan, side_layers, split
from bitskept.sources.models import LanguageModel


def token_surprisals(
    model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """One row a test token and layer (`plan.side_layers` of them): what the centroid probe made of that token.

    `texts` are test sentences, then validation, then training ones, as many as the plan says. Columns: model, kind,
    sentence (its index in `texts`), position, token (its text), seen (its count in training), without_state (bits:
    -log2 of its smoothed share in training), layer, surprisal (bits: -log2 of the probe's probability for it), correct
    (whether it was the probe's guess). Errors as `sweep.split`.
    """
    encoding = encode(model, texts, longest=plan.longest)
    test, validation, train = split(encoding, plan)
    layers = side_layers(model.layers, plan.side_layers)
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
