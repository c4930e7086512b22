"""What the tables of notebook 04 that compare estimators, texts, runs and models show, in words (Markdown)."""

import numpy as np
import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.claims import LEVEL
from bitskept.studies.bottleneck.bound import SEEN, at_last_layer
from bitskept.studies.bottleneck.by_layer import width_name
from bitskept.studies.bottleneck.claims import NEAR
from bitskept.studies.bottleneck.floor_alone import TEXT, VOCABULARY
from bitskept.studies.bottleneck.over_runs import COST, GUESSING, SAVED
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import detectable_correlation


def exactness(table: pd.DataFrame) -> str:
    """Which kind of optimality is nearest to its exact value, from few and from much text, for each source."""
    lines = []
    rows = table[table["quantity"] == "optimality"]
    for source, group in rows.groupby("source", sort=False):
        few, many = group["sentences"].min(), group["sentences"].max()
        biases = group.pivot(index="sentences", columns="kind", values="bias")
        nearest = abs(biases).idxmin(axis=1)
        words = ", ".join(f"{kind} {biases.loc[few, kind]:+.0%} to {biases.loc[many, kind]:+.0%}" for kind in biases)
        covered = (group["covered"] * group["repeats"]).sum()
        held = "no interval" if covered == 0 else f"{covered:.0f} of {group['repeats'].sum():.0f} intervals"
        same = nearest[few] == nearest[many]
        best = f"nearest at both is {nearest[few]}" if same else f"nearest is {nearest[few]}, and then {nearest[many]}"
        lines.append(
            f"- **{source}** (exact optimality {group['exact'].iloc[0]:.3f}): from {few:,} to {many:,} sentences, the "
            f"bias is {words}; {best}. The exact value lies in {held}."
        )
    largest = table[table["sentences"] == table["sentences"].max()]
    for name, parts in largest[largest["quantity"] != "optimality"].groupby("quantity", sort=False):
        ranges = parts.groupby("kind")["bias"].agg(["min", "max"])
        words = "; ".join(f"{kind} {low:+z.0%} to {high:+z.0%}" for kind, (low, high) in ranges.T.items())
        lines.append(f"- Bias of {name} itself at the largest sample: {words}.")
    return "\n".join(lines)


def codes(table: pd.DataFrame) -> str:
    """Whether the inequality holds for each code, whether soft bits order codes as Shannon's do, and the best ratio."""
    known = table[np.isfinite(table["optimality"])]
    above = table[table["expressivity"] > table["complexity"]]
    soft, bits = known.sort_values("optimality")["code"], known.sort_values("shannon optimality")["code"]
    order = "order these codes in the same way" if soft.tolist() == bits.tolist() else "order these codes differently"
    broken = ", ".join(f"“{row.code}” in the language of {row.language}" for row in above.itertuples())
    fails = f"It fails for {broken}" if len(above) else "It fails for none of them"
    return (
        f"Expressivity is at most complexity for {len(table) - len(above)} of {len(table)} codes. {fails}. Soft bits "
        f"and Shannon's {order}. Even where the inequality is a theorem its bound of 1 need not be within reach: with "
        f"as many bits of the token as these codes have, no code has a ratio above {known['best'].max():.2f}."
    )


def distance(optimality: pd.DataFrame) -> str:
    """The optimality of the last layer, raw and corrected, for the narrowest and the widest label, by kind of model;
    and whether it matters for decoders and the narrowest label, that of the claim, which of the two is taken.
    """
    rows, lines = at_last_layer(optimality), []
    for kind, group in rows.groupby("kind", sort=False):
        apart = " (they have seen the output)" if SEEN[kind] else ""
        parts = []
        for width in (group["width"].min(), group["width"].max()):
            here = group[group["width"] == width].groupby("estimator")["estimate"]
            low, high = here.min(), here.max()
            words = [
                f"{_range(low[name], high[name])} {name}" if pd.notna(low.get(name)) else f"not estimable {name}"
                for name in ("raw", "corrected")
            ]
            parts.append(f"{width_name(width)} labels {' and '.join(words)}")
        lines.append(f"- **{kind}s**{apart}: {'; '.join(parts)}.")
    narrow = rows[(rows["kind"] == "decoder") & (rows["width"] == rows["width"].min())]
    return "\n".join(lines + ([_either_way(narrow)] if len(narrow) else []))


def _either_way(rows: pd.DataFrame) -> str:
    """On which side of `NEAR` both estimators are, whose biases are opposite."""
    two = rows[rows["estimator"].isin(["raw", "corrected"])]
    where = f"are not both clearly below or above {NEAR}: the answer depends on the correction."
    for side, sure in (("below", two["high"] < NEAR), ("above", two["low"] > NEAR)):
        if sure.all():
            where = f"are both {side} {NEAR}, so that the answer does not depend on the correction."
    names = "raw optimality, which its floor pulls towards 1, and corrected optimality, which section 3 finds too low"
    return f"\nFor decoders and the narrowest label {names}, {where}"


