"""Adapters in peft's format: changes to the weights of another model, matched with its network and merged into it."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitskept.base.params import shown
from bitskept.sources.loaded_files import ADAPTER, ADAPTER_WEIGHTS
from bitskept.sources.model_checks import readable
from bitskept.sources.packages import SourceError

MOST = 1_000  # a number in a description that is larger than this and than any dimension of the weights is an error
NOT_LOADED = "(?s).*(these are ignored|did not match|no (module|parameter) was matched|not initialized|missing)"
INSIDE = "base_model.model."  # begins the name of a weight of the network
POOLER = re.compile(rf"{re.escape(INSIDE)}(\w+\.)?pooler\.")  # comes after the last state, and is never used here
TOKENS = 10  # on which the adapted network is compared with its base


def merge(folder: Path, network: Any) -> None:
    """Add the weights of the adapter in a folder to a network in float32, which is changed.

    The adapter may have been trained on the network or on a model that contains it, such as one with a head.
    SourceError if a weight of the adapter is missing or fits no part of the network, if nothing changes, if the kind of
    adapter cannot be merged, and if it changes a head, also one that is tied to the input embeddings: the head is
    loaded from the base.
    """
    import torch
    from safetensors.torch import load_file

    _check_description(folder)
    base = network.name_or_path
    embeddings = network.get_input_embeddings().weight.detach().clone()
    with readable(folder), peft_without_warnings() as peft:
        weights = {key: tensor for key, tensor in load_file(folder / ADAPTER_WEIGHTS).items() if not POOLER.match(key)}
        config = peft.PeftConfig.from_pretrained(folder)
        kind = config.peft_type.value
        if config.is_prompt_learning or getattr(config, "alora_invocation_tokens", None):
            raise SourceError(f"{folder} ({kind}) depends on tokens that are not in a text: use plain LoRA instead")
        config.task_type = None  # it says which head the trained model had, and there is none here
        plain = _states(network)
        adapted = _attached(folder, _as_trained(network, weights), config, weights, base)
        wanted = _states(network)
        if torch.equal(wanted, plain):
            raise SourceError(f"{folder} changes no state of {base}: train it, or measure {base} itself")
        try:
            adapted.merge_and_unload(safe_merge=True)
        except (ValueError, RuntimeError) as error:  # a NotImplementedError is a RuntimeError
            raise SourceError(f"{folder} ({kind}) cannot be merged ({error}): use plain LoRA instead") from error
        if not (_states(network) - wanted).norm() <= 0.01 * (wanted - plain).norm() + 1e-4 * plain.norm():
            raise SourceError(f"{folder} ({kind}) gives other states once it is merged: use plain LoRA instead")
    tied = network.config.get_text_config().tie_word_embeddings
    if tied and not torch.equal(network.get_input_embeddings().weight, embeddings):
        raise SourceError(
            f"{folder} changes the input embeddings of {base}, which are its head as well, and the head is loaded from "
            "the base: use an adapter that leaves them as they are"
        )


@contextmanager
def peft_without_warnings() -> Iterator[Any]:
    """The library: its warnings that something was not loaded are errors, and two that do not matter are not shown."""
    import peft

    with warnings.catch_warnings():
        warnings.filterwarnings("error", NOT_LOADED)
        warnings.filterwarnings("ignore", "You have passed exclude_modules")  # and none was there, such as a head
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)  # peft uses the old name
        yield peft


def _as_trained(network: Any, weights: Mapping[str, Any]) -> Any:
    """The network inside a module that gives its parts the names that they had in the model with a head, if the adapter
    was trained on such a model: names and patterns in an adapter's description are then those of training.
    """
    import torch

    name = network.base_model_prefix
    if hasattr(network, name) or not any(key.startswith(f"{INSIDE}{name}.") for key in weights):
        return network
    whole = torch.nn.Module()
    whole.add_module(name, network)
    return whole


def _attached(folder: Path, network: Any, config: Any, weights: Mapping[str, Any], base: str) -> Any:
    """The network with the adapter in place. SourceError unless each weight of the one has its place in the other."""
    import peft

    path, advice = folder / ADAPTER_WEIGHTS, "set base_model_name_or_path to the model that it was trained on"
    parts = {name for name, _ in network.named_children()}
    inside = [key for key in weights if key.startswith(INSIDE)]
    if other := sorted(key for key in inside if key.removeprefix(INSIDE).partition(".")[0] not in parts):
        raise SourceError(
            f"{path} has {len(other)} tensors for other parts than {', '.join(sorted(parts))}, {other[0]} among them: "
            f"{advice}, or use an adapter that leaves the head as it is, since the head is loaded from the base"
        )
    try:
        adapted = peft.PeftModel(network, config).eval()
        known = adapted.state_dict()
        promised = peft.get_peft_model_state_dict(adapted, known, save_embedding_layers=False)
        if missing := sorted(promised.keys() - weights.keys()):
            what = f"lacks {len(missing)} tensors that {ADAPTER} promises for {base}, {missing[0]} among them"
            raise SourceError(f"{path} {what}: {advice}, or get a complete copy")
        if other := sorted(weights.keys() - promised.keys() - known.keys()):
            what = f"has {len(other)} tensors that fit no part of {base}, {other[0]} among them"
            raise SourceError(f"{path} {what}: {advice}, or get a complete copy")
        peft.set_peft_model_state_dict(adapted, weights)
    except SourceError:
        raise
    except (ValueError, RuntimeError, KeyError, Warning) as error:
        reason = f"{' '.join(str(error).split()):.300}"
        raise SourceError(f"{folder} does not fit {base} ({reason}): {advice}, or get a complete copy") from error
    return adapted


def _states(network: Any) -> Any:
    """The last states of some tokens."""
    import torch

    table = network.get_input_embeddings().weight
    with torch.inference_mode():
        return network(input_ids=torch.arange(TOKENS, device=table.device)[None] % len(table))[0]


def _check_description(folder: Path) -> None:
    """SourceError if an adapter's description has a number, such as a rank, larger than any dimension of its weights:
    memory is allocated for it before the weights are read.
    """
    from safetensors import safe_open

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise SourceError(f"{folder} has no {ADAPTER_WEIGHTS}, and pickled weights are never loaded")
    with readable(path := folder / ADAPTER):
        with safe_open(folder / ADAPTER_WEIGHTS, "numpy") as file:
            most = max([MOST, *(size for name in file.keys() for size in file.get_slice(name).get_shape())])  # noqa: SIM118

        def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            for name, value in pairs:
                if isinstance(value, int) and value > most:
                    raise SourceError(f"{path}: {name} = {shown(value)} fits none of its weights: get a complete copy")
            return dict(pairs)

        json.loads(path.read_text("utf-8"), object_pairs_hook=check)
