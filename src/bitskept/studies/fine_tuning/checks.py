"""Did each model learn what it was tuned for, and what do the controls control?"""

import numpy as np
import pandas as pd

from bitskept.instruments.probes import bounds_by_layer
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CONTROLS, at_first_rate, learning

MATCHED = 0.05
"""Two arms whose last layers differ by no more than this share of H(X) keep about the same."""
LEAST_NAMED = 0.1
"""An arm names more of its targets than at the start if it names so many more."""
LEAST_BITS = 0.1
"""An arm other than recoverability has learned if its targets surprise it by so many bits less."""
PROBES = ["centroid", "ridge"]
MASKED = "masked_cross_entropy"


def more_named(learned: pd.DataFrame) -> pd.Series:
    """The share of targets that the head names more than at the first step, by model, arm, rate and step (in the
    index), from `runs.learning`.
    """
    named = learned[learned["quantity"] == "named"].sort_values("step", kind="stable")
    named = named.set_index(["model", "arm", "rate", "step"])["estimate"]
    return named - named.groupby(level=[0, 1, 2]).transform("first")


def prior_bits(swept: pd.DataFrame) -> pd.Series:
    """What the frequencies of the tokens alone leave, in bits, by model: the cross-entropy of the shares of the types
    in the training sentences of the sweep (`bits_by_layer.sweeps`), on its test sentences.

    H(X) itself would be too low: it is the plug-in entropy of few sentences.
    """
    return bounds_by_layer.prior_bits(swept[swept["arm"] == BEFORE])


def matched(shares: pd.Series, others: pd.Series) -> bool | None:
    """Whether two last layers (rows of `bits_by_layer.at_last_layer`) keep about the same; None where the probes
    disagree.
    """
    alike = (shares[PROBES] - others[PROBES]).astype(float).abs() <= MATCHED
    return bool(alike.all()) if alike.all() == alike.any() else None


def checks(curves: pd.DataFrame, last_layer: pd.DataFrame, frequencies: pd.Series) -> pd.DataFrame:
    """One row for each model and arm, in the index, at the first rate.

    `named_before` and `named`: the share of targets that the head names at the start and at the end, and `bits_before`
    and `bits` their surprisal, means over seeds (from the curves of `runs.tune`); `masked` where these are the targets
    that are hidden for sure, of an arm that leaves some of them visible, and `bits_of_all` that of all. `frequencies`:
    what these alone leave, in bits, by model (`prior_bits`). `centroid` and `ridge`, `centroid_before` and
    `ridge_before`: the share of H(X) that the last layer keeps after and before tuning (`bits_by_layer.at_last_layer`).
    `lifted`: whether these differ by more than `MATCHED`, upwards and by either probe.

    `learned`: recoverability names `LEAST_NAMED` more, and keeps more than `MATCHED` more by the centroid, in which
    the head has no part. For any other arm the surprisal counts: it has learned if this falls by `LEAST_BITS`, and to
    so much below what the frequencies leave, with every seed. It has not if it does so with none and the arm does not
    name `LEAST_NAMED` more either. Else it is missing: that cannot be told. The arm "sentence" is a claim, not a
    control, and then has not learned. `falls`: in how many of the `seeds` the surprisal falls so far.
    `learned_by_all`: what would be said if the surprisal of all targets counted.
    """
    learned = at_first_rate(learning(curves, frequencies)).sort_values("step", kind="stable")
    ends = learned.groupby(["model", "arm", "quantity"], sort=False).agg(
        before=("estimate", "first"), after=("estimate", "last"), least=("low", "last"), most=("high", "last")
    )
    ends = ends.unstack("quantity").reorder_levels([1, 0], axis="columns")
    ends = ends.loc[[pair for pair in last_layer.index if pair in ends.index]]
    models, arms = (ends.index.get_level_values(name) for name in ("model", "arm"))
    bits, masked = ends["cross_entropy"], pd.Series(False, ends.index)
    if MASKED in ends:
        masked = ends[MASKED]["after"].notna() & (arms == "continued")
        bits = pd.concat([ends[MASKED][masked], bits[~masked]]).loc[ends.index]
    kept, before = last_layer.loc[ends.index, PROBES], last_layer.xs(BEFORE, level="arm").loc[models, PROBES]
    gained = kept - before.to_numpy()
    table = pd.DataFrame(
        {
            "named_before": ends["named"]["before"],
            "named": ends["named"]["after"],
            "bits_before": bits["before"],
            "bits": bits["after"],
            "bits_of_all": ends["cross_entropy"]["after"],
            "masked": masked,
            "frequencies": frequencies.loc[models].to_numpy(),
            **kept,
            **(kept - gained).add_suffix("_before"),
            "lifted": (gained > MATCHED).any(axis=1),
        }
    )
    names = table["named"] - table["named_before"] >= LEAST_NAMED

    def judged(bits: pd.DataFrame) -> pd.Series:
        enough = np.minimum(bits["before"], table["frequencies"]) - LEAST_BITS
        clear = (bits["most"] <= enough) | (bits["least"] > enough) & ~names
        return (bits["most"] <= enough).astype("boolean").mask(~clear & arms.isin(CONTROLS))

    return table.assign(
        learned=judged(bits).mask(arms == CLAIMED, names & (gained["centroid"] > MATCHED)),
        learned_by_all=judged(ends["cross_entropy"]),
        **_seeds(curves, table),
    )


def _seeds(curves: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Of each row of `checks`: the number of `seeds`, and of those in which the surprisal `falls` far enough."""
    last = at_first_rate(curves).sort_values("step", kind="stable")
    last = last.drop_duplicates(["model", "arm", "quantity", "seed"], keep="last")
    bits = last.pivot(index=["model", "arm", "seed"], columns="quantity", values="estimate")
    rows = bits.join(table[["masked", "bits_before", "frequencies"]], how="inner")
    values = rows["cross_entropy"].mask(rows["masked"], rows.get(MASKED))
    enough = values <= rows[["bits_before", "frequencies"]].min(axis=1) - LEAST_BITS
    return enough.groupby(level=["model", "arm"]).agg(seeds="size", falls="sum")
