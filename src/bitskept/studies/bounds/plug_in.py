"""The entropy of a Zipf vocabulary from samples: how far the estimates and the lower limit are from the truth."""

from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Int

from bitskept.base.publishing import makes_table
from bitskept.theory import bounds, information
from bitskept.theory.channels import zipf

DELTA = 0.025
"""The chance that the lower limit may be wrong: half of what a certificate at 5 % may spend."""
LIMIT = f"lower limit, δ = {DELTA}"


def estimates(counts: dict[int, Int[np.ndarray, "repetition type"]]) -> pd.DataFrame:
    """Each estimate of H(X) in bits, one row per repetition: `estimate of H(X)`, samples, estimate.

    `counts` says how often each type occurred, by the number of samples.
    """
    named = {"plug-in": information.plug_in, "Miller-Madow": information.miller_madow}
    values = {(name, size): estimate(counts[size]) for (name, estimate), size in product(named.items(), counts)}
    values |= {(LIMIT, size): bounds.entropy_limit(counts[size], DELTA) for size in counts}
    return pd.DataFrame(values).melt(var_name=["estimate of H(X)", "samples"], value_name="estimate")


@makes_table
def taken_off(values: pd.DataFrame, vocabulary: int) -> pd.DataFrame:
    """What is taken off the entropy, on average in bits, and then the spread of each estimate (5 %, median, 95 %).
    Computed from `studies.bounds.plug_in.estimates`.
    """
    means = values.groupby(["estimate of H(X)", "samples"])["estimate"].mean().unstack(0)
    sizes = means.index
    off = pd.DataFrame({"bias of the plug-in": information.entropy(zipf(vocabulary)) - means["plug-in"]})
    off["deviation"] = means["plug-in"] - means[LIMIT]
    off["customary deviation"] = np.log2(sizes) * np.sqrt(2 * np.log(1 / DELTA) / sizes)
    off = off.reset_index().melt("samples", var_name="quantity", value_name="estimate")
    draws = values.rename(columns={"estimate of H(X)": "quantity"}).groupby(["quantity", "samples"], sort=False)
    spread = draws["estimate"].quantile([0.05, 0.5, 0.95]).unstack().set_axis(["low", "estimate", "high"], axis=1)
    return pd.concat([off, spread.reset_index()]).assign(unit="bits")
