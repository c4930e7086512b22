"""What the continuations of `decoding.measure` are like: by decoder, along the text, and one decoder against another.

A text is a cluster: all texts have the same length, and every decoder continues the same ones.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.instruments.claims import effect
from bitskept.studies.output.decoders import ANCESTRAL, MIROSTAT, NUCLEUS, PEOPLE, TOP_H, TOP_K, TYPICAL
from bitskept.studies.output.decoding import Decoding, usual
from bitskept.theory.intervals import derived_interval, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap

NGRAM = 4
"""Tokens of the sequences whose repetition is counted."""
BLOCK = 8
"""Neighbouring tokens that a point of `along` covers."""
ROUNDING = 1e-3
"""Bits by which an entropy in float32 may miss its bound."""
ARM = ["decoder", "setting"]
MEANS = {"surprisal": "bits of surprisal", "entropy": "bits of surprisal", "excess": "bits of surprisal"}
MEANS |= {"distance": "bits of surprisal", "expected_distance": "bits of surprisal"}
SHARES = {"repeated": "share of 4-grams", "bounded": "share of tokens", "astray": "share of texts"}
ONLY = {"bounded": TOP_H, "astray": MIROSTAT}
"""Shares that say something of one decoder alone, and which it is."""
ASTRAY = 0.5
"""A text is astray if its mean surprisal is more bits per token away from Mirostat's target than this."""


def per_text(tokens: pd.DataFrame) -> pd.DataFrame:
    """One row per decoder, setting and text. In bits, means over its tokens: `MEANS`, where `excess` is surprisal less
    entropy and `distance` its absolute value, and `slack`, the setting times the entropy, less that of the distribution
    drawn from. Shares: `repeated` of the 4-grams stood in the continuation before, `bounded` of the tokens have no
    negative slack (for Top-H), and `astray` is 1 for a text that is far from Mirostat's target.
    """
    excess = tokens["surprisal"] - tokens["entropy"]
    slack = tokens["setting"] * tokens["entropy"] - tokens["kept_entropy"]
    bits = tokens.assign(excess=excess, distance=excess.abs(), slack=slack, bounded=slack > -ROUNDING)
    groups = bits.groupby([*ARM, "text"], dropna=False, sort=False)
    means = groups[[*MEANS, "slack", "bounded"]].mean()
    means["repeated"] = groups["id"].apply(lambda ids: repeated(ids.tolist()))
    means = means.reset_index()
    return means.assign(astray=(means["surprisal"] - means["setting"]).abs() > ASTRAY)


