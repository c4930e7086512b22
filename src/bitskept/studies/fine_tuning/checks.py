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
RUN = ["model", "arm", "rate"]
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


def targets(curves: pd.DataFrame, frequencies: pd.Series) -> pd.DataFrame:
    """What each arm learned of its targets: one row for each model, arm and rate, in the index.

    `named_before` and `named`: the share of targets that the head names at the start and at the end, and `bits_before`
    and `bits` their surprisal, means over seeds (from the curves of `runs.tune`). `bits_previous` is that at the last
    step but one of the curve, `bits_most` the highest at any. `masked` where these are the targets that are hidden for
    sure, of an arm that leaves some of them visible, and `bits_of_all` that of all at the end. `frequencies`: what
    these alone leave, in bits, by model (`prior_bits`).

    `learned`: the surprisal falls by `LEAST_BITS`, and to so much below what the frequencies leave, with every seed. A
    control has not learned if its surprisal does so with none and it does not name `LEAST_NAMED` more either. Else it
    is missing: that cannot be told. The arm "sentence" is a claim, not a control, and then has not learned. `falls`: in
    how many of the `seeds` the surprisal falls so far. `learned_by_all`: what would be said if the surprisal of all
    targets counted. Recoverability has learned if it names `LEAST_NAMED` more.
    """
    learned = learning(curves, frequencies).sort_values("step", kind="stable")
    ends = learned.groupby([*RUN, "quantity"], sort=False).agg(
        before=("estimate", "first"),
        after=("estimate", "last"),
        previous=("estimate", lambda curve: curve.iloc[-2:].iloc[0]),
        highest=("estimate", "max"),
        least=("low", "last"),
        most=("high", "last"),
    )
    ends = ends.unstack("quantity").reorder_levels([1, 0], axis="columns")
    ends = ends.loc[pd.MultiIndex.from_frame(learned[RUN].drop_duplicates())]
    models, arms = (ends.index.get_level_values(name) for name in ("model", "arm"))
    bits, masked = ends["cross_entropy"], pd.Series(False, ends.index)
    if MASKED in ends:
        masked = ends[MASKED]["after"].notna() & (arms == "continued")
        bits = pd.concat([ends[MASKED][masked], bits[~masked]]).loc[ends.index]
    table = pd.DataFrame(
        {
            "named_before": ends["named"]["before"],
            "named": ends["named"]["after"],
            "bits_before": bits["before"],
            "bits": bits["after"],
            "bits_previous": bits["previous"],
            "bits_most": bits["highest"],
            "bits_of_all": ends["cross_entropy"]["after"],
            "masked": masked,
            "frequencies": frequencies.loc[models].to_numpy(),
        }
    )
    names = table["named"] - table["named_before"] >= LEAST_NAMED

    def judged(bits: pd.DataFrame) -> pd.Series:
        enough = np.minimum(bits["before"], table["frequencies"]) - LEAST_BITS
        clear = (bits["most"] <= enough) | (bits["least"] > enough) & ~names
        return (bits["most"] <= enough).astype("boolean").mask(~clear & arms.isin(CONTROLS))

    return table.assign(
        learned=judged(bits).mask(arms == CLAIMED, names),
        learned_by_all=judged(ends["cross_entropy"]),
        **_seeds(curves, table),
    )


def checks(reached: pd.DataFrame, last_layer: pd.DataFrame) -> pd.DataFrame:
    """The rows of `targets` at the first rate, by model and arm (in the index), with the share of H(X) that the last
    layer keeps after and before tuning: `centroid` and `ridge`, `centroid_before` and `ridge_before`
    (`bits_by_layer.at_last_layer`). `lifted`: whether these differ by more than `MATCHED`, upwards and by either probe.

    Recoverability has only `learned` if its last layer also keeps more than `MATCHED` more by the centroid, in which
    the head has no part.
    """
    table = at_first_rate(reached.reset_index()).set_index(["model", "arm"])
    table = table.loc[[pair for pair in last_layer.index if pair in table.index]]
    models, arms = (table.index.get_level_values(name) for name in ("model", "arm"))
    kept, before = last_layer.loc[table.index, PROBES], last_layer.xs(BEFORE, level="arm").loc[models, PROBES]
    gained = kept - before.to_numpy()
    return table.assign(
        **kept,
        **(kept - gained).add_suffix("_before"),
        lifted=(gained > MATCHED).any(axis=1),
        learned=table["learned"].mask(arms == CLAIMED, table["learned"] & (gained["centroid"] > MATCHED)),
    )


def _seeds(curves: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Of each row of `targets`: the number of `seeds`, and of those in which the surprisal `falls` far enough."""
    last = curves.sort_values("step", kind="stable").drop_duplicates([*RUN, "quantity", "seed"], keep="last")
    bits = last.pivot(index=[*RUN, "seed"], columns="quantity", values="estimate")
    rows = bits.join(table[["masked", "bits_before", "frequencies"]], how="inner")
    values = rows["cross_entropy"].mask(rows["masked"], rows.get(MASKED))
    enough = values <= rows[["bits_before", "frequencies"]].min(axis=1) - LEAST_BITS
    return enough.groupby(level=RUN).agg(seeds="size", falls="sum")
