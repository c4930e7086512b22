"""What the twins have learned, and what their last layers keep, side by side.

What a twin has learned is its **gain**: the bits that it saves of what its tokens cost by their frequency alone. Masked
twins are all asked for the same share of hidden tokens.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.base.words import quote
from bitskept.instruments.likelihood.bits_per_byte import QUANTITIES as COSTS
from bitskept.studies.dynamics.checkpoints import GAIN, usual
from bitskept.studies.dynamics.comparing_runs import NETWORK, SETTING, at_last_layer, means

RUN = [*NETWORK, "seed"]
"""The columns that name a run."""
KEPT = "retained_cross_entropy"
NO_VERDICT = "no verdict, as it has not learned"
"""What is said of a twin in place of what its layers keep (`without_verdict`)."""


@makes_table
def learning(table: pd.DataFrame) -> pd.DataFrame:
    """The gain, and bits per byte where a twin has them, by twin and step, as means over runs.

    Measured by `instruments.likelihood.next_token`, `hidden_token` and `bits_per_byte`; `table` is from
    `checkpoints.measure`.
    """
    return means(table[table["quantity"].isin([GAIN, *COSTS])], "twin", "quantity", "step")


def learned(table: pd.DataFrame, least: float) -> pd.DataFrame:
    """One row per run (`RUN`): its last gain with an interval over sentences, and whether it has `learned`, which is
    to say that the whole interval lies at `least` bits or above.
    """
    rows = table[(table["quantity"] == GAIN) & (table["step"] == table["step"].max())]
    return rows[[*RUN, "estimate", "low", "high"]].assign(learned=rows["low"] >= least).reset_index(drop=True)


@makes_table
def kept_and_learned(table: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that the last layer keeps, by twin, seed, step and probe, with the `gain` at that step.

    Measured by `instruments.probes.sweep` and as in `learning`; `table` is from `checkpoints.measure`.
    """
    rows = usual(at_last_layer(table[table["quantity"] == KEPT]))
    return _with_gains(rows, table)[["twin", "seed", "step", "probe", "gain", "estimate", "low", "high"]]


def at_equal_gain(table: pd.DataFrame, level: float, quantity: str = KEPT) -> pd.DataFrame:
    """What the last layer of each run keeps where its gain first reaches `level` bits, on straight lines between saved
    steps: `RUN`, `SETTING`, estimate, low, high, unit. Runs that never reach it are left out, and so are those that
    have it at their first step.
    """
    rows = _with_gains(at_last_layer(table[table["quantity"] == quantity]), table)
    return pd.DataFrame(_crossings(rows, level), columns=[*RUN, *SETTING, "estimate", "low", "high", "unit"])


def _with_gains(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    gains = table[table["quantity"] == GAIN].rename(columns={"estimate": "gain"})
    return rows.merge(gains[[*RUN, "step", "gain"]], on=[*RUN, "step"], validate="m:1")


def _crossings(rows: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    for key, curve in rows.sort_values("step").groupby([*RUN, *SETTING], sort=False):
        gains = curve["gain"].to_numpy(float)
        if not (gains >= level).any() or gains[0] >= level:
            continue
        after = int(np.argmax(gains >= level))
        share = (level - gains[after - 1]) / (gains[after] - gains[after - 1])
        ends = curve[["estimate", "low", "high"]].to_numpy(float)[[after - 1, after]]
        facts = dict(zip([*RUN, *SETTING], key, strict=True)) | {"unit": curve["unit"].iloc[0]}
        yield facts | dict(zip(("estimate", "low", "high"), (1 - share) * ends[0] + share * ends[1], strict=True))


def without_verdict(runs: pd.DataFrame) -> list[str]:
    """The twins of which not every run has `learned`."""
    every = runs.groupby("twin", sort=False)["learned"].all()
    return list(every.index[~every])


def summary(table: pd.DataFrame, least: float) -> pd.DataFrame:
    """The main table, after the last step: twin, runs, how many of them have `learned`, and in words the gain, the
    share of H(X) that the last layer keeps by each probe, and late forgetting by the centroid, as means over runs with
    95 % intervals over runs and sentences; then the share kept where the gain was `least` bits (`at_equal_gain`).
    """
    last = usual(at_last_layer(table[table["step"] == table["step"].max()]))
    by_ridge = last["probe"] == "ridge"
    others = last[last["quantity"].isin([GAIN, KEPT, "late_forgetting"]) & ~by_ridge]
    ridge = last[(last["quantity"] == KEPT) & by_ridge].assign(quantity="ridge")
    then = usual(at_equal_gain(table, least))
    then = then.assign(quantity="then " + then["probe"].astype(str))
    shown = means(pd.concat([others, ridge, then]), "twin", "quantity")
    shown["words"] = [quote(row, "z.2f") for row in shown.to_dict("records")]
    names = {GAIN: "gain", KEPT: "kept, centroid", "ridge": "kept, ridge", "late_forgetting": "late forgetting"}
    names |= {f"then {probe}": f"at equal gain, {probe}" for probe in ("centroid", "ridge")}
    wide = shown.pivot(index="twin", columns="quantity", values="words").reindex(columns=list(names))
    wide = wide.rename(columns=names).astype(object).fillna("never reached")
    passed = learned(table, least).groupby("twin", sort=False)["learned"].agg(["size", "sum"])
    passed.columns = ["runs", "learned"]
    return passed.join(wide).reset_index()
