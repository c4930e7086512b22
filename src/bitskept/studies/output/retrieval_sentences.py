"""What a kNN-LM saves and what its own text does to it, in words, and the claims about that."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import CONTROL, effect
from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED
from bitskept.studies.output.retrieval_tables import (
    ABSENT,
    AGAINST_OTHER,
    ALL,
    ENTROPIES,
    ENTROPY,
    FREQUENCY,
    FREQUENT,
    LATER,
    LOSING,
    MODEL,
    RARE,
    RARE_LESS_FREQUENT,
    RARER_LESS_FREQUENT,
    RETRIEVAL,
    RETRIEVAL_LESS_MODEL,
    SAVED,
    SHUFFLED_AS_MUCH,
    SLOPE,
)

PAPER, CRITICS = "Khandelwal 2020", "Wang 2023"
RELEVANT = {"bits per token": 0.02, "share of tokens": 0.05, "bits per 100 tokens": 0.2, "bits": 0.1}
"""The least effects that count; fixed before the run."""
SAVES, LOSE = "retrieval saves bits", "retrieval makes most tokens dearer"
RARELY = "rare tokens that the store has gain more than frequent ones"
WITH_ABSENT = "rare tokens gain more than frequent ones, those that the store lacks among them"
OF_PEOPLE = "along the kNN-LM's text, the entropy of the retrieval distribution comes to be higher than along people's"
OF_MODEL = (
    "along the kNN-LM's text, the entropy of the retrieval distribution rises faster, or falls less, than the model's"
)
DOMAIN = "a store of the same domain saves more than another one"
PAIRING = "a store whose next tokens are shuffled saves bits"


def claims(gains: pd.DataFrame, changes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows for `instruments.claims`, from the tables of `retrieval_tables.gains` and `changes`; their unit says which
    of `RELEVANT` applies. The share of tokens that lose is counted from one half.
    """
    losing = _row(gains, SAME, ALL, ALL, LOSING)
    above_half = losing.to_dict() | {name: losing[name] - 0.5 for name in ("estimate", "low", "high")}
    yield _claim(PAPER, SAVES, _row(gains, SAME), SAME)
    yield _claim(PAPER, RARELY, _row(gains, SAME, FREQUENCY, RARE_LESS_FREQUENT), SAME)
    with_absent = _claim(PAPER, WITH_ABSENT, _row(gains, SAME, FREQUENCY, RARER_LESS_FREQUENT), SAME)
    yield with_absent | {"primary": False}
    yield _claim(CRITICS, f"{LOSE} (share above one half)", above_half, SAME)
    for writer in _writers(changes):
        yield _claim(CRITICS, OF_PEOPLE, _change(changes, LATER, f"{writer} − {PEOPLE}", RETRIEVAL), writer)
        yield _claim(CRITICS, OF_MODEL, _change(changes, SLOPE, writer, RETRIEVAL_LESS_MODEL), writer)
    yield _claim(CONTROL, DOMAIN, _row(gains, AGAINST_OTHER), AGAINST_OTHER)
    yield _claim(CONTROL, PAIRING, _row(gains, SHUFFLED_AS_MUCH), SHUFFLED_AS_MUCH)


def _claim(paper: str, claim: str, row: dict[str, Any] | pd.Series, probe: str) -> dict[str, Any]:
    facts = {"paper": paper, "claim": claim, "model": row["model"], "probe": probe, "unit": row["unit"]}
    return facts | {"clusters": row["n"], "primary": paper != CONTROL} | effect(row)


def _row(gains: pd.DataFrame, store: str, by: str = ALL, group: str = ALL, quantity: str = SAVED) -> pd.Series:
    names = gains.set_index(["store", "by", "group", "quantity"])
    return names.loc[(store, by, group, quantity)].rename(None)


def retrieval(gains: pd.DataFrame, claims: pd.DataFrame) -> str:
    """What retrieval saves of which tokens, whether the controls bite, and how many tokens lose; `claims` is the table
    of `instruments.claims`.
    """
    saved, losing = _row(gains, SAME), _row(gains, SAME, ALL, ALL, LOSING)
    if saved["weight"] == 0:
        return (
            "**Retrieval saves nothing here**: on the validation texts no weight above 0 does, at any temperature. A "
            "larger store could."
        )
    start = (
        f"With weight {saved['weight']:g} and temperature {saved['temperature']:g}, both chosen on validation texts, "
        f"retrieval saves {quote(saved, 'z.3f', 'texts')} bits a token: {_answer(claims, SAVES, SAME)}. "
        f"{_controls(gains)}"
    )
    most = "**Most tokens lose all the same**" if losing["low"] > 0.5 else "It is not sure that most tokens lose"
    if losing["high"] < 0.5:
        most = "**Most tokens gain**"
    floor = -np.log2(1 - saved["weight"])
    lost = f"{quote(losing)} of them, each at most −log2(1 − w) = {floor:.2f} bits"
    return f"{start} {most}: {lost}. {_which(gains, claims)}"


