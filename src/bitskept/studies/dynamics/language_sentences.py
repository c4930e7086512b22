"""What the numbers about languages with a truth say. Each function gives Markdown for one conclusion."""

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics.language_arms import FIRST, SECOND
from bitskept.studies.dynamics.language_claims import BITS
from bitskept.studies.dynamics.language_tables import PARTS
from bitskept.theory.intervals import TAIL

NONE = 0.05
"""Bits that count as none, or as all but none."""
UNLEARNED = "no verdict, as no run has learned"
NEED = {FIRST: "where nothing needs them,", SECOND: "where the future does,"}
"""What the languages mean for the bits of a synonym."""
LOST, KEPT, UNKNOWN = "some are lost", "all are kept", "it cannot be told whether all are kept"
FATES = {
    (LOST, KEPT): "drops bits that nothing needs and keeps those that the future needs",
    (KEPT, KEPT): "keeps all, whether they are needed or not",
    (LOST, LOST): "loses bits whether they are needed or not",
    (KEPT, LOST): "keeps bits that nothing needs and loses some that the future needs",
    (LOST, None): "drops bits that nothing needs",
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
    near = ((runs["low"] <= largest_gap) & (runs["high"] > largest_gap)).sum()
    if near:
        rule += f" The intervals of {near} of {len(runs)} runs hold this limit: their verdict is not sure."
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
        return f"It keeps what the future needs, the class; of the synonym, which nothing needs, {some} can be read."
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


def recreated(table: pd.DataFrame) -> str:
    """Whether the last layer tells more of the token than a lower one (`language_tables.recreated`)."""
    lines = []
    for arm, rows in table.groupby("arm", sort=False):
        if not rows["learned"].all():
            lines.append(f"- **{arm}**: {UNLEARNED}.")
            continue
        found = {"yes": [], "no": [], "cannot tell": []}
        for row in rows.to_dict("records"):
            rise = outcomes.outcome(row["estimate"], row["low"], row["high"], row["p"], BITS)
            found[rise].append(f"{row['estimator']} {quote(row, '+z.2f')}")
        said = [f"{answer}: {', '.join(parts)}" for answer, parts in found.items() if parts]
        lines.append(f"- **{arm}**, is the token recreated at the top? {'; '.join(said)}.")
    return "\n".join(lines)


def needed(table: pd.DataFrame) -> str:
    """How many bits of the synonym the last layer holds where nothing needs them and where the future does, and up to
    which layer all are there, by the stronger probe (`language_tables.second_language`).
    """
    lines = []
    for arm, both in _synonyms(table).groupby("arm", sort=False):
        said = []
        for language, rows in both.groupby("language", sort=False):
            if not rows["learned"].all():
                said.append(f"{NEED[language]} {UNLEARNED}")
                continue
            last, whole = rows.iloc[-1], rows[rows["exact"] - rows["estimate"] < NONE]["layer"]
            number = f"{last['runs']} run{'s' if last['runs'] > 1 else ''}"
            layers = f"all but {NONE} up to layer {whole.max()}" if len(whole) else "nowhere all of them"
            bits = f"{quote(last, 'z.2f')} of {last['exact']:.2f} bits at the last layer by the {last['probe']}"
            said.append(f"{NEED[language]} {bits}, {layers} ({number})")
        lines.append(f"- **{arm}**: {'; '.join(said)}.")
    return "\n".join(lines)


def prescribed(table: pd.DataFrame) -> str:
    """Whether forgetting is what the bottleneck prescribes: to drop the synonym where nothing needs it, and to keep it
    where the future does (`language_tables.second_language`).
    """
    lines, found = [], []
    for arm, both in _synonyms(table).groupby("arm", sort=False):
        rows = both.groupby("language").last()
        first = rows.loc[FIRST]
        if SECOND not in rows.index:
            lines.append(f"- **{arm}** {FATES[_fate(first), None]}.")
            continue
        second = rows.loc[SECOND]
        fates = _fate(first), _fate(second)
        found.append(fates)
        unsure = "; ".join(f"{need} {fate}" for need, fate in zip(NEED.values(), fates, strict=True))
        said = FATES.get(fates, f"cannot be judged: {unsure}")
        if fates[0] == LOST:
            said += f"; of what nothing needs it still holds {first['estimate']:.2f} of {first['exact']:.2f} bits"
        if fates[1] == LOST:
            said += f"; of what the future needs it has lost {second['exact'] - second['estimate']:.2f} bits"
        one = " (a single run of the second language)" if second["runs"] == 1 else ""
        lines.append(f"- **{arm}** {said}{one}.")
    return "\n".join([_answer(found), "", *lines])


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
    rule = "The bottleneck drops the synonym's bits in the first language and keeps them in the second."
    if not found:
        return f"{rule} No network was trained on the second, so that only the first half can be compared."
    unknown, as_told = sum(UNKNOWN in fates for fates in found), found.count((LOST, KEPT))
    if unknown == len(found):
        return f"{rule} Whether networks do so cannot be told."
    if as_told == len(found):
        return f"{rule} So do the networks of all {len(found)} objectives."
    rest = f"; of {unknown} it cannot be told" if unknown else ""
    if not as_told:
        return f"{rule} The networks of none of {len(found)} objectives do so{rest}."
    return f"{rule} The networks of {as_told} of {len(found)} objectives do so{rest}."


def above(table: pd.DataFrame) -> str:
    """How many estimates exceed the true value (`language_tables.above`)."""
    lines = []
    for row in table.to_dict("records"):
        name = f"{row['quantity']}{'' if pd.isna(row['reading']) else ', ' + row['reading']}".replace("_", " ")
        share = f"{row['above']:,} of {row['bounds']:,} lie above the true value by more than their interval"
        number = f"{row['runs']} run{'s' if row['runs'] > 1 else ''}"
        ends = f" ({quote(row, '.1%')}, {number}" if has_interval(row) else f" ({row['estimate']:.1%}, {number}"
        worst = f"; at most {row['largest']:.3f} bits above it)" if row["above"] else ")"
        near = f" The intervals of {row['near']:,} reach it." if row["near"] else " No interval reaches it."
        end = " That is more than the 2.5 % that intervals allow." if row["low"] > TAIL else ""
        lines.append(f"- **{name}**: {share}{ends}{worst}.{near}{end}")
    return "\n".join(lines)


def claim(table: pd.DataFrame, every: pd.DataFrame) -> str:
    """The outcome of each claim, by its primary rows; how many of the other settings agree, and what the rest say; and
    whether the outcome would be another in `every`, the same table with all runs, whether they have learned or not.
    """
    lines = []
    for (name, model), rows in table[table["primary"]].groupby(["claim", "model"], sort=False):
        found, short = rows["outcome"].iloc[0], name.partition(" (")[0]
        others, all_runs = (
            part[part["claim"].str.startswith(short) & (part["model"] == model) & (part["primary"] == primary)]
            for part, primary in ((table, False), (every, True))
        )
        counted = all_runs["outcome"].iloc[0]
        turned = "" if counted == found else f" Were all runs counted, it would be **{counted}**."
        lines.append(f"- {name[0].upper()}{name[1:]}: **{_verdict(rows)}**.{_agreement(found, others)}{turned}")
    return "\n".join(lines)


def _agreement(found: str, others: pd.DataFrame) -> str:
    """How many of the other settings have the outcome `found`, and what the rest say, by probe."""
    if others.empty or found == "not tested":
        return ""
    rest = others[others["outcome"] != found].groupby(["probe", "outcome"], sort=False).size()
    said = [f"{number} by the {probe} say {answer}" for (probe, answer), number in rest.items()]
    agree = f"{(others['outcome'] == found).sum()} of {len(others)} other settings agree"
    return f" {'; '.join([agree, *said])}."


def verdict(table: pd.DataFrame, where: str = "the language with a truth") -> str:
    """All primary claims in one sentence."""
    primary = table[table["primary"]]
    names = outcomes.without_brackets(primary["claim"])
    said = [f"{name}: **{_verdict(rows)}**" for name, rows in primary.groupby(names, sort=False)]
    return f"On {where}: {'; '.join(said)}."


def _verdict(rows: pd.DataFrame) -> str:
    """The outcome by arms, without saying again what they were trained on."""
    return outcomes.verdict(rows.assign(model=rows["model"].str.replace(r" \([^()]*\)$", "", regex=True)))
