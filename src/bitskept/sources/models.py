"""Language models by id: from a folder, registry packages used as archives, or the hub; and random copies of them."""

import logging
import math
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from bitskept.sources import registry
from bitskept.sources.adapters import merge
from bitskept.sources.contract import checked
from bitskept.sources.language_model import LanguageModel
from bitskept.sources.loaded_files import weight_files
from bitskept.sources.model_checks import check_formats, check_sizes, heard, readable
from bitskept.sources.model_files import base_of, fetch, fingerprint
from bitskept.sources.packages import SourceError
from bitskept.sources.plain_text import load_tokenizer
from bitskept.sources.precision import resolve_device, resolve_dtype, round_weights
from bitskept.sources.random_weights import rescale
from bitskept.sources.tokenizer_files import LOCAL

BUFFER = re.compile(r"(masked_bias|(attn|attention)\.bias|inv_freq|position_ids|version)$")  # in old files; no weights


def load(
    id: str,
    *,
    dtype: Literal["auto", "float32", "bfloat16"] = "float32",
    device: str = "auto",
    seed: int | None = None,
    scale: str = "configured",
    accept_terms: Collection[str] = (),
) -> LanguageModel:
    """The model `id`: an entry of `params/models.yaml`, ENTRY@REVISION, a folder in BITSKEPT_HOME/models, or a path.

    A folder holds a model, or a peft adapter that is merged into the model whose id is its `base_model_name_or_path`.
    With a `seed` the configuration is the same and the weights are drawn at random, at a `scale` of
    `random_weights.Weights`; the global random state does not change. For `dtype="auto"` see `resolve_dtype`.

    Errors as `fetch`, SourceError for a model that is incomplete or too large or breaks the contract (see
    `contract.checked`), OSError (ENOSPC) if the disk is full.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    folder = fetch(id, accept_terms=accept_terms, verify=True)
    where, torch_dtype = resolve_device(device), getattr(torch, resolve_dtype(dtype, device))
    if base := base_of(folder):
        if seed is None:
            return checked(_adapted(id, folder, load(base, device=device, accept_terms=accept_terms), torch_dtype))
        options = {"device": device, "seed": seed, "scale": scale, "accept_terms": accept_terms}
        return replace(load(base, dtype=dtype, **options), id=id)
    check_sizes(folder, torch_dtype.itemsize if seed is None else 4, random=seed is not None)
    with readable(what := f"the model in {folder}"), heard(what):
        if seed is None:
            network = _trained(folder, torch_dtype)
        else:
            config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                network = transformers.AutoModel.from_config(config, dtype=torch.float32)
            rescale(network, scale)
            round_weights(network, torch_dtype)
    tokenizer = load_tokenizer(folder, network)
    _take_off_parts_of_heads(network)
    network.config.return_dict = True
    network = network.to(where).eval()
    kind = _kind(id, network.config)
    facts = {"fingerprint": fingerprint(id, seed=seed, scale=scale), "seed": seed, "scale": scale}
    return checked(LanguageModel(id, kind, tokenizer, network, torch_dtype, where, **facts))


def fingerprints(ids: Collection[str], *, accept_terms: Collection[str] = ()) -> dict[str, str]:
    """The fingerprint of each model by its id; missing models are fetched. Errors as `fetch`."""
    for id in ids:
        fetch(id, accept_terms=accept_terms)
    return {id: fingerprint(id) for id in ids}


def number_of_weights(id: str, *, accept_terms: Collection[str] = ()) -> int:
    """The number of weights in the files of a model, or of an adapter without its base. Errors as `fetch`."""
    from safetensors import safe_open

    total = 0
    folder = fetch(id, accept_terms=accept_terms)
    for name in weight_files(folder):
        if name.endswith(".index.json"):
            continue
        with readable(folder / name), safe_open(folder / name, framework="numpy") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in sorted(file.keys()))
    return total


def _trained(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """The network in a folder. SourceError for missing weights, which transformers would draw at random, and for
    weights that would be left out or are not what they were trained as.
    """
    import transformers

    options = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    logging.getLogger("transformers.modeling_utils").addFilter(_says_more)
    network, report = transformers.AutoModel.from_pretrained(folder, dtype=dtype, **options, **LOCAL)
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
        raise SourceError(f"{folder} lacks {len(missing)} weights, {missing[0]} among them: get a complete copy")
    if other := sorted(key for key in report["mismatched_keys"] if not key[0].startswith("pooler.")):
        name, shape, wanted = other[0]
        raise SourceError(
            f"{folder} has {len(other)} weights of another shape than its config.json says, {name} among them "
            f"({list(shape)} instead of {list(wanted)}): get a complete copy"
        )
    parts, prefix = {name for name, _ in network.named_children()} - {"pooler"}, f"{network.base_model_prefix}."
    unexpected = [key for key in sorted(report["unexpected_keys"]) if not BUFFER.search(key)]
    if unused := [key for key in unexpected if key.removeprefix(prefix).partition(".")[0] in parts]:  # not of a head
        raise SourceError(
            f"{folder} has {len(unused)} weights that the network of its config.json has no place for, {unused[0]} "
            "among them: get the config.json that belongs to these weights"
        )
    if not hasattr(network.config, "quantization_config"):
        check_formats(folder, report["unexpected_keys"])
    return network


def _says_more(record: logging.LogRecord) -> bool:
    """Whether a line of the log is another than transformers' report of weights, all of which `_trained` checks: it
    would list the head of every model that has one.
    """
    return "LOAD REPORT" not in record.getMessage()


def _take_off_parts_of_heads(network: Any) -> None:
    """Take off what only a head uses: the pooler, and in OPT-350m the map of the last states to narrower ones."""
    if hasattr(network, "pooler"):
        network.pooler = None
    if hasattr(getattr(network, "decoder", None), "project_out"):
        network.decoder.project_out = None


def _adapted(id: str, folder: Path, base: LanguageModel, dtype: torch.dtype) -> LanguageModel:
    """A model with an adapter's weights added to its own, in float32, and then rounded to the dtype."""
    merge(folder, base.network)
    network = base.network.eval().requires_grad_(False)
    round_weights(network, dtype)
    return replace(base, id=id, network=network, dtype=dtype, fingerprint=fingerprint(id))


def _kind(id: str, config: Any) -> str:
    """The kind in the registry. A folder of the user's holds an encoder if transformers can train it by masking and its
    attention is not causal.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if entry := registry("models").get(id.partition("@")[0]):
        return entry["kind"]
    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    return "encoder" if masked else "decoder"
