"""What switches between two twins save, in words, and the claims about them."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bitskept.base.words import by_interval, quote, reverse
from bitskept.instruments.claims import CONTROL, UNTESTED, effect
from bitskept.studies.output.switch_curve import ENTROPY, GAIN, ONE, ORACLE, SAVED, SAVED_EQUAL, SURPRISAL, UNIT

PAPER = "Simonds 2025"
RELEVANT = 0.02
"""Bits per token; fixed before the run."""
LEARNED = 1.0
"""Bits per token below the cost by frequency; a twin with less has not learned."""
CLAIMS = {
    (ENTROPY, SAVED): "a switch by the small model's entropy saves bits against a random one of the same share",
    (ENTROPY, SAVED_EQUAL): "a switch by the small model's entropy saves bits at the same computation",
    (ONE, SAVED_EQUAL): "a switch by entropy saves bits where only one model runs at a time",
}
MORE = "entropy tells better than the last token's surprisal which tokens need the large model"
BITS = "z.3f"
BETTER, HAS_LEARNED = "the large twin is better than the small one", "the {} twin has learned"
TO_TEST = " (to be tested: two twins that have learned, the large one better)"


def passed(checks: pd.DataFrame) -> bool:
    """Whether both twins have learned and the large one is better, beyond doubt (`switching.checks`)."""
    least = checks["quantity"].map({"gathered": LEARNED, "larger": 0.0})
    return bool((checks["low"] > least).all())


def claims(checks: pd.DataFrame, advantages: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows for `instruments.claims`: what a switch by entropy saves over chance (`switch_curve.advantages`), and the
    controls (`switching.checks`). Primary is the window that validation texts choose.
    """
    tested = passed(checks)
    for chosen, rows in advantages.groupby("chosen", sort=False):
        best = rows.set_index(["policy", "quantity"])
        for names, claim in CLAIMS.items():
            yield _claim(claim, best.loc[names], tested) | {"primary": bool(chosen)}
        difference = best.loc[(f"{ENTROPY} − {SURPRISAL}", SAVED)]
        yield _claim(MORE, difference, tested) | {"paper": CONTROL, "primary": False}
    for row, name in zip(checks.to_dict("records"), ("small", "large", ""), strict=True):
        claim = HAS_LEARNED.format(name) if name else BETTER
        facts = {"paper": CONTROL, "claim": claim, "model": f"next token, width {row['width']}", "clusters": row["n"]}
        yield facts | effect(row) | {"unit": UNIT, "primary": False}


def _claim(claim: str, row: pd.Series, tested: bool) -> dict[str, Any]:
    best = "best of all thresholds with the window of validation" if row["chosen"] else "best of all"
    facts = {"paper": PAPER, "claim": claim if tested else claim + TO_TEST, "model": "twins", "unit": UNIT}
    facts |= {"probe": f"{best}: {row['share']:.0%}, {_tokens(row['window'])}", "clusters": row["n"]}
    names = ("estimate", "low", "high", "p", "detectable")
    return facts | ({name: row[name] for name in names} if tested else UNTESTED)


