"""What masked training does to the last layer, in words (Markdown), computed from `masked_training.masked_training`."""

import pandas as pd

from bitskept.base.words import by_interval, quote
from bitskept.studies.layer_sweep.masked_training import between_rules

NAMES = {"continued": "BERT's rule", "mask only": "the mask alone"}


def before_and_after(table: pd.DataFrame) -> str:
    """Does the last layer keep more after training by BERT's rule, and by the mask alone: under every probe, does the
    lowest end of all seeds lie above the interval before? That it does not is said only if hidden tokens became
    cheaper than by frequencies alone, for every seed. No other training was tried, so nothing is said of the cause.
    """
    steps = table["step"].max()
    prior = table.loc[table["quantity"] == "prior_cross_entropy", "estimate"].item()
    seen = table.loc[table["quantity"] == "prior_cross_entropy", "n"].item()
    ends, first = table[table["step"].isin([0, steps])], int(table.loc[table["step"] > 0, "step"].min())
    start = table[(table["step"] == first) & (table["probe"] == "centroid") & (table["layer"] == table["layer"].max())]
    kept = ends[(ends["quantity"] == "retained_cross_entropy") & (ends["layer"] == ends["layer"].max())]
    kept = kept.groupby(["arm", "probe", "step"]).agg({"estimate": "mean", "low": "min", "high": "max"})
    costs = table[table["quantity"] == "masked_cross_entropy"].pivot(index=["arm", "seed"], columns="step")["estimate"]
    lines = []
    for arm, rule in NAMES.items():
        before, after = (kept.loc[arm].xs(step, level="step") for step in (0, steps))
        pairs = [(name, quote(before.loc[name], ".1%"), quote(row, ".1%")) for name, row in after.iterrows()]
        shares = [f"{old} before and {new} after ({name})" for name, old, new in pairs]
        bits, early = costs.loc[arm].mean(), start.loc[start["arm"] == arm, "estimate"].mean()
        if (after["low"] > before["high"]).all():
            verdict = "It keeps more after the training than before"
        elif (costs.loc[arm, steps] < prior).all():
            verdict = "It is not seen to keep more after the training under every probe"
        else:
            verdict = (
                "Whether it would keep more after learning cannot be said: the model has hardly learned from context"
            )
        lines.append(
            f"- **{rule}**, {steps} steps: the last layer keeps {', '.join(shares)}. {verdict}. A held-out hidden "
            f"token costs {bits[0]:.1f} bits before and {bits[steps]:.1f} after. At step {first} the centroid shows "
            f"{early:.1%}, and a hidden token costs {bits[first]:.1f} bits."
        )
    return "\n".join(lines) + (
        f"\n\nBy frequencies alone a token costs {prior:.1f} bits. That is the mean over other tokens: all "
        f"those of the {seen:.0f} test sentences, by their shares in the probe's training text."
    )


def rules(table: pd.DataFrame) -> str:
    """Which of the two rules brings more of the token back (`masked_training.between_rules`)? That is said only where
    all probes agree and both rules were learned.
    """
    compared, (first, second) = between_rules(table), NAMES.values()
    points = compared[["estimate", "low", "high"]].astype(float).mul(100).assign(probe=compared["probe"])
    parts = ", ".join(f"{quote(row, '+.1f')} ({row['probe']})" for row in points.to_dict("records"))
    ahead = {by_interval(row, above=first, below=second, neither="") for row in compared.to_dict("records")}
    if not compared["learned"].all():
        answer = "So the rules cannot be compared: one of them has not been learned"
    elif len(ahead) == 1 and "" not in ahead:
        answer = f"So {ahead.pop()} brings more of it back"
    else:
        answer = "So neither is seen to bring more of it back under every probe"
    return (
        f"Which rule brings more of the token back? What the last layer keeps after {first} less what it keeps after "
        f"{second}, in points: {parts}, from the means over {compared['seeds'].iloc[0]} seeds of each and the outer "
        f"ends of their intervals, which are over sentences and not over seeds. {answer}."
    )
