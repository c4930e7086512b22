"""A hub: models (safetensors and configuration, never code) and files of data sets, each pinned to a commit."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bitskept import root
from bitskept.base.files import full_disk_explained, locked, write_whole
from bitskept.base.store import home
from bitskept.sources import Entry, advice
from bitskept.sources.loaded_files import ADAPTER, DESCRIPTIONS, INDEX, VOCABULARIES, WEIGHTS, weight_files
from bitskept.sources.packages import SourceError, sha256_once


def pinned(reference: str) -> str | None:
    """The commit of REPOSITORY@REVISION when it was first downloaded, from `params/models.lock`.

    The name of a data set begins with `datasets/`.
    """
    path = root() / "params" / "models.lock"
    return json.loads(path.read_text("utf-8")).get(reference) if path.exists() else None


def pin(reference: str, commit: str) -> None:
    """Record the commit of a reference in `params/models.lock`."""
    path = root() / "params" / "models.lock"
    with locked(path, "the list of commits"):
        commits = json.loads(path.read_text("utf-8")) if path.exists() else {}
        write_whole(path, (json.dumps(commits | {reference: commit}, indent=1, sort_keys=True) + "\n").encode())


def dataset_reference(entry: Entry) -> str:
    """The reference under which the commit of a data set is recorded."""
    return f"datasets/{entry['hub']}@{entry['revision']}"


def dataset_commit(entry: Entry) -> str:
    """The commit of a data set to be read: the pinned one or, the first time, the one that the hub names."""
    return pinned(dataset_reference(entry)) or _about("datasets", entry["hub"], entry["revision"])["sha"]


@contextmanager
def hub_errors(id: str, entry: Entry) -> Iterator[None]:
    """Errors of the hub's client as a SourceError that says what to do; a full disk as an OSError (ENOSPC).

    The client itself repeats a request that the hub refuses for now, and continues a file after a lost connection, some
    times each.
    """
    folder = home() / "hub"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with full_disk_explained(folder):
            yield
    except SourceError:
        raise
    except Exception as error:  # the client lets errors of its HTTP library through
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise SourceError(f"{id}: {_in_words(id, entry, error)}") from error


def _in_words(id: str, entry: Entry, error: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what, way = f"cannot fetch {entry['hub']} at {entry['revision']}", advice(id, entry)
    # A file that the client finds neither on the hub nor here: what the hub answered says more.
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
    reason = (str(cause).strip() or repr(cause)).splitlines()[0][:200]
    if isinstance(cause, GatedRepoError):
        return f"accept the licence of {entry['hub']} on its page, then run `hf auth login`"
    status = getattr(getattr(cause, "response", None), "status_code", 0)
    if isinstance(cause, RepositoryNotFoundError):
        reason, way = f"{reason}, no such repository, or a private one", f"correct its name, log in, or {way}"
    elif isinstance(cause, RevisionNotFoundError):
        reason, way = f"{reason}, no such revision", "name a branch, a tag or a commit that it has"
    elif status == 429 or status >= 500:
        way = f"wait some minutes, and {way}"
    return f"{what} ({reason}): {way}"


def snapshot(entry: Entry) -> Path | None:
    """A complete copy of a model under BITSKEPT_HOME/hub, in the layout of the hub's client; None if there is none."""
    if not _folder("models", entry).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    # The client's own test of a copy asks for every file of the repository, and only some are needed here.
    where = {"revision": _model_revision(entry), "cache_dir": home() / "hub"}
    config = try_to_load_from_cache(entry["hub"], "config.json", **where)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    try:
        weights = weight_files(folder)
    except SourceError:
        return None
    # An interrupted download leaves a folder that lacks files, and a damaged file is removed behind its name.
    whole = all(path.exists() for path in (*folder.rglob("*"), *(folder / name for name in weights)))
    return folder if whole and any(any(folder.glob(pattern)) for pattern in VOCABULARIES) else None


def _model_revision(entry: Entry) -> str:
    return pinned(f"{entry['hub']}@{entry['revision']}") or entry["revision"]


def _folder(kind: str, entry: Entry) -> Path:
    """Where the hub's client stores a repository. If there is none, the client need not be imported, which is slow."""
    return home() / "hub" / f"{kind}--{entry['hub'].replace('/', '--')}"


