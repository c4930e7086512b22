"""What the tables of notebook 04 that compare estimators, texts, runs and models show, in words (Markdown)."""

import numpy as np
import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.claims import LEVEL
from bitskept.studies.bottleneck.bound import SEEN, at_last_layer
from bitskept.studies.bottleneck.by_layer import width_name
from bitskept.studies.bottleneck.claims import NEAR
from bitskept.studies.bottleneck.correlations import REPORTED
from bitskept.studies.bottleneck.floor_alone import TEXT, VOCABULARY
from bitskept.studies.bottleneck.over_runs import COST, GAIN, GUESSING, PLAIN, SAVED, accuracy, that_learned
from bitskept.theory.statistics import detectable_correlation

WHOLE = "-documents"
"""How the name of a corpus of whole texts ends; without it, it is that of their sentences."""
MANY = 1.5
"""From so many times as many places on, a text is measured on more than another."""


def exactness(table: pd.DataFrame) -> str:
    """Which kind of optimality is nearest to its exact value, from few and from much text, for each source; and which
    others are as near within their intervals over repetitions.
    """
    lines = []
    rows = table[table["quantity"] == "optimality"]
    for source, group in rows.groupby("source", sort=False):
        few, many = group["sentences"].min(), group["sentences"].max()
        biases = group.pivot(index="sentences", columns="kind", values="bias")
        words = ", ".join(f"{kind} {biases.loc[few, kind]:+.0%} to {biases.loc[many, kind]:+.0%}" for kind in biases)
        covered = (group["covered"] * group["repeats"]).sum()
        held = "no interval" if covered == 0 else f"{covered:.0f} of {group['repeats'].sum():.0f} intervals"
        first, last = (_nearest(group[group["sentences"] == size].set_index("kind")) for size in (few, many))
        best = f"nearest at both is {first}" if first == last else f"nearest is {first}, and then {last}"
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


def _nearest(rows: pd.DataFrame) -> str:
    """The kind with the smallest bias, and those whose distance from the exact value cannot be told from its own."""
    ends = abs(rows[["low", "high"]].sub(rows["exact"], axis=0))
    closest = ends.min(axis=1).where(~rows["exact"].between(rows["low"], rows["high"]), 0)
    best = abs(rows["bias"]).idxmin()
    as_near = [kind for kind in rows.index if kind != best and closest[kind] <= ends.loc[best].max()]
    return f"{best} (within error of {' and '.join(as_near)})" if as_near else best


def codes(table: pd.DataFrame) -> str:
    """Whether the inequality holds for each code, whether soft bits order codes as Shannon's do, and the best ratio."""
    known = table[np.isfinite(table["optimality"])]
    above = table[table["expressivity"] > table["complexity"]]
    soft, bits = known.sort_values("optimality")["code"], known.sort_values("shannon optimality")["code"]
    order = f"order the {len(known)} with a finite ratio"
    order += " in the same way" if soft.tolist() == bits.tolist() else " differently"
    broken = ", ".join(f"“{row.code}” in the language of {row.language}" for row in above.itertuples())
    fails = f"It fails for {broken}" if len(above) else "It fails for none of them"
    return (
        f"Expressivity is at most complexity for {len(table) - len(above)} of {len(table)} codes. {fails}. Soft bits "
        f"and Shannon's {order}. Even where the inequality is a theorem its bound of 1 need not be within reach: with "
        f"as many bits of the token as these codes have, no code has a ratio above {known['best'].max():.2f}."
    )


