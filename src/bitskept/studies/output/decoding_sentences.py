"""What the tables of continuations show, in words, and the claims that they weigh."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.words import by_interval, has_interval, quote, reverse
from bitskept.instruments.claims import UNTESTED
from bitskept.studies.output.decoders import ANCESTRAL, MIROSTAT, PEOPLE, TOP_H, TYPICAL
from bitskept.studies.output.decoding_figures import SYMBOLS
from bitskept.studies.output.decoding_tables import ASTRAY
from bitskept.theory.intervals import standard_error

BITS, SHARES = "z.2f", "z.1%"
HOLDS = 0.1
"""Bits per token by which Mirostat may miss its target."""
OFF = 3.0
"""Standard errors from 0 at which a check fails that must hold: by 95 % intervals, two of them would fail in every
tenth run."""
RELEVANT = {"bits of surprisal": 0.1, "share of 4-grams": 0.02}
"""The least difference that counts, by unit."""
MEISTER, MIROSTAT_PAPER, TOP_H_PAPER = "Meister 2022", "Basu 2020", "Baghaei Potraghloo 2025"
CLAIMS = {
    ("near", PEOPLE): (MEISTER, "people's tokens lie nearer to the entropy than draws from the model"),
    ("nearer", TYPICAL): (MEISTER, "locally typical sampling comes nearer to people's mean surprisal"),
    ("fewer", TYPICAL): (MEISTER, "locally typical sampling repeats less than a nucleus of equal surprisal"),
    ("fewer", TOP_H): (TOP_H_PAPER, "Top-H repeats less than a nucleus of equal surprisal"),
    ("steadier", MIROSTAT): (MIROSTAT_PAPER, "Mirostat keeps texts nearer to its target than top-k to its mean"),
    ("slack", TOP_H): (TOP_H_PAPER, "on average the published Top-H draws from distributions within its bound"),
}
"""The paper and the claim that each contrast weighs."""


def claims(contrasts: pd.DataFrame, model: str) -> Iterator[dict[str, Any]]:
    """Rows for `instruments.claims.table`, from a table of `decoding_tables.contrasts`. The check on ancestral sampling
    is no claim. Who repeats less is not tested where the other decoder hardly repeats anything.
    """
    for row in contrasts.to_dict("records"):
        if (row["quantity"], row["decoder"]) not in CLAIMS:
            continue
        paper, claim = CLAIMS[row["quantity"], row["decoder"]]
        ends = {name: row[name] for name in ("estimate", "low", "high", "p", "detectable")}
        if pd.isna(row["estimate"]):
            claim, ends = f"{claim} (to be tested: settings with surprisals in common)", UNTESTED
        elif _at_the_floor(row):
            claim, ends = f"{claim} (to be tested: longer texts, in which a nucleus repeats more)", UNTESTED
        against = f" against {_arm(row['other'], row['other_setting'])}" if pd.notna(row["other"]) else ""
        arm = _arm(row["decoder"], row["setting"])
        if row["quantity"] == "fewer" and row["used"]:
            arm = f"{row['decoder']} ({SYMBOLS[row['decoder']]} = {row['used']})"
        facts = {"model": model, "unit": row["unit"], "clusters": row["n"], "primary": bool(row["primary"])}
        facts |= {"paper": paper, "claim": claim, "reading": arm + against}
        yield facts | ends


def along(by_decoder: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Whether the check on ancestral sampling holds, and how near people's tokens lie to the entropy; tables of
    `decoding_tables`.
    """
    ancestral, people = (_of(by_decoder, name, "excess") for name in (ANCESTRAL, PEOPLE))
    by_text = contrasts[contrasts["quantity"] == "near"].set_index("decoder")
    near, as_expected = by_text.loc[PEOPLE], by_text.loc[ANCESTRAL]
    check = "**fails**: surprisals and distributions do not belong together, and nothing below counts"
    if not has_interval(ancestral):
        check = "cannot be made on so few texts"
    elif all(abs(row["estimate"]) <= OFF * standard_error(row["low"], row["high"]) for row in (ancestral, as_expected)):
        check = f"holds (0 is no more than {OFF:g} standard errors off)"
    distance, expected = (_of(by_decoder, PEOPLE, name)["estimate"] for name in ("distance", "expected_distance"))
    said = by_interval(
        near,
        above="**nearer than a draw**, as the hypothesis of expected information has it",
        below="**further from it than a draw**, so the hypothesis of expected information is not borne out here",
        neither="no nearer than a draw, nor further from it, as far as can be told",
        unknown="too few texts to tell whether that is nearer than a draw",
    )
    if near["high"] < 0 and people["low"] > 0:
        said += f", unless the model's misfit to people's text, {people['estimate']:.2f} bits a token, is the cause"
    seen = "" if pd.isna(near["detectable"]) else f"; {near['detectable']:.2f} bits nearer would have been seen"
    return (
        "A draw from a distribution has the distribution's entropy as its mean surprisal, so along sampled text the "
        f"two have to agree. Surprisal less entropy is {quote(ancestral, BITS, 'texts')} bits a token there, and a "
        f"token's expected distance from the entropy less the measured one is {quote(as_expected, BITS)}: the check "
        f"{check}. Along people's text surprisal less entropy is {quote(people, BITS)}. Their tokens lie "
        f"{distance:.2f} bits from the entropy on average, where draws from the same distributions would lie "
        f"{expected:.2f} away: {said} (the difference is {quote(near, BITS)}{seen})."
    )


