import os

import pandas as pd
import pytest
import yaml

from bitskept.sources.leaderboard import SCORES, benchmark_scores, leaderboard

BOARD = {"Precision": "bfloat16", "Submission Date": "2024-08-01", "#Params (B)": 7, "IFEval Raw": 0.9}
POINTS = dict(zip(SCORES.values(), (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 35.0), strict=True))
MISSING_DATA = "BITSKEPT_DATA names no folder with the data"


def put_board(folder, rows, name="leaderboard/open-llm-leaderboard_new.csv"):
    (folder / name).parent.mkdir(exist_ok=True)
    pd.DataFrame([BOARD | POINTS | row for row in rows]).to_csv(folder / name, index=False)
    return folder / name


def test_normalised_scores_become_shares_under_the_projects_names(data):
    put_board(data, [{"Model": "a/one"}, {"Model": "a/small", "#Params (B)": 0, "BBH": 100}])
    table = leaderboard()
    assert table.columns.tolist() == ["hub", "parameters", *SCORES]
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
    assert leaderboard()[["hub", "bbh"]].to_numpy().tolist() == [["a/one", 0.03], ["a/two", 0.2]]


def test_scores_are_joined_to_the_decoders_of_the_registry(data, project):
    entry = {"parameters": 1_500_000_000, "licence": "MIT", "revision": "main"}
    package = {"package": "x", "version": "1", "bytes": 1, "sha256": "0" * 64}
    models = {
        "one": entry | {"kind": "decoder", "hub": "a/one"},
        "not-on-it": entry | {"kind": "decoder", "hub": "a/three"},
        "encoder": entry | {"kind": "encoder", "hub": "a/two"},
        "package": {"kind": "decoder", "parameters": 1, "licence": "MIT", "packages": [package], "gguf": ["x"]},
    }
    (project / "params" / "models.yaml").write_text(yaml.safe_dump(models))
    put_board(data, [{"Model": "a/one"}, {"Model": "a/two"}])
    table = benchmark_scores()
    assert table[["model", "hub", "parameters", "average"]].to_numpy().tolist() == [["one", "a/one", 1.5e9, 0.35]]


def test_the_hubs_edition_of_the_board_is_read(data, hub_folder):
    folder = hub_folder("open-llm-leaderboard/contents") / "data"
    folder.mkdir()
    row = BOARD | POINTS | {"Model": "<a href='...'>a/one</a>", "fullname": "a/one", "#Params (B)": 7.616}
    path = folder / "train-00000-of-00001.parquet"
    pd.DataFrame([row, row | {"fullname": "a/two", "#Params (B)": -1}]).to_parquet(path)
    table = leaderboard().set_index("hub")
    assert table.loc["a/one", "parameters"] == 7.616e9
    assert pd.isna(table.loc["a/two", "parameters"])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet is damaged or no table"):
        leaderboard()


def test_tables_that_are_no_leaderboard_are_named(data):
    path = put_board(data, [{"Model": "a/one"}])
    pd.read_csv(path).drop(columns=["BBH", "MUSR"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"lacks the columns BBH, MUSR: it is no Open LLM Leaderboard v2") as error:
        leaderboard()
    assert str(path) in str(error.value)
    for score in (101, -1, None, "good"):
        put_board(data, [{"Model": "a/one", "GPQA": score}])
        with pytest.raises(ValueError, match="scores that are no numbers from 0 to 100"):
            leaderboard()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged or no table"):
        leaderboard()


@pytest.mark.skipif("BITSKEPT_DATA" not in os.environ, reason=MISSING_DATA)
def test_the_real_board_is_read(home):
    board, scores = leaderboard(), benchmark_scores()
    assert len(board) == board["hub"].nunique() == 707
    benchmarks = board[list(SCORES)[:-1]]
    assert (benchmarks.mean(axis=1) - board["average"]).abs().max() < 1e-4
    assert len(scores) >= 47
    assert scores["parameters"].min() > 1e7