def distance(optimality: pd.DataFrame) -> str:
    """The optimality of the last layer, raw and corrected, for the narrowest and the widest label, by kind of model;
    and whether the answer for decoders and the narrowest label, that of the claim, depends on the correction.
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
    """Whether the raw value, which is too high, is below `NEAR` already. Whether the corrected one is too low at the
    last layer nobody knows.
    """
    sure = (rows.loc[rows["estimator"] == "raw", "high"] < NEAR).all()
    where = f"is not clearly below {NEAR}: the answer depends on the correction."
    if sure:
        where = f"is below {NEAR}, so that the answer does not depend on the correction."
    return f"\nFor decoders and the narrowest label raw optimality, which its floor pulls towards 1, {where}"


def documents(table: pd.DataFrame, left_out: str) -> str:
    """How places whose label occurs once and optimality differ between texts, for the narrowest label, with the number
    of places; what was left out; and whether documents differ from sentences of the same source.
    """
    width, lines = table["width"].min(), [f"{left_out}\n"] if left_out else []
    narrow = table[table["width"] == width]
    for (corpus, longest), rows in narrow.groupby(["corpus", "longest"], sort=False):
        values = rows.set_index("quantity")
        ends = {"raw": values.loc["optimality"], "corrected": values.loc["optimality_corrected"]}
        words = [f"{_ratio(row)} {kind}" for kind, row in ends.items()]
        lines.append(
            f"- **{corpus}**, up to {longest} tokens, {int(rows['n'].iloc[0]):,} places: "
            f"{values.loc['unique_input', 'estimate']:.0%} of the places have a {width_name(width)} label that occurs "
            f"once; optimality is {' and '.join(words)}."
        )
    corrected = narrow[narrow["quantity"] == "optimality_corrected"].drop_duplicates("corpus", keep="last")
    return "\n".join([*lines, "", _documents_or_sentences(corrected.set_index("corpus"))])


def _documents_or_sentences(corrected: pd.DataFrame) -> str:
    """Whether optimality differs between documents and sentences of the same source, which are all that is compared."""
    whole = [name for name in corrected.index if name.removesuffix(WHOLE) in corrected.index.drop(name)]
    if not whole:
        return "No source is here both as documents and as sentences, so nothing is compared."
    said = []
    for name in whole:
        documents, sentences = corrected.loc[name], corrected.loc[name.removesuffix(WHOLE)]
        found = "the intervals overlap, so this sample cannot tell them apart"
        if documents["low"] > sentences["high"]:
            found = "documents have more"
        elif documents["high"] < sentences["low"]:
            found = "documents have less"
        source = name.removesuffix(WHOLE)
        said.append(
            f"Corrected optimality of {source} is {_ratio(documents)} in documents and {_ratio(sentences)} in "
            f"sentences: {found}."
        )
    sources = f"{len(whole)} source{'s' * (len(whole) > 1)}"
    said.append(f"That is {sources}, one sample and one draw of the anchors; values are means over the layers.")
    places = (corrected["n"] / corrected.loc[whole[0], "n"]).drop(whole)
    unlike = [f"**{name}** has {share:.1f} times as many places" for name, share in places.items() if share > MANY]
    end = f"; {' and '.join(unlike)}" if unlike else ""
    return f"{' '.join(said)} Texts of different sources are not compared{end}."


def _ratio(row: pd.Series) -> str:
    return quote(row, ".3f") if pd.notna(row["estimate"]) else "not estimable"


def runs(table: pd.DataFrame, whose: str, everyone: pd.DataFrame) -> str:
    """Which correlations over runs survive, the smallest that could have been seen, whether the paper's would have been
    seen, and how far accuracies are from guessing; and where correlations without controls would say otherwise. `table`
    is that of `over_runs.with_settings`, `whose` says whose runs, and `everyone` is the table of `over_runs.by_run`.
    """
    if not table["listed"].max():
        return whose
    learned = that_learned(everyone)
    saves = f"save at least {GAIN} bits per token of what tokens cost by their frequencies alone"
    if learned.empty:
        return f"{whose} None of them {saves.replace('save', 'saves', 1)}, so nothing can be said."
    lines = [f"{whose} {len(learned)} of them {saves}; all verdicts are about these.{_left_out(everyone)}\n"]
    plain = table[table["setting"] == PLAIN].set_index(["target", "measure"])
    for target, rows in table[table["setting"].isna()].groupby("target", sort=False):
        first, tested = rows.iloc[0], rows[rows["p_holm"].notna()]
        kinds = f" ({first['twins']})" if 0 < first["n"] < len(learned) else ""
        head = f"- **{target}**, {first['n']} {'run' if first['n'] == 1 else 'runs'}{kinds}"
        sure = tested[tested["p_holm"] < LEVEL]
        names = ", ".join(f"{row['measure'].replace('_', ' ')} {quote(row, '+.2f')}" for row in sure.to_dict("records"))
        found = f"after Holm's correction over {first['tests']} tests: {names}"
        found = found if names else f"none survives {first['tests']} tests"
        seen = _seen(tested["detectable"].max())
        if not first["able"] and learned[target].isna().all():
            found, seen = "no run that counts was asked", ""
        elif not first["able"]:
            low = accuracy(target, learned).high < GUESSING
            why = "are worse than guessing" if low else "do not stand out from guessing"
            found, seen = f"nothing is tested, because on average the runs {why}", ""
        elif tested.empty:
            found, seen = "too few for a p-value", ""
        side = " (negative is good: a cost)" if target == COST and names else ""
        lines.append(f"{head}: {_accuracies(target, learned)}{found}{side}{seen}.{_without_controls(tested, plain)}")
    return "\n".join(lines)


def _left_out(everyone: pd.DataFrame) -> str:
    """The runs that do not count, and whether their tokens cost more than by their frequencies."""
    costly, rest = everyone[SAVED] < 0, (everyone[SAVED] >= 0) & (everyone[SAVED] < GAIN)
    why = {"more than by frequencies alone": costly, "about as much as by frequencies alone": rest}
    said = (
        f" Left out: {', '.join(everyone.loc[which, 'run'])}, whose held-out tokens cost {words}."
        for words, which in why.items()
        if which.any()
    )
    return "".join(said)


def _seen(smallest: float) -> str:
    """The smallest correlation that would have been seen, and which of the paper's would have been."""
    reported = {name: REPORTED[name] for name in ("complexity", "optimality")}
    seen = [abs(value) >= smallest for value in reported.values()]
    both = " and ".join(f"{value} ({name})" for name, value in reported.items())
    words = f"P2's coefficients over models, {both}, would {'' if all(seen) else 'not '}have been seen"
    if any(seen) and not all(seen):
        words = f"of P2's coefficients over models, {both}, only the larger would have been seen"
    return f"; the smallest that would have been seen 80 % of the time is {smallest:.2f}, so {words}"


