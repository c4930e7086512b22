"""Texts that a user names by a path, and the ids in place of paths. How to search longer: see conftest.py."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitskept.sources import corpora, models, prompts, tasks

quick = settings.get_profile("quick")
ODD = [
    "👩‍👩‍👧‍👦 fine", "\u202eשלום עולם.", "مرحبا بالعالم", "日本語です。", "e\u0301te\u0301", "a\u2028b",
    "a\x1fb", "NaN", "ﬃ", "\ufeffx", "é", "A. B. C.",
]  # fmt: skip
SENTENCES = st.lists(st.sampled_from(ODD) | st.text(st.characters(exclude_characters="\0"), max_size=30), max_size=30)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis", "cp037")


def written(suffix, sentences, end="\n"):
    """A file of these texts: as a user's program would write it, with this end of lines."""
    if suffix == ".txt":
        return end.join(sentences)
    if suffix == ".jsonl":
        return end.join(json.dumps({"text": text}) for text in sentences)
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator=end).writerows([["number", "text"], *enumerate(sentences)])
    return table.getvalue()


@quick
@given(
    data=st.data(), suffix=st.sampled_from(corpora.SUFFIXES), sentences=SENTENCES, encoding=st.sampled_from(ENCODINGS)
)
def test_a_file_of_text_is_read_or_refused_by_name(
    data, suffix, sentences, encoding, place, outcome_of, mutated_bytes, mutated_tree
):
    path = place / f"own{suffix}"
    content = written(suffix, sentences).encode(encoding, "replace")
    if suffix == ".jsonl" and data.draw(st.booleans()):
        records, _ = data.draw(mutated_tree([{"text": text} for text in sentences]))
        content = "\n".join(map(json.dumps, records if isinstance(records, list) else [records])).encode(encoding)
    path.write_bytes(data.draw(mutated_bytes(content)) if data.draw(st.booleans()) else content)
    read, _ = outcome_of(lambda: corpora.load(str(path)), str(path))
    if read is None:
        return
    found = list(read["text"])
    assert found == [" ".join(text.split()) for text in found]
    assert len(set(found)) == len(found) > 0
    assert all(any(map(str.isalpha, text)) for text in found)
    assert corpora.fingerprint(str(path))
    halves, _ = outcome_of(lambda: prompts.load(str(path), pairs=1), str(path))
    if halves is not None:
        assert halves["prompt"][0] + halves["answer"][0] in found


@quick
@given(sentences=SENTENCES, suffix=st.sampled_from(corpora.SUFFIXES), long=st.lists(st.sampled_from(ODD), min_size=16))
def test_a_sound_file_loses_nothing(sentences, suffix, long, place, outcome_of):
    texts = [*sentences, " ".join(long)]
    path = place / f"sound{suffix}"
    path.write_text(written(suffix, texts), "utf-8", errors="replace", newline="")
    read, _ = outcome_of(lambda: corpora.load(str(path)))
    letters = {letter for text in texts for letter in text.encode("utf-8", "replace").decode() if letter.isalpha()}
    assert letters <= set("".join(read["text"]))
    halves, _ = outcome_of(lambda: prompts.load(str(path), pairs=1), str(path))
    assert halves is None or halves["prompt"][0] + halves["answer"][0] in set(read["text"])


@quick
@given(sentences=SENTENCES, suffix=st.sampled_from(corpora.SUFFIXES), end=st.sampled_from(["\r", "\r\n"]))
def test_the_end_of_a_line_does_not_matter(sentences, suffix, end, place, outcome_of):
    """A lone \\r inside a sentence of a .txt is the end of a line as well."""
    texts = [text.replace("\r", " ").replace("\n", " ") for text in sentences] + ["The last one."]
    found = []
    for name, mark in (("unix", "\n"), ("other", end)):
        path = place / f"{name}{suffix}"
        path.write_text(written(suffix, texts, mark), "utf-8", errors="replace", newline="")
        read, _ = outcome_of(lambda path=path: corpora.load(str(path)))
        found.append(list(read["text"]))
    assert found[0] == found[1]


@quick
@given(sentences=st.lists(st.sampled_from(ODD), min_size=1, max_size=8), data=st.data())
def test_a_quotation_mark_that_is_never_closed_is_refused_with_its_line(sentences, data, place, outcome_of):
    rows = [f"{number},{text}" for number, text in enumerate(sentences)]
    spoilt = data.draw(st.integers(0, len(rows) - 1))
    rows[spoilt] = f'{spoilt},"{sentences[spoilt]}'
    path = place / "open.csv"
    path.write_text("\n".join(["number,text", *rows]), "utf-8", newline="")
    read, message = outcome_of(lambda: corpora.load(str(path)), str(path))
    assert read is None
    assert f"the record that begins in line {spoilt + 2} has a quotation mark too many" in message


PIECES = [
    "", ".", "..", "/", "\\", "~", "~no-such-user", "@", "\0", "\n", "é", "👩‍👩‍👧", "\u202e", "\ud800", "CON", "C:",
    "gpt2", "main", "x" * 300, "-", " ", "*", "%s", "models", "a@b", "nul.txt", "own.jsonl", "lee", "mixed",
]  # fmt: skip


@quick
@given(id=st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=30))
@example(id="x/" * 400_000)
@example(id="~no-such-user/model")
@example(id="gpt2@../../etc")
@example(id="gpt2@\0")
@example(id="minilm-l6@main")
@example(id="/" + "é" * 200)
@pytest.mark.parametrize("kind", ["models", "corpora", "tasks", "prompts"])
def test_an_id_is_known_or_refused_by_name(kind, id, place, outcome_of):
    calls = {
        "models": (models.fetch, models.fingerprint, models.load),
        "corpora": (corpora.fingerprint, corpora.load),
        "tasks": (tasks.fingerprint, tasks.similarity, tasks.classification, tasks.minimal_pairs, tasks.preference),
        "prompts": (prompts.fingerprint, lambda id: prompts.load(id, pairs=1)),
    }
    if id in ("lee", "mixed"):  # known, and to be had from a package registry only
        return
    names = (id[:60], repr(id[:60])[1:-1])
    for call in calls[kind]:
        outcome_of(lambda call=call: call(id), *names)
    assert not any(Path(place / "home").rglob("*.partial*"))