def nearer(by_decoder: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Whose mean surprisal is nearer to people's: locally typical sampling, or nucleus and top-k."""
    lines = [f"People's tokens have a mean surprisal of {quote(_of(by_decoder, PEOPLE, 'surprisal'), BITS)} bits."]
    for row in contrasts[contrasts["quantity"] == "nearer"].to_dict("records"):
        typical, other = (_arm(row[name], row[setting]) for name, setting in _SIDES)
        verdict = by_interval(
            row,
            above=f"**{typical}** comes nearer to people than {other}",
            below=f"{other} comes nearer to people than **{typical}**",
            neither=f"**{typical}** and {other} are not told apart",
            unknown=f"**{typical}** and {other}: too few texts to tell",
        )
        means = [f"{_of(by_decoder, row[name], 'surprisal', row[setting])['estimate']:.2f}" for name, setting in _SIDES]
        distance = _of(by_decoder, TYPICAL, "distance", row["setting"])["estimate"]
        lines.append(
            f"- {verdict}: {' and '.join(means)} bits, nearer by {quote(row, BITS)}. Single tokens of {typical} lie "
            f"{distance:.2f} bits from the entropy."
        )
    wide = _of(by_decoder, PEOPLE, "distance")["estimate"]
    return "\n".join([*lines, "", f"Single tokens of people lie {wide:.2f} bits from the entropy."])


def fewer(by_decoder: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Who repeats less at equal surprisal, next to how much people repeat."""
    people, sampled = (quote(_of(by_decoder, name, "repeated"), SHARES) for name in (PEOPLE, ANCESTRAL))
    lines = [f"People repeat {people} of their 4-grams, ancestral sampling {sampled}."]
    for row in contrasts[contrasts["quantity"] == "fewer"].to_dict("records"):
        if pd.isna(row["estimate"]):
            lines.append(f"- **{row['decoder']}** has no surprisal in common with any nucleus: not tested.")
            continue
        if _at_the_floor(row):
            lines.append(
                f"- **{row['decoder']}** cannot show that it repeats less: a nucleus of equal surprisal repeats only "
                f"{row['level']:{SHARES}} of the 4-grams here.{_left_out(row)}"
            )
            continue
        verdict = by_interval(
            row,
            above="repeats less than a nucleus of equal surprisal",
            below="repeats more than a nucleus of equal surprisal",
            neither="repeats neither less nor more than a nucleus of equal surprisal, as far as can be told",
            unknown="against a nucleus of equal surprisal: too few texts to tell",
        )
        seen = "" if pd.isna(row["detectable"]) else f" ({row['detectable']:.1%} would have been seen)"
        lines.append(
            f"- **{row['decoder']}** {verdict}: {quote(row, SHARES)} fewer of the 4-grams{seen}.{_left_out(row)}"
        )
    return "\n".join(lines)


def _left_out(row: dict[str, Any]) -> str:
    """The settings that are not compared, if there are such."""
    if not row["left_out"]:
        return ""
    return f" Left out, as no nucleus has its mean surprisal: {SYMBOLS[row['decoder']]} = {row['left_out']}."


def mirostat(by_decoder: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Whether Mirostat holds its targets, and each text stays near them."""
    sampled, lines = _of(by_decoder, ANCESTRAL, "surprisal"), []
    for row in contrasts[contrasts["quantity"] == "steadier"].to_dict("records"):
        target = row["setting"]
        mean = _of(by_decoder, MIROSTAT, "surprisal", target)
        off = {end: mean[end] - target for end in ("estimate", "low", "high")}
        most = max(abs(off["low"]), abs(off["high"]))
        side = by_interval(off, above="above it for sure, ", below="below it for sure, ", neither="")
        verdict = f"{side}off by at most {most:.2f} bits (whether by less than {HOLDS:g} cannot be told)"
        if not has_interval(off):
            verdict = "too few texts to tell"
        elif off["low"] > -HOLDS and off["high"] < HOLDS:
            verdict = f"**held** within {HOLDS:g} bits"
        elif off["high"] < -HOLDS or off["low"] > HOLDS:
            verdict = "**missed**"
            if target > sampled["high"]:
                verdict += f": it asks for more than the {sampled['estimate']:.2f} bits of the whole distribution"
        unclear = "cannot be told to stray less or more than"
        steady = by_interval(row, above="stray less than", below="stray more than", neither=unclear)
        lines.append(
            f"- τ = {target:g}: mean surprisal {quote(mean, BITS)} bits, {verdict}. "
            f"{quote(_of(by_decoder, MIROSTAT, 'astray', target), '.0%')} of the texts end more than {ASTRAY:g} bits "
            f"from it. They {steady} those of {_arm(row['other'], row['other_setting'])} do from their mean, by "
            f"{quote(reverse(row) if row['high'] < 0 else row, BITS)} bits."
        )
    return "\n".join(lines)


def bound(by_decoder: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Whether the published Top-H keeps the entropy of what it draws from within its share of the whole entropy."""
    lines = []
    for row in contrasts[contrasts["quantity"] == "slack"].to_dict("records"):
        share = _of(by_decoder, TOP_H, "bounded", row["setting"])
        verdict = by_interval(
            row,
            above="on average below the bound",
            below="**on average above the bound**",
            neither="on average neither above nor below, as far as can be told",
            unknown="with too few texts to tell the mean",
        )
        lines.append(
            f"- α = {row['setting']:g}: {quote(share, '.0%')} of the tokens come from a distribution whose entropy is "
            f"at most α times the whole, {verdict} (the bound less the entropy is {quote(row, BITS)} bits)."
        )
    return "\n".join(lines)


def _at_the_floor(row: dict[str, Any]) -> bool:
    """Whether the other decoder repeats less than the least difference that counts."""
    return row["quantity"] == "fewer" and row["level"] < RELEVANT[row["unit"]]


_SIDES = (("decoder", "setting"), ("other", "other_setting"))


def _of(by_decoder: pd.DataFrame, decoder: str, quantity: str, setting: float | None = None) -> dict[str, Any]:
    rows = by_decoder[(by_decoder["decoder"] == decoder) & (by_decoder["quantity"] == quantity)]
    return (rows if setting is None else rows[rows["setting"] == setting]).iloc[0].to_dict()


def _arm(decoder: str, setting: float | None) -> str:
    return decoder if pd.isna(setting) else f"{decoder} ({SYMBOLS[decoder]} = {setting:g})"
