"""Bits of text against computation, for every switch and threshold, and what a switch saves over chance."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from bitskept.base.publishing import makes_table
from bitskept.studies.output import switches
from bitskept.studies.output.switches import Switching
from bitskept.theory.contrasts import strongest
from bitskept.theory.intervals import derived_interval, ratio_interval
from bitskept.theory.statistics import cluster_bootstrap

ENTROPY, SURPRISAL, ONE = "entropy", "previous surprisal", "one at a time"
RANDOM, ORACLE = "random", "oracle"
READS_ALL = (ENTROPY, SURPRISAL)
"""The switches for which the small model reads every token."""
BITS, SAVED, SAVED_EQUAL, GAIN = "bits", "saved", "saved at equal computation", "gain"
TENTHS = 10
UNIT = "bits per token"
KEY = ["policy", "window", "level"]
COLUMNS = [*KEY, "chosen", "share", "computation", "quantity", "estimate", "low", "high", "unit", "n"]


class Pair(NamedTuple):
    """Tokens of the `test` and of the `validation` texts (columns text, small_bits, small_entropy, large_bits,
    large_entropy), and the computation of the small model as a share of the large one's.
    """

    test: pd.DataFrame
    validation: pd.DataFrame
    ratio: float


class Choice(NamedTuple):
    """Which tokens of a text a switch gives to the large model. `level` is the share of the validation tokens that were
    to go there; `window` is missing for switches without one.
    """

    policy: str
    window: float
    level: float
    used: Bool[np.ndarray, " token"]


def choices(tokens: pd.DataFrame, validation: pd.DataFrame, switching: Switching) -> Iterator[Choice]:
    """All switches, with thresholds from the validation tokens."""
    levels, places = switching.shares, tokens["text"].to_numpy()
    for policy, window, score, known in _scores(tokens, validation, switching):
        for level, threshold in zip(levels, switches.thresholds(known, levels), strict=True):
            yield Choice(policy, window, level, score > threshold)
    small, large = (tokens[f"{name}_entropy"].to_numpy() for name in ("small", "large"))
    for window in switching.windows:
        known = switches.rolling(validation["small_entropy"].to_numpy(), validation["text"].to_numpy(), window)
        for level, threshold in zip(levels, switches.thresholds(known, levels), strict=True):
            options = {"window": window, "least": switching.least}
            used = switches.one_at_a_time(small, large, places, float(threshold), **options)
            yield Choice(ONE, float(window), level, used)


def _scores(
    tokens: pd.DataFrame, validation: pd.DataFrame, switching: Switching
) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """Policy, window, and the scores of the tokens and of the validation tokens; the highest go to the large model."""
    both = tokens, validation
    texts = [part["text"].to_numpy() for part in both]
    for window in switching.windows:
        entropies = (part["small_entropy"].to_numpy() for part in both)
        scores = (switches.rolling(*values, window) for values in zip(entropies, texts, strict=True))
        yield ENTROPY, float(window), *scores
    bits = (part["small_bits"].to_numpy() for part in both)
    yield SURPRISAL, np.nan, *(switches.previous(*values) for values in zip(bits, texts, strict=True))
    yield ORACLE, np.nan, *((part["small_bits"] - part["large_bits"]).to_numpy() for part in both)


class _Resampled(NamedTuple):
    """For each choice (`names`: policy, window, level): shares and computation, and `BITS`, `SAVED` and `SAVED_EQUAL`
    as estimates and replicates over texts.
    """

    names: pd.DataFrame
    shares: Float[np.ndarray, " choice"]
    computation: Float[np.ndarray, " choice"]
    values: Float[np.ndarray, "quantity choice"]
    replicates: Float[np.ndarray, "replicate quantity choice"]
    texts: int


def _resampled(pair: Pair, switching: Switching, seed: int) -> _Resampled:
    test = pair.test
    every = list(choices(test, pair.validation, switching))
    starts = np.flatnonzero(np.diff(test["text"].to_numpy(), prepend=-1))
    small, large = (test[f"{name}_bits"].to_numpy() for name in ("small", "large"))
    used = np.stack([choice.used for choice in every])
    columns = np.concatenate([[small, large], np.where(used, large, small), used])
    sums, sizes = np.add.reduceat(columns, starts, axis=1), np.diff([*starts, len(test)]).astype(float)
    names = pd.DataFrame([choice[:3] for choice in every], columns=KEY)
    reads_all = names["policy"].isin(READS_ALL).to_numpy()
    ratios, drawn = sums.sum(1) / sizes.sum(), cluster_bootstrap(sums, sizes, seed=seed)
    shares, computation, values = _quantities(ratios, reads_all, pair.ratio)
    return _Resampled(names, shares, computation, values, _quantities(drawn, reads_all, pair.ratio)[2], len(starts))


def _quantities(
    ratios: Float[np.ndarray, "*replicate column"], reads_all: Bool[np.ndarray, " choice"], ratio: float
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "*replicate quantity choice"]]:
    """Shares and computation of each choice, and the three quantities, from means over tokens: the bits of the small
    and of the large model, and the bits and shares of each choice.
    """
    small, large = ratios[..., :1], ratios[..., 1:2]
    bits, shares = np.split(ratios[..., 2:], 2, axis=-1)
    computation = np.where(reads_all, ratio + shares, ratio + shares * (1 - ratio))
    equal = np.minimum((computation - ratio) / (1 - ratio), 1)  # where it costs more than the large model alone
    saved = [small - share * (small - large) - bits for share in (shares, equal)]
    return shares, computation, np.stack([bits, *saved], axis=-2)


@makes_table
def curve(pair: Pair, switching: Switching, seed: int) -> pd.DataFrame:
    """Columns `COLUMNS`. `share` of the tokens goes to the large model, at a `computation` in units of giving it all.

    Quantities in bits per token: `bits` of the text, and what is `saved` of those of a random switch with the same
    share, or with the same computation. The small model reads all tokens under the policies `READS_ALL`; elsewhere one
    model reads a token. `chosen`: the window of a policy that saves most on the validation texts, on average over its
    levels. The rows of `RANDOM` have the bits that are expected, and those of `GAIN` what the large model saves of the
    tokens in each tenth of the small model's entropies, in ascending order up to `level`.
    """
    of = _resampled(pair, switching, seed)
    low, high = derived_interval(of.replicates, of.values, of.texts)
    facts = of.names.assign(share=of.shares, computation=of.computation)
    each = zip((BITS, SAVED, SAVED_EQUAL), of.values, low, high, strict=True)
    parts = [facts.assign(quantity=name, estimate=value, low=start, high=end) for name, value, start, end in each]
    ends = pair.test[["small_bits", "large_bits"]].mean().to_numpy()
    share = np.array([0.0, *switching.shares, 1.0])
    facts = {"policy": RANDOM, "level": share, "share": share, "quantity": BITS}
    facts |= {"computation": pair.ratio + share * (1 - pair.ratio), "estimate": ends[0] + share * (ends[1] - ends[0])}
    parts += [pd.DataFrame(facts), _gains(pair, seed)]
    table = pd.concat(parts, ignore_index=True).assign(unit=UNIT, n=of.texts)
    windows = _best_windows(pair, switching)
    table["chosen"] = table["window"].isna() | (table["window"] == table["policy"].map(windows))
    return table[COLUMNS]


def _gains(pair: Pair, seed: int) -> pd.DataFrame:
    """The bits that the large model saves of the tokens in each tenth of the small model's entropies."""
    tokens = pair.test
    tenths = pd.qcut(tokens["small_entropy"].rank(method="first"), TENTHS, labels=False).to_numpy()
    texts = pd.factorize(tokens["text"])[0]
    gains, number = (tokens["small_bits"] - tokens["large_bits"]).to_numpy(), texts.max() + 1
    rows = []
    for tenth in range(TENTHS):
        inside = tenths == tenth
        sums, sizes = (np.bincount(texts, weights, minlength=number) for weights in (gains * inside, inside))
        low, high = ratio_interval(sums, sizes, seed=seed)
        facts = {"policy": GAIN, "level": (tenth + 1) / TENTHS, "share": inside.mean(), "quantity": GAIN}
        rows.append(facts | {"estimate": sums.sum() / sizes.sum(), "low": low, "high": high})
    return pd.DataFrame(rows)


