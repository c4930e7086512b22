"""What is built in? What untrained networks keep at their last layer, and which ingredient of a build does it.

Tables here are of untrained networks: family, causal, initial (standard deviation of the first weights), seed, layer,
probe, quantity, estimate, low and high (95 % over items), unit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bitskept.training.contrasts import LEVEL, VERDICTS, difference, judged
from bitskept.training.trends import UNTRAINED, at_last_layer, in_words, over, pooled, with_interval

INGREDIENTS: dict[str, tuple[str, Callable, Callable]] = {
    "mask": ("causal", lambda rows: True, lambda rows: False),
    "norm": ("family", lambda rows: "roberta-prelayernorm", lambda rows: "roberta"),
    "scale": ("initial", lambda rows: rows["initial"].max(), lambda rows: rows["initial"].min()),
}
"""The column that tells it, and the two values whose difference is its effect."""
TOLD = {
    "mask": "a causal mask rather than none",
    "norm": "the norm before each part rather than after it",
    "scale": "the largest scale of the first weights rather than the smallest",
}


def matched(untrained: pd.DataFrame, *, quantity: str = "retained_cross_entropy") -> pd.DataFrame:
    """Pairs of networks that differ in one ingredient alone, one row an effect, probe, pair and seed: `estimate`, the
    difference at the last layer, and `error`, its standard error for want of items.

    `mask`: causal less both-sided; `norm`: before each part ("roberta-prelayernorm") less after it ("roberta");
    `scale`: the largest `initial` less the smallest. `pair` names what the two share. ValueError where a network has
    several rows for a seed and probe.
    """
    rows = at_last_layer(untrained)
    rows = rows[rows["quantity"] == quantity]
    tables = []
    for effect, (column, more, less) in INGREDIENTS.items():
        same = [name for name in UNTRAINED if name != column]
        ends = (rows[rows[column] == value(rows)] for value in (more, less))
        if rows[column].nunique() > 1:
            both = difference(*ends, [*same, "seed", "probe", "unit"])
            names = both[same].apply(lambda row: ", ".join(map(_shared, row.index, row)), axis=1, result_type="reduce")
            tables.append(both.assign(effect=effect, pair=names.astype(str)))
    columns = ["effect", "probe", "pair", "seed", "estimate", "error", "unit"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _shared(column: str, value: object) -> str:
    if column == "causal":
        return "causal" if value else "both-sided"
    return f"initial {value:g}" if column == "initial" else str(value)


def by_pair(pairs: pd.DataFrame) -> pd.DataFrame:
    """The effect in each pair of `matched`, with seeds as repeated runs: `estimate`, `low`, `high`, `p` as
    `trends.pooled`, `runs`; `p_holm` over the pairs of an effect and probe, `sure` ("more", "less" or "").

    `rest`: the effect less the mean of the other pairs of its effect and probe, with `rest_p`, adjusted likewise:
    below 5 %, the effect depends on what the pair shares. Only seeds that all pairs of an effect have are taken.
    """
    found = []
    for (effect, probe), some in pairs.groupby(["effect", "probe"], sort=False, dropna=False):
        wide, errors = (some.pivot(index="pair", columns="seed", values=name) for name in ("estimate", "error"))
        errors, wide = errors.loc[:, wide.notna().all()], wide.loc[:, wide.notna().all()]
        for pair in wide.index if wide.shape[1] else []:
            mean = pooled(wide.loc[pair].to_numpy(float), errors.loc[pair].to_numpy(float))
            others, noise = wide.drop(index=pair).mean(), errors.drop(index=pair).mean()
            rest = pooled((wide.loc[pair] - others).to_numpy(float), np.hypot(errors.loc[pair], noise).to_numpy(float))
            row = {"effect": effect, "probe": probe, "pair": pair, "unit": some["unit"].iloc[0], "runs": wide.shape[1]}
            found.append(row | mean._asdict() | {"rest": rest.estimate, "rest_p": rest.p})
    names = ["effect", "probe", "pair", "unit", "runs", "estimate", "low", "high", "p", "rest", "rest_p"]
    table = judged(pd.DataFrame(found, columns=names), "effect", "probe")
    return table.assign(rest_p=judged(table.assign(p=table["rest_p"]), "effect", "probe")["p_holm"])


def effects(untrained: pd.DataFrame, *, quantity: str = "retained_cross_entropy") -> pd.DataFrame:
    """One row an ingredient and probe: the mean of its effect over the pairs of `matched`, which are few and chosen, so
    that seeds are the sample and pairs are not.

    `estimate`, `low`, `high`, `p` as `trends.pooled`; `p_holm`, over the ingredients under a probe, and `sure`;
    `pairs`, `runs`; `smallest`, `largest`: the effect in the pairs (`smallest_pair`, `largest_pair`) where it is so.
    `varies`: "sign" where it is surely more in some pairs and surely less in others, "size" where a pair surely
    differs from the rest, else "".
    """
    pairs = matched(untrained, quantity=quantity)
    single, found = by_pair(pairs), []
    for (effect, probe), some in single.groupby(["effect", "probe"], sort=False, dropna=False):
        mine = pairs[
            (pairs["effect"] == effect) & ((pairs["probe"] == probe) | (pairs["probe"].isna() & pd.isna(probe)))
        ]
        means = mine.groupby("seed").agg(estimate=("estimate", "mean"), error=("error", "mean"), pairs=("pair", "size"))
        means = means[means["pairs"] == len(some)]
        row = {"effect": effect, "probe": probe, "unit": some["unit"].iloc[0], "runs": len(means), "pairs": len(some)}
        row |= pooled(means["estimate"].to_numpy(float), means["error"].to_numpy(float))._asdict()
        for name, place in (("smallest", some["estimate"].idxmin()), ("largest", some["estimate"].idxmax())):
            row |= {name: some.loc[place, "estimate"], f"{name}_pair": some.loc[place, "pair"]}
        size = "size" if (some["rest_p"] < LEVEL).any() else ""
        found.append(row | {"varies": "sign" if {"more", "less"} <= set(some["sure"]) else size})
    names = ["effect", "probe", "unit", "estimate", "low", "high", "p", "runs", "pairs"]
    ends = ["smallest", "smallest_pair", "largest", "largest_pair", "varies"]
    return judged(pd.DataFrame(found, columns=[*names, *ends]), "probe")


def effect_sentences(found: pd.DataFrame) -> list[str]:
    """One paragraph a row of `effects`, and, for each probe, which ingredient does most."""
    lines = []
    for probe, rows in found.groupby("probe", sort=False, dropna=False):
        under = f"under {probe}" if isinstance(probe, str) else "in all"
        lines += [_effect(row, under) for row in rows.to_dict("records")]
        lines.append(f"- {under.capitalize()}: {_largest(rows)}")
    return lines or ["No two untrained networks differ in one ingredient alone."]


def _effect(row: dict, under: str) -> str:
    mean = with_interval(*(row[name] for name in ("estimate", "low", "high", "unit")))
    start = f"- **{row['effect']}**, {under}: {TOLD[row['effect']]} keeps {VERDICTS[row['sure']]}, {mean}, "
    if row["sure"] == "":
        start = f"- **{row['effect']}**, {under}: {TOLD[row['effect']]} makes no sure difference, {mean}, "
    if row["pairs"] == 1:
        return f"{start}in one pair ({row['smallest_pair']}), {over(row['runs'])}."
    least, most = (f"{_one(row[name], row['unit'])} ({row[f'{name}_pair']})" for name in ("smallest", "largest"))
    told = {
        "sign": "**Its sign depends on the rest of the build**, so the mean says little.",
        "size": "**Its size depends on the rest of the build.**",
        "": "No pair surely differs from the others.",
    }
    return f"{start}over {row['pairs']} pairs and {over(row['runs'])}; from {least} to {most}. {told[row['varies']]}"


def _one(value: float, unit: str) -> str:
    return with_interval(value, value, value, unit).split(" [")[0]


def _largest(rows: pd.DataFrame) -> str:
    sure = rows[rows["sure"] != ""]
    one_seed = " There is one seed, so this speaks of these networks only." if (rows["runs"] == 1).all() else ""
    mixed = in_words(f"the {name}" for name in rows.loc[rows["varies"] == "sign", "effect"])
    mixed = "" if mixed == "none" else f" What {mixed} does changes its sign with the rest."
    if not len(sure):
        return f"**no ingredient makes a sure difference on average.**{mixed}{one_seed}"
    first = sure.loc[sure["estimate"].abs().idxmax()]
    others = in_words(f"the {name}" for name in sure["effect"] if name != first["effect"])
    also = f"Sure as well: {others}." if others != "none" else "It is the only sure one."
    return f"**the {first['effect']} makes the largest difference on average.** {also}{mixed}{one_seed}"
