"""What the tables about information capacity show, in words (Markdown), and the claims about it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.words import quote, reverse
from bitskept.instruments.claims import CONTROL, UNTESTED, effect, verdict
from bitskept.studies.output.capacity import PUBLISHED
from bitskept.studies.output.capacity_tables import ALL, CAPACITY, PARTS, PER_BYTE, changed

PAPER = "Yuan et al. 2025"
APART = "models of one series differ in information capacity"
"""The paper says that they do not."""
ORDER = "information capacity puts two models in the same order"
UNIT, BYTE_UNIT = "bits per token and doubling", "bits per byte and doubling"
RELEVANT = {UNIT: 0.05, BYTE_UNIT: 0.0125}
"""The smallest difference that matters, fixed before the run: a twentieth of a bit per token for each doubling of the
operations, and a quarter of that per byte, of which a token of a large vocabulary has about four.
"""


def parts(table: pd.DataFrame) -> str:
    """What each model's gain is made of; a table of `capacity_tables.summary`."""
    lines = []
    for model, rows in table[table["text"] == ALL].groupby("model", sort=False):
        by_quantity = rows[rows["quantity"] != CAPACITY].set_index("quantity")
        size, alone, gain = (by_quantity.loc[name] for name in PARTS)
        millions = by_quantity.loc["operations", "estimate"] / 1e6
        lines.append(
            f"- **{model}**: a token stands for {size['estimate']:.1f} bits of text, of which "
            f"{quote(gain, '.1f', 'texts')} are saved, {alone['estimate']:.1f} of them by the tokenizer alone "
            f"({alone['estimate'] / gain['estimate']:.0%}). It pays {quote(by_quantity.loc['bits per byte'], '.2f')} "
            f"bits per byte and takes {millions:,.2f} million operations a token."
        )
    return "\n".join(lines)


def ranking(table: pd.DataFrame, differences: pd.DataFrame) -> str:
    """The order of the models and what changes it; tables of `capacity_tables.summary` and `orders`."""
    whole = table[(table["text"] == ALL) & (table["quantity"] == CAPACITY)]
    listed = []
    for constant in (0.0, PUBLISHED):
        rows = whole[whole["constant"] == constant].sort_values("estimate", ascending=False)
        names = ", ".join(
            f"{row['model']} {quote(row, 'z.2f', '' if listed or place else 'texts')}"
            for place, row in enumerate(rows.to_dict("records"))
        )
        listed.append(f"with b = {constant:g}: {names}")
    pairs = len(differences[["first", "second"]].drop_duplicates())
    counts = [changed(differences, masks) for masks in _settings(differences)]
    over = ("another constant", "another kind of text", "counting by byte instead of by token")
    said = ", ".join(f"{count} by {name}" for name, count in zip(over, counts, strict=True))
    stable = "**The order does not depend on these choices here**" if not any(counts) else "**The order is a choice**"
    unsure = differences[["low", "high"]].isna().any(axis=1).sum()
    rest = f" {unsure} of {len(differences)} differences have too few texts for an interval." if unsure else ""
    return (
        f"From the highest, in {UNIT}, {'; '.join(listed)}. {stable}: of {pairs} pairs of models, so many are turned "
        f"around, beyond doubt on both sides: {said}.{rest}"
    )


def series(
    table: pd.DataFrame, differences: pd.DataFrame, members: tuple[str, str], constants: dict[str, float]
) -> str:
    """Whether two models of a series come out alike, and whether the authors' constant can test that; tables of
    `capacity_tables.summary` and `orders`, and the `constants` that are fitted to them on each kind of text.
    """
    rows = _between(differences, members)
    whole, published = (rows[(rows["text"] == ALL) & (rows["constant"] == b)].iloc[0] for b in (0.0, PUBLISHED))
    others = [constant for text, constant in constants.items() if text != ALL]
    spread = f" One kind of text asks for {min(others):.0f}, another for {max(others):.0f}." if others else ""
    return (
        f"{members[0]} less {members[1]}: {quote(whole, '.3f', 'texts')} with b = 0 and {quote(published, '.3f')} with "
        f"the authors' b. A constant of {constants[ALL]:.1f} bits makes the two alike, as some constant does for "
        f"**any** two models: it takes a third size, or a constant from elsewhere, to test the claim.{spread}"
        + _too_large(table, members)
    )