def _best_windows(pair: Pair, switching: Switching) -> "pd.Series[float]":
    """The window of each policy that saves most on the validation texts."""
    tokens = pair.validation
    gains = (tokens["small_bits"] - tokens["large_bits"]).to_numpy()
    rows = [
        (choice.policy, choice.window, np.mean((choice.used - choice.used.mean()) * gains))
        for choice in choices(tokens, tokens, switching)
    ]
    saved = pd.DataFrame(rows, columns=["policy", "window", "saved"]).dropna()
    means = saved.groupby(["policy", "window"], as_index=False)["saved"].mean()
    return means.sort_values("saved", ascending=False).drop_duplicates("policy").set_index("policy")["window"]


@makes_table
def advantages(pair: Pair, switching: Switching, seed: int) -> pd.DataFrame:
    """The saving of each policy at the level where its lower end is highest, with an interval and a p that allow for
    the choice (`contrasts.strongest`): columns policy, window, level, share, chosen, quantity, estimate, low, high, p,
    detectable, unit, n. Policies with windows have two rows: with the window that is `chosen` on validation texts (as
    in `curve`), and over all windows. The policy "entropy − previous surprisal" has the differences at the same level.
    """
    of, windows = _resampled(pair, switching, seed), _best_windows(pair, switching)
    rows = []
    for place, quantity in ((1, SAVED), (2, SAVED_EQUAL)):
        values, replicates = of.values[place], of.replicates[:, place]
        for policy, members in of.names.groupby("policy", sort=False).indices.items():
            facts = {"policy": policy, "quantity": quantity}
            rows += _strongest(of, members, values[members], replicates[:, members], windows.get(policy), facts)
        entropy, previous = (np.flatnonzero(of.names["policy"] == name) for name in (ENTROPY, SURPRISAL))
        partner = np.tile(previous, len(entropy) // len(previous))
        difference = values[entropy] - values[partner], replicates[:, entropy] - replicates[:, partner]
        facts = {"policy": f"{ENTROPY} − {SURPRISAL}", "quantity": quantity}
        rows += _strongest(of, entropy, *difference, windows[ENTROPY], facts)
    return pd.DataFrame(rows).assign(unit=UNIT, n=of.texts)


def _strongest(
    of: _Resampled,
    members: np.ndarray,
    values: np.ndarray,
    replicates: np.ndarray,
    window: float | None,
    facts: dict[str, str],
) -> Iterator[dict[str, object]]:
    """The strongest of these choices with this window, if they have windows, and of all of them."""
    every = np.ones(len(members), dtype=bool)
    inside = (of.names["window"] == window).to_numpy()[members]
    for chosen, among in ((True, inside), (False, every)) if window else ((True, every),):
        best = strongest(values[among], replicates[:, among], of.texts)
        place = members[among][best.place]
        row = of.names.loc[place].to_dict() | facts | {"share": of.shares[place], "chosen": chosen}
        yield row | {name: getattr(best, name) for name in ("estimate", "low", "high", "p", "detectable")}