def _controls(gains: pd.DataFrame) -> str:
    """Whether it is the pairing of states with next tokens, and the domain, that save bits."""
    shuffled, other, apart = _row(gains, SHUFFLED), _row(gains, OTHER), _row(gains, AGAINST_OTHER)
    as_much = _row(gains, SHUFFLED_AS_MUCH)
    if shuffled["weight"] == 0:
        start = "With next tokens shuffled, the chosen weight is 0"
    else:
        start = f"With next tokens shuffled, weight {shuffled['weight']:g} saves {quote(shuffled, 'z.3f')}"
    bites = "**this control does not bite**"
    if as_much["high"] < 0:
        bites = "it is the pairs of state and token that help"
    elif not has_interval(as_much):
        bites = "too few texts to say whether this control bites"
    more = "for sure" if apart["low"] > 0 else "which is no clear difference"
    return (
        f"{start}, and at the weight of the same domain {quote(as_much, 'z.3f')} bits are saved: {bites}. A store of "
        f"another domain (weight {other['weight']:g}) saves {quote(other, 'z.3f')}, and the same domain "
        f"{quote(apart, 'z.3f')} more, {more}."
    )


def _which(gains: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Which tokens gain: by frequency in the store, and by the entropy of the model's distribution."""
    difference = _row(gains, SAME, FREQUENCY, RARE_LESS_FREQUENT)
    if not has_interval(difference):
        frequency = "Too few texts to say whether rare tokens gain more than frequent ones."
    else:
        rare, frequent = (_row(gains, SAME, FREQUENCY, name) for name in (RARE, FREQUENT))
        both = f"tokens that are rare in the store gain {rare['estimate']:z.2f} bits"
        both += f", and frequent ones {frequent['estimate']:z.2f}"
        frequency = f"By frequency, {both}: {_side(difference)} gain more ({quote(difference, 'z.2f')})."
    names = gains[(gains["store"] == SAME) & (gains["quantity"] == SAVED)].set_index("group")
    if ABSENT in names.index:
        share = names.loc[ABSENT, "tokens"] / names.loc[ALL, "tokens"]
        frequency += f" The {share:.0%} that are not in the store lose, as they must.{_with_absent(gains, claims)}"
    part = gains[(gains["store"] == SAME) & (gains["by"] == ENTROPY) & (gains["quantity"] == SAVED)]
    part = part.set_index("group")["estimate"].reindex(list(ENTROPIES)).dropna()
    return f"{frequency} By the model's own entropy, tokens {part.idxmax()} bits gain most ({part.max():z.2f} bits)."


def _side(difference: pd.Series) -> str:
    return "rare" if difference["low"] > 0 else "frequent" if difference["high"] < 0 else "neither of them surely"


def _with_absent(gains: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Whether the answer is another one if tokens that are not in the store count as rare."""
    rarer = _row(gains, SAME, FREQUENCY, RARER_LESS_FREQUENT)
    if not has_interval(rarer):
        return ""
    before, after = (_of(claims, claim, SAME)["outcome"] for claim in (RARELY, WITH_ABSENT))
    return (
        f" If they count as rare, rare tokens gain {quote(rarer, 'z.2f')} more than frequent ones. Do rare tokens gain "
        f"more, by the measure of {RELEVANT[rarer['unit']]:g} bits? **{before}** without them, **{after}** with them."
    )


def _answer(claims: pd.DataFrame, claim: str, probe: str) -> str:
    """Whether an effect is there and large enough, in words."""
    row = _of(claims, claim, probe)
    if row["outcome"] != "cannot tell":
        return f"**{row['outcome']}**, by the measure of {RELEVANT[row['unit']]:g} {row['unit']}"
    if not has_interval(row):
        return "**cannot tell** (no interval)"
    return f"**cannot tell** ({row['detectable']:.2f} {row['unit']} would have been seen)"


def _of(claims: pd.DataFrame, claim: str, probe: str) -> pd.Series:
    return claims[(claims["claim"] == claim) & (claims["probe"] == probe)].iloc[0]


def retrieval_drift(changes: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Whether the entropy of the retrieval distribution rises along the kNN-LM's text: above that along people's, and
    faster than that of the model's distribution; `claims` is the table of `instruments.claims`.
    """
    people = _change(changes, SLOPE, PEOPLE, RETRIEVAL)
    usual = f"{quote(people, 'z.2f', 'texts')} bits in 100 tokens"
    lines = [f"Along people's texts the entropy of the retrieval distribution changes by {usual}."]
    answers = set()
    for writer in _writers(changes):
        higher = _change(changes, LATER, f"{writer} − {PEOPLE}", RETRIEVAL)
        faster = _change(changes, SLOPE, writer, RETRIEVAL_LESS_MODEL)
        answers.add(_of(claims, OF_MODEL, writer)["outcome"])
        slope, of_model = (_change(changes, SLOPE, writer, law) for law in (RETRIEVAL, MODEL))
        rises = "" if slope["low"] > 0 else ", though it does not surely rise"
        lines.append(
            f"Along the text of the {writer}, which begins with the same state, it is {quote(higher, 'z.2f')} bits "
            f"higher in the second half than along people's: {_answer(claims, OF_PEOPLE, writer)}. In 100 tokens it "
            f"changes by {quote(slope, 'z.2f')} bits{rises}, and the entropy of the model's distribution by "
            f"{quote(of_model, 'z.2f')}. Does it rise faster, or fall less? By {quote(faster, 'z.2f')}: "
            f"{_answer(claims, OF_MODEL, writer)}."
        )
    if answers >= {"yes", "no"}:
        lines.append("So the comparison with the model's distribution depends on how the kNN-LM draws its tokens.")
    return "\n- ".join(lines)


def _writers(changes: pd.DataFrame) -> list[str]:
    return [name for name in changes["whose"].unique() if name != PEOPLE and not name.endswith(f" − {PEOPLE}")]


def _change(changes: pd.DataFrame, quantity: str, whose: str, law: str) -> pd.Series:
    return changes.set_index(["quantity", "whose", "law"]).loc[(quantity, whose, law)].rename(None)
