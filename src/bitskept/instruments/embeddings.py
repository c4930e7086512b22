"""Texts as vectors: the states of a text pooled, at several layers and in several ways, from one pass."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from bitskept.instruments.probes.readings import POOLINGS, pool
from bitskept.instruments.states import Encoding, encode, resolve_layers, stream
from bitskept.sources.language_model import LanguageModel


def embed(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    layers: Sequence[int] | int | None = None,
    poolings: Sequence[str] = POOLINGS,
    longest: int | None = None,
    progress: str | None = None,
) -> dict[str, Float[np.ndarray, "layer text dim"]]:
    """The float32 vectors of the texts for each pooling; `layers` as in `states.resolve_layers`.

    As is usual for embeddings (and unlike elsewhere in these instruments), special tokens count: the "mean" of an
    encoder includes [CLS], the text and [SEP]. "mean without first" leaves out the first position, unless it is the
    only one: the start token where there is one, and in many decoders activations so large that they swamp the mean.
    "first" is [CLS], or a token that sees only itself; "last" is [SEP], or the token that has seen the whole text.

    Equal texts pass through the model once. Texts of more than `longest` tokens are cut, with a warning. ValueError for
    a text without any token, an unknown pooling, and a layer that the model does not have.
    """
    if wrong := [name for name in poolings if name not in POOLINGS]:
        raise ValueError(f"there is no pooling {wrong[0]!r}: take {', '.join(map(repr, POOLINGS))}")
    layers = resolve_layers(model, layers)
    distinct = list(dict.fromkeys(texts))
    encoding = with_special_tokens(encode(model, distinct, longest=longest))
    if empty := [text for text, ids in zip(distinct, encoding.ids, strict=True) if not len(ids)]:
        raise ValueError(f"{model.id} makes no token of the text {empty[0]!r}: leave it out")
    vectors = {name: np.empty((len(layers), len(distinct), model.width), np.float32) for name in poolings}
    for batch in stream(model, encoding, range(len(distinct)), layers=layers, progress=progress):
        sentences, lengths = torch.unique_consecutive(batch.sentences, return_counts=True)
        places = sentences.cpu().numpy()
        for name in poolings:
            pooled = pool(batch.states, lengths, name).float()
            if name == "mean without first":
                single = lengths == 1
                pooled[:, single] = pool(batch.states, lengths, "first").float()[:, single]
            vectors[name][:, places] = pooled.cpu().numpy()
        del batch  # makes room for the next one
    rows = {text: row for row, text in enumerate(distinct)}
    order = [rows[text] for text in texts]
    return {name: vectors[name][:, order] for name in poolings}


def with_special_tokens(encoding: Encoding) -> Encoding:
    """The same texts with every token measured."""
    return replace(encoding, measured=[np.ones(len(ids), dtype=bool) for ids in encoding.ids])
