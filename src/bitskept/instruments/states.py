"""A model's hidden states, streamed: one forward pass over the sentences gives every layer, and no state is stored.

Layer 0 is the output of the embeddings and layer L the last entry of transformers' `hidden_states` (in Llama-like
decoders, the states after the final norm). Padding and special tokens are never measured.
"""

import ctypes
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from bitskept.sources.language_model import LanguageModel
from bitskept.sources.packages import SourceError

TOKEN_BUDGET = 2048
"""Tokens in a batch, padding included: enough for large matrix products, few enough for a laptop's memory."""
PORTION = 1024
"""Sentences that are tokenised at once."""
LARGEST = 1e15
"""The largest value of a state whose squares can be summed over a batch in float32."""


@contextmanager
def cut_as_planned() -> Iterator[None]:
    """No warning about sentences that are cut, for plans that set the number of tokens."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* sentences are longer than", UserWarning)
        yield


@dataclass(frozen=True)
class Encoding:
    """Sentences as token ids, and which of these are measured (no special tokens).

    `truncated` counts the sentences that were too long for the model and were cut.
    """

    ids: list[Int[np.ndarray, " _length"]]
    measured: list[Bool[np.ndarray, " _length"]]
    truncated: int

    def __len__(self) -> int:
        return len(self.ids)

    def tokens(self, sentence: int | np.integer) -> Int[np.ndarray, " length"]:
        """The measured tokens of a sentence."""
        return self.ids[sentence][self.measured[sentence]]


@dataclass(frozen=True)
class LayerByLayer:
    """The states of a batch as the network returned them: iterating gives the measured tokens, layer by layer."""

    hidden: list[Float[Tensor, "_sentence _length dim"]]
    measured: Int[Tensor, " token"]

    def __iter__(self) -> Iterator[Float[Tensor, "token dim"]]:
        return (layer.flatten(0, 1).index_select(0, self.measured) for layer in self.hidden)


@dataclass(frozen=True)
class StateBatch:
    """The states of the measured tokens of a few whole sentences, in order within each sentence.

    `sentences` are indices into the encoding, `positions` count the measured tokens of a sentence from 0, and `layers`
    names the layers in `states`.
    """

    tokens: Int[Tensor, " token"]
    sentences: Int[Tensor, " token"]
    positions: Int[Tensor, " token"]
    states: Float[Tensor, "layer token dim"] | LayerByLayer
    layers: tuple[int, ...]


def encode(model: LanguageModel, texts: Sequence[str], *, longest: int | None = None) -> Encoding:
    """Tokenise. Sentences of more than `longest` tokens (default: the most that the model takes) are cut, with a
    warning. SourceError for a token that the network does not know, such as one that was added to the tokenizer alone.
    """
    limit = min(longest or model.longest, model.longest)
    options = {"return_special_tokens_mask": True}
    ids, measured, truncated = [], [], 0
    # In portions, because a tokenizer's lists take thirty times the memory of these arrays.
    for start in range(0, len(texts), PORTION):
        portion = list(texts[start : start + PORTION])
        encoded = model.tokenize(portion, truncation=False, **options)
        if long := [place for place, row in enumerate(encoded["input_ids"]) if len(row) > limit]:
            cut = model.tokenize([portion[place] for place in long], truncation=True, max_length=limit, **options)
            for name in ("input_ids", "special_tokens_mask"):
                for place, row in zip(long, cut[name], strict=True):
                    encoded[name][place] = row
        truncated += len(long)
        # With a dtype, because a tokenizer may give an empty list for an empty sentence.
        ids += [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"]]
        measured += [np.asarray(row, dtype=np.int8) == 0 for row in encoded["special_tokens_mask"]]
    rows = len(model.embeddings)
    if unknown := [row.max() for row in ids if len(row) and row.max() >= rows]:
        token = model.tokenizer.convert_ids_to_tokens(int(unknown[0]))
        raise SourceError(
            f"the tokenizer of {model.id} knows a token {token!r}, number {unknown[0]}, and the network has embeddings "
            f"of {rows:,}: take texts without it, or the network that belongs to this tokenizer"
        )
    if truncated:
        message = f"{truncated} of {len(ids)} sentences are longer than the {limit} tokens that are read: cut"
        warnings.warn(message, stacklevel=2)
    return Encoding(ids, measured, truncated)


def resolve_layers(model: LanguageModel, layers: Sequence[int] | int | None) -> tuple[int, ...]:
    """Layer numbers from 0 to L: None stands for all, a number for that many evenly spaced ones (or all, if there are
    fewer), and negative entries of a sequence count from the end. ValueError for a layer that the model does not have.
    """
    last = model.layers
    if layers is None or isinstance(layers, int):
        number = last + 1 if layers is None else min(layers, last + 1)
        return tuple(int(layer) for layer in np.unique(np.linspace(0, last, number).round()))
    if wrong := [layer for layer in layers if not -last - 1 <= layer <= last]:
        raise ValueError(f"{model.id} has the layers 0 to {last}, not {wrong[0]}")
    return tuple(layer % (last + 1) for layer in layers)


def batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET, *, mixed: bool = True) -> list[list[int]]:
    """Indices in groups of at most `budget` tokens, padding included, from the longest to the shortest; a sentence that
    is longer than the budget gets a group to itself. Unless `mixed`, the sentences of a group have one length.

    Sorting by length saves padding, and puts the largest batch first: if memory is insufficient, it fails at once.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = lengths[groups[-1][0]] if groups else 0
        fits = groups and longest * (len(groups[-1]) + 1) <= budget
        if fits and (mixed or lengths[index] == longest):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def stream(
    model: LanguageModel,
    encoding: Encoding,
    sentences: Sequence[int] | Int[np.ndarray, " sentence"],
    *,
    layers: Sequence[int] | int | None = None,
    stacked: bool = True,
    budget: int = TOKEN_BUDGET,
    part: str = "text",
    progress: str | None = None,
) -> Iterator[StateBatch]:
    """Pass these sentences of an encoding through the model, batch by batch; `layers` as in `resolve_layers`.

    ValueError, with the layer and the `part` of the text that these sentences are, for a state that is not finite or
    above `LARGEST`: no instrument could measure it. Sentences without a measured token are left out. Unless `stacked`,
    the states of a batch are `LayerByLayer`, which takes half the memory. With `progress`, a bar of that name counts
    the tokens.
    """
    layers = resolve_layers(model, layers)
    used = [int(sentence) for sentence in sentences if encoding.measured[sentence].any()]
    groups = batches([len(encoding.ids[sentence]) for sentence in used], budget, mixed=model.masks_padding)
    total = sum(int(encoding.measured[sentence].sum()) for sentence in used)
    with tqdm(total=total, desc=progress, unit="token", disable=progress is None, mininterval=0.5, leave=False) as bar:
        for group in groups:
            _return_free_memory()
            batch = _forward(model, encoding, [used[i] for i in group], layers, stacked, part)
            bar.update(len(batch.tokens))
            yield batch
            del batch  # makes room for the next one