def switching(checks: pd.DataFrame, curve: pd.DataFrame, advantages: pd.DataFrame, claims: pd.DataFrame) -> str:
    """What the switches save, why, and what that is worth; `claims` is the table of `instruments.claims`."""
    small, large, better = (row for _, row in checks.iterrows())
    saved = f"Per token, the large twin saves {quote(better, BITS, 'texts')} bits of what text costs the small one"
    if not passed(checks):
        learned = " and ".join(quote(row, BITS) for row in (small, large))
        return (
            f"**This run cannot weigh the claim.** {saved}; of the cost by frequency, the twins save {learned} bits. "
            f"Both have to be above {LEARNED:g} for sure, and the large twin has to be better: train them for longer."
        )
    best = advantages[advantages["chosen"]].set_index(["policy", "quantity"])
    by_entropy, oracle = best.loc[(ENTROPY, SAVED)], best.loc[(ORACLE, SAVED), "estimate"]
    entropy, equal, one = (_row(claims, claim) for claim in CLAIMS.values())
    gains = curve[curve["quantity"] == GAIN].sort_values("level")
    windows, of_one = (_windows(curve, advantages, claims, *names) for names in ((ENTROPY, SAVED), (ONE, SAVED_EQUAL)))
    return (
        f"{saved}. With the window that validation texts choose ({_tokens(by_entropy['window'])}), a switch by the "
        f"small twin's entropy {_saves(entropy)} against a random switch with the same share "
        f"({by_entropy['share']:.0%} of the tokens): {_verdict(entropy)}. {windows} The oracle saves at most "
        f"{oracle:.3f} bits more than chance, so entropy finds {max(0, entropy['estimate']) / oracle:.0%} of what a "
        f"choice of tokens could save (a ratio over the same texts, without an interval). {_why(gains)} Its price is "
        f"that the small twin reads every token. At the same computation it {_saves(equal)} against chance or, where "
        f"that costs more, against the large twin alone: {_verdict(equal)}. Where only one twin runs at a time there "
        f"is no such price, and the switch {_saves(one)}: {_verdict(one)}. {of_one} All of this is of one pair of "
        "twins, and no computation is counted for the tokens that the large twin has to catch up on."
    )


def _row(claims: pd.DataFrame, claim: str, primary: bool = True) -> pd.Series:
    return claims[(claims["claim"] == claim) & (claims["primary"] == primary)].iloc[0]


def _saves(row: pd.Series) -> str:
    if row["estimate"] < 0:
        return f"loses {quote(reverse(row), BITS)} bits at its best threshold"
    return f"saves at most {quote(row, BITS)} bits"


def _windows(curve: pd.DataFrame, advantages: pd.DataFrame, claims: pd.DataFrame, policy: str, quantity: str) -> str:
    """What a switch saves at most by window (of `switch_curve.curve`), and whether the best of all windows would give
    another answer than the one that validation texts choose.
    """
    rows = curve[(curve["policy"] == policy) & (curve["quantity"] == quantity)]
    listed = ", ".join(
        f"{most:{BITS}} ({_tokens(window)})" for window, most in rows.groupby("window")["estimate"].max().items()
    )
    best = advantages[~advantages["chosen"]].set_index(["policy", "quantity"]).loc[(policy, quantity)]
    found, other = (_row(claims, CLAIMS[policy, quantity], primary)["outcome"] for primary in (True, False))
    said = f"At the best threshold of each window it is {listed}. With the best of all windows "
    said += f"({_tokens(best['window'])}), the answer is **{other}**"
    return f"{said}: **it depends on the window**." if other != found else f"{said} as well."


def _tokens(window: float) -> str:
    return "one token" if window == 1 else f"mean of {window:.0f}"


def _verdict(row: pd.Series) -> str:
    """Whether an advantage is there, and as large as it has to be."""
    if row["outcome"] == "yes":
        return f"**enough to matter** (at least {RELEVANT:g} bits)"
    if row["outcome"] == "cannot tell":
        return f"**cannot tell** whether that matters ({RELEVANT:g} bits would, {row['detectable']:.3f} would be seen)"
    little = f"**too little to matter** ({RELEVANT:g} bits would)"
    return by_interval(row, above=little, below="**less than chance**", neither="**no more than chance**")


def _why(gains: pd.DataFrame) -> str:
    """Whether the large model saves more where the small one is uncertain; tenths in the order of entropy."""
    first, last = gains.iloc[0], gains.iloc[-1]
    saved = (
        f"The reason: of a token, the large twin saves {quote(first, '.2f')} bits in the lowest tenth of entropies and"
    )
    saved += f" {quote(last, '.2f')} in the highest"
    middle = gains.iloc[1:-1]["estimate"].max()
    if not last["low"] > first["high"]:
        return f"{saved}. **Entropy says how hard a token is, not which twin is better at it.**"
    if last["low"] > middle:
        return f"{saved}, more than anywhere else. **It helps most where the small one is least certain.**"
    return (
        f"{saved}, but up to {middle:.2f} in tenths between them. Only the easiest tokens are worth sparing it. "
        "**Beyond them, entropy says how hard a token is, not which twin is better at it.**"
    )
