"""Texts as vectors: the states of a text pooled, at every layer asked for and in every way asked for, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from bitskept.measure.readings import POOLINGS, pool
from bitskept.measure.states import TOKEN_BUDGET, Encoding, encode, stream
from bitskept.sources.models import LanguageModel

Embeddings = dict[str, Float[np.ndarray, "layer text dim"]]


def embed(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    layers: Sequence[int] | None = None,
    poolings: Sequence[str] = POOLINGS,
    longest: int | None = None,
    budget: int = TOKEN_BUDGET,
    progress: str | None = None,
) -> Embeddings:
    """One float32 vector a text, layer and pooling: for each pooling an array [layer, text, dim].

    All tokens but padding count, special ones as well, as is usual for embeddings (and unlike `measure.states`): "mean"
    of an encoder is that of [CLS], the text and [SEP]; of a decoder whose tokenizer adds nothing, that of the text.
    "mean without first" leaves out the first position, which is the start token where there is one, and in many
    decoders carries activations that swamp the mean; a text of a single token has only that one to be pooled. "first"
    is [CLS] of an encoder, and in a decoder a token that sees itself only; "last" is [SEP], or the token that has seen
    the whole text.

    Equal texts pass through the model once. Negative layers count from the end, as in Python; None is all layers. Texts
    of more than `longest` tokens are cut, with a warning. ValueError for a text without any token, for an unknown
    pooling, and for a layer that the model has not.
    """
    if wrong := [name for name in poolings if name not in POOLINGS]:
        raise ValueError(f"there is no pooling {wrong[0]!r}: take {', '.join(map(repr, POOLINGS))}")
    chosen = resolve_layers(model, layers)
    distinct = list(dict.fromkeys(texts))
    encoding = with_special_tokens(encode(model, distinct, longest=longest))
    if empty := [text for text, ids in zip(distinct, encoding.ids, strict=True) if not len(ids)]:
        raise ValueError(f"{model.id} makes no token of the text {empty[0]!r}: leave it out")
    found = {name: np.empty((len(chosen), len(distinct), model.width), np.float32) for name in poolings}
    for batch in stream(model, encoding, range(len(distinct)), layers=chosen, budget=budget, progress=progress):
        sentences, lengths = torch.unique_consecutive(batch.sentences, return_counts=True)
        places = sentences.cpu().numpy()
        for name in poolings:
            pooled = pool(batch.states, lengths, name).float()
            if name == "mean without first":
                single = lengths == 1
                pooled[:, single] = pool(batch.states, lengths, "first").float()[:, single]
            found[name][:, places] = pooled.cpu().numpy()
        del batch  # the next one needs its room
    rows = {text: row for row, text in enumerate(distinct)}
    order = [rows[text] for text in texts]
    return {name: vectors[:, order] for name, vectors in found.items()}


def resolve_layers(model: LanguageModel, layers: Sequence[int] | None) -> tuple[int, ...]:
    """The layers that are meant: None is all, negative ones count from the end. ValueError for one that is not."""
    if layers is None:
        return tuple(range(model.layers + 1))
    if wrong := [layer for layer in layers if not -model.layers - 1 <= layer <= model.layers]:
        raise ValueError(f"{model.id} has the layers 0 to {model.layers}, not {wrong[0]}")
    return tuple(layer % (model.layers + 1) for layer in layers)


def with_special_tokens(encoding: Encoding) -> Encoding:
    """The same texts with every token measured."""
    return replace(encoding, measured=[np.ones(len(ids), dtype=bool) for ids in encoding.ids])
