"""What a batch of notebooks will take, said before it starts: time, and what is downloaded.

The times are those of the last run of all notebooks that began with an empty store, written down by that run itself.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitskept import root
from bitskept.base import provenance, publishing
from bitskept.base.files import locked, write_whole
from bitskept.base.params import Section
from bitskept.base.path_names import strings
from bitskept.base.store import home
from bitskept.run import run_record
from bitskept.run.forecast import BYTES
from bitskept.sources import Entry, corpora, model_files, packages, registry, tasks

FROM_STORE = 60.0
"""Seconds, at most, of a notebook whose results are in the store."""
MOST_NAMES = 12
LONG = 15 * 60.0
"""Seconds. If a run takes longer, shorter ones are suggested."""


@dataclass(frozen=True)
class Cost:
    """The seconds that a notebook took on an empty store, on so many cores of this speed (operations a second)."""

    seconds: float
    cores: int
    core_speed: float

    def here(self, core_speed: float) -> float:
        """Seconds on this machine. More cores than there were are not counted on."""
        return self.seconds * self.core_speed / core_speed * max(1.0, self.cores / provenance.cores())


@dataclass(frozen=True)
class Expected:
    """The seconds that notebooks are expected to take; `at_most` if the store may have some of their results."""

    seconds: Mapping[str, float]
    at_most: bool

    def words(self, stems: Sequence[str], passed: float = 0.0) -> str:
        """How long these notebooks take, `passed` seconds after the first began; nothing if one was never timed."""
        if not stems or any(stem not in self.seconds for stem in stems):
            return ""
        first, *others = (self.seconds[stem] for stem in stems)
        return ("at most about " if self.at_most else "about ") + duration(max(0.0, first - passed) + sum(others))


def duration(seconds: float) -> str:
    """In words: whole minutes, at least one, and tens of them from an hour on."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    hours, minutes = divmod(60 * hours + round(minutes, -1), 60) if hours else (hours, minutes)
    return " ".join([f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0))


def file(profile: str) -> Path:
    """Where a run of a profile writes its times."""
    return publishing.folders(profile)[1] / "costs.json"


def record(profile: str, stem: str, seconds: float, core_speed: float) -> None:
    """Write down what a notebook took on an empty store."""
    cost = Cost(seconds, provenance.cores(), round(core_speed, -6))
    with locked(path := file(profile), "the times of the notebooks"):
        costs = _read(path) | {stem: cost}
        content = {name: asdict(value) for name, value in sorted(costs.items())}
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def expected(profile: str, stems: Sequence[str], core_speed: float) -> Expected:
    """The times of notebooks on this machine, from a run here or else from the committed one."""
    costs = _read(root() / "results" / profile / "costs.json") | _read(file(profile))
    seconds = {stem: cost.here(core_speed) for stem, cost in costs.items() if stem in stems}
    seconds |= {stem: min(FROM_STORE, seconds.get(stem, FROM_STORE)) for stem in stems if in_store(profile, stem)}
    return Expected(seconds, at_most=not store_is_empty())


def _read(path: Path) -> dict[str, Cost]:
    try:
        return {stem: Cost(**cost) for stem, cost in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):  # missing or damaged: the next cold run writes it anew
        return {}


def store_is_empty() -> bool:
    """Whether no result is in the store, and no network that was trained here."""
    trained = (path.is_dir() for path in (home() / "models").glob("*/*"))
    return not any((home() / "store").glob("*/*/entry.json")) and not any(trained)


def in_store(profile: str, stem: str) -> bool:
    """Whether a notebook has been run here to its end, and all results and trained networks of that run are kept."""
    run, log = run_record.read(profile).get(stem, {}), run_record.log_file(profile, stem)
    results = run_record.results(log) if log.is_file() else {}
    whole = run.get("finished") and len(results) == run.get("from_store", 0) + run.get("computed", 0)
    return bool(whole and results) and all(_is_kept(*name) for name in results)


def _is_kept(function: str, digest: str) -> bool:
    return (home() / "store" / function / digest).is_dir() or any((home() / "models").glob(f"*/*-{digest}"))


def announcement(profile: str, sections: Mapping[str, Section], core_speed: float) -> list[str]:
    """What is said before the notebooks with these sections run: time, downloads, and what takes less time."""
    stems = list(sections)
    times, smoke = (expected(name, stems, core_speed) for name in (profile, "smoke"))
    what = f"{f'{len(stems)} notebooks' if len(stems) > 1 else stems[0]} with the profile {profile}"
    time = times.words(stems)
    lines = [f"{what}: {time} on this machine." if time else f"{what}: how long it takes is not known."]
    if all(in_store(profile, stem) for stem in stems):
        lines.append("The results are in the store, unless code or parameters have changed since the last run.")
    elif times.at_most:
        lines.append("What is in the store is not computed again.")
    lines += downloads(sections.values())
    if profile != "smoke" and (not time or sum(times.seconds.values()) > LONG):
        takes = f" in {smoke.words(stems)}" if smoke.words(stems) else ""
        lines += [
            f"In a hurry? `make figures PROFILE=smoke` runs the same on small samples{takes}, and `make redraw`",
            "draws all figures again from their tables in two minutes. A run that you stop keeps what it has finished.",
        ]
    return lines


def downloads(sections: Collection[Section]) -> list[str]:
    """In words: the models, texts and tasks that these sections name and that are not here, and their size."""
    named = {text.partition("@")[0] for text in strings([section.model_dump() for section in sections])}
    sizes: dict[str, int] = {}  # of packages, which entries share, and of models on the hub
    sized, others = dict[str, None](), dict[str, None]()
    for kind, source in (("models", model_files), ("corpora", corpora), ("tasks", tasks)):
        for id in [row["id"] for row in source.catalogue() if row["id"] in named and row["here"] == "no"]:
            entry = registry(kind)[id]
            if missing := [wheel for wheel in _wheels(entry) if not packages.here([wheel], home() / "wheels")]:
                sizes |= {wheel["package"]: wheel["bytes"] for wheel in missing}
            elif kind == "models" and "hub" in entry:
                sizes[id] = BYTES * entry["parameters"]
            if missing or id in sizes:
                sized[id] = None
            elif "hub" in entry:
                others[id] = None
    lines = [f"To download, about {sum(sizes.values()) / 1e9:,.1f} GB: {_listed(sized)}."] if sized else []
    return lines + ([f"If the Hugging Face Hub can be reached, also: {_listed(others)}."] if others else [])


def _listed(ids: Collection[str]) -> str:
    first = ", ".join([*ids][:MOST_NAMES])
    return first if len(ids) <= MOST_NAMES else f"{first} and {len(ids) - MOST_NAMES} more"


def _wheels(entry: Entry) -> list[dict[str, Any]]:
    """The packages of an entry, or those of its parts."""
    texts = registry("corpora")
    parts = [texts[id] for id in (*entry.get("mixed", []), *([entry["package_of"]] if "package_of" in entry else []))]
    return [*entry.get("packages", []), *(part["package"] for part in (entry, *parts) if "package" in part)]
