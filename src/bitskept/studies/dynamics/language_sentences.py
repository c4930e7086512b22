"""What the numbers about languages with a truth say. Each function gives Markdown for one conclusion."""

import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics.language_arms import FIRST, SECOND
from bitskept.studies.dynamics.language_tables import PARTS
from bitskept.studies.dynamics.run_claims import BITS
from bitskept.theory.intervals import TAIL

NONE = 0.05
"""Bits that count as none, or as all but none."""
UNLEARNED = "no verdict, as no run has learned"
NOTHING_LOST = "nothing was lost, so nothing can be recreated"
RULE = "The bottleneck drops all of the synonym's bits in the first language and keeps them in the second."
ALONE = "No network was trained on the second, so that only the first half can be compared."
NEED = {FIRST: "where nothing needs them,", SECOND: "where the future needs them,"}
"""What the languages mean for the bits of a synonym."""
LOST, KEPT, UNKNOWN = "some are lost", "all are kept", "it cannot be told whether all are kept"
FATES = {
    (LOST, KEPT): "loses bits that nothing needs and keeps those that the future needs",
    (KEPT, KEPT): "keeps all, whether they are needed or not",
    (LOST, LOST): "loses bits whether they are needed or not",
    (KEPT, LOST): "keeps bits that nothing needs and loses some that the future needs",
    (
        KEPT,
        UNKNOWN,
    ): "keeps bits that nothing needs, so it does not do what the bottleneck prescribes, whatever it does "
    "where the future needs them",
    (UNKNOWN, LOST): "loses bits that the future needs, so it does not do what the bottleneck prescribes, whatever it "
    "does where nothing needs them",
    (LOST, None): "loses bits that nothing needs",
    (KEPT, None): "keeps bits that nothing needs",
    (UNKNOWN, None): "cannot be told from a network that keeps all",
}
"""What becomes of a synonym's bits in the first and in the second language."""


def learned(runs: pd.DataFrame, largest_gap: float) -> str:
    """How far each arm is from the least cost (`language_tables.learned`), and which arms get no verdict."""
    lines = []
    for arm, rows in runs.groupby("arm", sort=False):
        gaps = ", ".join(dict.fromkeys(f"{gap:z.3f}" for gap in (rows["estimate"].min(), rows["estimate"].max())))
        passed = int(rows["learned"].sum())
        many = f"{len(rows)} run{'s' if len(rows) > 1 else ''}"
        some = f" **{passed} of {len(rows)} learned; only these count.**" if passed else " **No verdict.**"
        end = "" if passed == len(rows) else some
        lines.append(f"- **{arm}**: {gaps.replace(', ', ' to ')} bits above the least cost ({many}).{end}")
    rule = f"A network has learned if it is within {largest_gap} bits of the least cost."
    if (runs["estimate"] < 0).any():
        rule += " On a sample of sentences even a little less than the least is possible."
    near = runs.loc[(runs["low"] <= largest_gap) & (runs["high"] > largest_gap), "arm"].value_counts(sort=False)
    if len(near):
        which = ", ".join(f"{arm} ({number})" for arm, number in near.items())
        rule += (
            f" The intervals of {near.sum()} of {len(runs)} runs contain this limit, so their verdict is not certain: "
            f"{which}."
        )
    return "\n".join([rule, "", *lines])


def kept(by_layer: pd.DataFrame) -> str:
    """Which bits the last layer of each main arm holds, by probe (`language_tables.by_layer`)."""
    last = by_layer[by_layer["layer"] == by_layer["layer"].max()]
    lines = []
    for arm, rows in last.groupby("arm", sort=False):
        if not rows["learned"].all():
            lines.append(f"- **{arm}**: {UNLEARNED}.")
            continue
        clauses = []
        for probe, parts in rows.groupby("probe", sort=False):
            known = parts.set_index("quantity")
            said = (f"{quote(known.loc[part], 'z.2f')} of {known.loc[part, 'exact']:.2f} bits" for part in PARTS)
            clauses.append("{}: class {}, synonym {}".format(probe, *said))
        lines.append(f"- **{arm}**. By the {'; by the '.join(clauses)}. {_which(rows)}")
    return "\n".join(lines)


