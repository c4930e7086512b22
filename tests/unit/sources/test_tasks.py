import gzip
import hashlib
import json

import pytest

from bitskept.run import command_line
from bitskept.sources import hub, packages, preferences, registry, task_files, tasks

LEE = {"gensim/test/test_data/lee.cor": b"One.\nTwo.", "gensim/test/test_data/similarities0-1.txt": b"1\t0.5\n0\t1\n"}
WORDS = {"gensim/test/test_data/wordsim353.tsv": b"tiger\tcat\t7.35"}


def put(path, *answers):
    """A file of pairs of answers; its content."""
    chosen, rejected = (f"\n\nHuman: Why?\n\nAssistant: {answer}" for answer in (*answers, "No!"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"chosen": chosen, "rejected": rejected}).encode(), mtime=0))
    return path.read_bytes()


def here():
    """The ids of the tasks whose files are here."""
    return {row["id"] for row in tasks.catalogue() if row["here"] == "yes"}


def test_what_is_nowhere_is_told_with_what_to_get(data):
    for call in (tasks.preference, tasks.fetch):
        with pytest.raises(
            packages.SourceError, match=r"cannot fetch Anthropic/hh-rlhf .*bitskept fetch hh-harmless"
        ) as error:
            call("hh-harmless")
        assert "preference/hh_harmless_base_test.jsonl.gz in BITSKEPT_DATA" in str(error.value)
    with pytest.raises(packages.SourceError, match=r"get testset-v1\.json of .*WeOpenML/PandaLM and name a folder"):
        tasks.preference("pandalm")
    with pytest.raises(packages.SourceError, match=r"tulu3 is not here yet: run `bitskept fetch tulu3`"):
        tasks.fingerprint("tulu3")
    with pytest.raises(packages.SourceError, match=r"lee is not here yet: run `bitskept fetch lee` with a network$"):
        tasks.fingerprint("lee")
    with pytest.raises(
        packages.SourceError, match=r"name a folder with blimp/adjunct_island\.jsonl\.gz and 66 others in"
    ):
        tasks.minimal_pairs("blimp")
    assert here() == set()


def test_files_of_the_hub_need_no_network_once_they_are_here(data, hub_folder):
    own = data / "preference" / "hh_harmless_base_test.jsonl.gz"
    put(own, "Own.")
    put(hub_folder("Anthropic/hh-rlhf") / "harmless-base" / "test.jsonl.gz", "Theirs.")
    assert tasks.preference("hh-harmless")["preferred"][:] == ["Own."]
    first = tasks.fingerprint("hh-harmless")
    own.unlink()
    assert tasks.preference("hh-harmless")["preferred"][:] == ["Theirs."]
    assert tasks.fingerprint("hh-harmless") != first
    assert here() == {"hh-harmless"}
    hub.pin("datasets/Anthropic/hh-rlhf@main", "f" * 40)  # another commit than the one that is here
    with pytest.raises(packages.SourceError):
        tasks.preference("hh-harmless")


def test_the_same_files_have_the_same_fingerprint_wherever_they_lie(data, hub_folder):
    own = data / "preference" / "hh_harmless_base_test.jsonl.gz"
    content = put(own, "So.")
    first = tasks.fingerprint("hh-harmless")
    own.unlink()
    put(hub_folder("Anthropic/hh-rlhf") / "harmless-base" / "test.jsonl.gz", "So.")
    assert tasks.fingerprint("hh-harmless") == first
    # The form that stored results depend on.
    source = [[hashlib.sha256(content).hexdigest()], "dialogues", 1]
    assert first == hashlib.sha256(json.dumps(source).encode()).hexdigest()[:16]


def test_files_in_a_package_are_read_where_they_are(data, put_wheel, home):
    put_wheel("lee", LEE | WORDS)
    assert here() == {"lee", "wordsim353", "simlex999"}
    assert [file.read_bytes() for file in task_files.files("lee")] == list(LEE.values())
    first = tasks.fingerprint("lee")
    put_wheel("lee", LEE)  # another archive with the same files
    assert tasks.fingerprint("lee") == first
    assert sorted(path.name for path in home.rglob("*")) == ["gensim-4.4.0-py3-none-any.whl", "wheels"]
    with pytest.raises(packages.SourceError, match=r"gensim-4\.4\.0-.* holds no file .*wordsim353\.tsv"):
        tasks.similarity("wordsim353")
    put_wheel("lee", LEE | {"gensim/test/test_data/lee.cor": b"One.\nThree."})
    assert tasks.fingerprint("lee") != first


def test_the_fingerprint_follows_how_files_are_read(data, put_wheel, project):
    put_wheel("lee", WORDS)
    first, registry = tasks.fingerprint("wordsim353"), project / "params" / "tasks.yaml"
    text = registry.read_text("utf-8")
    registry.write_text(text.replace("two words each, rated for relatedness", "words"), "utf-8")
    assert tasks.fingerprint("wordsim353") == first
    registry.write_text(text.replace("carrier: The word is WORD.", "carrier: WORD"), "utf-8")
    assert tasks.fingerprint("wordsim353") != first


def test_the_registry_is_sound(checkout, monkeypatch):
    monkeypatch.setenv("BITSKEPT_ROOT", str(checkout))
    entries, corpora = registry("tasks"), registry("corpora")
    for id, entry in entries.items():
        assert entry["kind"] in tasks.READING, id
        if entry["kind"] == "preference":
            assert entry["reader"] in preferences.READERS, id
        elif entry["kind"] != "scores":
            assert entry["reader"] in {"records", "tab-separated", "labelled-lines", "matrix"}, id
        assert len({"hub", "package_of", "by_hand"} & set(entry)) == 1, id
        assert "data" in entry or "by_hand" not in entry, id
        assert "package_of" not in entry or "package" in corpora[entry["package_of"]], id
        for files in ("data", "files"):
            assert "splits" not in entry or files not in entry or len(entry["splits"]) == len(entry[files]), id
    assert all(entries[id].get("package_of") == id for id in set(entries) & set(corpora)), "one id, two things to fetch"


def test_tasks_are_listed_and_fetched_from_the_command_line(data, put_wheel, checkout, project, capsys):
    for name in ("models", "laptop"):
        (project / "params" / f"{name}.yaml").write_text((checkout / "params" / f"{name}.yaml").read_text("utf-8"))
    put_wheel("lee", LEE | WORDS)
    assert command_line.main(["tasks"]) == 0
    listed = capsys.readouterr().out
    assert "package gensim 4.4.0" in listed
    assert "hub nyu-mll/blimp" in listed
    assert command_line.main(["fetch", "lee", "wordsim353"]) == 0
    assert capsys.readouterr().out == "lee is here\nwordsim353 is here\n"
    assert command_line.main(["fetch", "hh-harmless"]) == 1
    assert "run `bitskept fetch hh-harmless` with a network" in capsys.readouterr().err
    assert command_line.main(["fetch", "wordsim35"]) == 2
    assert "'wordsim35'" in capsys.readouterr().err
