"""A model's hidden states, streamed: one forward pass over the sentences, every layer at once, nothing kept.

Layer 0 is the embedding output and layer L the last entry of transformers' `hidden_states` (for Llama-like decoders
that is after the final norm). Padding and special tokens are never measured.
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from bitskept.sources.models import LanguageModel

TOKEN_BUDGET = 2048
"""Tokens in a batch, padding among them: large enough for full matrix products, small enough for a laptop's memory."""
PORTION = 1024
"""Sentences tokenised at once."""
AFTER_BLOCKS = ("mamba", "mamba2", "falcon_mamba")
"""Families whose `hidden_states` are what comes after each block, and after the final norm, without the embeddings."""


@contextmanager
def cut_as_planned() -> Iterator[None]:
    """Without warnings that sentences are cut, where a plan says at how many tokens."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* sentences are longer than", UserWarning)
        yield


@dataclass(frozen=True)
class Encoding:
    """Sentences as a model reads them. `ids` holds every token, `measured` tells which of them are not special.

    `truncated` counts the sentences that were longer than the model takes and lost their end.
    """

    ids: list[Int[np.ndarray, " _length"]]
    measured: list[Bool[np.ndarray, " _length"]]
    truncated: int

    def __len__(self) -> int:
        return len(self.ids)

    def tokens(self, sentence: int | np.integer) -> Int[np.ndarray, " length"]:
        """The measured tokens of one sentence."""
        return self.ids[sentence][self.measured[sentence]]


@dataclass(frozen=True)
class LayerByLayer:
    """The states of a batch as the network left them: iterating selects the measured tokens of one layer at a time."""

    hidden: list[Float[Tensor, "_sentence _length dim"]]
    measured: Int[Tensor, " token"]

    def __iter__(self) -> Iterator[Float[Tensor, "token dim"]]:
        return (layer.flatten(0, 1).index_select(0, self.measured) for layer in self.hidden)


@dataclass(frozen=True)
class StateBatch:
    """The states of the measured tokens of some whole sentences, in order within each sentence.

    `sentences` are indices into the encoding, `positions` count the measured tokens of a sentence from 0, and `layers`
    names the layers in `states`.
    """

    tokens: Int[Tensor, " token"]
    sentences: Int[Tensor, " token"]
    positions: Int[Tensor, " token"]
    states: Float[Tensor, "layer token dim"] | LayerByLayer
    layers: tuple[int, ...]


def encode(model: LanguageModel, texts: Sequence[str], *, longest: int | None = None) -> Encoding:
    """Tokenise. Sentences of more than `longest` tokens (default: what the model takes) are cut, counted, warned of."""
    limit = min(longest or model.longest, model.longest)
    ids, measured, cut = [], [], 0
    # In portions, read once and cut here: a tokenizer's own lists take thirty times the memory of these arrays.
    for start in range(0, len(texts), PORTION):
        portion = list(texts[start : start + PORTION])
        full = model.tokenizer(portion, return_special_tokens_mask=True, truncation=False, verbose=False)
        long = [place for place, row in enumerate(full["input_ids"]) if len(row) > limit]
        if long:
            shorter = model.tokenizer(
                [portion[place] for place in long],
                return_special_tokens_mask=True,
                truncation=True,
                max_length=limit,
                verbose=False,
            )
            for name in ("input_ids", "special_tokens_mask"):
                for place, row in zip(long, shorter[name], strict=True):
                    full[name][place] = row
        cut += len(long)
        # A tokenizer may give an empty sentence no token at all, as a list without a type.
        ids += [np.asarray(row, dtype=np.int64) for row in full["input_ids"]]
        measured += [np.asarray(row, dtype=np.int8) == 0 for row in full["special_tokens_mask"]]
    if cut:
        warnings.warn(
            f"{cut} of {len(ids)} sentences are longer than the {limit} tokens that are read: cut", stacklevel=2
        )
    return Encoding(ids, measured, cut)


def batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> list[list[int]]:
    """Indices in groups of at most `budget` tokens, padding counted, from the longest to the shortest; a longer one
    stands alone.

    Sorting by length leaves little padding, and the largest batch comes first, so what does not fit in memory fails at
    once.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def stream(
    model: LanguageModel,
    encoding: Encoding,
    sentences: Sequence[int] | Int[np.ndarray, " sentence"],
    *,
    layers: Sequence[int] | None = None,
    stacked: bool = True,
    budget: int = TOKEN_BUDGET,
    progress: str | None = None,
) -> Iterator[StateBatch]:
    """Pass these sentences of an encoding through the model, batch by batch; `layers` defaults to all of them.

    Sentences without a measured token are left out. Unless `stacked`, the states of a batch are `LayerByLayer`, which
    takes half the memory. With `progress` a bar of that name counts the tokens. ValueError for a layer that the model
    has not.
    """
    chosen = tuple(range(model.layers + 1)) if layers is None else tuple(layers)
    if wrong := [layer for layer in chosen if not 0 <= layer <= model.layers]:
        raise ValueError(f"{model.id} has the layers 0 to {model.layers}, not {wrong[0]}")
    used = [int(sentence) for sentence in sentences if encoding.measured[sentence].any()]
    groups = batches([len(encoding.ids[sentence]) for sentence in used], budget)
    total = sum(int(encoding.measured[sentence].sum()) for sentence in used)
    with tqdm(total=total, desc=progress, unit="token", disable=progress is None, mininterval=0.5, leave=False) as bar:
        for group in groups:
            _return_free_memory()
            batch = _forward(model, encoding, [used[i] for i in group], chosen, stacked)
            bar.update(len(batch.tokens))
            yield batch
            del batch  # the next one needs its room


def _return_free_memory() -> None:
    """Give the holes in the heap back to the system. glibc keeps them, and batches of ever new shapes leave ever more:
    without this, ten times the text takes a third more memory. Other allocators are left alone."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, TypeError, AttributeError):
        return


@torch.inference_mode()
def _forward(
    model: LanguageModel, encoding: Encoding, group: list[int], layers: tuple[int, ...], stacked: bool
) -> StateBatch:
    width = max(len(encoding.ids[sentence]) for sentence in group)
    ids = torch.full((len(group), width), model.tokenizer.pad_token_id)
    attention = torch.zeros(len(group), width, dtype=torch.long)
    measured = torch.zeros(len(group), width, dtype=torch.bool)
    for row, sentence in enumerate(group):
        length = len(encoding.ids[sentence])
        ids[row, :length] = torch.from_numpy(encoding.ids[sentence])
        attention[row, :length] = 1
        measured[row, :length] = torch.from_numpy(encoding.measured[sentence])
    sentences = torch.tensor(group)[:, None].expand(ids.shape)[measured]
    positions = (measured.cumsum(1) - 1)[measured]
    tokens = ids[measured]
    options = {"use_cache": False} if model.kind == "decoder" else {}
    output = model.network(
        input_ids=ids.to(model.device), attention_mask=attention.to(model.device), output_hidden_states=True, **options
    )
    hidden = output.hidden_states
    if model.network.config.model_type in AFTER_BLOCKS:
        embedded = model.network.get_input_embeddings()(ids.to(model.device))
        hidden = (embedded.to(hidden[-1].dtype), *hidden[:-2], hidden[-1])
    where = measured.flatten().nonzero()[:, 0].to(model.device)
    states = LayerByLayer([hidden[layer] for layer in layers], where)
    return StateBatch(
        tokens.to(model.device),
        sentences.to(model.device),
        positions.to(model.device),
        torch.stack(list(states)) if stacked else states,
        layers,
    )
