"""What the tables of the section on semantic spread show, in words (Markdown), and its claims."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import UNTESTED
from bitskept.studies.output.spread import ANSWERS, DISAGREEMENT, ENTROPY, INVERSE, SAMPLES, SPREAD, STATES, SURPRISAL
from bitskept.studies.output.spread_areas import ALL, CHANCE, MEAN_ENTROPY, PLAIN, SAME, by_layer, main
from bitskept.theory.intervals import ONE_SIDED

BETWEEN = (0.2, 0.8)
"""The share of right answers, between which there are enough right and wrong ones to tell apart."""
ALIKE = 0.1
"""The difference in the share of right answers below which wordings are about as hard."""
ABOVE, MORE = "AUROC above .5", "difference of AUROC"
RELEVANT = {ABOVE: 0.05, MORE: 0.02}
"""The least effect that counts, by unit."""
TELLS = "the spread of states or answers tells wrong answers from right ones"
TELLS_MORE = {
    ENTROPY: "the spread tells more of wrong answers than the entropy of the first token",
    MEAN_ENTROPY: "the spread tells more of wrong answers than the mean entropy over the wordings",
    SURPRISAL: "the spread tells more of wrong answers than the surprisal of the answer",
}
"""The claim against each measure that needs no spread."""
TAKES = f"a model that answers {BETWEEN[0]:.0%} to {BETWEEN[1]:.0%} of the questions right"
PAPERS = {
    STATES: "Semantic Volume 2025",
    ANSWERS: "Semantic Volume 2025",
    INVERSE: "Inv-Entropy 2025",
    SAMPLES: "Kuhn and others 2023",
    DISAGREEMENT: "Kuhn and others 2023",
}
"""Who proposed a measure. DISAGREEMENT is the entropy of Kuhn and others over wordings instead of samples."""
SECONDARY = (DISAGREEMENT,)


def answered(table: pd.DataFrame) -> str:
    """Whether the questions can tell, and whether chance does no better than it should."""
    first = table.iloc[0]
    share = f"{first['model']} answers {first['right']:.0%} of {first['n']:,} questions right"
    if not _can_tell(table):
        return f"{share}: **too few** right or wrong answers to tell the two apart. Nothing below decides anything."
    null = main(table)
    return (
        f"{share}, so there are enough of both. With right and wrong permuted over the questions, 95 % of the areas "
        f"lie between {null['null_low'].min():.2f} and {null['null_high'].max():.2f}, around the .5 of chance."
    )


def verdict(table: pd.DataFrame) -> str:
    """Which measures tell wrong answers, and which tell more than those without any spread."""
    if not _can_tell(table):
        return "Nothing follows about the spread."
    areas, within = main(table), main(table, SAME)
    names = {ENTROPY: "one plain entropy", MEAN_ENTROPY: "the mean entropy of the same passes"}
    names |= {SURPRISAL: "the surprisal of the answer"}
    plain = ", ".join(f"{name} {quote(areas.loc[name], '.2f')}" for name in PLAIN)
    telling = [name for name in SPREAD if areas.loc[name, "low"] > 0.5]
    lines = [
        f"- **Without any spread** the areas are: {plain}.",
        f"- **The spread tells wrong answers** in {len(telling)} of {len(SPREAD)} measures: "
        + "; ".join(f"{name} {quote(areas.loc[name], '.2f')}" for name in SPREAD)
        + ".",
    ]
    lines += [f"- **Against {name}**: {_compared(main(table, ALL, against))}" for against, name in names.items()]
    for against in (ENTROPY, SURPRISAL):
        compared = _compared(main(table, SAME, against))
        lines.append(f"- **Among questions of one kind**, against {names[against]}: {compared}")
    over_all, same = (f"{rows.idxmax()} ({rows.max():.2f})" for rows in (areas["estimate"], within["estimate"]))
    lines.append(
        f"- **The largest area** is that of {over_all} over all questions, and of {same} among those of a kind."
    )
    return "\n".join(lines)


def layers(table: pd.DataFrame) -> str:
    """How far the area of the volume of states depends on the layer. Nothing without areas."""
    if not _can_tell(table):
        return "Nothing follows about its layers."
    rows, same = (pd.DataFrame(by_layer(table, pairs)) for pairs in (ALL, SAME))
    best, worst = rows.loc[rows["estimate"].idxmax()], rows.loc[rows["estimate"].idxmin()]
    above, below = (rows["low"] > 0.5).sum(), (rows["high"] < 0.5).sum()
    said = (
        f"By layer, the area of the volume of states goes from {quote(worst, '.2f')} (layer {worst['layer']:.0f}) to "
        f"{quote(best, '.2f')} (layer {best['layer']:.0f}). Its interval lies above .5 in {above} of {len(rows)} layers"
    )
    said += f" and below in {below}, so the layer decides the sign." if below else "."
    varies = same[same.apply(has_interval, axis=1)]
    within = (varies["low"] > 0.5).sum()
    said += f" Among questions of one kind it lies above .5 in {within} of {len(varies)}"
    said += "" if len(varies) == len(same) else ", without the layers whose states are the same for all of a kind"
    return said + (": it may tell nothing but the kind of question." if above and not within else ".")


def wordings(measured: pd.DataFrame) -> str:
    """Whether the wordings ask the same of the model: the share of right answers by wording, and to how many questions
    the first word of the answers is the same in all of them (`spread.measure`).
    """
    rows = measured[measured["quantity"] == ENTROPY]
    right = rows.groupby("wording")["right"].mean()
    same = (rows.groupby("fact")["answer"].nunique() == 1).mean()
    said = (
        f"By wording, from {right.min():.0%} to {right.max():.0%} of the answers are right, and {same:.0%} of the "
        "questions get one answer in all wordings: "
    )
    said += (
        "no wording is much harder than another."
        if right.max() - right.min() < ALIKE
        else "some wordings are harder, so the spread is about them too, not only about what the model knows."
    )
    return (
        f"{said} Which answers are wrong is judged by the first wording alone, with {right.loc[0]:.0%} right; no other "
        "wording was tried for that."
    )


def _can_tell(table: pd.DataFrame) -> bool:
    return bool(BETWEEN[0] <= table["right"].iloc[0] <= BETWEEN[1])


def _compared(rows: pd.DataFrame) -> str:
    """Which spreads tell more, which less, and what would have been seen of the others."""
    rows = rows.loc[SPREAD]
    known = rows[rows.apply(has_interval, axis=1)]
    more, less = known[known["low"] > 0], known[known["high"] < 0]
    open_ = rows.drop(index=[*more.index, *less.index])
    parts = [f"{_listed(part)} {word}" for part, word in ((more, "more"), (less, "less")) if len(part)]
    if len(open_):
        seen = open_["error"].max() * ONE_SIDED
        power = "no interval" if pd.isna(seen) else f"a difference of {seen:.2f} would have been seen"
        parts.append(f"for {_listed(open_)} we cannot tell ({power})")
    return "; ".join(parts) + "."


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{name} ({row['estimate']:+z.2f})" for name, row in rows.iterrows())


def claims(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows for `instruments.claims.table`: each measure against chance and against those without any spread. Primary
    are those of the papers over all questions, against chance and the plain entropy.
    """
    for pairs, against in product((ALL, SAME), (CHANCE, *PLAIN)):
        rows = main(table, pairs, against)
        for name, paper in PAPERS.items():
            primary = pairs == ALL and against in (CHANCE, ENTROPY) and name not in SECONDARY
            yield _claim(rows.loc[name], against, _can_tell(table)) | {
                "paper": paper,
                "reading": f"{name}, {pairs}",
                "probe": None if against == CHANCE else f"against {against}",
                "primary": primary,
            }


def _claim(row: pd.Series, against: str, can_tell: bool) -> dict[str, Any]:
    level, unit = (0.5, ABOVE) if against == CHANCE else (0.0, MORE)
    effect = {name: row[name] - level for name in ("estimate", "low", "high")}
    effect |= {"p": row["p"], "detectable": ONE_SIDED * row["error"]}
    claim = TELLS if against == CHANCE else TELLS_MORE[against]
    if not can_tell:
        claim, effect = f"{claim} (to be tested: {TAKES})", dict(UNTESTED)
    return {"claim": claim, "model": row["model"], "unit": unit, "clusters": row["n"]} | effect