def _which(rows: pd.DataFrame) -> str:
    """What the stronger probe says: a weaker one may miss what is there."""
    best = rows.loc[rows.groupby("quantity")["estimate"].idxmax()].set_index("quantity")
    lost = {part: best.loc[part, "exact"] - best.loc[part, "estimate"] for part in PARTS}
    class_lost, synonym_lost = (lost[part] > NONE for part in PARTS)
    if class_lost and best.loc["class_bits", "high"] >= best.loc["class_bits", "exact"]:
        others = "It loses bits of the synonym" if synonym_lost else "It keeps the synonym"
        return (
            f"{others}. Whether it loses bits of the class on average cannot be told: the interval holds all of them."
        )
    if not class_lost and not synonym_lost:
        return "It keeps all."
    if not class_lost:
        left = best.loc["synonym_bits", "estimate"]
        some = f"{left:.2f} bits" if left > NONE else "nothing"
        return f"It keeps the class; of the synonym, which nothing needs, {some} can be read."
    if not synonym_lost:
        return "It keeps the synonym and loses some of the class, which the future needs."
    return "It loses bits of both."


def over_steps(table: pd.DataFrame) -> str:
    """What the last layer tells about the synonym before the first step, where it tells most, where it tells least
    after that, and after the last step (`language_tables.by_step`).
    """
    lines = []
    for arm, rows in table[table["quantity"] == "synonym_bits"].groupby("arm", sort=False):
        if not rows["learned"].all():
            lines.append(f"- **{arm}**: {UNLEARNED}.")
            continue
        rows = rows.sort_values("step")
        first, last, most = rows.iloc[0], rows.iloc[-1], rows.loc[rows["estimate"].idxmax()]
        later = rows[rows["step"] >= most["step"]]
        least = later.loc[later["estimate"].idxmin()]
        said = [f"{quote(first, 'z.2f')} bits about the synonym before the first step"]
        if most["step"] > first["step"]:
            said.append(f"most after step {most['step']:,}: {quote(most, 'z.2f')}")
        if most["step"] < least["step"] < last["step"]:
            said.append(f"fewest from there on after step {least['step']:,}: {quote(least, 'z.2f')}")
        if most["step"] < last["step"]:
            said.append(f"at the end, after step {last['step']:,}: {quote(last, 'z.2f')}")
        lines.append(f"- **{arm}**: {'; '.join(said)}.")
    return "\n".join(lines)


def recreated(table: pd.DataFrame, by_layer: pd.DataFrame) -> str:
    """Whether the last layer tells more of the token than a lower one (`language_tables.recreated`). Where the lowest
    layer (`language_tables.estimators`) lacks less than `BITS` of what the embeddings tell, nothing can come back.
    """
    lines = []
    for arm, rows in table.groupby("arm", sort=False):
        if not rows["learned"].all():
            lines.append(f"- **{arm}**: {UNLEARNED}.")
            continue
        found = {"yes": [], "no": [], "cannot tell": [], NOTHING_LOST: []}
        for row in rows.to_dict("records"):
            rise = outcomes.outcome(row["estimate"], row["low"], row["high"], row["p"], BITS)
            if _lost(by_layer, arm, row["estimator"]) < BITS:
                rise = NOTHING_LOST
            found[rise].append(f"{row['estimator']} {quote(row, '+z.2f')}")
        said = [f"{answer}: {', '.join(parts)}" for answer, parts in found.items() if parts]
        lines.append(f"- **{arm}**, is the token recreated at the top? {'; '.join(said)}.")
    return "\n".join(lines)


def _lost(by_layer: pd.DataFrame, arm: str, estimator: str) -> float:
    """How much less the lowest of the layers between the embeddings and the last one tells than the embeddings."""
    rows = by_layer[(by_layer["arm"] == arm) & (by_layer["estimator"] == estimator)].sort_values("layer")
    return float(rows["estimate"].iloc[0] - rows["estimate"].iloc[1:-1].min())


