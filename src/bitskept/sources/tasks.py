"""Tasks: what people have judged, and what models have scored. Each has an entry in `params/tasks.yaml`.

Here is what all of them share, and the functions that read them, so that callers need no other module.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

from bitskept.sources import Entry, registry, task_files
from bitskept.sources.evaluation_sets import RECIPE, classification, minimal_pairs, similarity
from bitskept.sources.leaderboard import benchmark_scores, leaderboard
from bitskept.sources.packages import SourceError, sha256_once
from bitskept.sources.preferences import preference

__all__ = [
    "available",
    "benchmark_scores",
    "catalogue",
    "classification",
    "fetch",
    "fingerprint",
    "leaderboard",
    "minimal_pairs",
    "preference",
    "similarity",
]

# By the kind of a task; raise it when the same files would give other pairs, texts or scores.
READING = {"preference": 1, "scores": 1, "similarity": 1, "classification": 1, "minimal-pair": 1}


def fetch(id: str) -> None:
    """Download the files of the entry `id`, unless they are here."""
    task_files.files(id)


def available(needed: Sequence[str], wished: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """All that are `needed`, fetched, and those that are `wished` for and can be had; and why the others cannot.

    SourceError where one that is needed cannot be had.
    """
    here, left_out = list(needed), {}
    for id in needed:
        fetch(id)
    for id in wished:
        try:
            fetch(id)
            here.append(id)
        except SourceError as error:
            left_out[id] = str(error)
    return here, left_out


def fingerprint(id: str) -> str:
    """A short hash of the files of `id` and of how they are read, wherever they lie. SourceError where they are not."""
    entry = task_files.entry(id)
    hashes = [sha256_once(file) for file in task_files.files(id, fetch=False)]
    source = [hashes, entry.get("reader"), READING[entry["kind"]]]
    if recipe := {key: entry[key] for key in RECIPE if key in entry}:
        source.append(recipe)
    if "first_sentence" in entry:
        source.append(version("sentencex"))
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]


def catalogue() -> list[Entry]:
    """One row an entry of the registry: id, kind, what, licence, source, here."""
    rows = []
    for id in registry("tasks"):
        entry = task_files.entry(id)
        if "package_of" in entry:
            package = task_files.package(entry)
            source = f"package {package['package']} {package['version']}"
        else:
            source = f"hub {entry['hub']}" if "hub" in entry else entry["by_hand"]
        known = {name: entry[name] for name in ("kind", "what", "licence")}
        here = "yes" if task_files.present(entry) else "no"
        rows.append({"id": id, **known, "source": source, "here": here})
    return rows
