"""Tables of the experiment on languages with a truth: means over the seeds of each arm.

`measures` is from `language_arms.measures`, and `counted` are those of the runs that count (`counted`). Intervals are
95 %, over runs and test sentences (`comparing_runs.pooled`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import BEFORE, SETTING, item_errors, means, pooled
from bitskept.studies.dynamics.language_arms import FIRST, LAG, LIKE, MAIN
from bitskept.studies.dynamics.language_measures import CLEAN, CORRUPTED
from bitskept.theory.intervals import share_interval

PARTS = ("class_bits", "synonym_bits")
PROBES = ("centroid", "ridge")
CHECKED = ("bits", "complexity", "complexity_corrected", "expressivity", "expressivity_corrected")
"""Bounds and estimates that could lie above the true value. The others are a true entropy less a cost."""
ESTIMATORS = {
    "centroid": {"probe": "centroid", "reading": "token", "text": CLEAN, "quantity": "kept"},
    "ridge": {"probe": "ridge", "reading": "token", "text": CLEAN, "quantity": "kept"},
    "centroid, window": {"probe": "centroid", "reading": "window", "text": CLEAN, "quantity": "kept"},
    "centroid, corrupted text": {"probe": "centroid", "reading": "token", "text": CORRUPTED, "quantity": "kept"},
    "clusters": {"probe": "clusters", "quantity": "cluster_information"},
    "soft information": {"quantity": "complexity_corrected"},
}
"""The rows that each estimate of I(X;Z) is taken from."""


def main(measures: pd.DataFrame) -> pd.DataFrame:
    """The rows of the main arms."""
    return measures[measures["arm"].isin(MAIN) & (measures["language"] == FIRST)]


def at_last_step(measures: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last step; arms differ in their number of steps."""
    last = measures.groupby(["arm", "seed"])["step"].transform("max")
    return measures[measures["step"] == last]


