"""How much of a token does its state keep after masked training? One model is trained on by BERT's rule, which
leaves some of the tokens to be predicted in view and replaces others, and with a mask in place of each of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes import sweep
from bitskept.instruments.probes.bounds_by_layer import prior_bits
from bitskept.instruments.training import recovery
from bitskept.instruments.training.schedule import Schedule
from bitskept.studies.layer_sweep.controls import difference
from bitskept.studies.layer_sweep.section import LayerSweep, random_plan

ARMS = ("continued", "mask only")
"""BERT's rule, and the mask alone."""
CURVE = 200
"""The number of held-out sentences, at most, whose hidden tokens show whether a model has learned."""
COLUMNS = [
    "model",
    "arm",
    "seed",
    "step",
    "layer",
    "probe",
    "quantity",
    "estimate",
    "low",
    "high",
    "unit",
    "n",
    "train_sentences",
]


@makes_table
def masked_training(section: LayerSweep) -> pd.DataFrame:
    """What the layers keep on the way through either training, by step; step 0 is the model as it is published.

    Quantities: `retained_cross_entropy`, the share of H(X) by layer and probe, with `n` test sentences; and
    `masked_cross_entropy`, the mean cost of held-out tokens that are all masked, from `n` sentences; and, in one row
    without arm, `prior_cross_entropy`, that of the tokens of the `n` test sentences, which are others, by the
    frequencies of the training text alone; a model that has learned from context is below it. Trained by
    `instruments.training.recovery.tune`, measured by `instruments.probes.sweep.measure`, computed in
    `instruments.probes.bounds_by_layer`.
    """
    plans, terms = list(training_plans(section)), section.accept_terms
    tuned = recovery.tune_each(plans, accept_terms=terms)
    runs = [(plan, run.curve, {0: plan.model, **run.ids}) for plan, run in zip(plans, tuned, strict=True)]
    ids = list(dict.fromkeys(id for *_, checkpoints in runs for id in checkpoints.values()))
    asked = [(id, sweep_plan(section), None) for id in ids]
    swept = dict(zip(ids, map(_token_rows, sweep.measure.each(asked, accept_terms=terms)), strict=True))
    rows = [_prior(section.masked_model, swept[section.masked_model])]
    for plan, curve, checkpoints in runs:
        costs = curve.query("quantity == 'masked_cross_entropy'").assign(n=plan.curve)
        kept = [
            swept[id].query("quantity == 'retained_cross_entropy'").assign(step=step)
            for step, id in checkpoints.items()
        ]
        rows += [part.assign(model=plan.model, arm=plan.arm, seed=plan.seed) for part in (*kept, costs)]
    return pd.concat(rows, ignore_index=True)[COLUMNS]


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """One row per arm and probe of `masked_training`: what the last layer keeps after the last step, less what it kept
    before, as `controls.difference` has it from the means and the outer ends over the seeds; and whether every seed has
    `learned`: hidden tokens cost it less than by frequencies alone.
    """
    ends = table[table["step"].isin([0, table["step"].max()])].assign(after=table["step"] > 0)
    kept = ends[(ends["quantity"] == "retained_cross_entropy") & (ends["layer"] == ends["layer"].max())]
    costs = ends[(ends["quantity"] == "masked_cross_entropy") & ends["after"]]
    prior = table.loc[table["quantity"] == "prior_cross_entropy", "estimate"].max()
    rows = []
    for (model, arm, probe), part in kept.groupby(["model", "arm", "probe"], sort=False):
        seeds = part.groupby("after").agg(estimate=("estimate", "mean"), low=("low", "min"), high=("high", "max"))
        facts = {"model": model, "arm": arm, "probe": probe, "n": part["n"].max(), "unit": "share of H(X)"}
        facts |= {"learned": bool((costs.loc[costs["arm"] == arm, "estimate"] < prior).all())}
        facts |= {"train_sentences": part["train_sentences"].max()}
        rows.append(facts | difference(seeds.loc[True], seeds.loc[False]))
    return pd.DataFrame(rows)


def between_rules(table: pd.DataFrame) -> pd.DataFrame:
    """One row per probe of `masked_training`: what the last layer keeps after the last step of BERT's rule, less the
    same with the mask alone, as `controls.difference` has it from the means and the outer ends over the `seeds`; and
    whether both rules were `learned` (`gains`).
    """
    kept = table[(table["quantity"] == "retained_cross_entropy") & (table["step"] == table["step"].max())]
    kept, learned = kept[kept["layer"] == kept["layer"].max()], bool(gains(table)["learned"].all())
    rows = []
    for probe, part in kept.groupby("probe"):
        arms = part.groupby("arm").agg(estimate=("estimate", "mean"), low=("low", "min"), high=("high", "max"))
        facts = {"probe": probe, "seeds": part["seed"].nunique(), "learned": learned}
        rows.append(facts | difference(*(arms.loc[arm] for arm in ARMS)))
    return pd.DataFrame(rows)


def training_plans(section: LayerSweep) -> Iterator[recovery.Plan]:
    """Each arm with each seed. Training leaves out the sentences of the sweep; the model
    is also kept after 1/8, 1/4 and 1/2 of the steps.
    """
    plan, steps = sweep_plan(section), section.masked_steps
    held_out = plan.train + plan.validation + plan.test
    for arm, seed in product(ARMS, section.masked_seeds):
        yield recovery.Plan(
            section.masked_model,
            arm,
            section.corpus,
            Schedule.usual(steps, section.masked_batch, section.masked_rate),
            sentences=steps * section.masked_batch,
            held_out=held_out,
            curve=min(CURVE, held_out),
            longest=section.longest,
            text_seed=section.seed,
            seed=seed,
            dtype=section.dtype,
            # The first step of a warm-up has a rate of 0 and changes nothing.
            checkpoints=tuple(sorted({max(2, steps // part) for part in (8, 4, 2)})),
        )


def sweep_plan(section: LayerSweep) -> sweep.Plan:
    """The token reading of the first and the last layer by both closed-form probes, on the text of the random
    copies."""
    small = random_plan(section)
    return replace(small, ridge=True, side_layers=2, poolings=(), places=0)


def _token_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["reading"] == "token") & table["group"].isna()]


def _prior(model: str, table: pd.DataFrame) -> pd.DataFrame:
    """What the usable bits of a probe are counted from: the cost of the test tokens without any state."""
    n = table.loc[table["quantity"] == "usable", "n"].max()
    facts = {"model": model, "step": 0, "unit": "bits per token", "n": n}
    return pd.DataFrame([facts | {"quantity": "prior_cross_entropy", "estimate": prior_bits(table)[model]}])
