"""What is built in? What untrained networks retain, and which ingredient of an architecture matters.

Tables here are of untrained networks: family, causal, initial (standard deviation of the first weights), seed, layer,
probe, estimate, low and high (95 % over items), unit.
"""

from dataclasses import asdict, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base import store
from bitskept.base.parallel import each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.probes import sweep
from bitskept.instruments.states import cut_as_planned
from bitskept.instruments.training import byte_pairs, twin_runs, twins
from bitskept.instruments.training.builds import CLASSES
from bitskept.instruments.training.twin_runs import BERT, NEXT
from bitskept.sources import corpora
from bitskept.studies.dynamics.checkpoints import sweep_plan
from bitskept.studies.dynamics.comparing_runs import (
    LEVEL,
    UNTRAINED,
    adjusted,
    at_last_layer,
    difference,
    judged,
    pooled,
)
from bitskept.studies.dynamics.section import TrainingDynamics

NAME, VERSION = "untrained", 2
"""Raise the version when the same networks would give other numbers."""


def untrained(section: TrainingDynamics) -> pd.DataFrame:
    """The share of H(X) that each layer retains before the first step, in networks of each architecture."""
    networks = product(CLASSES, section.initials, section.seeds)
    runs = [_plan(section, *kind, initial, seed) for kind, initial, seed in networks]
    tables = each_stored(
        partial(_sweep, section),
        runs,
        is_stored=lambda run: store.has(NAME, VERSION, _key(section, run)),
        progress="untrained",
    )
    parts = [
        table.assign(family=run.build.family, causal=run.causal, initial=run.build.initial, seed=run.seed)
        for run, table in zip(runs, tables, strict=True)
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[(rows["quantity"] == "retained_cross_entropy") & (rows["reading"] == "token")]
    return rows[[*UNTRAINED, "seed", "layer", "probe", "estimate", "low", "high", "unit"]].reset_index(drop=True)


def _plan(section: TrainingDynamics, family: str, causal: bool, initial: float, seed: int) -> twins.Plan:
    """The plan of a twin that starts as this network."""
    run = twin_runs.plan(section.training, NEXT if causal else BERT, seed)
    return replace(run, build=replace(twin_runs.build(section.training, family), initial=initial))


def _key(section: TrainingDynamics, run: twins.Plan) -> dict[str, Any]:
    return {
        "build": asdict(run.build),
        "causal": run.causal,
        "seed": run.seed,
        "plan": asdict(_reading(section)),
        "text": corpora.fingerprint(run.corpus),
        "tokenizer": byte_pairs.digest(run.corpus, run.vocabulary, skipped=run.held_out, seed=run.text_seed),
    }


def _reading(section: TrainingDynamics) -> sweep.Plan:
    """Tokens from their own states, by probes with all their text."""
    return replace(sweep_plan(section), smaller=(), window_layers=0)


@cut_as_planned()
def _sweep(section: TrainingDynamics, run: twins.Plan) -> pd.DataFrame:
    def compute() -> pd.DataFrame:
        model = twins.untrained(twins.tokenizer(run), run)
        model = replace(model, network=model.network.base_model.eval())
        texts = corpora.load(run.corpus, sentences=run.held_out, seed=run.text_seed)
        return sweep.sweep(model, texts["text"], texts["domain"], _reading(section))

    return store.stored(NAME, VERSION, _key(section, run), compute)


@makes_table
def by_architecture(networks: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that each layer of each architecture retains, as the mean over seeds.

    Measured by `untrained`, with `instruments.probes.sweep`.
    """
    return spread(networks, *UNTRAINED, "probe", "layer")


def paired_differences(networks: pd.DataFrame) -> pd.DataFrame:
    """Pairs of networks that differ in one ingredient only, one row per effect, probe, pair and seed: `estimate`, the
    difference at the last layer, and `error`, its standard error over items.

    `mask`: causal minus both-sided; `norm`: before each part ("roberta-prelayernorm") minus after it ("roberta");
    `scale`: the largest `initial` minus the smallest. `pair` names what the two have in common. ValueError where a
    network has several rows for a seed and probe.
    """
    rows, tables = at_last_layer(networks), []
    ingredients = {
        "mask": ("causal", True, False),
        "norm": ("family", "roberta-prelayernorm", "roberta"),
        "scale": ("initial", rows["initial"].max(), rows["initial"].min()),
    }
    for effect, (column, *values) in ingredients.items():
        if rows[column].nunique() > 1:
            shared = [name for name in UNTRAINED if name != column]
            both = difference(*(rows[rows[column] == value] for value in values), [*shared, "seed", "probe", "unit"])
            names = [", ".join(map(_named, shared, pair)) for pair in both[shared].itertuples(index=False)]
            tables.append(both.assign(effect=effect, pair=names))
    columns = ["effect", "probe", "pair", "seed", "estimate", "error", "unit"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _named(column: str, value: Any) -> str:
    if column == "causal":
        return "causal" if value else "both-sided"
    return f"initial {value:g}" if column == "initial" else value


def by_pair(differences: pd.DataFrame) -> pd.DataFrame:
    """One effect under one probe (rows of `paired_differences`) in each pair, with seeds as repeated runs: `estimate`,
    `low`, `high`, `p` (`comparing_runs.pooled`), `runs`; `p_holm`, adjusted for the number of pairs, and `sure`.

    `rest_p` tests whether the effect equals its mean in the other pairs, adjusted in the same way: below `LEVEL`, the
    effect depends on what the pair has in common. Seeds that are missing in any pair are left out.
    """
    wide, errors = (differences.pivot(index="pair", columns="seed", values=name) for name in ("estimate", "error"))
    errors, wide = errors.loc[:, wide.notna().all()], wide.loc[:, wide.notna().all()]
    rows = []
    for pair in wide.index if wide.shape[1] else []:
        mean = pooled(wide.loc[pair].to_numpy(float), errors.loc[pair].to_numpy(float))
        others, noise = wide.drop(index=pair).mean(), errors.drop(index=pair).mean()
        rest = pooled((wide.loc[pair] - others).to_numpy(float), np.hypot(errors.loc[pair], noise).to_numpy(float))
        rows.append({"pair": pair, "runs": wide.shape[1]} | mean._asdict() | {"rest_p": rest.p})
    table = pd.DataFrame(rows, columns=["pair", "runs", "estimate", "low", "high", "p", "rest_p"])
    return judged(table.assign(rest_p=adjusted(table["rest_p"])), "runs")


def effects(networks: pd.DataFrame) -> pd.DataFrame:
    """One row per ingredient and probe: the mean of its effect over the pairs of `paired_differences`. Pairs are few
    and not drawn at random, so the sample is the seeds and not the pairs.

    `estimate`, `low`, `high`, `p` (`comparing_runs.pooled`); `p_holm`, over the ingredients under a probe, and `sure`;
    `pairs`, `runs`; `smallest` and `largest`, the effect in the pairs `smallest_pair` and `largest_pair`. `varies` is
    "sign" if the effect is surely positive in some pairs and surely negative in others, "size" if a pair surely differs
    from the rest, else "".
    """
    rows = []
    for (effect, probe, unit), differences in paired_differences(networks).groupby(
        ["effect", "probe", "unit"], sort=False
    ):
        single = by_pair(differences)
        if not len(single):
            continue
        means = differences.groupby("seed").agg(
            estimate=("estimate", "mean"), error=("error", "mean"), pairs=("pair", "size")
        )
        means = means[means["pairs"] == len(single)]
        row = {"effect": effect, "probe": probe, "unit": unit, "runs": len(means), "pairs": len(single)}
        row |= pooled(means["estimate"].to_numpy(float), means["error"].to_numpy(float))._asdict()
        for name, place in (("smallest", single["estimate"].idxmin()), ("largest", single["estimate"].idxmax())):
            row |= {name: single.loc[place, "estimate"], f"{name}_pair": single.loc[place, "pair"]}
        size = "size" if (single["rest_p"] < LEVEL).any() else ""
        rows.append(row | {"varies": "sign" if {"more", "less"} <= set(single["sure"]) else size})
    names = ["effect", "probe", "unit", "estimate", "low", "high", "p", "runs", "pairs"]
    ends = ["smallest", "smallest_pair", "largest", "largest_pair", "varies"]
    return judged(pd.DataFrame(rows, columns=[*names, *ends]), "probe")