def download(id: str, entry: Entry) -> Path:
    """The folder of a model (`snapshot`), downloaded if it is not here; files that are here already are not fetched
    again.

    Only files that are loaded are fetched: configuration, tokenizer and the weights of one format. SourceError if it
    cannot be had: no network, a licence to accept first, or nothing but pickled weights.
    """
    if folder := snapshot(entry):
        return folder
    from huggingface_hub import snapshot_download

    repository, revision = entry["hub"], _model_revision(entry)
    what = f"{repository} at {revision}"
    with hub_errors(id, entry):
        about = _about("models", repository, revision)
        there = {file["rfilename"] for file in about["siblings"]}
        if ADAPTER in there:
            by_hand = f"put its files into {home() / 'models' / 'NAME'}, set base_model_name_or_path there to an id"
            raise SourceError(f"{id}: {what} holds an adapter ({ADAPTER}): {by_hand}, and use NAME")
        if not any(name.endswith(".safetensors") for name in there):
            raise SourceError(f"{id}: {what} has no safetensors file, and pickled weights are never loaded")
        where = {"revision": about["sha"], "cache_dir": home() / "hub"}
        small = [*DESCRIPTIONS, *VOCABULARIES, *([] if WEIGHTS in there else [INDEX])]
        folder = Path(snapshot_download(repository, allow_patterns=small, ignore_patterns=["*/*"], **where))
        # Weights come last, so that a copy that has them is complete.
        weights = weight_files(folder)
        if missing := [name for name in weights if name not in there]:
            raise SourceError(f"{id}: {what} has no {missing[0]}, and other files of weights are never loaded")
        snapshot_download(repository, allow_patterns=weights, **where)
    if revision != about["sha"]:
        pin(f"{repository}@{entry['revision']}", about["sha"])
    return folder


def _about(kind: str, repository: str, revision: str) -> dict[str, Any]:
    """What the hub says about a revision of a repository: its commit `sha` and its files, the `siblings`.

    A hub that is busy (429, 503) is asked again, as the client does for files.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

    url = f"{constants.ENDPOINT}/api/{kind}/{repository}/revision/{quote(revision, safe='')}"
    answer = http_backoff("GET", url, headers=build_hf_headers(), retry_on_exceptions=())
    hf_raise_for_status(answer)
    return answer.json()


def broken(folder: Path) -> list[Path]:
    """The files of a copy whose content has changed. The hub's client names a file by its hash: SHA-256 for large
    files, git's hash for small ones.
    """
    return [path for path in sorted(folder.rglob("*")) if path.is_symlink() and not _matches_its_name(path.resolve())]


def _matches_its_name(blob: Path) -> bool:
    if len(blob.name) == 64:
        return sha256_once(blob) == blob.name
    if len(blob.name) == 40:
        content = blob.read_bytes()
        return sha1(b"blob %d\0" % len(content) + content).hexdigest() == blob.name
    return True  # another server may name files differently


def stored_files(entry: Entry) -> list[Path]:
    """The files of a data set under BITSKEPT_HOME/hub; none unless all of them are there."""
    if not _folder("datasets", entry).is_dir():
        return []
    from huggingface_hub import try_to_load_from_cache

    revision = pinned(dataset_reference(entry)) or entry["revision"]
    where = {"repo_type": "dataset", "revision": revision, "cache_dir": home() / "hub"}
    paths = [try_to_load_from_cache(entry["hub"], name, **where) for name in entry["files"]]
    return [Path(path) for path in paths] if all(isinstance(path, str) for path in paths) else []


def download_files(id: str, entry: Entry) -> list[Path]:
    """The files of a data set (`stored_files`), downloaded if they are not here. SourceError if they cannot be had."""
    if files := stored_files(entry):
        return files
    from huggingface_hub import hf_hub_download

    with hub_errors(id, entry):
        commit = dataset_commit(entry)
        where = {"repo_type": "dataset", "revision": commit, "cache_dir": home() / "hub"}
        files = [Path(hf_hub_download(entry["hub"], name, **where)) for name in entry["files"]]
    pin(dataset_reference(entry), commit)
    return files