def _return_free_memory() -> None:
    """Return unused parts of the heap to the system. glibc holds them back, and batches of many shapes leave more and
    more of them: without this, ten times the text takes a third more memory. Other allocators do not need it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, TypeError, AttributeError):
        return


@torch.inference_mode()
def _forward(
    model: LanguageModel, encoding: Encoding, group: list[int], layers: tuple[int, ...], stacked: bool, part: str
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
    sentences = torch.tensor(group)[:, None].expand(ids.shape)[measured].to(model.device)
    positions = (measured.cumsum(1) - 1)[measured].to(model.device)
    ids, where = ids.to(model.device), measured.flatten().nonzero()[:, 0].to(model.device)
    hidden = model.hidden_states(ids, attention.to(model.device))
    for layer in sorted(layers):
        # The largest of each token first: padding may be anything.
        largest = float(torch.linalg.vector_norm(hidden[layer], torch.inf, dim=-1).flatten()[where].max())
        if not largest <= LARGEST:
            raise ValueError(_unusable(model, layer, largest, part))
    states = LayerByLayer([hidden[layer] for layer in layers], where)
    tokens = ids.flatten()[where]
    return StateBatch(tokens, sentences, positions, torch.stack(list(states)) if stacked else states, layers)


def _unusable(model: LanguageModel, layer: int, largest: float, part: str) -> str:
    value = f"of {largest:.2g}, too large to be squared" if np.isfinite(largest) else "that is not finite"
    other = "leave this layer or this model out" if model.dtype == torch.float32 else "set dtype to float32"
    return f"{model.id}: a state of layer {layer} has a value {value}, in the {part}: {other}"