def repeated(ids: Sequence[int]) -> float:
    """The share of 4-grams that stood in the text before: 1 - distinct / all."""
    grams = list(zip(*(ids[start:] for start in range(NGRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams)


@makes_table
def by_decoder(tokens: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Each quantity of `per_text`, its mean over texts by decoder and setting, with 95 % intervals over the `n` texts.
    Measured by `studies.output.decoding.measure`.
    """
    rows: list[dict[str, Any]] = []
    length = int(tokens["position"].max()) + 1
    items = {"repeated": length - NGRAM + 1, "bounded": length, "astray": 1}
    for (name, setting), texts in per_text(tokens).groupby(ARM, dropna=False, sort=False):
        facts, each = {"decoder": name, "setting": setting, "n": len(texts)}, np.ones(len(texts))
        low, high = ratio_interval(texts[list(MEANS)].to_numpy().T, each, seed=seed)
        for place, (quantity, unit) in enumerate(MEANS.items()):
            ends = {"low": low[place], "high": high[place], "unit": unit}
            rows.append(facts | {"quantity": quantity, "estimate": texts[quantity].mean()} | ends)
        for quantity, unit in SHARES.items():
            if ONLY.get(quantity, name) == name:
                counts = np.rint(items[quantity] * texts[quantity].to_numpy(float))
                low_share, high_share = share_interval(counts, items[quantity] * each)
                ends = {"low": low_share, "high": high_share, "unit": unit}
                rows.append(facts | {"quantity": quantity, "estimate": texts[quantity].mean()} | ends)
    return pd.DataFrame(rows)


@makes_table
def along(tokens: pd.DataFrame, parameters: Decoding, *, seed: int) -> pd.DataFrame:
    """Surprisal and entropy along the text, for people, ancestral sampling, and each decoder at its usual setting:
    means over `BLOCK` neighbouring tokens, with 95 % intervals over texts. `position` is the middle of the block.
    Measured by `studies.output.decoding.measure`.
    """
    settings = usual(parameters)
    shown = tokens[tokens["setting"].isna() | (tokens["setting"] == tokens["decoder"].map(settings))]
    blocks = shown.assign(position=shown["position"] // BLOCK * BLOCK + (BLOCK + 1) / 2)
    means = blocks.groupby([*ARM, "position", "text"], dropna=False, sort=False)[["surprisal", "entropy"]].mean()
    rows: list[dict[str, Any]] = []
    for (name, setting, position), texts in means.groupby([*ARM, "position"], dropna=False, sort=False):
        low, high = ratio_interval(texts.to_numpy().T, np.ones(len(texts)), seed=seed)
        facts = {"decoder": name, "setting": setting, "position": position, "n": len(texts)}
        for place, quantity in enumerate(texts):
            ends = {"estimate": texts[quantity].mean(), "low": low[place], "high": high[place]}
            rows.append(facts | {"quantity": quantity, "unit": MEANS[quantity]} | ends)
    return pd.DataFrame(rows)


def contrasts(tokens: pd.DataFrame, parameters: Decoding, *, seed: int) -> pd.DataFrame:
    """Differences, paired by text, that are above 0 where a claim holds. Columns: quantity, decoder, setting, other,
    other_setting, those of `instruments.claims.effect`, unit, n, primary (the usual settings), and for fewer level (the
    share of 4-grams that the other decoder repeats), used and left_out (the settings whose mean surprisal the other
    decoder has, and does not have).

    - near: how much nearer the surprisal of the text's tokens lies to the entropy than draws from the model would;
    - nearer: how much nearer a decoder's mean surprisal lies to people's than another's;
    - fewer: how many fewer 4-grams a decoder repeats than another at the same mean surprisal;
    - steadier: how much less the mean surprisals of texts stray from the target than those of the fixed top-k with the
      nearest mean do from that mean;
    - slack: how far the entropy of the distribution that Top-H draws from lies below its bound.
    """
    texts = {key: rows.reset_index(drop=True) for key, rows in per_text(tokens).groupby(ARM, dropna=False, sort=False)}
    arms = {(name, None if pd.isna(setting) else setting): rows for (name, setting), rows in texts.items()}
    differences = _Differences(arms, usual(parameters), seed)
    return pd.DataFrame([row for rows in differences.all() for row in rows])


class _Differences:
    """The rows of `contrasts`, from the texts (`arms`) of each decoder and setting and its usual setting."""

    def __init__(self, arms: dict[tuple[str, float | None], pd.DataFrame], usual: dict[str, float], seed: int) -> None:
        self._arms, self._usual, self._seed = arms, usual, seed

    def all(self) -> Iterator[Iterator[dict[str, Any]]]:
        yield from (self._near(), self._nearer(), self._fewer(), self._steadier(), self._slack())

    def _near(self) -> Iterator[dict[str, Any]]:
        for name in (PEOPLE, ANCESTRAL):
            texts = self._arms[name, None]
            values = (texts["expected_distance"] - texts["distance"]).to_numpy()
            yield self._paired("near", name, None, values, other=ANCESTRAL, primary=name == PEOPLE)

    def _nearer(self) -> Iterator[dict[str, Any]]:
        people = self._arms[PEOPLE, None]["surprisal"].to_numpy()
        for setting in self._settings(TYPICAL):
            main = setting == self._usual[TYPICAL]
            others = [(NUCLEUS, setting)] if (NUCLEUS, setting) in self._arms else []
            others += [(TOP_K, self._usual[TOP_K])] if main else []
            for other in others:
                means = [people, *(self._arms[arm]["surprisal"].to_numpy() for arm in ((TYPICAL, setting), other))]
                facts = {"other": other[0], "other_setting": other[1], "primary": main}
                yield self._derived("nearer", TYPICAL, setting, np.stack(means), _how_much_nearer, **facts)

    def _fewer(self) -> Iterator[dict[str, Any]]:
        line = [(NUCLEUS, setting) for setting in self._settings(NUCLEUS)] + [(ANCESTRAL, None)]
        reached = [self._arms[arm]["surprisal"].mean() for arm in line]
        for name in (TYPICAL, TOP_H):
            every = [(name, setting) for setting in self._settings(name)]
            arms = [arm for arm in every if min(reached) <= self._arms[arm]["surprisal"].mean() <= max(reached)]
            facts = {"other": NUCLEUS, "unit": SHARES["repeated"], "primary": True}
            for column, kept in (("used", True), ("left_out", False)):
                facts[column] = ", ".join(f"{arm[1]:g}" for arm in every if (arm in arms) == kept)
            if not arms:
                yield self._row("fewer", name, None, np.nan, np.nan, np.nan, **facts)
                continue
            columns = ("surprisal", "repeated")
            values = np.stack([[self._arms[arm][column] for arm in line + arms] for column in columns])
            level = _levels(*values.mean(-1), line=len(line)).mean()
            fewer = partial(_how_many_fewer, line=len(line))
            yield self._derived("fewer", name, None, values, fewer, level=float(level), **facts)

    def _steadier(self) -> Iterator[dict[str, Any]]:
        means = {setting: self._arms[TOP_K, setting]["surprisal"] for setting in self._settings(TOP_K)}
        for target in self._settings(MIROSTAT):
            nearest = min(means, key=lambda setting: abs(means[setting].mean() - target))
            fixed = (means[nearest] - means[nearest].mean()).abs()
            steered = (self._arms[MIROSTAT, target]["surprisal"] - target).abs()
            facts = {"other": TOP_K, "other_setting": nearest, "primary": target == self._usual[MIROSTAT]}
            yield self._paired("steadier", MIROSTAT, target, (fixed - steered).to_numpy(), **facts)

    def _slack(self) -> Iterator[dict[str, Any]]:
        for setting in self._settings(TOP_H):
            values = self._arms[TOP_H, setting]["slack"].to_numpy()
            yield self._paired("slack", TOP_H, setting, values, primary=setting == self._usual[TOP_H])

    def _settings(self, decoder: str) -> list[float]:
        return sorted(setting for name, setting in self._arms if name == decoder and setting is not None)

    def _paired(
        self, quantity: str, decoder: str, setting: float | None, values: Float[np.ndarray, " text"], **facts: Any
    ) -> dict[str, Any]:
        """The mean of a difference over texts."""
        low, high = ratio_interval(values, np.ones(len(values)), seed=self._seed)
        return self._row(quantity, decoder, setting, float(values.mean()), low, high, **facts)

    def _derived(
        self,
        quantity: str,
        decoder: str,
        setting: float | None,
        values: Float[np.ndarray, "*quantities text"],
        function: Callable[[np.ndarray], float],
        **facts: Any,
    ) -> dict[str, Any]:
        """A function of means over texts; `values` has the texts in its last axis."""
        replicates = cluster_bootstrap(values, np.ones(values.shape[-1]), seed=self._seed)
        estimate = float(function(values.mean(-1)))
        drawn = np.array([function(means) for means in replicates])
        low, high = derived_interval(drawn, estimate, values.shape[-1])
        return self._row(quantity, decoder, setting, estimate, low, high, **facts)

    def _row(
        self, quantity: str, decoder: str, setting: float | None, estimate: float, low: Any, high: Any, **facts: Any
    ) -> dict[str, Any]:
        weighed = effect({"estimate": estimate, "low": low, "high": high})
        named = {"quantity": quantity, "decoder": decoder, "setting": setting, "other": None, "other_setting": None}
        return named | weighed | {"unit": MEANS["surprisal"], "n": len(self._arms[PEOPLE, None])} | facts


def _how_much_nearer(means: Float[np.ndarray, " three"]) -> float:
    """Of the means of people, a decoder and another one: how much nearer the decoder's lies to people's."""
    people, decoder, other = means
    return float(abs(other - people) - abs(decoder - people))


def _how_many_fewer(means: Float[np.ndarray, "surprisal_and_share arm"], *, line: int) -> float:
    """How far the points after the first `line` ones lie below the line through these, on average: shares of repeated
    4-grams over mean surprisals.
    """
    return float((_levels(*means, line=line) - means[1, line:]).mean())


def _levels(
    bits: Float[np.ndarray, " arm"], shares: Float[np.ndarray, " arm"], *, line: int
) -> Float[np.ndarray, " other"]:
    """Shares on the line through the first `line` points, at the bits of the others."""
    order = np.argsort(bits[:line])
    return np.interp(bits[line:], bits[:line][order], shares[:line][order])
