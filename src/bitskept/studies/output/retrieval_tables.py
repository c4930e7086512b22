"""Which tokens a kNN-LM saves bits of, and how its entropies change along people's texts and along its own.

The tokens are those of `retrieval.measure`. A text is a cluster.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.studies.output import mixing
from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED
from bitskept.theory.intervals import EVEN, derived_interval, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap

SAVED, LOSING = "saved", "losing"
SHUFFLED_AS_MUCH = f"{SHUFFLED}, mixed in as much as the same domain"
AGAINST_OTHER = f"{SAME} − {OTHER}"
ABSENT, RARE, MIDDLE, FREQUENT = "not in the store", "rare", "medium", "frequent"
FREQUENCIES = {ABSENT: 0.0, RARE: 1e-3, MIDDLE: 1e-2, FREQUENT: 1.0}
"""The largest share of the store that a token of each group has."""
ENTROPIES = {"below 1 bit": 1.0, "1 to 3": 3.0, "3 to 5": 5.0, "above 5": np.inf}
"""The largest entropy of the model's distribution, in bits."""
ALL, FREQUENCY, ENTROPY = "all", "frequency", "entropy"
GROUPS = {FREQUENCY: ("frequency", FREQUENCIES), ENTROPY: ("own_entropy", ENTROPIES)}
RARE_LESS_FREQUENT = f"{RARE} − {FREQUENT}"
RARER_LESS_FREQUENT = f"{ABSENT} or {RARE} − {FREQUENT}"
"""With the tokens that are so rare that the store has none."""
MODEL, RETRIEVAL = "model", "retrieval"
LAWS = {RETRIEVAL: "entropy", MODEL: "own_entropy"}
RETRIEVAL_LESS_MODEL = f"{RETRIEVAL} − {MODEL}"
GAIN_COLUMNS = [
    *("model", "store", "by", "group", "weight", "temperature", "quantity"),
    *("estimate", "low", "high", "unit", "tokens", "n"),
]
STEPS = 8
"""Tokens whose entropies are averaged for a point of a curve."""
HUNDRED = 100


