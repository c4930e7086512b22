"""How much of a token does its state keep after masked training? One model is trained on by BERT's rule, which
leaves some of the tokens to be predicted in view and replaces others, and with a mask in place of each of them.
"""

from collections.abc import Iterator
from itertools import product

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes import sweep
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
    without arm, `prior_cross_entropy`, that of the test tokens by the frequencies of the training text alone, which a
    model that has learned from context is below. Trained by
    `instruments.training.recovery.tune`, measured by `instruments.probes.sweep.measure`, computed in
    `instruments.probes.bounds_by_layer`.
    """
    rows = [_prior(section)]
    for plan in training_plans(section):
        tuned = recovery.tune(plan, accept_terms=section.accept_terms)
        costs = tuned.curve.query("quantity == 'masked_cross_entropy'").assign(n=plan.curve)
        kept = [
            _token_rows(section, id).query("quantity == 'retained_cross_entropy'").assign(step=step)
            for step, id in {0: plan.model, **tuned.ids}.items()
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
    """The token reading of the random copies, by both closed-form probes."""
    small = random_plan(section)
    options = {"side_layers": small.side_layers, "longest": small.longest, "types": small.types, "dtype": small.dtype}
    sizes = small.train, small.validation, small.test
    return sweep.Plan(small.corpus, *sizes, seed=small.seed, shuffled=False, every_layer=False, **options)


def _token_rows(section: LayerSweep, id: str) -> pd.DataFrame:
    table = sweep.measure(id, sweep_plan(section), accept_terms=section.accept_terms)
    return table[(table["reading"] == "token") & table["group"].isna()]


def _prior(section: LayerSweep) -> pd.DataFrame:
    """What the usable bits of a probe are counted from: the cost of the test tokens without any state."""
    table = _token_rows(section, section.masked_model).query("probe == 'centroid' and layer == 0").set_index("quantity")
    cost = table.loc["cross_entropy", "estimate"] + table.loc["usable", "estimate"]
    facts = {"model": section.masked_model, "step": 0, "unit": "bits per token", "n": table.loc["usable", "n"]}
    return pd.DataFrame([facts | {"quantity": "prior_cross_entropy", "estimate": cost}])
