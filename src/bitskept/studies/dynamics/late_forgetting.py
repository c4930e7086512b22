"""Does next-token prediction cause late forgetting? The causal twin compared with each other twin, paired by seed."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.studies.dynamics.comparing_runs import at_last_layer, difference, judged, pooled

CAUSAL = "causal"
SHARE = "share of H(X)"


@makes_table
def by_step(table: pd.DataFrame) -> pd.DataFrame:
    """Late forgetting, in bits per token, by twin, probe and step.

    Measured by `instruments.probes.sweep.measure`; `table` is from `checkpoints.measure`.
    """
    return spread(table[table["quantity"] == "late_forgetting"], "twin", "probe", "step")


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Late forgetting of the causal twin minus that of each other twin, after the last step: in bits, and as a share of
    H(X).

    `table` is from `checkpoints.measure`, for twins of one size and amount. One row per `other` twin, `probe` and
    `unit`: `estimate`, `low`, `high`, `p` (`comparing_runs.pooled`); `runs`, the seeds that both have, and `missing`,
    those without a value; the two means, `causal_mean` and `other_mean`; `p_holm`, adjusted for the number of others,
    and `sure` (`comparing_runs.judged`); the `step`.
    """
    last = at_last_layer(table)
    rows = _with_shares(last[last["step"] == last["step"].max()])
    compared = []
    for other in [twin for twin in rows["twin"].unique() if twin != CAUSAL]:
        twins = (rows[rows["twin"] == name] for name in (CAUSAL, other))
        both = difference(*twins, ["probe", "unit", "step", "seed"])
        for key, pairs in both.groupby(["probe", "unit", "step"], sort=False):
            row = dict(zip(("probe", "unit", "step"), key, strict=True)) | {"other": other}
            row |= pooled(pairs["estimate"].to_numpy(float), pairs["error"].to_numpy())._asdict()
            row |= {"runs": pairs["estimate"].notna().sum(), "missing": pairs["estimate"].isna().sum()}
            compared.append(row | {"causal_mean": pairs["first"].mean(), "other_mean": pairs["second"].mean()})
    numbers = ["estimate", "low", "high", "p", "runs", "missing", "causal_mean", "other_mean"]
    return judged(pd.DataFrame(compared, columns=["other", "probe", "unit", "step", *numbers]), "probe", "unit")


def _with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Late forgetting in bits per token, and the same as a share of the entropy H(X), which is a property of the text
    and taken as known.
    """
    run = ["twin", "seed"]
    rows = table[table["quantity"] == "late_forgetting"]
    entropy = table[table["quantity"] == "entropy"].groupby(run)["estimate"].first().rename("entropy").reset_index()
    shares = rows.merge(entropy, on=run)
    ends = {name: shares[name] / shares["entropy"] for name in ("estimate", "low", "high")}
    return pd.concat([rows, shares.assign(**ends, unit=SHARE).drop(columns="entropy")], ignore_index=True)
