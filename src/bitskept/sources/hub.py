"""A hub: models (safetensors and configuration, no code), files of data sets, and the commits that were taken."""

import errno
import json
import os
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path

from bitskept import root
from bitskept.locks import alone
from bitskept.sources.packages import SourceError, full_disk_told, sha256_once
from bitskept.store import home

FILES = ("*.safetensors", "*.json", "*.txt", "*.model")  # nothing pickled, no code
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spm.model")


def locked(reference: str) -> str | None:
    """The commit that REPOSITORY@REVISION stood for when it was first downloaded, from `params/models.lock`."""
    return _locks().get(reference)


def lock(reference: str, commit: str) -> None:
    """Write that commit down."""
    with alone(_lock_file(), "the list of commits"):
        temporary = _lock_file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_locks() | {reference: commit}, indent=1, sort_keys=True) + "\n", "utf-8")
        temporary.replace(_lock_file())


def _lock_file() -> Path:
    return root() / "params" / "models.lock"


def _locks() -> dict[str, str]:
    return json.loads(_lock_file().read_text("utf-8")) if _lock_file().exists() else {}


def _folder(kind: str, repository: str) -> Path:
    """Where the hub's client keeps a repository: to see that there is none, it need not be imported."""
    return home() / "hub" / f"{kind}--{repository.replace('/', '--')}"


def snapshot(repository: str, revision: str) -> Path | None:
    """A complete copy in the hub's own folder layout under BITSKEPT_HOME/hub, if there is one."""
    if not _folder("models", repository).is_dir():
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = locked(f"{repository}@{revision}") or revision
    try:
        folder = Path(snapshot_download(repository, revision=wanted, cache_dir=home() / "hub", local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    weights, index = {"model.safetensors"}, folder / "model.safetensors.index.json"
    if index.exists():
        weights = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    # An interrupted download leaves a folder that lacks files.
    whole = all((folder / name).exists() for name in ("config.json", *weights))
    return folder if whole and any((folder / name).exists() for name in TOKENIZERS) else None


def broken(folder: Path) -> list[Path]:
    """The files of a copy that are not what they are named by: the hub's client keeps a file under its own hash, the
    SHA-256 of a large one, git's of a small one.
    """
    return [path for path in sorted(folder.iterdir()) if path.is_symlink() and not _is_its_name(path.resolve())]


def _is_its_name(blob: Path) -> bool:
    match len(blob.name):
        case 64:
            return sha256_once(blob) == blob.name
        case 40:
            content = blob.read_bytes()
            return sha1(b"blob %d\0" % len(content) + content).hexdigest() == blob.name
        case _:
            return True


def download(repository: str, revision: str) -> Path:
    """The folder of that copy, downloaded where it is not here (what is there already of it is not fetched again).

    SourceError where it cannot be had: no network, a licence to accept first, or nothing but pickled weights.
    """
    if folder := snapshot(repository, revision):
        return folder
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError

    wanted = locked(f"{repository}@{revision}") or revision
    try:
        found = HfApi().model_info(repository, revision=wanted)
        if not any(file.rfilename.endswith(".safetensors") for file in found.siblings or ()):
            raise SourceError(f"{repository} at {wanted} has no safetensors file, and pickled weights are never loaded")
        where = {"revision": found.sha, "cache_dir": home() / "hub"}
        with full_disk_told(home() / "hub"):
            folder = Path(snapshot_download(repository, allow_patterns=FILES, ignore_patterns=["*/*"], **where))
    except GatedRepoError as error:
        raise SourceError(f"{repository}: accept its licence on its page, then run `hf auth login`") from error
    except SourceError:
        raise
    except Exception as error:  # no network: the hub's client lets its HTTP library's own errors through
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise SourceError(f"cannot fetch {repository} at {wanted} ({reason}): run this again with a network") from error
    if wanted != found.sha:
        lock(f"{repository}@{revision}", str(found.sha))
    return folder


def stored_files(repository: str, revision: str, names: Sequence[str]) -> list[Path]:
    """Files of a data set in the hub's own folder layout under BITSKEPT_HOME/hub; none unless all of them are there."""
    if not _folder("datasets", repository).is_dir():
        return []
    from huggingface_hub import try_to_load_from_cache

    wanted = locked(f"datasets/{repository}@{revision}") or revision
    where = {"repo_type": "dataset", "revision": wanted, "cache_dir": home() / "hub"}
    found = [try_to_load_from_cache(repository, name, **where) for name in names]
    files = [Path(path) for path in found if isinstance(path, str)]
    return files if len(files) == len(names) else []


def download_files(repository: str, revision: str, names: Sequence[str]) -> list[Path]:
    """Those files, downloaded where they are not here. SourceError where they cannot be had."""
    if files := stored_files(repository, revision, names):
        return files
    from huggingface_hub import HfApi, hf_hub_download

    reference = f"datasets/{repository}@{revision}"
    try:
        commit = locked(reference) or HfApi().dataset_info(repository, revision=revision).sha
        where = {"repo_type": "dataset", "revision": commit, "cache_dir": home() / "hub"}
        with full_disk_told(home() / "hub"):
            files = [Path(hf_hub_download(repository, name, **where)) for name in names]
    except Exception as error:  # no network: the hub's client lets its HTTP library's own errors through
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise SourceError(f"cannot fetch {repository} ({reason})") from error
    lock(reference, str(commit))
    return files