def people(tokens: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """The test tokens of people's texts under each store at its chosen weight and temperature, and under the shuffled
    one at those of the same domain, with the bits `saved` by mixing.
    """
    test = tokens[(tokens["part"] == "test") & (tokens["whose"] == PEOPLE)]
    settings = mixing.chosen(tokens, weights)
    same = settings[settings["store"] == SAME].iloc[0]
    settings = [*settings.assign(name=settings["store"]).to_dict("records"), same.to_dict() | {"store": SHUFFLED}]
    settings[-1]["name"] = SHUFFLED_AS_MUCH
    parts = []
    for setting in settings:
        part = test[(test["store"] == setting["store"]) & (test["temperature"] == setting["temperature"])]
        own, retrieved = part["own_bits"].to_numpy(), part["retrieved"].to_numpy()
        saved = own - mixing.mixed_bits(own, retrieved, setting["weight"])
        parts.append(part.assign(store=setting["name"], weight=setting["weight"], saved=saved))
    return pd.concat(parts, ignore_index=True)


@makes_table
def gains(tokens: pd.DataFrame, weights: Sequence[float], seed: int) -> pd.DataFrame:
    """What mixing saves, in bits per token, and the share of tokens that it makes dearer (`losing`), of all tokens and
    by group (`FREQUENCIES` in the store of the same domain, `ENTROPIES` of the model's distribution); columns
    `GAIN_COLUMNS`.

    Three rows are differences: what the store of the same domain saves more than that of another one, and what the same
    domain saves more of rare tokens than of frequent ones, without and with those that are not in the store. `tokens`
    counts those of a group.
    """
    rows, mixed = [], people(tokens, weights)
    for name, part in mixed.groupby("store", sort=False):
        facts = {"store": name, "weight": part["weight"].iloc[0], "temperature": part["temperature"].iloc[0]}
        rows += [facts | {"by": ALL, "group": ALL} | row for row in _saved(part, np.ones(len(part), bool), seed)]
        for by, (column, edges) in GROUPS.items():
            group = np.searchsorted(list(edges.values()), part[column].to_numpy())
            for place, label in enumerate(edges):
                inside = facts | {"by": by, "group": label}
                rows += [inside | row for row in _saved(part, group == place, seed)]
    facts = {"quantity": SAVED, "unit": "bits per token", "n": mixed["text"].nunique()}
    same, other = (mixed[mixed["store"] == name] for name in (SAME, OTHER))
    every = np.ones(len(same), bool)
    rows.append(facts | {"store": AGAINST_OTHER, "by": ALL, "group": ALL, "tokens": len(same)})
    rows[-1] |= _difference((same, every), (other, every), seed)
    absent, rare, frequent = (_in_group(same, name) for name in (ABSENT, RARE, FREQUENT))
    for group, rarely in ((RARE_LESS_FREQUENT, rare), (RARER_LESS_FREQUENT, absent | rare)):
        both = int((rarely | frequent).sum())
        rows.append(facts | {"store": SAME, "by": FREQUENCY, "group": group, "tokens": both})
        rows[-1] |= _difference((same, rarely), (same, frequent), seed)
    return pd.DataFrame(rows, columns=GAIN_COLUMNS).assign(model=tokens["model"].iloc[0])


def _in_group(part: pd.DataFrame, label: str) -> np.ndarray:
    edges = list(FREQUENCIES.values())
    return np.searchsorted(edges, part["frequency"].to_numpy()) == list(FREQUENCIES).index(label)


def _sums(part: pd.DataFrame, values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the values inside a group, and the number of its tokens, text by text."""
    texts = part["text"].to_numpy()
    number = texts.max() + 1
    return tuple(np.bincount(texts, column, minlength=number) for column in (values * inside, inside.astype(float)))


def _saved(part: pd.DataFrame, inside: np.ndarray, seed: int) -> Iterator[dict[str, Any]]:
    saved = part["saved"].to_numpy()
    bits, sizes = _sums(part, saved, inside)
    if not sizes.any():
        return
    dearer, _ = _sums(part, saved < 0, inside)
    intervals = ratio_interval(bits, sizes, seed=seed), share_interval(dearer, sizes)
    facts = {"tokens": int(inside.sum()), "n": int(np.count_nonzero(sizes))}
    for quantity, sums, ends, unit in zip(
        (SAVED, LOSING), (bits, dearer), intervals, ("bits per token", "share of tokens"), strict=True
    ):
        estimate = {"estimate": sums.sum() / sizes.sum(), "low": ends[0], "high": ends[1]}
        yield facts | {"quantity": quantity, "unit": unit} | estimate


def _difference(
    more: tuple[pd.DataFrame, np.ndarray], less: tuple[pd.DataFrame, np.ndarray], seed: int
) -> dict[str, float]:
    """The difference of the bits per token saved in two groups of tokens, from the same draws of texts."""
    sides = [_sums(part, part["saved"].to_numpy(), inside) for part, inside in (more, less)]
    if not all(sizes.any() for _, sizes in sides):
        return dict.fromkeys(("estimate", "low", "high"), np.nan)
    ratios = [bits.sum() / sizes.sum() for bits, sizes in sides]
    drawn = [cluster_bootstrap(bits, sizes, seed=seed) for bits, sizes in sides]
    low, high = derived_interval(drawn[0] - drawn[1], ratios[0] - ratios[1], len(sides[0][1]))
    return {"estimate": ratios[0] - ratios[1], "low": float(low), "high": float(high)}


def continued(tokens: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """The tokens after the context, of people's texts and of the kNN-LM's, at its weight and temperature."""
    written = tokens["whose"] != PEOPLE
    best = mixing.chosen(tokens, weights).set_index("store").loc[SAME]
    usual = (tokens["store"] == SAME) & (tokens["temperature"] == best["temperature"]) & (tokens["part"] == "test")
    return tokens[usual & (tokens["position"] >= tokens.loc[written, "position"].min())]


@makes_table
def along(tokens: pd.DataFrame, weights: Sequence[float], seed: int) -> pd.DataFrame:
    """The entropies of the model's and of the retrieval distribution along people's texts and along the kNN-LM's:
    columns model, whose, law, position (the middle of `STEPS` tokens, counted from 1 after the context), estimate, low,
    high, unit, n.
    """
    part = continued(tokens, weights)
    after = part["position"] - part["position"].min()
    part = part.assign(step=after // STEPS)
    rows = []
    for (whose, _), inside in part.groupby(["whose", "step"], sort=False):
        middle = float((after[inside.index].min() + after[inside.index].max()) / 2 + 1)
        for law, column in LAWS.items():
            sums = inside.groupby("text")[column].agg(["sum", "size"])
            low, high = ratio_interval(sums["sum"].to_numpy(), sums["size"].to_numpy(float), least=EVEN, seed=seed)
            estimate = {"estimate": inside[column].mean(), "low": low, "high": high, "unit": "bits", "n": len(sums)}
            rows.append({"whose": whose, "law": law, "position": middle} | estimate)
    return _named(rows, tokens)


@makes_table
def changes(tokens: pd.DataFrame, weights: Sequence[float], seed: int) -> pd.DataFrame:
    """How the entropies change along a text: columns model, quantity, whose, law, estimate, low, high, unit, n.

    `slope` is that of least squares, text by text; `later` the mean over the second half of the continuation. The rows
    of "retrieval − model" and of "WRITER − people" are differences, the latter between continuations of one context:
    both begin with the same state, so a difference `later` has come up since.
    """
    part = continued(tokens, weights)
    rows = []
    for quantity, (statistic, unit) in STATISTICS.items():
        by_text = {
            (whose, law): statistic(inside.pivot(index="text", columns="position", values=column).to_numpy())
            for whose, inside in part.groupby("whose", sort=False)
            for law, column in LAWS.items()
        }
        for whose in part["whose"].unique():
            by_text[whose, RETRIEVAL_LESS_MODEL] = by_text[whose, RETRIEVAL] - by_text[whose, MODEL]
        for whose, law in [names for names in by_text if names[0] != PEOPLE]:
            by_text[f"{whose} − {PEOPLE}", law] = by_text[whose, law] - by_text[PEOPLE, law]
        for (whose, law), values in by_text.items():
            low, high = ratio_interval(values, np.ones(len(values)), least=EVEN, seed=seed)
            facts = {"quantity": quantity, "whose": whose, "law": law, "unit": unit, "n": len(values)}
            rows.append(facts | {"estimate": values.mean(), "low": low, "high": high})
    return _named(rows, tokens)


def _slope(entropies: Float[np.ndarray, "text position"]) -> Float[np.ndarray, " text"]:
    """The slope of each row over its position, for `HUNDRED` tokens."""
    places = np.arange(entropies.shape[1]) - (entropies.shape[1] - 1) / 2
    return HUNDRED * (entropies @ places) / (places @ places)


def _later(entropies: Float[np.ndarray, "text position"]) -> Float[np.ndarray, " text"]:
    """The mean of the second half of each row."""
    return entropies[:, entropies.shape[1] // 2 :].mean(axis=1)


SLOPE, LATER = "slope", "later"
STATISTICS = {SLOPE: (_slope, f"bits per {HUNDRED} tokens"), LATER: (_later, "bits")}
"""What `changes` says of a text's entropies, and its unit."""


def _named(rows: list[dict[str, Any]], tokens: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table.insert(0, "model", tokens["model"].iloc[0])
    return table