def prescribed(table: pd.DataFrame) -> str:
    """Whether forgetting is what the bottleneck prescribes: to drop the synonym where nothing needs it, and to keep it
    where the future does (`language_tables.second_language`).
    """
    lines, found = [], []
    for arm, both in _synonyms(table).groupby("arm", sort=False):
        rows = both.groupby("language").last()
        first = rows.loc[FIRST]
        if SECOND not in rows.index:
            lines.append(f"- **{arm}**{f' {FATES[_fate(first), None]}' if first['learned'] else f': {UNLEARNED}'}.")
            if _fate(first) == KEPT:  # judged by the first language alone
                found.append((KEPT, UNKNOWN))
            continue
        second = rows.loc[SECOND]
        fates = _fate(first), _fate(second)
        found.append(fates)
        told = [
            fate if row["learned"] else "no run has learned" for fate, row in zip(fates, (first, second), strict=True)
        ]
        unsure = "; ".join(f"{need} {fate}" for need, fate in zip(NEED.values(), told, strict=True))
        said = FATES.get(fates, f"cannot be judged: {unsure}")
        if fates[0] == LOST:
            said += f"; of what nothing needs it still holds {first['estimate']:.2f} of {first['exact']:.2f} bits"
        if fates[1] == LOST:
            said += f"; of what the future needs it has lost {second['exact'] - second['estimate']:.2f} bits"
        many = f"{first['runs']} run{'s' if first['runs'] > 1 else ''}"
        lines.append(f"- **{arm}** {said} ({many} on the first language, {second['runs']} on the second).")
    lead = _answer(found) if SECOND in set(table["language"]) else f"{RULE} {ALONE}"
    return "\n".join([lead, "", *lines])


def _synonyms(table: pd.DataFrame) -> pd.DataFrame:
    """Bits about the synonym at each layer by the probe that reads most of them: a weaker one may miss what is there.
    The first language comes first.
    """
    rows = table[table["quantity"] == "synonym_bits"].reset_index(drop=True)
    best = rows.loc[rows.groupby(["arm", "language", "layer"], sort=False)["estimate"].idxmax()]
    return best.sort_values(
        ["language", "layer"], key=lambda names: names.replace({FIRST: 0, SECOND: 1}), kind="stable"
    )


def _fate(row: pd.Series) -> str:
    """Some are lost if more than `BITS` are and the interval ends below all of them; all are kept if it begins less
    than `BITS` below that.
    """
    if row["learned"] and row["exact"] - row["estimate"] > BITS and row["high"] < row["exact"]:
        return LOST
    return KEPT if row["learned"] and row["exact"] - row["low"] < BITS else UNKNOWN


def _answer(found: list[tuple[str, str]]) -> str:
    so, not_so = found.count((LOST, KEPT)), sum(first == KEPT or second == LOST for first, second in found)
    if so == len(found):
        return f"{RULE} The networks of all {len(found)} objectives lose some in the first and keep them in the second."
    unknown = len(found) - so - not_so
    if unknown == len(found):
        return f"{RULE} Whether networks do so cannot be told."
    rest = f"; of {unknown} it cannot be told" if unknown else ""
    lose = f"the networks of {so} lose some in the first and keep them in the second, those of {not_so} do not"
    return f"{RULE} Of {len(found)} objectives, {lose}{rest}."


def above(table: pd.DataFrame) -> str:
    """How many bounds and estimates exceed the true value (`language_tables.above`)."""
    bounds, beyond, near = (int(table[name].sum()) for name in ("bounds", "above", "near"))
    most = f" (by {table['largest'].max():.3f} bits at most)" if beyond else ""
    said = (
        f"Of {bounds:,} bounds and estimates of known bits, {beyond:,} lie above the truth by more than their "
        f"interval{most}; the intervals of {near:,} reach it, so that these could have."
    )
    worse = [
        row["quantity"].replace("_", " ") + ("" if pd.isna(row["reading"]) else f", {row['reading']}")
        for row in table[table["low"] > TAIL].to_dict("records")
    ]
    return said + (f" That is more than the 2.5 % that intervals allow for: {'; '.join(worse)}." if worse else "")
