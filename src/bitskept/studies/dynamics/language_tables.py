"""Tables of the experiment on languages with a truth: means over the seeds of each arm.

`measures` is from `language_arms.measures`. Intervals are 95 %, over runs and test sentences (`comparing_runs.pooled`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import difference, item_errors, pooled
from bitskept.studies.dynamics.language_arms import FIRST, MAIN, Arm
from bitskept.studies.dynamics.language_measures import CLEAN, CORRUPTED
from bitskept.theory.intervals import share_interval

PARTS = ("class_bits", "synonym_bits")
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


def over_seeds(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Mean, interval and number of `runs` of each group, in the order of the rows."""
    found = []
    for key, group in rows.groupby(list(by), sort=False, dropna=False):
        mean = pooled(group["estimate"].to_numpy(float), item_errors(group).to_numpy(float))
        found.append(dict(zip(by, key, strict=True)) | mean._asdict() | {"runs": len(group)})
    return pd.DataFrame(found, columns=[*by, "estimate", "low", "high", "p", "runs"])


def main(measures: pd.DataFrame) -> pd.DataFrame:
    """The rows of the main arms."""
    return measures[measures["arm"].isin(MAIN) & (measures["language"] == FIRST)]


def at_the_end(measures: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last step, of probes fitted on all training sentences."""
    rows = measures[measures["step"] == measures["step"].max()]
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


def summary(measures: pd.DataFrame, largest_gap: float) -> pd.DataFrame:
    """One row for each arm: its runs and how many `learned`; means over all runs of the gap to the least cost, and at
    the last layer of the bits `kept` and those about the synonym, by both probes, and of `late_forgetting`.
    """
    runs = learned(measures, largest_gap)
    table = runs.groupby("arm", sort=False).agg(
        runs=("seed", "size"), learned=("learned", "sum"), gap=("estimate", "mean")
    )
    rows = tokens(at_the_end(measures))
    ends = pd.concat([last_layer(rows), rows[rows["layer"].isna()]])
    for quantity in ("kept", "synonym_bits", "late_forgetting"):
        for probe in ("centroid", "ridge"):
            chosen = ends[(ends["quantity"] == quantity) & (ends["probe"] == probe)]
            table[f"{quantity}, {probe}"] = chosen.groupby("arm")["estimate"].mean()
    return table.reset_index()


@makes_table
def by_layer(measures: pd.DataFrame) -> pd.DataFrame:
    """Bits about the class and about the synonym at each layer of the main arms after the last step, by probe, and the
    `exact` value that they cannot exceed. Measured by `language_probes.probe_rows`.
    """
    rows = tokens(at_the_end(main(measures)))
    return over_seeds(rows[rows["quantity"].isin(PARTS)], "arm", "probe", "quantity", "layer", "exact")


@makes_table
def by_step(measures: pd.DataFrame) -> pd.DataFrame:
    """Over training: the gap to the least cost of the objective, and what the centroid reads at the last layer of the
    main arms. Measured by `language_measures.Measures`.
    """
    rows = main(measures)
    read = last_layer(tokens(rows[rows["probe"] == "centroid"]))
    read = read[read["quantity"].isin(PARTS) & (read["train_sentences"] == read["train_sentences"].max())]
    both = pd.concat([rows[rows["quantity"] == "gap"], read], ignore_index=True)
    return over_seeds(both, "arm", "quantity", "step")


@makes_table
def estimators(measures: pd.DataFrame) -> pd.DataFrame:
    """I(X;Z) at each layer of the main arms by each of the `ESTIMATORS`; clusters less their floor.

    Measured by `language_measures.Measures`.
    """
    return over_seeds(_estimates(measures), "arm", "estimator", "layer")


def _estimates(measures: pd.DataFrame) -> pd.DataFrame:
    rows = at_the_end(main(measures))
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


def recreated(measures: pd.DataFrame) -> pd.DataFrame:
    """By how much the last layer lies above the lowest of those between it and the embeddings, for each main arm and
    estimator. The lowest layer of a run is chosen on the other runs, so that the choice makes no rise; of a single run
    on itself.
    """
    found = []
    for (arm, estimator), rows in _estimates(measures).groupby(["arm", "estimator"], sort=False):
        bits = rows.pivot(index="seed", columns="layer", values="estimate").to_numpy(float)
        errors = rows.assign(error=item_errors(rows)).pivot(index="seed", columns="layer", values="error").to_numpy()
        lows = []
        for run in range(len(bits)):
            others = np.delete(bits, run, axis=0) if len(bits) > 1 else bits
            lows.append(1 + int(others[:, 1:-1].mean(0).argmin()))
        rises = bits[:, -1] - bits[np.arange(len(bits)), lows]
        error = np.hypot(errors[:, -1], errors[np.arange(len(bits)), lows])
        found.append({"arm": arm, "estimator": estimator} | pooled(rises, error)._asdict() | {"runs": len(bits)})
    return pd.DataFrame(found)


@makes_table
def factors(measures: pd.DataFrame, arms: Sequence[Arm], largest_gap: float) -> pd.DataFrame:
    """What one ingredient changes: bits about the synonym at the last layer of an `arm` less those of the arm
    `against`, over the seeds that both have, by probe.

    `first` and `second` are the two means; `learned` says whether all of these runs have (`learned`). Measured by
    `language_probes.probe_rows`.
    """
    rows = last_layer(tokens(at_the_end(measures)))
    rows = rows[rows["quantity"] == "synonym_bits"]
    passed = learned(measures, largest_gap).groupby("arm")["learned"].all()
    found = []
    for arm in arms:
        if not arm.against:
            continue
        pairs = difference(*(rows[rows["arm"] == name] for name in (arm.name, arm.against)), ["probe", "seed"])
        for probe, pair in pairs.groupby("probe", sort=False):
            mean = pooled(pair["estimate"].to_numpy(float), pair["error"].to_numpy(float))._asdict()
            names = {"factor": arm.factor, "arm": arm.name, "against": arm.against, "probe": probe}
            means = {"first": pair["first"].mean(), "second": pair["second"].mean(), "runs": len(pair)}
            found.append(names | mean | means | {"learned": bool(passed[arm.name] and passed[arm.against])})
    return pd.DataFrame(found)


def learning_curve(measures: pd.DataFrame) -> pd.DataFrame:
    """Bits about the synonym at the last layer of the main arms by probe and number of training sentences."""
    rows = main(measures)
    rows = last_layer(tokens(rows[rows["step"] == rows["step"].max()]))
    return over_seeds(rows[rows["quantity"] == "synonym_bits"], "arm", "probe", "train_sentences")


def above(measures: pd.DataFrame) -> pd.DataFrame:
    """How many of the `CHECKED` estimates lie above the true value by more than their interval, over all arms, seeds,
    steps and layers: `estimate` is their share, with an interval over runs; `largest` the largest excess of a lower end
    in bits.

    Each interval leaves 2.5 % to this side. All runs share their test sentences, so that a sample with more bits than
    the language has shows in many of them.
    """
    found = []
    for kind, rows in by_kind(measures):
        over = rows["beyond"] > 0
        runs = pd.DataFrame({"over": over, "run": rows["arm"] + rows["seed"].astype(str)}).groupby("run")["over"]
        low, high = share_interval(runs.sum().to_numpy(float)[None], runs.size().to_numpy(float))
        share = {"estimate": over.mean(), "low": float(low[0]), "high": float(high[0])}
        counts = {"bounds": len(rows), "above": int(over.sum()), "runs": len(runs)}
        found.append(kind | counts | share | {"largest": max(0.0, rows["beyond"].max())})
    return pd.DataFrame(found)


def by_kind(measures: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows that are checked, by quantity and reading, each with `beyond`: how far its lower end lies above the true
    value.
    """
    checked = measures[measures["quantity"].isin(CHECKED) & measures["exact"].notna()]
    checked = checked.assign(beyond=checked["low"].fillna(checked["estimate"]) - checked["exact"] - 1e-9)
    for (quantity, reading), rows in checked.groupby(["quantity", "reading"], sort=False, dropna=False):
        yield {"quantity": quantity, "reading": reading}, rows
