import gzip
import json
import os
import re

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import yaml

from bitskept import __main__ as command_line
from bitskept.sources import hub, packages, tasks

BOARD = {"Precision": "bfloat16", "Submission Date": "2024-08-01", "#Params (B)": 7, "IFEval Raw": 0.9}
POINTS = dict(zip(tasks.SCORES.values(), (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 35.0), strict=True))
MISSING_DATA = "BITSKEPT_DATA names no folder with the data"


@pytest.fixture
def data(project, checkout, tmp_path, monkeypatch):
    """An empty data folder of the test's own, and the project's own registry."""
    (project / "params" / "tasks.yaml").write_text((checkout / "params" / "tasks.yaml").read_text("utf-8"))
    folder = tmp_path / "data"
    for name in ("preference", "leaderboard"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("BITSKEPT_DATA", str(folder))
    return folder


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
    (folder / "preference" / "pandalm_testset-v1.json").write_text(json.dumps(records))


def put_board(folder, rows, name="leaderboard/open-llm-leaderboard_new.csv"):
    pd.DataFrame([BOARD | POINTS | row for row in rows]).to_csv(folder / name, index=False)
    return folder / name


def hub_folder(home, repository, commit="0123456789abcdef0123456789abcdef01234567"):
    """The folder of a data set's files, laid out as the hub's client does, for the branch main."""
    folder = home / "hub" / f"datasets--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    return folder / "snapshots" / commit


# ---- pairs of answers ----


def test_dialogues_are_split_at_the_last_answer(data):
    put_dialogues(data, [pair(" So.", " No!\n")])
    found = tasks.preference("hh-harmless")
    assert found.column_names == ["prompt", "preferred", "rejected"]
    prompt = "Human: Hi.\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:"
    assert found[0] == {"prompt": prompt, "preferred": "So.", "rejected": "No!"}
    assert found.info.description == "1 of 1 pairs; left out: none"


def test_pairs_that_cannot_be_compared_are_left_out_and_counted(data):
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
    found = tasks.preference("hh-harmless")
    assert sorted(found["preferred"]) == ["So.", "Well."]
    reasons = ("the answers are equal", "the prompts differ", "the last turn is no answer", "it is a duplicate")
    assert found.info.description.startswith("2 of 9 pairs; left out: a text is empty (2), ")
    assert all(f"{reason} (1)" in found.info.description for reason in (*reasons, "a field is no text"))


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
    found = tasks.preference("pandalm").to_pandas().sort_values("preferred").to_numpy().tolist()
    assert found == [
        ["Human: Count.\nTo two.\n\nAssistant:", "One.", "Two."],
        ["Human: Count.\n\nAssistant:", "Two.", "One."],
    ]
    assert "no majority (2), a field is no text (1)" in tasks.preference("pandalm").info.description


def test_the_order_is_drawn_by_the_seed_and_smaller_samples_lie_in_larger_ones(data):
    put_dialogues(data, [pair(f"Yes {number}.", "No.") for number in range(6)])
    every = tasks.preference("hh-harmless", seed=3)["preferred"][:]
    for n in range(1, 7):
        assert tasks.preference("hh-harmless", pairs=n, seed=3)["preferred"][:] == every[:n]
    assert len({tuple(tasks.preference("hh-harmless", seed=seed)["preferred"]) for seed in range(9)}) > 1
    for wrong in (0, -1, 7):
        with pytest.raises(ValueError, match=f"hh-harmless has 6 pairs: ask for 1 to 6 of them, not {wrong}"):
            tasks.preference("hh-harmless", pairs=wrong)


def test_an_unknown_id_is_refused_with_the_nearest_names(data):
    with pytest.raises(LookupError, match=r"'hh-harmles'.*nearest: hh-harmless"):
        tasks.preference("hh-harmles")
    with pytest.raises(LookupError, match="no task 'open-llm-leaderboard'"):
        tasks.preference("open-llm-leaderboard")


def test_damaged_or_wrong_files_are_named(data):
    path = put_dialogues(data, [pair("So.", "No!") for _ in range(99)])
    whole = path.read_bytes()
    for damaged in (whole[:-20], b"no gzip", whole[:30] + b"?" + whole[31:], gzip.compress(b'{"chosen": ')):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is damaged or of another format .*get it again"):
            tasks.preference("hh-harmless")
    put_dialogues(data, [pair("So.", "No!"), {"chosen": dialogue("So.")}])
    with pytest.raises(ValueError, match="record 2 has no field 'rejected'"):
        tasks.preference("hh-harmless")
    put_dialogues(data, [])
    with pytest.raises(ValueError, match="hh-harmless holds no pair of answers: 0 of 0 pairs"):
        tasks.preference("hh-harmless")
    put_votes(data, "a text")
    with pytest.raises(ValueError, match="record 1 has no field 'instruction' or 'input'"):
        tasks.preference("pandalm")


# ---- where files come from ----


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
    assert set(tasks.catalogue()["here"]) == {"no"}


def test_files_of_the_hub_need_no_network_once_they_are_here(data, home):
    own = put_dialogues(data, [pair("Own.", "No!")])
    theirs = hub_folder(home, "Anthropic/hh-rlhf")
    put_dialogues(theirs, [pair("Theirs.", "No!")], "harmless-base/test.jsonl.gz")
    assert tasks.preference("hh-harmless")["preferred"][:] == ["Own."]
    first = tasks.fingerprint("hh-harmless")
    own.unlink()
    assert tasks.preference("hh-harmless")["preferred"][:] == ["Theirs."]
    assert tasks.fingerprint("hh-harmless") != first
    assert tasks.catalogue().set_index("id")["here"].to_dict() == {
        "hh-harmless": "yes", "hh-helpful": "no", "pandalm": "no", "tulu3": "no", "open-llm-leaderboard": "no"
    }  # fmt: skip
    hub.lock("datasets/Anthropic/hh-rlhf@main", "f" * 40)  # another commit than the one that is here
    with pytest.raises(packages.SourceError):
        tasks.preference("hh-harmless")


def test_the_same_files_have_the_same_fingerprint_wherever_they_lie(data, home):
    path = put_dialogues(data, [pair("So.", "No!")])
    first, content = tasks.fingerprint("hh-harmless"), path.read_bytes()
    path.unlink()
    target = hub_folder(home, "Anthropic/hh-rlhf") / "harmless-base" / "test.jsonl.gz"
    target.parent.mkdir()
    target.write_bytes(content)
    assert tasks.fingerprint("hh-harmless") == first


def test_messages_are_read_from_the_hubs_tables(data, home):
    user, answer = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": " So. "}
    other = {"role": "assistant", "content": "No!"}
    rules = {"role": "system", "content": "Be short."}
    records = [
        {"chosen": [rules, user, answer], "rejected": [rules, user, other]},
        {"chosen": [user, answer], "rejected": [rules, user, other]},
        {"chosen": [user], "rejected": [user]},
        {"chosen": [], "rejected": [user, other]},
    ]
    folder = hub_folder(home, "allenai/llama-3.1-tulu-3-8b-preference-mixture") / "data"
    folder.mkdir()
    for number, part in enumerate((records[:2], records[2:3], records[3:], records[:1])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"train-0000{number}-of-00004.parquet")
    found = tasks.preference("tulu3")
    prompt = "System: Be short.\n\nHuman: Why?\n\nAssistant:"
    assert found[:] == {"prompt": [prompt], "preferred": ["So."], "rejected": ["No!"]}
    assert found.info.description.startswith("1 of 5 pairs")
    (folder / "train-00003-of-00004.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(ValueError, match=r"train-00003-of-00004\.parquet is damaged"):
        tasks.preference("tulu3")


# ---- scores ----


def test_normalised_scores_become_shares_under_the_projects_names(data):
    put_board(data, [{"Model": "a/one"}, {"Model": "a/small", "#Params (B)": 0, "BBH": 100}])
    table = tasks.leaderboard()
    assert table.columns.tolist() == ["hub", "parameters", *tasks.SCORES]
    assert table.loc[0].tolist() == ["a/one", 7e9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.35]
    assert table.loc[1, "bbh"] == 1
    assert pd.isna(table.loc[1, "parameters"])


def test_of_several_entries_of_a_model_one_is_taken(data):
    def entry(precision, date, bbh):
        return {"Model": "a/one", "Precision": precision, "Submission Date": date, "BBH": bbh}

    rows = [
        entry("float16", "2024-09-09", 1),
        entry("bfloat16", "2024-06-01", 2),
        entry("bfloat16", "2024-06-03", 3),
        entry("bfloat16", None, 4),
    ]
    put_board(data, [*rows, {"Model": "a/two", "Precision": "float16"}])
    assert tasks.leaderboard()[["hub", "bbh"]].to_numpy().tolist() == [["a/one", 0.03], ["a/two", 0.2]]


def test_scores_are_joined_to_the_decoders_of_the_registry(data, project):
    entry = {"parameters": 1_500_000_000, "licence": "MIT", "revision": "main"}
    models = {
        "one": entry | {"kind": "decoder", "hub": "a/one"},
        "not-on-it": entry | {"kind": "decoder", "hub": "a/three"},
        "encoder": entry | {"kind": "encoder", "hub": "a/two"},
        "package": {"kind": "decoder", "parameters": 1, "licence": "MIT", "packages": []},
    }
    (project / "params" / "models.yaml").write_text(yaml.safe_dump(models))
    put_board(data, [{"Model": "a/one"}, {"Model": "a/two"}])
    table = tasks.benchmark_scores()
    assert table[["model", "hub", "parameters", "average"]].to_numpy().tolist() == [["one", "a/one", 1.5e9, 0.35]]


def test_the_hubs_edition_of_the_board_is_read(data, home):
    folder = hub_folder(home, "open-llm-leaderboard/contents") / "data"
    folder.mkdir()
    row = BOARD | POINTS | {"Model": "<a href='...'>a/one</a>", "fullname": "a/one", "#Params (B)": 7.616}
    path = folder / "train-00000-of-00001.parquet"
    pd.DataFrame([row, row | {"fullname": "a/two", "#Params (B)": -1}]).to_parquet(path)
    table = tasks.leaderboard().set_index("hub")
    assert table.loc["a/one", "parameters"] == 7.616e9
    assert pd.isna(table.loc["a/two", "parameters"])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet is damaged or no table"):
        tasks.leaderboard()


def test_tables_that_are_no_leaderboard_are_named(data):
    path = put_board(data, [{"Model": "a/one"}])
    pd.read_csv(path).drop(columns=["BBH", "MUSR"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"lacks the columns BBH, MUSR: it is no Open LLM Leaderboard v2") as error:
        tasks.leaderboard()
    assert str(path) in str(error.value)
    for score in (101, -1, None, "good"):
        put_board(data, [{"Model": "a/one", "GPQA": score}])
        with pytest.raises(ValueError, match="scores that are no numbers from 0 to 100"):
            tasks.leaderboard()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged or no table"):
        tasks.leaderboard()


# ---- the project's own registry and the real data ----


def test_the_registry_is_sound(checkout):
    for id, entry in yaml.safe_load((checkout / "params" / "tasks.yaml").read_text("utf-8")).items():
        assert entry["what"], id
        assert entry["licence"], id
        assert entry.get("reader", "votes") in tasks.READERS, id
        assert ("hub" in entry) == ("files" in entry) == ("revision" in entry), id
        assert "hub" in entry or ("by_hand" in entry and "data" in entry), id
        assert entry.get("revision", "main") == "main", id


def test_tasks_are_listed_and_fetched_from_the_command_line(home, capsys, monkeypatch):
    monkeypatch.delenv("BITSKEPT_DATA", raising=False)
    assert command_line.main(["tasks"]) == 0
    assert "hh-harmless" in capsys.readouterr().out
    assert command_line.main(["fetch", "hh-harmless"]) == 1
    assert "run `bitskept fetch hh-harmless` with a network" in capsys.readouterr().err


@pytest.mark.skipif("BITSKEPT_DATA" not in os.environ, reason=MISSING_DATA)
def test_the_real_data_are_read(home):
    harmless, judged = tasks.preference("hh-harmless"), tasks.preference("pandalm")
    assert harmless.info.description.startswith("2,303 of 2,312 pairs; left out: the prompts differ (5)")
    assert judged.info.description.startswith("760 of 999 pairs; left out: no majority (105)")
    board, scores = tasks.leaderboard(), tasks.benchmark_scores()
    assert len(board) == board["hub"].nunique() == 707
    benchmarks = board[list(tasks.SCORES)[:-1]]
    assert (benchmarks.mean(axis=1) - board["average"]).abs().max() < 1e-4
    assert len(scores) >= 47
    assert scores["parameters"].min() > 1e7
