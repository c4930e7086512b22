"""Files of tasks in a user's data folder. How to search longer: see conftest.py."""

import gzip
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.sources import records, tasks
from bitskept.sources.leaderboard import leaderboard

quick = settings.get_profile("quick")
DIALOGUE = "\n\nHuman: {}?\n\nAssistant: {}"
BOARD = ["Model", "Precision", "Submission Date", "#Params (B)", "MMLU-PRO", "BBH", "MATH Lvl 5", "IFEval", "GPQA",
         "MUSR", "Average ⬆️"]  # fmt: skip
VOTES = {"instruction": "Add.", "input": "1 1", "response1": "2", "response2": "3",
         "annotator1": 1, "annotator2": 1, "annotator3": 2}  # fmt: skip
PAIRS = [{"chosen": DIALOGUE.format(n, "yes"), "rejected": DIALOGUE.format(n, "no")} for n in range(3)]
GRAMMAR = [{"sentence_good": f"Cats {n} sit.", "sentence_bad": f"Cats {n} sits.", "UID": "agreement"} for n in range(3)]

# For each reader: the task, its file, sound content as records or as text, and the function that reads it.
SOURCES = {
    "dialogues": ("hh-harmless", "preference/hh_harmless_base_test.jsonl.gz", PAIRS, tasks.preference),
    "votes": ("pandalm", "preference/pandalm_testset-v1.json", [VOTES, VOTES | {"input": ""}], tasks.preference),
    "records": ("blimp", "blimp/agreement.jsonl.gz", GRAMMAR, tasks.minimal_pairs),
    "columns": ("stsb", "stsb/sts-test.csv", "g\tf\ty\t1\t2.5\tA man.\tA plan.\n" * 2, tasks.similarity),
    "names": ("sick", "sick/SICK_test_annotated.txt",
              "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n1\tA man.\tA plan.\t4.5\n", tasks.similarity),
    "lines": ("subj", "sentences/subj.all", "".join(f"{n % 2} text {n} .\n" for n in range(40)), tasks.classification),
    "board": ("open-llm-leaderboard", "leaderboard/open-llm-leaderboard_new.csv",
              f"{','.join(BOARD)}\na/b,bfloat16,2024-06-01,7,1,2,3,4,5,6,3.5\na/c,float16,,0,1,2,3,4,5,6,3.5",
              lambda id: leaderboard()),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(place):
    """The data folder, with the files that a task needs in addition to the one that is changed."""
    path = place / "project" / "params" / "tasks.yaml"
    path.write_text(path.read_text("utf-8").partition("  paradigms:")[0] + "  paradigms: [agreement]\n", "utf-8")
    for _, name, _, _ in SOURCES.values():
        (place / "data" / name).parent.mkdir(exist_ok=True)
    for name in ("stsb/sts-train.csv", "stsb/sts-dev.csv", "sick/SICK_train.txt", "sick/SICK_trial.txt"):
        (place / "data" / name).write_text("")
    return place / "data"


def write(path, content):
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)


def as_json(name, records):
    by_line = ".jsonl" in name and isinstance(records, list)
    return ("\n".join(map(json.dumps, records)) if by_line else json.dumps(records)).encode()


def as_bytes(name, sound):
    return sound.encode() if isinstance(sound, str) else as_json(name, sound)


@pytest.mark.parametrize("reader", SOURCES)
def test_the_sound_files_are_read(reader, folder):
    id, name, sound, read = SOURCES[reader]
    write(folder / name, as_bytes(name, sound))
    assert len(read(id))


@quick
@given(data=st.data())
@pytest.mark.parametrize("reader", SOURCES)
def test_a_changed_file_is_read_or_refused_by_name(reader, data, folder, outcome_of, mutated_bytes, mutated_tree):
    id, name, sound, read = SOURCES[reader]
    path = folder / name
    if isinstance(sound, list) and data.draw(st.booleans()):
        tree, _ = data.draw(mutated_tree(sound))
        content = as_json(name, tree)
    else:
        content = data.draw(mutated_bytes(as_bytes(name, sound)))
    write(path, content)
    if path.name.endswith(".gz") and data.draw(st.integers(0, 3)) == 0:
        path.write_bytes(data.draw(mutated_bytes(path.read_bytes())))
    found, _ = outcome_of(lambda: read(id), str(path), id)
    if found is None:
        return
    assert tasks.fingerprint(id)
    if read is tasks.similarity:
        assert all(map(math.isfinite, found["score"]))
    if read in (tasks.preference, tasks.similarity, tasks.minimal_pairs):
        texts = [row[column] for row in found for column in row if column != "score"]
        assert all(text.strip() for text in texts)


def test_a_small_file_that_holds_gigabytes_is_refused(folder, monkeypatch, outcome_of):
    monkeypatch.setattr(records, "LARGEST", 1_000_000)
    id, name, _, read = SOURCES["dialogues"]
    write(folder / name, b" " * 50_000_000)
    assert (folder / name).stat().st_size < 100_000
    _, message = outcome_of(lambda: read(id), str(folder / name))
    assert "more than 1,000,000 bytes unpacked" in message
