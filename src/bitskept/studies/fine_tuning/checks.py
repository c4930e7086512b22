"""Did each model learn what it was tuned for, and what do the controls control?"""

import pandas as pd

from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, at_first_rate

MATCHED = 0.05
"""Two arms whose last layers differ by no more than this share of H(X) keep about the same."""
NAMING = (CLAIMED, "permuted")
"""The arms that name the token of each state, so that the share they name says how far they have come."""
LEAST_NAMED = 0.1
"""One of these has learned if it names so many more of its targets than at the start."""
LEAST_BITS = 0.1
"""Another arm has learned if its targets surprise it by so many bits less."""


def more_named(learned: pd.DataFrame) -> pd.Series:
    """The share of targets that the head names more than at the first step, by model, arm, rate and step (in the
    index), from `runs.learning`.
    """
    named = learned[learned["quantity"] == "named"].sort_values("step", kind="stable")
    named = named.set_index(["model", "arm", "rate", "step"])["estimate"]
    return named - named.groupby(level=[0, 1, 2]).transform("first")


def checks(learned: pd.DataFrame, last_layer: pd.DataFrame, entropy: pd.Series) -> pd.DataFrame:
    """One row for each model and arm, in the index, at the first rate.

    `named_before` and `named`: the share of targets that the head names at the start and at the end, and `bits_before`
    and `bits` their surprisal, from `runs.learning`. `frequencies`: what the tokens' frequencies alone leave, H(X) in
    bits, from `entropy` by model. `kept_before` and `kept`: the share of H(X) that the last layer keeps by the
    centroid, in which the head has no part (`bits_by_layer.at_last_layer`). `learned`: the arms `NAMING` name
    `LEAST_NAMED` more, and recoverability keeps more than `MATCHED` more as well; in other arms the surprisal falls by
    `LEAST_BITS`, and to so much below what the frequencies leave.
    """
    curves = at_first_rate(learned).sort_values("step", kind="stable")
    ends = curves.groupby(["model", "arm", "quantity"], sort=False)["estimate"].agg(["first", "last"]).unstack()
    ends = ends.loc[[pair for pair in last_layer.index if pair in ends.index]]
    models, kept = ends.index.get_level_values("model"), last_layer["centroid"]
    table = pd.DataFrame(
        {
            "named_before": ends["first", "named"],
            "named": ends["last", "named"],
            "bits_before": ends["first", "cross_entropy"],
            "bits": ends["last", "cross_entropy"],
            "frequencies": entropy.loc[models].to_numpy(),
            "kept_before": kept.xs(BEFORE, level="arm").loc[models].to_numpy(),
            "kept": kept.loc[ends.index],
        }
    )
    names = table["named"] - table["named_before"] >= LEAST_NAMED
    keeps = table["kept"] - table["kept_before"] > MATCHED
    falls = table[["bits_before", "frequencies"]].min(axis=1) - table["bits"] >= LEAST_BITS
    arms = table.index.get_level_values("arm")
    return table.assign(learned=names.where(arms.isin(NAMING), falls) & (keeps | (arms != CLAIMED)))
