import hashlib
import json
import re
import zipfile
from collections import Counter

import pytest
import yaml

from bitskept.sources import corpora, hub, packages, registry

SPEECHES = [
    "It is so.\r\nMr. Smith  went\tto Washington. He\u00a0stayed!\n\nVIETNAM\n...... 5 ......\nYes.",
    "It is so.\n(1) 2.\nit is so.",
]
FILMS = 'kind,text\nplot,"A man, a plan. A canal!"\nfresh,Good.\nrotten,It is so.\nfresh,Fine - really.\n'


@pytest.fixture
def library(project, home, checkout, monkeypatch):
    """A registry with two corpora and their mixture, its wheel put into the right folder by hand."""
    monkeypatch.delenv("BITSKEPT_DATA", raising=False)
    wheel = home / "wheels" / "tiny_text-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for number, text in enumerate(SPEECHES):
            archive.writestr(f"text/{number}.txt", text)
        archive.writestr("films.csv", FILMS)
        archive.writestr(
            "talks.json", json.dumps([{"talks": ["ANN LEE: We — (cheers) — go on. (Applause.)\nAUDIENCE: Boo!"]}])
        )
    package = {
        "package": "tiny-text",
        "version": "1.0",
        "bytes": 1,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }
    real = yaml.safe_load((checkout / "params" / "corpora.yaml").read_text("utf-8"))
    entries = {
        "speeches": {"members": ["text/*.txt"], "drop": real["speeches"]["drop"]},
        "reviews": {"members": ["films.csv"], "column": "text", "where": {"kind": ["fresh", "rotten"]}},
        "talks": {"members": ["talks.json"], "column": "talks", "drop": real["conventions"]["drop"]},
    }
    for entry in entries.values():
        entry |= {"what": "test", "licence": "none", "package": package}
    hub = {
        key: real["c4"][key] for key in ("what", "licence", "data", "hub", "name", "splits", "revision", "documents")
    }
    entries |= {"both": {"what": "mixture", "licence": "none", "mixed": ["speeches", "reviews"]}, "c4": hub}
    entries["c4-documents"] = hub | {"split": False}
    (project / "params" / "corpora.yaml").write_text(yaml.safe_dump(entries))
    return project


def texts(*arguments, **options):
    return list(corpora.load(*arguments, **options)["text"])


def test_sentences_are_split_cleaned_and_without_duplicates(library):
    found = corpora.load("speeches")
    assert set(found["text"]) == {"It is so.", "Mr. Smith went to Washington.", "He stayed!", "Yes.", "it is so."}
    assert len(found) == 5
    assert set(found["domain"]) == {"speeches"}
    assert set(texts("reviews")) == {"Good.", "It is so.", "Fine - really."}


def test_transcripts_lose_speakers_stage_directions_and_the_audience(library):
    assert texts("talks") == ["We — go on."]


def test_the_order_is_drawn_by_the_seed_and_smaller_samples_lie_in_larger_ones(library):
    every = texts("speeches", seed=3)
    assert every == texts("speeches", seed=3)
    assert [texts("speeches", seed=3, sentences=n) for n in range(6)] == [every[:n] for n in range(6)]
    assert len({tuple(texts("speeches", seed=seed)) for seed in range(9)}) > 1


def test_a_mixture_has_equal_shares_and_no_duplicates_between_its_parts(library):
    found = corpora.load("both")
    assert Counter(found["domain"]) == {"speeches": 2, "reviews": 2}  # what both hold counts for the first
    assert len(set(found["text"])) == 4
    assert texts("both", sentences=3) == list(found["text"])[:3]


def test_more_sentences_than_there_are_and_unknown_ids_are_refused(library):
    with pytest.raises(ValueError, match="speeches has 5 different sentences, fewer than the 1,000 asked for"):
        corpora.load("speeches", sentences=1000)
    with pytest.raises(LookupError, match=r"no corpus 'speches'.*nearest: speeches"):
        corpora.load("speches")


def test_the_fingerprint_follows_the_source_and_how_it_is_read(library, tmp_path):
    first = corpora.fingerprint("speeches")
    assert first == corpora.fingerprint("speeches") != corpora.fingerprint("reviews")
    path = library / "params" / "corpora.yaml"
    entries = yaml.safe_load(path.read_text())
    entries["speeches"]["drop"] = []
    path.write_text(yaml.safe_dump(entries))
    assert corpora.fingerprint("speeches") != first
    own = tmp_path / "own.txt"
    prints = [own.write_text(text) and corpora.fingerprint(str(own)) for text in ("One.", "Two.", "One.")]
    assert prints[0] == prints[2] != prints[1]


