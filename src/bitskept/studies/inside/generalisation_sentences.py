"""What the table of bounds shows, in words (Markdown)."""

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.studies.inside.generalisation import ALL, COUNTS, FACTS, FEW, Bounds

BITS = ".2f"


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `generalisation.bounds` with a row for each network and the estimate of each quantity in a column, and
    `excess`, the bound minus the loss that it is a bound on.
    """
    estimates = table.pivot_table("estimate", FACTS, "quantity", sort=False).reset_index()
    return estimates.assign(excess=estimates["bound"] - estimates["coded_training"])


def gaps(table: pd.DataFrame) -> str:
    """What the twins cost on text that they were trained on and on other text, by their width and amount of text."""
    lines = []
    for (width, sentences), rows in table[table["kind"] == ALL].groupby(["width", "sentences"], sort=False):
        found = {row["quantity"]: row for row in rows.to_dict("records")}
        gap = found["gap"]
        told = "whose sign this sample cannot tell"
        if has_interval(gap) and gap["low"] > 0:
            told = "which is above 0"
        if has_interval(gap) and gap["high"] < 0:
            told = "which is below 0"
        if not has_interval(gap):
            told = "too few rows for an interval"
        lines.append(
            f"- **Width {width}, {sentences:,} sentences** ({found['tokens']['estimate']:,.0f} tokens): "
            f"{quote(found['training'], BITS, 'rows')} bits per token on text of training, "
            f"{quote(found['held_out'], BITS, 'rows')} on other text. The gap is {quote(gap, 'z.2f')}, {told}."
        )
    return "\n".join(lines)


def all_weights(table: pd.DataFrame) -> str:
    """Whether the bounds of twins with all their weights are below the cost of the uniform distribution, and what it
    takes.
    """
    networks = wide(table[table["kind"] == ALL])
    below = networks[networks["bound"] < networks["uniform"]]
    best = networks.loc[networks["bound"].idxmin()]
    text = (
        f"With all weights written down, {len(below)} of {len(networks)} bounds are below the {best['uniform']:.2f} "
        f"bits of the uniform distribution. The lowest, {best['bound']:.2f} bits, is that of width {best['width']:.0f} "
        f"with {best['sentences']:,.0f} sentences: its code takes {best['code']:,.0f} bits, {_each(best):.2f} for each "
        f"of {best['numbers']:,.0f} weights, which adds {best['excess']:.2f} bits per token to the "
        f"{best['coded_training']:.2f} that the rounded and smoothed network costs on its training text."
    )
    if len(below):
        which = "this bound says" if len(below) == 1 else f"{len(below)} bounds say"
        return f"{text} So {which} something; the others are **vacuous**." if len(below) < len(networks) else text
    return f"{text} So all of these bounds are **vacuous**. {_takes(best)}"


def _each(network: pd.Series) -> float:
    return network["code"] / network["numbers"]


def _takes(network: pd.Series) -> str:
    """What would bring a bound below the cost of the uniform distribution."""
    if network["longest_code"] < 1:
        return (
            "No code would be short enough: with so few tokens, even a network that needs no code is not bounded below "
            "the uniform distribution."
            if network["coded_training"] < network["uniform"]
            else "No code would be short enough, since the rounded network costs more than the uniform distribution."
        )
    share = network["longest_code"] / network["numbers"]
    return (
        f"At the same loss, the code would have to be shorter than {network['longest_code']:,.0f} bits ({share:.2f} a "
        f"weight), or the text {network['code'] / network['longest_code']:.1f} times as long."
    )


def few_numbers(table: pd.DataFrame) -> str:
    """Which of the networks with few numbers have a bound below the uniform distribution, and below that of the
    control.
    """
    networks, control = (wide(table[table["kind"] == kind]) for kind in (FEW, COUNTS))
    control, best = control.iloc[0], networks.loc[networks["bound"].idxmin()]
    below = networks[networks["bound"] < networks["uniform"]]
    sizes = f"{', '.join(f'{number:,.0f}' for number in below['numbers'])} numbers"
    said = (
        f"are **not vacuous** (with {sizes})"
        if len(below)
        else "is below the uniform distribution: **all are vacuous**"
    )
    text = (
        f"Where few numbers are trained, {len(below) or 'none'} of {len(networks)} bounds {said}. The lowest is "
        f"{best['bound']:.2f} bits, with {best['numbers']:,.0f} numbers at {best['levels']:.0f} levels: "
        f"{best['code']:,.0f} bits of code in all, which add {best['excess']:.2f} bits per token to "
        f"{best['coded_training']:.2f}. Only the network as it is written down, rounded and smoothed, is bounded: on "
        f"other text it costs {best['coded_held_out']:.2f} bits per token, so the bound is "
        f"{best['bound'] - best['coded_held_out']:.2f} above this. (As trained, it costs {best['held_out']:.2f}.)"
    )
    text += "" if len(below) else f" {_takes(best)}"
    better = "above the network's, whose guarantee is the better one"
    if not best["bound"] < control["bound"]:
        better = "not above the network's, so the network was not worth its code"
    least = control["coded_training"] - control["excess"]
    shown = "shows" if best["bound"] < least else "does not show"
    return (
        f"{text} The control, a distribution without any context, has a bound of {control['bound']:.2f} bits with a "
        f"code of {control['code']:,.0f}: {better}. By the same inequality the control costs at least {least:.2f} "
        f"bits, so the bound **{shown}** that the network has learned more than how frequent tokens are. "
        f"{_trade(networks)}{_not_trained(networks)}{_learned_less(networks, control)}"
    )


def _trade(networks: pd.DataFrame) -> str:
    """How loss and code move with the number of numbers."""
    ordered = networks.sort_values("numbers")
    best = networks.loc[networks["bound"].idxmin(), "numbers"]
    where = "inside" if ordered["numbers"].iloc[0] < best < ordered["numbers"].iloc[-1] else "at an end of"
    sizes = _series(ordered["numbers"], ",.0f")
    return (
        f"With {sizes} numbers the loss is {_series(ordered['coded_training'])} bits, and the code adds "
        f"{_series(ordered['excess'])}; the best number lies {where} this range."
    )


def _series(values: pd.Series, style: str = BITS) -> str:
    return ", ".join(f"{value:{style}}" for value in values)


def _not_trained(networks: pd.DataFrame) -> str:
    """Networks that cost more on their training text than one with fewer numbers: training has not found what so many
    numbers can do.
    """
    ordered = networks.sort_values("numbers")
    worse = ordered[ordered["training"] > ordered["training"].cummin()]
    if worse.empty:
        return ""
    return (
        f" Even before rounding, the network with {_series(worse['numbers'], ',.0f')} numbers costs more on its "
        f"training text than one with fewer ({_series(worse['training'])} against {ordered['training'].min():.2f} "
        "bits): it was **not trained to its end**, and its bound does not tell what so many numbers could do."
    )


def _learned_less(networks: pd.DataFrame, control: pd.Series) -> str:
    """Networks that cost no less on their training text than the distribution without any context."""
    worse = networks[networks["training"] >= control["training"]].sort_values("numbers")
    if worse.empty:
        return ""
    return (
        f" With {_series(worse['numbers'], ',.0f')} numbers training has **not learned more than how frequent tokens "
        f"are**: {_series(worse['training'])} bits on its text, where the control costs {control['training']:.2f} (as "
        f"written down {_series(worse['coded_training'])} and {control['coded_training']:.2f}). So section 7 gives no "
        f"verdict there: the bound is {_series(worse['bound'])} bits, and the control's {control['bound']:.2f}."
    )


def choices(table: pd.DataFrame, bounds: Bounds) -> str:
    """For how many networks the best of what was tried lies at an end, so that trying more may lower the bound."""
    networks = wide(table)
    levels = networks["levels"].isin([min(bounds.levels), max(bounds.levels)])
    smoothings = networks["alpha"].isin([min(bounds.smoothings), max(bounds.smoothings)])
    return (
        f"For {int(levels.sum())} of {len(networks)} networks the best number of levels is the least or most that was "
        f"tried, for {int(smoothings.sum())} the best α: there, a wider choice may lower the bound."
    )


def held_out(table: pd.DataFrame) -> str:
    """Whether what the rounded networks cost on other text is below their bounds, and what that does not show."""
    networks = wide(table)
    above = int((networks["coded_held_out"] > networks["bound"]).sum())
    counted = f"{above} of {len(networks)} networks cost" if above else f"None of {len(networks)} networks costs"
    return (
        f"{counted} more on other text, as it is written down, than its bound. This is a check and no proof: the bound "
        "is on the contexts of the training text, each with its next token drawn anew, and not on other contexts."
    )
