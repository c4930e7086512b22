"""The contract of a model: what the instruments assume of its states, checked on a few tokens when it is loaded."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bitskept.sources import registry
from bitskept.sources.language_model import LanguageModel, position_table
from bitskept.sources.model_checks import readable
from bitskept.sources.packages import SourceError

TOKENS = 10
MOVED = {torch.float32: 1e-4, torch.bfloat16: 1e-2}
"""Relative differences between two passes of the same shape that rounding can explain, as where tokens share experts:
in most networks they are exactly 0."""
LEAKED = {torch.float32: 1e-5, torch.bfloat16: 1e-3}
"""The same where a false alarm only costs time."""
ROUNDED = {torch.float32: 1e-3, torch.bfloat16: 0.3}
"""The same for two passes of different shapes, through many layers."""
States = Float[Tensor, "layer text token dim"]


def checked(model: LanguageModel) -> LanguageModel:
    """The model, with its `kind` and `masks_padding` as its states show them.

    A model of the registry must have the kind that is stated there. SourceError for a network that does not read ten
    tokens or its `longest` text; and for states that are not one for each token and layer, are not of one width, do not
    end in the network's own last state or are not finite.
    """
    ids = some_tokens(model)
    first = len(ids) // 2
    with _in_words(model, f"a text of {len(ids)} tokens"):
        whole, embedded = _with_input_of_blocks(model, ids)
        later = _states(model, [ids[:first] + ids[:1] * (len(ids) - first)])
        earlier = _states(model, [ids[-1:] * first + ids[first:]])
        alone = _states(model, [ids[:first]])
        filled = [_filled(model, ids, first, filler) for filler in (model.tokenizer.pad_token_id, ids[-1])]
    if embedded is not None and (away := _difference(whole[:1], embedded)) > MOVED[model.dtype]:
        raise SourceError(
            f"{model.id} gives as its first states not those that enter the first block, which differ by {away:.2g} of "
            "their norm: take a model of another family"
        )
    apart = max(_difference(filled[0], alone) / ROUNDED[model.dtype], _difference(*filled) / LEAKED[model.dtype])
    if _difference(earlier[:, :, first:], whole[:, :, first:]) == 0:
        raise SourceError(
            f"a change of earlier tokens moves no later state of {model.id}, so it reads every token by itself: get a "
            "complete copy, or take another model"
        )
    moved = _difference(later[:, :, :first], whole[:, :, :first])
    alike = apart <= 1 and not _turns_by_length(model.network)
    model = replace(model, kind=_kind(model, moved), masks_padding=alike)
    if position_table(model.network):
        _check_longest(model, ids)
    return model


def some_tokens(model: LanguageModel) -> list[int]:
    """About `TOKENS` tokens to try a model on, different ones as far as possible, and special ones only if there are no
    others. SourceError where there are fewer than two.
    """
    rows, special = len(model.embeddings), set(model.tokenizer.all_special_ids)
    usable = [token for token in range(rows) if token not in special] or [*range(rows)]
    number = min(TOKENS, model.longest)
    if number < 2 or len(usable) < 2:
        raise SourceError(
            f"{model.id} takes texts of at most {model.longest} tokens of {len(usable)} types: there is nothing to "
            "measure, so take another model"
        )
    step = max(1, len(usable) // number)
    return list(itertools.islice(itertools.cycle(usable[::step]), number))


def _states(model: LanguageModel, rows: Sequence[Sequence[int]], lengths: Sequence[int] | None = None) -> States:
    """The states of texts of one length, of which `lengths` tokens (default: all) are no padding. SourceError for
    states that break the contract.
    """
    ids = torch.tensor(rows, device=model.device)
    lengths = torch.tensor(lengths or [ids.shape[1]] * len(ids), device=model.device)
    hidden = model.hidden_states(ids, (torch.arange(ids.shape[1], device=model.device) < lengths[:, None]).long())
    if len(hidden) != model.layers + 1:
        raise SourceError(
            f"{model.id} gives {len(hidden)} layers of states for {model.layers} blocks, not one more than blocks: "
            "take a model whose blocks follow each other"
        )
    if shapes := [tuple(layer.shape) for layer in hidden if layer.shape != (*ids.shape, model.width)]:
        raise SourceError(
            f"{model.id} gives states of shape {shapes[0]} for {len(ids)} texts of {ids.shape[1]} tokens, but all must "
            f"be {model.width} wide, one for each token: take a model whose layers all have one width"
        )
    if wrong := [number for number, layer in enumerate(hidden) if not layer.isfinite().all()]:
        raise SourceError(
            f"the states of {model.id} at layer {wrong[0]} are not finite in {_name(model.dtype)}: "
            "take float32 or get a complete copy"
        )
    return torch.stack(hidden).float()


def _turns_by_length(network: torch.nn.Module) -> bool:
    """Whether rotary positions depend on the length of the longest text in a batch, as those of Phi-3 with 128,000
    positions do beyond the first 4,096.
    """
    kinds = [getattr(part, "rope_type", None) for part in network.modules()]
    return any("longrope" in (kind.values() if isinstance(kind, dict) else [kind]) for kind in kinds)


def _filled(model: LanguageModel, ids: list[int], first: int, filler: int) -> States:
    """The states of the first tokens, filled up, beside the whole text."""
    short = ids[:first] + [filler] * (len(ids) - first)
    return _states(model, [short, ids], [first, len(ids)])[:, :1, :first]


def _difference(states: States, others: States) -> float:
    """The largest distance of two states of a token, relative to its norm (or to a millionth of the layer's mean)."""
    norms = others.norm(dim=-1)
    floor = 1e-6 * norms.mean(dim=(1, 2), keepdim=True) + torch.finfo(torch.float32).tiny
    return float(((states - others).norm(dim=-1) / (norms + floor)).max())


def _kind(model: LanguageModel, moved: float) -> str:
    """The kind, from how far a change of later tokens moves earlier states: not at all in a decoder."""
    seen = "decoder" if moved == 0 else "encoder" if moved > MOVED[model.dtype] else model.kind
    if seen != model.kind and model.id.partition("@")[0] in registry("models"):
        raise SourceError(
            f"{model.id} is {_with_article(model.kind)} by params/models.yaml, and a change of later tokens moves its "
            f"earlier states by {moved:.2g} of their norm, as in {_with_article(seen)}: correct its kind there, or "
            "is_causal and is_decoder in its config.json"
        )
    return seen


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind == "encoder" else f"a {kind}"


@contextmanager
def _before_the_first_block(model: LanguageModel, look: Callable[..., None]) -> Iterator[None]:
    """Call `look` with the arguments of the first block before that is called, if the network has a list of blocks."""
    lists = [part for part in model.network.modules() if isinstance(part, torch.nn.ModuleList)]
    blocks = next((part for part in lists if len(part) == model.layers), None)
    hook = blocks[0].register_forward_pre_hook(look, with_kwargs=True) if blocks else None
    try:
        yield
    finally:
        if hook:
            hook.remove()


def _with_input_of_blocks(model: LanguageModel, ids: list[int]) -> tuple[States, Tensor | None]:
    """The states, and those that enter the first block if they can be seen in the form that the network gives states
    in.
    """
    seen: list[Tensor] = []

    def look(_: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        seen.extend(value for value in (*args, options.get("hidden_states")) if isinstance(value, Tensor))

    with _before_the_first_block(model, look):
        states = _states(model, [ids])
    return states, seen[0][None].float() if seen and seen[0].shape == states.shape[1:] else None


class _Stopped(Exception):
    """Raised to end a pass where positions have been looked up: attention over long texts would take seconds."""


def _check_longest(model: LanguageModel, ids: list[int]) -> None:
    """SourceError if the table of positions has no row for the last token of the longest text."""

    def stop(*_: Any) -> None:
        raise _Stopped

    row = torch.tensor([list(itertools.islice(itertools.cycle(ids), model.longest))], device=model.device)
    what = f"a text of {model.longest:,} tokens, the longest by its files,"
    with _in_words(model, what), _before_the_first_block(model, stop), suppress(_Stopped):
        model.network(input_ids=row, attention_mask=torch.ones_like(row))


@contextmanager
def _in_words(model: LanguageModel, what: str) -> Iterator[None]:
    """Forward passes without gradients, with their errors as a SourceError."""
    way_out = "take an encoder or a decoder of plain text, in float32"
    with readable(f"{what} with {model.id} in {_name(model.dtype)}", way_out), torch.inference_mode(), _InTheTable():
        yield


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _InTheTable(TorchFunctionMode):
    """IndexError for a look-up outside a table, which on a GPU would make every later call fail as well."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.nn.functional.embedding:
            ids, table = args[:2]
            if ids.numel() and not 0 <= ids.min() <= ids.max() < len(table):
                raise IndexError(f"row {int(ids.max())} of a table of {len(table)}")
        return function(*args, **(kwargs or {}))
