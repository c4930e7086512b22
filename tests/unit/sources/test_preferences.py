import gzip
import json
import os
import re

import pyarrow
import pyarrow.parquet
import pytest

from bitskept.sources.preferences import preference

MISSING_DATA = "BITSKEPT_DATA names no folder with the data"


def dialogue(answer, question="Why?", before="\n\nHuman: Hi.\n\nAssistant: Yes?"):
    return f"{before}\n\nHuman: {question}\n\nAssistant:{answer}"


def pair(preferred, rejected, **prompt):
    return {"chosen": dialogue(preferred, **prompt), "rejected": dialogue(rejected)}


def vote(*votes, first="One.", second="Two.", extra=""):
    ballots = {f"annotator{number}": vote for number, vote in enumerate(votes, start=1)}
    return {"instruction": "Count.", "input": extra, "response1": first, "response2": second} | ballots


def put_dialogues(folder, records, name="preference/hh_harmless_base_test.jsonl.gz"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in records).encode()))
    return folder / name


def put_votes(folder, records):
    (folder / "preference").mkdir(exist_ok=True)
    (folder / "preference" / "pandalm_testset-v1.json").write_text(json.dumps(records))


def test_dialogues_are_split_at_the_last_answer(data):
    put_dialogues(data, [pair(" So.", " No!\n")])
    found = preference("hh-harmless")
    assert found.column_names == ["prompt", "preferred", "rejected"]
    prompt = "Human: Hi.\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:"
    assert found[0] == {"prompt": prompt, "preferred": "So.", "rejected": "No!"}


def test_pairs_that_cannot_be_compared_are_left_out(data):
    wrong = [
        pair("Same.", " Same. "),
        pair("So.", "No!", question="What?"),
        pair("So.", "No!\n\nHuman: And?"),
        pair("So.", " "),
        pair("So.", "No!"),
        {"chosen": "no dialogue", "rejected": "none"},
        {"chosen": None, "rejected": "none"},
    ]
    put_dialogues(data, [pair("So.", "No!"), pair("Well.", "No!"), *wrong])
    assert sorted(preference("hh-harmless")["preferred"]) == ["So.", "Well."]


def test_a_majority_of_three_votes_decides(data):
    put_votes(
        data,
        [
            vote(1, 1, 2, extra="To two."),
            vote(0, 2, 2),
            vote(1, 2, 0, first="Three."),
            vote(0, 0, 1, first="Four."),
            vote(1, 1, 1, first=True),
        ],
    )
    found = preference("pandalm").to_pandas().sort_values("preferred").to_numpy().tolist()
    assert found == [
        ["Human: Count.\nTo two.\n\nAssistant:", "One.", "Two."],
        ["Human: Count.\n\nAssistant:", "Two.", "One."],
    ]


def test_the_order_is_drawn_by_the_seed(data):
    put_dialogues(data, [pair(f"Yes {number}.", "No.") for number in range(6)])
    assert preference("hh-harmless", seed=3)["preferred"][:] == preference("hh-harmless", seed=3)["preferred"][:]
    assert len({tuple(preference("hh-harmless", seed=seed)["preferred"]) for seed in range(9)}) > 1


def test_damaged_or_wrong_files_are_named(data):
    path = put_dialogues(data, [pair("So.", "No!") for _ in range(99)])
    whole = path.read_bytes()
    for damaged in (whole[:-20], b"no gzip", whole[:30] + b"?" + whole[31:], gzip.compress(b'{"chosen": ')):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is damaged or of another format .*get it again"):
            preference("hh-harmless")
    put_dialogues(data, [pair("So.", "No!"), {"chosen": dialogue("So.")}])
    with pytest.raises(ValueError, match="record 2 has no field 'rejected'"):
        preference("hh-harmless")
    put_dialogues(data, [])
    with pytest.raises(ValueError, match="hh-harmless holds no pair of answers that can be compared"):
        preference("hh-harmless")
    put_votes(data, "a text")
    with pytest.raises(ValueError, match="it holds no list of records"):
        preference("pandalm")


def test_messages_are_read_from_the_hubs_tables(data, hub_folder):
    user, answer = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": " So. "}
    other = {"role": "assistant", "content": "No!"}
    rules = {"role": "system", "content": "Be short."}
    records = [
        {"chosen": [rules, user, answer], "rejected": [rules, user, other]},
        {"chosen": [user, answer], "rejected": [rules, user, other]},
        {"chosen": [user], "rejected": [user]},
        {"chosen": [], "rejected": [user, other]},
    ]
    folder = hub_folder("allenai/llama-3.1-tulu-3-8b-preference-mixture") / "data"
    folder.mkdir()
    for number, part in enumerate((records[:2], records[2:3], records[3:], records[:1])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"train-0000{number}-of-00004.parquet")
    found = preference("tulu3")
    prompt = "System: Be short.\n\nHuman: Why?\n\nAssistant:"
    assert found[:] == {"prompt": [prompt], "preferred": ["So."], "rejected": ["No!"]}
    (folder / "train-00003-of-00004.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(ValueError, match=r"train-00003-of-00004\.parquet is damaged"):
        preference("tulu3")


@pytest.mark.skipif("BITSKEPT_DATA" not in os.environ, reason=MISSING_DATA)
def test_the_real_pairs_are_read(home):
    harmless, judged = preference("hh-harmless"), preference("pandalm")
    assert (len(harmless), len(judged)) == (2_303, 760)  # of 2,312 and 999
