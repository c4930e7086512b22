"""What the tables of notebook 04 show, in words (Markdown)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import LEVEL
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.claims import RATIO, RELEVANT, changes_with_text
from bitskept.studies.bottleneck.correlations import FEWEST, QUANTITIES, REPORTED, models_needed
from bitskept.studies.bottleneck.known_data import on_noise
from bitskept.studies.bottleneck.verdict_sentences import other_settings
from bitskept.theory.statistics import holm


def circle(table: pd.DataFrame) -> str:
    """How many bits a label seems to carry, by the number of its states."""
    single, label, few, everything = table.loc[table["quantity"] == "entropy", "estimate"]
    anchors = len(table[(table["quantity"] == "anchor") & (table["cloud"] == "one state")])
    return (
        f"All states have {everything:.2f} bits (at most log2 {anchors} = {np.log2(anchors):.2f}), and five states of "
        f"one label have {label:.2f}: the label seems to carry {everything - label:.2f} bits. But five *random* states "
        f"have {few:.2f}, so a label that means nothing would seem to carry {everything - few:.2f} bits, and one that "
        f"occurs only once {everything - single:.2f}."
    )


def known(table: pd.DataFrame) -> str:
    """How far the three kinds of estimate are from the truth where it is known."""
    kinds = table[table["classes"] == 64].groupby("kind")["estimate"]
    first, last = kinds.first(), kinds.last()
    moves = ", ".join(f"{kind} from {first[kind]:.2f} to {last[kind]:.2f} bits" for kind in KINDS.values())
    corrected = table["kind"] == "corrected"
    shuffled = table.loc[corrected & (table["labels"] == "shuffled"), "estimate"]
    noise = on_noise(table)
    raw, refused = noise["optimality"], int(noise["optimality_corrected"].isna().sum())
    return (
        f"- (a) From 2 to 128 states of each label, the three estimates change: {moves}. They differ by "
        f"{np.ptp(first):.2f} bits at first and by {np.ptp(last):.2f} at last. The one that starts nearest to where "
        f"they end is {(first - last.mean()).abs().idxmin()}.\n"
        f"- (b) Shuffled labels get {shuffled.min():+.3f} to {shuffled.max():+.3f} bits once corrected, however many "
        "there are.\n"
        f"- (c) On pure noise raw optimality is {raw.min():.2f} to {raw.max():.2f}. Corrected optimality is not "
        f"estimable for {refused} of {len(noise)} widths, because there is no complexity to divide by."
    )


def floor(table: pd.DataFrame) -> str:
    """How many bits a label seen once seems to carry, and how many places have one."""
    lines = []
    for model in table["model"].unique():
        rows = table[table["model"] == model]
        lost = rows[rows["quantity"] == "seeming_of_one"].iloc[0]
        once = rows[rows["quantity"] == "unique_input"]
        first, last = once.iloc[0], once.iloc[-1]
        lines.append(
            f"- **{model}**: a label that occurs once seems to carry H(Z) − h(1) = {quote(lost, '.2f')} bits. Places "
            f"with such a label make up {first['estimate']:.0%} at width {first['width']} and {last['estimate']:.0%} "
            f"at width {last['width']}."
        )
    return "\n".join(lines)


def layers(table: pd.DataFrame, exactness: pd.DataFrame) -> str:
    """How complexity and expressivity change from the first to the last layer, how much of it is floor, and how much of
    that is spurious where it is known, in the table of `exact_information.exactness`.
    """
    lines = []
    for model in table["model"].unique():
        rows = table[table["model"] == model]
        values = rows.pivot(index="layer", columns="quantity", values="estimate").astype(float)
        share = (values["expressivity_floor"] / values["expressivity"])[1:]
        kept, ahead = (_course(rows, f"{name}_corrected", " bits") for name in ("complexity", "expressivity"))
        lines.append(
            f"- **{model}**: from the first layer, the embedding, to the last, corrected complexity goes {kept}; "
            f"expressivity goes {ahead}. The floor makes up {share.min():.0%} to {share.max():.0%} of raw expressivity."
        )
    return "\n".join([*lines, "", _spurious(exactness)])


def _course(rows: pd.DataFrame, quantity: str, unit: str = "") -> str:
    """A quantity of the first and the last layer, and of the layers between where it is highest and lowest."""
    course = rows[rows["quantity"] == quantity].sort_values("layer").to_dict("records")
    said = f"from {quote(course[0], '.2f')} to {quote(course[-1], '.2f')}{unit}"
    known = [row for row in course if pd.notna(row["estimate"])]
    between = [
        f"{name} at layer {row['layer']}: {row['estimate']:.2f}"
        for name, choose in (("highest", max), ("lowest", min))
        for row in [choose(known, key=lambda row: row["estimate"], default=course[0])]
        if row["estimate"] not in (course[0]["estimate"], course[-1]["estimate"])
    ]
    return f"{said} ({'; '.join(between)})" if between else said


def _spurious(exactness: pd.DataFrame) -> str:
    """How the floor compares with what is spurious of raw expressivity, at the largest sample with exact values."""
    rows = exactness[
        (exactness["quantity"] == "expressivity") & (exactness["sentences"] == exactness["sentences"].max())
    ]
    values = rows.pivot(index="source", columns="kind", values="estimate")
    exact = rows.groupby("source")["exact"].first()
    shares = pd.DataFrame({"floor": 1 - values["corrected"] / values["raw"], "spurious": 1 - exact / values["raw"]})
    more = shares["floor"] > shares["spurious"]
    than = "more than" if more.all() else "not always more than" if more.any() else "no more than"
    known = [
        f"{row['floor']:.0%} against {row['spurious']:.0%} of raw expressivity ({source})"
        for source, row in shares.iterrows()
    ]
    return f"Where both are known, in section 3, the floor is {than} what is spurious: {'; '.join(known)}."


def optimality(table: pd.DataFrame) -> str:
    """Whether corrected optimality changes from the first to the last layer, and the range of the raw one."""
    lines = []
    token = table[(table["width"] == 1) & (table["quantity"] == "optimality_corrected")].sort_values("layer")
    for model in table["model"].unique():
        rows = token[token["model"] == model]
        first, last = rows.iloc[0], rows.iloc[-1]
        change = "no significant change"
        if last["low"] > first["high"]:
            change = "it rises"
        elif last["high"] < first["low"]:
            change = "it falls"
        elif not (has_interval(first) and has_interval(last)):
            change = "too few sentences to tell"
        course = _course(rows, "optimality_corrected")
        lines.append(f"- **{model}**: from the first to the last layer, corrected, {course}: {change}.")
    widest = table["width"].max()
    raw = table.loc[(table["width"] == widest) & (table["quantity"] == "optimality"), "estimate"]
    lines.append(f"\nRaw optimality at width {widest}: {raw.min():.2f} to {raw.max():.2f}, over all models and layers.")
    return "\n".join(lines)


def plane(table: pd.DataFrame) -> str:
    """How many layers lie above the line, by kind of model, and how much of a token predicts the next one."""
    lines = []
    for of, layers in table[table["kind"].isin(KINDS.values())].groupby("of", sort=False):
        counts = []
        for kind in KINDS.values():
            points = layers[layers["kind"] == kind]
            counts.append(f"{(points['expressivity'] > points['complexity']).sum()} {kind}")
        lines.append(f"Points of {of}s above the line, of {len(points)} layers: {', '.join(counts)}.")
    exact = table[table["kind"] == "bigrams"]
    information, entropy, shuffled = (exact[name].max() for name in ("information", "entropy", "shuffled"))
    half = np.interp(entropy / 2, exact["complexity"], exact["relevance"]) / information
    above = max(0.0, information - shuffled)
    lines.append(
        f"(Stars are last layers.) On the exact curve of the counts, {information:.2f} of the H(X) = {entropy:.2f} "
        f"bits of a token ({exact['types'].max():,.0f} types, all rarer tokens merged) predict the next one, a ratio "
        f"of {information / entropy:.2f}, and half of H(X) is enough for {half:.0%} of these. The same tokens in "
        f"random pairs would show {shuffled:.2f} bits; above this floor the ratio is {above / entropy:.2f}."
    )
    return "\n\n".join(lines)


def stability(agreement: pd.DataFrame, changes: pd.DataFrame) -> str:
    """How each kind of optimality changes between two sample sizes, from `amount_of_text.agreement` and `changes`, and
    whether it stays the same, to within the least change that counts.
    """
    few, many = agreement.columns[:2]
    token = changes[changes["planned"].astype(bool) & (changes["width"] == 1)].assign(p_holm=np.nan)
    tested = token["estimate"].notna()
    token.loc[tested, "p_holm"] = holm(token.loc[tested, "p"].to_numpy(float))
    settings = changes_with_text(changes)
    lines, answers = [f"From {few:,} to {many:,} sentences ({', '.join(agreement.index.unique(level=1))}):\n"], []
    for end, kind in KINDS.items():
        relative, rows = (
            agreement.loc[f"optimality{end}", "change"],
            token[token["estimator"] == kind].set_index("model"),
        )
        moves = (
            f"{quote(row, '+.3f')} ({relative[model]})" if pd.notna(row["estimate"]) else "what is not estimable"
            for model, row in rows.iterrows()
        )
        lines.append(f"- **{kind}** token optimality changes by {', '.join(moves)}.")
        same = rows.apply(_stays, axis=1)
        said = "; ".join(f"{answer} for {', '.join(same.index[same == answer])}" for answer in same.unique())
        total, rest = other_settings(settings[settings["claim"].str.startswith(f"{kind} ")])
        agree = f" ({total - len(rest)} of {total} other settings agree)"
        answers.append(f"{kind[0].upper()}{kind[1:]}, {said}{agree}.{_reach(rows[same.str.startswith('yes')])}")
    relative = (f"{kind} by {', '.join(agreement.loc[f'complexity{end}', 'change'])}" for end, kind in KINDS.items())
    lines.append(f"- **Complexity**, its denominator, changes as well: {'; '.join(relative)}.")
    question = f"\nDoes the ratio stay the same, to within {RELEVANT[RATIO]}?"
    return "\n".join([*lines, question, "", *(f"- {answer}" for answer in answers)])


def _stays(change: pd.Series) -> str:
    """Whether a change with this interval is smaller than what counts, and its direction where it is significant."""
    least = RELEVANT[RATIO]
    way = "rises" if change["estimate"] > 0 else "falls"
    if change["low"] > least or change["high"] < -least:
        return f"no (it {way})"
    if -least < change["low"] and change["high"] < least:
        return f"yes (though it {way})" if change["p_holm"] < LEVEL else "yes"
    return "cannot tell"


def _reach(same: pd.DataFrame) -> str:
    """How close to the limit the intervals end that lie within it."""
    if same.empty:
        return ""
    ends = same[["low", "high"]].abs().max(axis=1).map("{:.3f}".format)
    are = "The interval ends" if len(ends) == 1 else "The intervals end"
    return f" {are} at {', '.join(ends)}, where the limit is {RELEVANT[RATIO]:.3f}."


def labels(table: pd.DataFrame, left_out: str) -> str:
    """The layer with most information about the domain of a sentence, by model; `left_out` says why there is no
    preference information, if there is none.
    """
    lines = [f"{left_out}\n"] if left_out else []
    rows = table[table["layer"].notna() & table["quantity"].str.startswith("domain")]
    for model, of_model in rows.groupby("model", sort=False):
        by_layer = {name: values.set_index("layer") for name, values in of_model.groupby("quantity")}
        corrected = by_layer["domain_information_corrected"]
        layer = corrected["estimate"].idxmax()
        p = by_layer["domain_information_p"].loc[layer, "estimate"]
        lines.append(
            f"- **{model}**: most domain information at layer {layer}, {quote(corrected.loc[layer], '.4f')} bits per "
            f"token (p = {p:.3f})."
        )
    return "\n".join(lines)


def correlations(table: pd.DataFrame, measured: pd.DataFrame, listed: Sequence[str], left_out: str) -> str:
    """Whether there are enough models for a correlation, how many it takes to see the paper's, and which of those
    listed have not been measured; `left_out` says why there are no scores, if there are none.
    """
    number = int(table["n"].max())
    words = (
        "p-values are two-sided, of the partial correlation given the number of parameters; Holm's correction is over "
        "all rows."
    )
    if number < FEWEST:
        words = (
            f"{number} of the measured models have a score. Fewer than {FEWEST} are too few to judge a correlation, "
            "and no p-value is given."
        )
    missing = sorted(set(listed) - set(measured["model"]))
    takes = ", ".join(
        f"{reported} ({name.replace('_', ' ')}) {models_needed(reported):,} models and "
        f"{models_needed(reported, len(QUANTITIES)):,}"
        for name, reported in REPORTED.items()
    )
    words += (
        f" To be seen 80 % of the time in one test, and in the strictest of {len(QUANTITIES)}, P2's coefficients take: "
        f"{takes}."
    )
    lines = [left_out, words, f"Not measured yet: {', '.join(missing)}." if missing else ""]
    return " ".join(filter(None, lines))
