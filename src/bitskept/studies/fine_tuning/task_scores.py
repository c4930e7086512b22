"""What each run scores on tasks that it was not trained for."""

from collections.abc import Mapping
from functools import partial

import pandas as pd

from bitskept.base.parallel import each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments import scores as item_scores
from bitskept.instruments import understanding
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.sources import tasks
from bitskept.sources.packages import SourceError
from bitskept.sources.task_files import entry
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CLAIMS
from bitskept.studies.fine_tuning.section import FineTuning, at_main_dose, task_plan

SUFFIXES = {"spearman": "", "linear_accuracy": " (linear)", "neighbour_accuracy": " (neighbours)", "pair_accuracy": ""}
"""The quantities that count as scores, and what their names add to that of the task."""


def items(section: FineTuning, runs: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The result for every item of every task, by the id of a run: under every pooling, at the last layer and, before
    tuning, at as many others as `measuring` says; at another than the main dose, of the `dose_tasks`, under the mean.
    And the reason for each task that is left out: its data are missing, or it has minimal pairs and the model has no
    head to score them with.
    """
    present, left_out = tasks.available(section.tasks, section.data_tasks)
    questions = [
        (run.id, task_plan(section, run.model, task, tuned=run.arm != BEFORE, main=main))
        for run, main in zip(runs.itertuples(), at_main_dose(section, runs), strict=True)
        for task in present
        if main or task in section.tuning[run.model].dose_tasks
    ]
    ask = partial(_ask, section.accept_terms)
    answers = each_stored(ask, questions, is_stored=lambda question: understanding.has(*question), progress="tasks")
    outcomes, bases = {}, dict(zip(runs["id"], runs["model"], strict=True))
    for (id, plan), answer in zip(questions, answers, strict=True):
        if isinstance(answer, str):
            left_out[f"{plan.tasks[0]} of {bases[id]}"] = answer
        else:
            outcomes.setdefault(id, []).append(answer)
    return {id: pd.concat(tables, ignore_index=True) for id, tables in outcomes.items()}, left_out


def _ask(accept_terms: list[str], question: tuple[str, understanding.Plan]) -> pd.DataFrame | str:
    """The items of a model and plan, or why the model cannot be asked."""
    try:
        return understanding.measure(*question, accept_terms=accept_terms, progress=False)
    except SourceError as error:
        return str(error)


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's last layer, and those that have no layer."""
    return table[table["layer"].isna() | (table["layer"] == table.groupby("model")["layer"].transform("max"))]


def scored(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The scores of each run with intervals over items, as `instruments.scores.scores`: under every pooling at the last
    layer, under the mean at the others.
    """
    tables = []
    for run in runs.to_dict("records"):
        table = outcomes[run["id"]]
        wanted = table[(table["pooling"] == "mean").fillna(False) | table.index.isin(at_last_layer(table).index)]
        tables.append(item_scores.stored_scores(wanted, seed=seed).assign(**run))
    return pd.concat(tables, ignore_index=True).astype({"seed": "Int64"})


def labelled(table: pd.DataFrame, *, pooling: str = "mean") -> pd.DataFrame:
    """The rows that are scores under one pooling, or have none, with the name of each in a column `score`."""
    wanted = (table["pooling"] == pooling).fillna(False) | table["pooling"].isna()
    table = table[table["quantity"].isin(SUFFIXES) & wanted]
    return table.assign(score=table["task"] + table["quantity"].map(SUFFIXES))


@makes_table
def scores(table: pd.DataFrame) -> pd.DataFrame:
    """The scores of `scored` at the last layer, by model and arm, over the seeds. Computed by
    `instruments.scores.scores` from items measured by `instruments.understanding.measure`.
    """
    return spread(labelled(at_last_layer(table)), "model", "arm", "score")


def guessing(score: str) -> float:
    """What guessing gives in a score (as in `labelled`): no correlation, half of the minimal pairs, or one text in as
    many as there are classes.
    """
    task = entry(score.partition(" (")[0])
    if task["kind"] == "classification":
        return 1 / len(task["classes"])
    return 0.5 if task["kind"] == "minimal-pair" else 0.0


@makes_table
def poolings(changes: pd.DataFrame) -> pd.DataFrame:
    """The scores of each claimed arm under each pooling, less those of the model before and of each control
    (`against`): all that the claims under other poolings are made from. Computed by `instruments.scores.changes` from
    items measured by `instruments.understanding.measure`.
    """
    table = changes[changes["arm"].isin(CLAIMS) & changes["quantity"].isin(SUFFIXES)].dropna(subset="pooling")
    return table.sort_values("pooling", key=lambda names: names.map(POOLINGS.index), kind="stable")


def recoverability(table: pd.DataFrame) -> pd.DataFrame:
    """Of `poolings`, what recoverability changed against the model before: similarity, and the linear classifier."""
    table = table[(table["arm"] == CLAIMED) & (table["against"] == BEFORE)]
    return table[table["quantity"].isin(["spearman", "linear_accuracy"])].dropna(subset="estimate")
