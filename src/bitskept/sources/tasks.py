"""Tasks: human judgements of texts, and benchmark scores of models. Each has an entry in `params/tasks.yaml`.

This module has the functions for all tasks, and re-exports those that read each kind, so callers need no other module.
"""

from collections.abc import Sequence
from importlib.metadata import version

from bitskept.sources import Entry, catalogue_row, registry, short_hash, task_files
from bitskept.sources.evaluation_sets import RECIPE, classification, minimal_pairs, similarity
from bitskept.sources.leaderboard import benchmark_scores
from bitskept.sources.packages import SourceError, sha256_once
from bitskept.sources.preferences import preference

__all__ = [
    "available",
    "benchmark_scores",
    "catalogue",
    "classification",
    "fetch",
    "fingerprint",
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
    """The tasks that are here after fetching, those `needed` first, and the reason for each of `wished` that is not.
    SourceError if a needed one cannot be had.
    """
    for id in needed:
        fetch(id)
    here, left_out = list(needed), {}
    for id in wished:
        try:
            fetch(id)
            here.append(id)
        except SourceError as error:
            left_out[id] = str(error)
    return here, left_out


def fingerprint(id: str) -> str:
    """A short hash of the files of `id`, wherever they are, and of how they are read. SourceError without them."""
    entry = task_files.entry(id)
    hashes = [sha256_once(file) for file in task_files.files(id, fetch=False)]
    source = [hashes, entry.get("reader"), READING[entry["kind"]]]
    if recipe := {key: entry[key] for key in RECIPE if key in entry}:
        source.append(recipe)
    if "first_sentence" in entry:
        source.append(version("sentencex"))
    return short_hash(source)


def catalogue() -> list[Entry]:
    """One row per task of the registry."""
    rows = []
    for id in registry("tasks"):
        entry = task_files.entry(id)
        packages = [task_files.package(entry)] if "package_of" in entry else []
        here = "yes" if task_files.present(entry) else "no"
        rows.append(catalogue_row(id, entry, ("id", "kind", "what", "licence", "source", "here"), packages, here))
    return rows