def documents(table: pd.DataFrame, left_out: str) -> str:
    """How labels seen once and optimality differ between texts, for the widest label, with the number of places; and
    what was left out.
    """
    widest, lines = table["width"].max(), [f"{left_out}\n"] if left_out else []
    for (corpus, longest), rows in table[table["width"] == widest].groupby(["corpus", "longest"], sort=False):
        values = rows.set_index("quantity")["estimate"]
        ends = {"raw": values["optimality"], "corrected": values["optimality_corrected"]}
        words = [f"{value:.2f} {kind}" if pd.notna(value) else f"not estimable {kind}" for kind, value in ends.items()]
        lines.append(
            f"- **{corpus}**, up to {longest} tokens, {int(rows['n'].iloc[0]):,} places: "
            f"{values['unique_input']:.0%} of the {width_name(widest)} labels occur once; "
            f"optimality is {' and '.join(words)}."
        )
    return "\n".join(lines)


def runs(table: pd.DataFrame, whose: str, learned: pd.DataFrame) -> str:
    """Which correlations over runs survive, the smallest that could have been seen, and how far accuracies are from
    guessing; `whose` says whose runs, and `learned` is the table of `over_runs.by_run`.
    """
    if not table["listed"].max():
        return whose
    if learned.empty:
        return f"{whose} None of them has learned, so nothing can be said."
    lines = [f"{whose} {len(learned)} of them have learned.\n"]
    for target, rows in table.groupby("target", sort=False):
        first, tested = rows.iloc[0], rows[rows["p_holm"].notna()]
        kinds = f" ({first['twins']})" if 0 < first["n"] < len(learned) else ""
        head = f"- **{target}**, {first['n']} {'run' if first['n'] == 1 else 'runs'}{kinds}"
        sure = tested[tested["p_holm"] < LEVEL]
        names = ", ".join(f"{row['measure'].replace('_', ' ')} {quote(row, '+.2f')}" for row in sure.to_dict("records"))
        found = f"after Holm's correction over {first['tests']} tests: {names}"
        found = found if names else f"none survives {first['tests']} tests"
        seen = f"; the smallest that would have been seen 80 % of the time is {tested['detectable'].max():.2f}"
        if not first["able"]:
            found, seen = "nothing is tested, because on average the runs do not stand out from guessing", ""
        elif tested.empty:
            found, seen = "too few for a p-value", ""
        side = " (negative is good: a cost)" if target == COST and names else ""
        lines.append(f"{head}: {_accuracies(target, learned)}{found}{side}{seen}.")
    return "\n".join(lines)


def _accuracies(target: str, learned: pd.DataFrame) -> str:
    """The range of an accuracy, beside that of guessing one of two sentences."""
    if target in (COST, SAVED) or learned[target].isna().all():
        return ""
    values = learned[target].dropna()
    mean = mean_over_runs(values.to_numpy(float), 0.0)._asdict()
    ends = _range(values.min(), values.max())
    return f"{ends}, a mean of {quote(mean, '.2f')}, where guessing gives {GUESSING:.2f}; "


def _range(low: float, high: float) -> str:
    ends = dict.fromkeys(f"{value:.2f}" for value in (low, high))
    return " to ".join(ends)


def floor_alone(table: pd.DataFrame) -> str:
    """The rank correlations that the floor alone gives, and over what range optimality moves."""
    found = table[table["size"].isna()].set_index(["varied", "kind"])
    named = {VOCABULARY: "the number of types", TEXT: "the amount of text"}
    lines = []
    for varied, name in named.items():
        words = [f"{kind} {_quoted(found.loc[(varied, kind)])}" for kind in found.loc[varied].index]
        lines.append(f"- With **{name}**, all else equal: {', '.join(words)}.")
    raw, corrected = (abs(found.loc[(VOCABULARY, kind), "estimate"]) for kind in ("raw", "corrected"))
    seen = detectable_correlation(int(found.loc[(VOCABULARY, "raw"), "n"]))
    if raw < seen:
        words = f"No correlation of raw optimality with the vocabulary is seen ({seen:.2f} would have been)."
    elif corrected >= seen:
        signs = np.sign([found.loc[(VOCABULARY, kind), "estimate"] for kind in ("raw", "corrected")])
        way = "in the same order" if signs[0] == signs[1] else "in the opposite order"
        words = "With equal signal, raw optimality sorts models by their vocabulary; so does corrected optimality"
        words += f", {way}."
    else:
        words = "The floor alone orders models by their vocabulary if optimality is raw, and not once it is corrected."
    sizes = table[table["size"].notna() & (table["varied"] == VOCABULARY)].groupby("kind", sort=False)["estimate"]
    ranges = [f"{_range(values.min(), values.max())} {kind}" for kind, values in sizes]
    moves = f" Where models know the same, even a small trend sorts them: optimality is {', '.join(ranges)}."
    return "\n".join([*lines, "", words + (moves if ranges else "")])


def _quoted(row: pd.Series) -> str:
    return quote(row, "+.2f") if pd.notna(row["estimate"]) else "not estimable"