def at_the_end(measures: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last step, of probes fitted on all training sentences."""
    rows = at_last_step(measures)
    return rows[rows["train_sentences"].isna() | (rows["train_sentences"] == rows["train_sentences"].max())]


def tokens(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows about a token that is read from its own state on clean text."""
    return rows[(rows["reading"] == "token") & (rows["text"] == CLEAN)]


def last_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last layer."""
    return rows[(rows["layer"] == rows["layer"].max()).fillna(False)]


def learned(measures: pd.DataFrame, largest_gap: float) -> pd.DataFrame:
    """Each run (arm, seed), its gap to the least cost after the last step in bits, and whether it has `learned`: its
    gap is at most `largest_gap`.
    """
    gaps = at_the_end(measures).query("quantity == 'gap'")[["arm", "language", "seed", "estimate", "low", "high"]]
    return gaps.assign(learned=gaps["estimate"] <= largest_gap).reset_index(drop=True)


def counted(measures: pd.DataFrame, largest_gap: float) -> pd.DataFrame:
    """The measures of the runs that count, by one rule for every table: an arm is represented by those of its runs that
    have `learned`. If no run of an arm has, all of its runs are shown, but it gets no verdict: there, the column
    `learned` is False.
    """
    passed = learned(measures, largest_gap)[["arm", "seed", "learned"]]
    some = passed.groupby("arm")["learned"].any()
    rows = measures.merge(passed, on=["arm", "seed"], validate="m:1")
    return rows[rows["learned"] | ~rows["arm"].map(some)].reset_index(drop=True)


@makes_table
def by_run(counted: pd.DataFrame) -> pd.DataFrame:
    """Bits about the token, its class and its synonym at the last layer of each run, by reading, probe and the number
    of its training sentences, with intervals over test sentences: what all claims rest on. After the last step; of the
    main arms also before the first (`BEFORE`).

    Measured by `language_probes.probe_rows`.
    """
    rows = counted[(counted["text"] == CLEAN) & counted["probe"].isin(PROBES) & (counted["reading"] != "wanted")]
    rows = last_layer(rows[rows["quantity"].isin(["kept", *PARTS])])
    first = rows[rows["step"] == 0]
    rows = pd.concat([at_last_step(rows), first.assign(reading=first["reading"] + BEFORE)], ignore_index=True)
    return rows[["arm", "language", "seed", "learned", *SETTING, "quantity", "exact", "estimate", "low", "high"]]


def synonyms(by_run: pd.DataFrame) -> pd.DataFrame:
    """The bits about the synonym that probes with all their text read from a token's own state."""
    rows = by_run[(by_run["quantity"] == "synonym_bits") & (by_run["reading"] == "token")]
    return rows[rows["train_sentences"] == rows["train_sentences"].max()]


@makes_table
def by_layer(counted: pd.DataFrame) -> pd.DataFrame:
    """Bits about the class and about the synonym at each layer of the main arms after the last step, by probe, and the
    `exact` value that they cannot exceed. Measured by `language_probes.probe_rows`.
    """
    rows = tokens(at_the_end(main(counted)))
    return means(rows[rows["quantity"].isin(PARTS)], "arm", "learned", "probe", "quantity", "layer", "exact")


@makes_table
def second_language(counted: pd.DataFrame) -> pd.DataFrame:
    """The same on both languages: an `arm` is a main one, by its runs on the second language and by those on the first
    that differ from them in nothing else; or by those on the first alone.
    """
    second = {arm: arm.removesuffix(LAG) for arm in LIKE if arm in set(counted["arm"])}
    first = {LIKE[arm]: name for arm, name in second.items()}
    names = {arm: arm for arm in MAIN if arm not in second.values()} | first | second
    rows = tokens(at_the_end(counted))
    rows = rows[rows["arm"].isin(names) & rows["quantity"].isin(PARTS)]
    rows = rows.assign(arm=rows["arm"].map(names)).sort_values(
        "arm", key=lambda arm: arm.map(MAIN.index), kind="stable"
    )
    return means(rows, "arm", "language", "learned", "probe", "quantity", "layer", "exact")


@makes_table
def by_step(counted: pd.DataFrame) -> pd.DataFrame:
    """Over training: the gap to the least cost of the objective, and what the centroid reads at the last layer of the
    main arms. Measured by `language_measures.Measures`.
    """
    rows = main(counted)
    read = last_layer(tokens(rows[rows["probe"] == "centroid"]))
    read = read[read["quantity"].isin(PARTS) & (read["train_sentences"] == read["train_sentences"].max())]
    both = pd.concat([rows[rows["quantity"] == "gap"], read], ignore_index=True)
    return means(both, "arm", "learned", "quantity", "step")


@makes_table
def estimators(counted: pd.DataFrame) -> pd.DataFrame:
    """I(X;Z) at each layer of the main arms by each of the `ESTIMATORS`; clusters less their floor.

    Measured by `language_measures.Measures`.
    """
    return means(_estimates(counted), "arm", "learned", "estimator", "layer")


def _estimates(counted: pd.DataFrame) -> pd.DataFrame:
    rows = at_the_end(main(counted))
    parts = [_where(rows, wanted).assign(estimator=name) for name, wanted in ESTIMATORS.items()]
    floor = rows[rows["quantity"] == "cluster_floor"]
    run = ["arm", "seed", "layer"]
    clusters = parts[-2].merge(floor[[*run, "estimate"]].rename(columns={"estimate": "floor"}), on=run)
    parts[-2] = clusters.assign(estimate=clusters["estimate"] - clusters["floor"])
    return pd.concat(parts, ignore_index=True)


def _where(rows: pd.DataFrame, wanted: Mapping[str, str]) -> pd.DataFrame:
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows


def recreated(counted: pd.DataFrame) -> pd.DataFrame:
    """By how much the last layer lies above the lowest of those between it and the embeddings, for each main arm and
    estimator. The lowest layer of a run is chosen on the other runs, so that the choice makes no rise; of a single run
    on itself.
    """
    found = []
    names = ["arm", "learned", "estimator"]
    for key, rows in _estimates(counted).groupby(names, sort=False):
        bits = rows.pivot(index="seed", columns="layer", values="estimate").to_numpy(float)
        errors = rows.assign(error=item_errors(rows)).pivot(index="seed", columns="layer", values="error").to_numpy()
        lows = []
        for run in range(len(bits)):
            others = np.delete(bits, run, axis=0) if len(bits) > 1 else bits
            lows.append(1 + int(others[:, 1:-1].mean(0).argmin()))
        rises = bits[:, -1] - bits[np.arange(len(bits)), lows]
        error = np.hypot(errors[:, -1], errors[np.arange(len(bits)), lows])
        found.append(dict(zip(names, key, strict=True)) | pooled(rises, error)._asdict() | {"runs": len(bits)})
    return pd.DataFrame(found)


def above(measures: pd.DataFrame) -> pd.DataFrame:
    """How many of the `CHECKED` estimates lie above the true value by more than their interval, over all arms, seeds,
    measured steps and layers of both languages, whether a network has learned or not: `estimate` is their share, with
    an interval over runs; `near` is the number of those whose upper end reaches the true value, so that they could lie
    above it; `largest` the largest excess of a lower end in bits.

    Each interval leaves 2.5 % to this side. All runs share their test sentences, so that a sample with more bits than
    the language has shows in many of them.
    """
    checked = measures[measures["quantity"].isin(CHECKED) & measures["exact"].notna()]
    ends = checked[["low", "high"]].apply(lambda end: end.fillna(checked["estimate"]))
    beyond = ends["low"] - checked["exact"] - 1e-9
    checked = checked.assign(beyond=beyond, near=ends["high"] >= checked["exact"] - 1e-9)
    found = []
    for (quantity, reading), rows in checked.groupby(["quantity", "reading"], sort=False, dropna=False):
        over = rows["beyond"] > 0
        runs = pd.DataFrame({"over": over, "run": rows["arm"] + rows["seed"].astype(str)}).groupby("run")["over"]
        low, high = share_interval(runs.sum().to_numpy(float)[None], runs.size().to_numpy(float))
        share = {"estimate": over.mean(), "low": float(low[0]), "high": float(high[0])}
        counts = {"bounds": len(rows), "near": int(rows["near"].sum()), "above": int(over.sum()), "runs": len(runs)}
        kind = {"quantity": quantity, "reading": reading}
        found.append(kind | counts | share | {"largest": max(0.0, rows["beyond"].max())})
    return pd.DataFrame(found)