def _without_controls(tested: pd.DataFrame, plain: pd.DataFrame) -> str:
    """The measures whose correlation has another sign, or another significance, if it is given nothing."""
    words = []
    for row in tested.to_dict("records"):
        other = plain.loc[(row["target"], row["measure"])]
        sure = other["p_holm"] < LEVEL
        if sure != (row["p_holm"] < LEVEL) or np.sign(other["estimate"]) != np.sign(row["estimate"]):
            name, mark = row["measure"].replace("_", " "), " (significant)" if sure else ""
            words.append(f"{name} {other['estimate']:+.2f}{mark}, not {row['estimate']:+.2f}")
    start = f" Without controls, over {plain['tests'].max()} tests, where kinds of networks are compared as well"
    return f"{start}, these would be others: {'; '.join(words)}." if words else ""


def _accuracies(target: str, learned: pd.DataFrame) -> str:
    """The range of an accuracy, beside that of guessing one of two sentences."""
    if target in (COST, SAVED) or learned[target].isna().all():
        return ""
    ends, mean = _range(learned[target].min(), learned[target].max()), accuracy(target, learned)._asdict()
    asked = f"over runs and the {learned['items'].iloc[0]:,} pairs that each of them is asked"
    return f"{ends}, a mean of {quote(mean, '.2f')} {asked}, where guessing gives {GUESSING:.2f}; "


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
