"""Models' scores on benchmarks: the Open LLM Leaderboard."""

from typing import TYPE_CHECKING

from bitskept.sources import registry, task_files

if TYPE_CHECKING:
    import pandas

SCORES = {
    "mmlu_pro": "MMLU-PRO",
    "bbh": "BBH",
    "math_level_5": "MATH Lvl 5",
    "ifeval": "IFEval",
    "gpqa": "GPQA",
    "musr": "MUSR",
    "average": "Average ⬆️",
}


def leaderboard() -> "pandas.DataFrame":
    """The Open LLM Leaderboard (version 2), one row per repository: hub, parameters, six benchmarks, average; 0 to 1.

    These are the normalised scores of the board divided by 100, not its "Raw" ones: 0 is guessing (IFEval and MATH have
    nothing to guess), 1 is perfect, and the average is that of the six. If a model was entered several times, bfloat16
    is preferred to other precisions, then the latest submission. `parameters` is the number on the board, missing if it
    is 0, since an early edition of the board rounds down to whole billions.

    SourceError for a table that cannot be had, ValueError for one that lacks columns or cannot be read.
    """
    import pandas

    (path,) = task_files.files("open-llm-leaderboard")
    try:
        board = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no table ({error}): get it again") from None
    name = "fullname" if "fullname" in board else "Model"  # on the hub, `Model` is a link in HTML
    required = [name, "Precision", "Submission Date", "#Params (B)", *SCORES.values()]
    if board.empty:
        raise ValueError(f"{path} holds no model: get it again")
    if missing := [column for column in required if column not in board]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}: it is no Open LLM Leaderboard v2")
    numbers = board[required[3:]].apply(pandas.to_numeric, errors="coerce")
    if not numbers[list(SCORES.values())].stack(future_stack=True).between(0, 100).all():
        raise ValueError(f"{path} has scores that are no numbers from 0 to 100")
    order = board.assign(other=board["Precision"] != "bfloat16", date=board["Submission Date"].fillna("").astype(str))
    order = order.sort_values(["other", "date"], ascending=[True, False], kind="stable").drop_duplicates(name).index
    sizes = numbers["#Params (B)"].where(lambda size: (size > 0) & (size < float("inf")))
    table = {"hub": board[name], "parameters": sizes * 1e9}
    table |= {score: numbers[column] / 100 for score, column in SCORES.items()}
    return pandas.DataFrame(table).loc[sorted(order)].reset_index(drop=True)


def benchmark_scores() -> "pandas.DataFrame":
    """`leaderboard()` for the decoders of `params/models.yaml` that are on it, with their id `model` in front.

    `parameters` is the registry's. Checkpoints, random copies and quantised packages have no scores of their own.
    """
    from pandas import DataFrame

    decoders = {id: entry for id, entry in registry("models").items() if entry["kind"] == "decoder" and "hub" in entry}
    rows = [(id, entry["hub"], entry["parameters"]) for id, entry in decoders.items()]
    board = leaderboard().drop(columns="parameters")
    return DataFrame(rows, columns=["model", "hub", "parameters"]).merge(board, on="hub")