def _smallest(table: pd.DataFrame, members: tuple[str, str]) -> float:
    """The smallest size, in bits per token, that the text has for one of these models."""
    sizes = table[(table["text"] == ALL) & (table["quantity"] == PARTS[0]) & table["model"].isin(members)]
    return float(sizes["estimate"].min())


def _too_large(table: pd.DataFrame, members: tuple[str, str]) -> str:
    """What a constant does that takes more away than there is."""
    size = _smallest(table, members)
    if size + PUBLISHED > 0:
        return ""
    return (
        f" The authors' constant **cannot test it here**: it takes away more than all the {size:.1f} bits that a token "
        "stands for. So IC is below 0 however good the model, and the model that computes more comes out higher "
        "for that alone."
    )


def claims(table: pd.DataFrame, differences: pd.DataFrame, members: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of the claims, from `capacity_tables.summary` and `orders`: how far apart the two `members` of a series
    are with the authors' constant, which is tested only where a token stands for more bits than it takes away, and
    whether each pair of models keeps its order with that constant, or by byte.
    """
    rows = _between(differences, members)
    row = rows[(rows["text"] == ALL) & (rows["constant"] == PUBLISHED)].iloc[0]
    facts = {"paper": PAPER, "clusters": row["n"], "unit": UNIT, "primary": True}
    name = {"claim": APART, "reading": f"b = {PUBLISHED:g}", "model": " − ".join(members)}
    if _smallest(table, members) + PUBLISHED > 0:
        yield facts | name | effect(row, sides=2)
    else:
        yield facts | name | UNTESTED | {"claim": f"{APART} (to be tested: tokens of more than {-PUBLISHED:g} bits)"}
    usual = differences[(differences["text"] == ALL) & (differences["constant"] == 0)].set_index(["first", "second"])
    for (first, second), before in usual.iterrows():
        same = (differences["first"] == first) & (differences["second"] == second)
        for reading, unit, mask in (
            (f"b = {PUBLISHED:g}", UNIT, (differences["text"] == ALL) & (differences["constant"] == PUBLISHED)),
            ("per byte", BYTE_UNIT, (differences["text"] == ALL) & (differences["quantity"] == PER_BYTE)),
        ):
            after = differences[same & mask].iloc[0]
            numbers = effect(after if before["estimate"] > 0 else reverse(after))
            name = {"paper": CONTROL, "claim": ORDER, "reading": reading, "model": f"{first}, {second}"}
            yield facts | name | numbers | {"primary": False, "unit": unit}


def capacity_verdict(table: pd.DataFrame) -> str:
    """The claims in a paragraph; a table of `instruments.claims`."""
    apart, order = (table[table["claim"].str.startswith(name)] for name in (APART, ORDER))
    kept = order["outcome"].value_counts()
    return (
        f"**Are models of one series apart with the authors' constant?** {verdict(apart)}. **Does a pair keep its "
        f"order?** Yes in {kept.get('yes', 0)} of {len(order)} comparisons, with the authors' constant or by byte, no "
        f"in {kept.get('no', 0)}, and {kept.get('cannot tell', 0)} cannot tell."
    )


def _settings(differences: pd.DataFrame) -> list[list[pd.Series]]:
    """Masks of rows: the constants, the kinds of text, and the two units."""
    whole, by_token = differences["text"] == ALL, differences["quantity"] == CAPACITY
    constants = [whole & by_token & (differences["constant"] == b) for b in differences["constant"].dropna().unique()]
    zero = by_token & (differences["constant"] == 0)
    texts = [zero & (differences["text"] == text) for text in differences["text"].unique()]
    return [constants, texts, [whole & zero, whole & (differences["quantity"] == PER_BYTE)]]


def _between(differences: pd.DataFrame, members: tuple[str, str]) -> pd.DataFrame:
    rows = differences[(differences["first"] == members[0]) & (differences["second"] == members[1])]
    return rows[rows["quantity"] == CAPACITY]