def test_catalogue_lists_what_is_here(library, home):
    rows = {row["id"]: row for row in corpora.catalogue()}
    assert [rows[id]["here"] for id in ("speeches", "both", "c4")] == ["yes", "yes", "no"]
    assert rows["speeches"]["source"] == "package tiny-text 1.0"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"\xef\xbb\xbfOne. Two.\n\n  Three \n", ["One. Two.", "Three"]),  # a sentence a line, as it is
        ("a.jsonl", b'{"text": "One. Two."}\n\n{"text": "Three"}', ["One.", "Two.", "Three"]),
        ("a.csv", 'n,text\n1,"Été, one.\nTwo."\n'.encode(), ["Été, one.", "Two."]),
        ("a.txt", b"One. Two.\rThree\r", ["One. Two.", "Three"]),  # line ends of old Macs
        ("a.txt", b"One.\r\nTwo.\rThree\n\rFour", ["One.", "Two.", "Three", "Four"]),
        ("a.txt", "One\u2028more.\x0bAnd\x85one.\n".encode(), ["One more. And one."]),  # no ends of lines
        ("a.jsonl", b'{"text": "One. Two."}\r{"text": "Three"}\r', ["One.", "Two.", "Three"]),
        ("a.csv", b'n,text\r1,"One.\rTwo ""quoted""."\r2,Three\r', ["One.", 'Two "quoted".', "Three"]),
    ],
)
def test_users_own_files(library, tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    found = corpora.load(str(tmp_path / name))
    assert sorted(found["text"]) == sorted(expected)
    assert set(found["domain"]) == {"a"}


def test_a_file_that_is_not_utf_8_is_read_as_latin_1_and_said_so(library, tmp_path):
    path = tmp_path / "old.txt"
    path.write_bytes("Déjà vu.".encode("latin-1"))
    with pytest.warns(UserWarning, match=r"old\.txt is not UTF-8 \(byte 1\): read as Latin-1"):
        assert texts(str(path)) == ["Déjà vu."]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "holds no sentence"),
        ("a.txt", b" \n 12 ...\n", "holds no sentence"),
        ("a.txt", "One.".encode("utf-16"), "holds NUL bytes"),
        ("a.txt", b"word " * 100_000, "a line of 499,999 characters is no sentence"),
        ("a.jsonl", json.dumps({"text": "word " * 380_000}).encode(), "1,899,999 characters without the end of a"),
        ("a.csv", b"text\n" + b"word " * 100_000, "499,999 characters without the end of a sentence are no sentence"),
        ("a.csv", b'n,text\n1,One.\n2,"Two.\n3,Three.\n', "the record that begins in line 3 has a quotation mark too"),
        ("a.csv", b'n,text\n1,"One.\n2,Two.\n3,"Three."\n', "the record that begins in line 2 has a quotation mark to"),
        ("a.csv", b'n,"text\n1,One.\n', "the record that begins in line 1 has a quotation mark too many"),
        ("a.csv", b"words\nOne.", "record 1 has no field 'text'"),
        ("a.jsonl", b'{"text": "One."}\n{"text": ', "is damaged or of another format"),
        ("a.jsonl", b"[1]", "record 1 has no field 'text'"),
        ("a.docx", b"One.", r"has to end in \.txt"),
    ],
)
def test_files_that_cannot_be_used_are_named(library, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        corpora.load(str(path))
    assert str(path) in str(error.value)


def test_the_users_data_folder_comes_before_the_hub(library, tmp_path, monkeypatch):
    with pytest.raises(packages.SourceError, match=re.escape("bitskept fetch c4")):
        corpora.fingerprint("c4")
    with pytest.raises(
        packages.SourceError, match=r"c4: cannot fetch allenai/c4 .*prose/c4_demo\.jsonl in BITSKEPT_DATA"
    ):
        corpora.load("c4")
    (tmp_path / "prose").mkdir()
    (tmp_path / "prose" / "c4_demo.jsonl").write_text('{"text": "One. Two."}')
    monkeypatch.setenv("BITSKEPT_DATA", str(tmp_path))
    assert set(texts("c4")) == {"One.", "Two."}
    assert corpora.fingerprint("c4")
    whole = {"text": f"One.\nTwo. {'Three ' * 10_000}"}
    (tmp_path / "prose" / "c4_demo.jsonl").write_text(json.dumps(whole))
    assert texts("c4-documents") == [" ".join(whole["text"].split())]


def test_what_was_read_from_the_hub_once_needs_no_network(library, home):
    hub.pin("datasets/allenai/c4@main", "abc")
    (home / "text").mkdir()
    (home / "text" / f"allenai--c4-en-abc-{corpora.READING}.txt").write_text("One.\nTwo. Three.\n")
    assert set(texts("c4")) == {"One.", "Two. Three."}
    here = {row["id"]: row["here"] for row in corpora.catalogue()}
    assert (here["c4"], here["c4-documents"]) == ("yes", "no")


def test_the_registry_is_sound(checkout, monkeypatch):
    monkeypatch.setenv("BITSKEPT_ROOT", str(checkout))
    entries = registry("corpora")
    for id, entry in entries.items():
        assert len({"package", "hub", "mixed"} & set(entry)) == 1, id
        assert set(entry.get("mixed", [])) <= set(entries)
        for pattern in entry.get("drop", []):
            re.compile(pattern)
