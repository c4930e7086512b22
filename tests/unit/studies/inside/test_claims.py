"""What becomes of each claim, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.claims import CONTROL
from bitskept.studies.inside import claims
from bitskept.studies.inside.capacity import EXPONENTIAL
from bitskept.studies.inside.claims import Found
from bitskept.studies.inside.generalisation import ALL, COUNTS, FEW
from bitskept.studies.inside.projected_embeddings import RANDOM
from bitskept.studies.inside.section import InsideTransformer


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile, with a bank of four prompts."""
    return InsideTransformer.read({"profile": "smoke"}).model_copy(update={"pairs": 3, "others": 1, "length": 2})


def within(estimate, reach=0.02):
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach}


def found(
    *,
    arrived=2.0,
    halves=2.0,
    shuffled=-1.0,
    gain=0.5,
    promptless=0.5,
    distortion=0.3,
    apart=0.9,
    values=0.9,
    zero=0.5,
    slope=0.8,
    loss=6.0,
    added=1.0,
    learned=5.0,
    reach=0.02,
):
    """The notebook's tables, with one number for each claim."""
    answers = pd.DataFrame(
        [{"corpus": "c", "tokens": 1} | within(0.5), {"corpus": "c", "tokens": 2} | within(arrived, reach)]
    )
    pairs = [(0, False, 9.0), (6, False, halves), (6, True, shuffled)]
    infonce = [
        {"layer": layer, "critic": "cosine", "shuffled": mixed, "model": "e"} | within(bits, reach)
        for layer, mixed, bits in pairs
    ]
    gains = [("next token", "left_out", gain), ("next token", "mixture", 9.0), ("diffusion", None, 2.0)]
    gains.append(("next token", "promptless", promptless))
    twins = [{"twin": twin, "marginal": marginal} | within(bits, reach) for twin, marginal, bits in gains]
    worst = [("embeddings", 8, 2.0), ("embeddings", 50, distortion), ("embeddings", 99, 0.01), (RANDOM, 50, 0.25)]
    distortions = [
        {"points": points, "dimension": size, "quantity": "max_distortion", "width": 100, "types": 2000}
        | within(value, reach)
        for points, size, value in worst
    ]
    distances = [
        ("layer", 0, 30, apart),
        ("layer", 0, 15, 9.0),
        ("other texts", 15, None, 0.1),
        ("other texts", 0, None, 0.2),
        ("other texts", 30, None, 0.3),
    ]
    shapes = [
        {"against": against, "layer": layer, "other": other, "model": "m"} | within(value, reach)
        for against, layer, other, value in distances
    ]
    steps = [
        (weights, step, share)
        for weights in ("trained", "random")
        for step, share in (("values", values), ("zero", zero))
    ]
    energies = [
        {"weights": weights, "step": step, "form": "full", "model": "m", "quantity": "lowered"} | within(share, reach)
        for weights, step, share in steps
    ]
    laws = [(EXPONENTIAL, 0.0), ("another", 50.0)]
    growth = [{"scale": "b = 1", "law": law, "worse": worse} | within(slope, reach) for law, worse in laws]
    values = {
        "coded_training": loss,
        "bound": loss + added,
        "uniform": 9.0,
        "code": 100.0,
        "longest_code": 100 + 400 * (8 - loss),
    }
    values |= {"tokens": 4000.0}
    bounds = [
        {
            "kind": kind,
            "width": 8,
            "sentences": 10,
            "numbers": 5,
            "levels": 3,
            "alpha": 0.1,
            "quantity": name,
            "estimate": value,
        }
        for kind in (ALL, FEW, COUNTS)
        for name, value in (values | {"training": 7.0 if kind == COUNTS else learned}).items()
    ]
    tables = answers, infonce, twins, distortions, shapes, energies, growth, bounds
    made = Found(*(pd.DataFrame(table).assign(n=30) for table in tables))
    made.shapes["quantity"] = "gromov_wasserstein"
    made.energies[["layer", "head"]] = np.nan
    return made


def outcomes(section, **numbers):
    """The outcome of each claim, by its text up to a comma that names a control; its main reading."""
    table = claims.claims(found(**numbers), section)
    table = table[table["reading"] != "gain over no prompt"]
    return {(row["claim"].partition(", as ")[0], row["model"]): row for row in table.to_dict("records")}


def few_tokens(section):
    return f"{section.model} ({section.points} of 2,000 tokens)"


def test_large_effects_are_found(section):
    rows = outcomes(section)
    told = {claim: row["outcome"] for (claim, _), row in rows.items()}
    for claim in (
        claims.TIGHT,
        claims.HALVES,
        claims.PROMPT,
        claims.FEWER,
        claims.SHAPES,
        claims.ENERGY,
        claims.MEMORY,
        claims.BOUND,
    ):
        assert told[claim] == "yes", claim
    assert told[claims.THEOREMS] == "not tested"
    assert told[f"{claims.PROMPT} {claims.LAW}"] == "not tested"
    assert told["halves of different texts share something"] == "no"
    assert told["points need fewer dimensions than they have"] == "yes"


@pytest.mark.parametrize(
    ("claim", "numbers"),
    [
        (claims.TIGHT, {"arrived": 0.5}),
        (claims.HALVES, {"halves": 0.1}),
        (claims.PROMPT, {"gain": 0.0}),
        (claims.FEWER, {"distortion": 0.9}),
        (claims.SHAPES, {"apart": 0.31}),
        (claims.ENERGY, {"values": 0.5}),
        (claims.MEMORY, {"slope": 0.1}),
    ],
)
def test_small_effects_are_ruled_out(section, claim, numbers):
    told = {told: row["outcome"] for (told, _), row in outcomes(section, **numbers).items()}
    assert told[claim] == "no"


@pytest.mark.parametrize(
    "claim", [claims.TIGHT, claims.HALVES, claims.PROMPT, claims.FEWER, claims.SHAPES, claims.ENERGY, claims.MEMORY]
)
def test_wide_intervals_cannot_tell(section, claim):
    rows = [row for (told, _), row in outcomes(section, reach=5.0).items() if told == claim]
    assert {row["outcome"] for row in rows} == {"cannot tell"}
    assert all(row["detectable"] > 1 or claim == claims.TIGHT for row in rows)


def test_an_effect_without_an_interval_cannot_be_told(section):
    rows = [row for row in outcomes(section, reach=np.nan).values() if row["claim"] == claims.PROMPT]
    assert rows[0]["outcome"] == "cannot tell"
    assert np.isnan(rows[0]["low"])


def test_readings_are_fixed_and_not_chosen_by_the_result(section):
    rows = outcomes(section)
    assert rows[claims.HALVES, "e"]["estimate"] == 2.0
    fewer = rows[claims.FEWER, few_tokens(section)]
    assert fewer["reading"] == "0.5 minus the worst pair's, 50 of 100 dimensions"
    assert fewer["estimate"] == pytest.approx(0.2)
    assert ("points need fewer dimensions than they have", f"{section.points} random points") in rows
    assert rows[claims.SHAPES, "m"]["estimate"] == pytest.approx(0.6)
    assert rows[claims.ENERGY, "m (trained)"]["primary"]
    assert not rows[claims.ENERGY, "m (random)"]["primary"]


def test_a_vacuous_bound_cannot_tell(section):
    rows = [row for row in outcomes(section, loss=8.5).values() if row["unit"] == claims.BELOW]
    assert {row["outcome"] for row in rows} == {"cannot tell"}
    assert all((row["estimate"], row["low"], row["detectable"]) == (0.5, -0.5, 1.0) for row in rows)
    assert [row["paper"] for row in rows].count(CONTROL) == 1


@pytest.mark.parametrize(("added", "seen"), [(8.9, 8.9), (9.1, np.inf)])
def test_no_gain_can_be_larger_than_what_the_uniform_distribution_costs(section, added, seen):
    row = outcomes(section, loss=8.5, added=added)[claims.BOUND, "all weights"]
    assert (row["outcome"], row["detectable"]) == ("cannot tell", pytest.approx(seen))


@pytest.mark.parametrize(("learned", "tested"), [(6.9, True), (7.0, False), (8.0, False)])
def test_a_network_that_knows_no_more_than_frequencies_has_no_verdict(section, learned, tested):
    rows = outcomes(section, learned=learned).values()
    told = {row["model"]: row["outcome"] for row in rows if row["unit"] == claims.BELOW}
    network = "yes" if tested else "not tested"
    assert told == {"all weights": network, "5 numbers": network, "token counts": "yes"}
    assert {claims.LEARNED in row["claim"] for row in rows if row["model"] == "5 numbers"} == {not tested}


def test_what_a_prompt_adds_to_none_is_not_the_main_reading(section):
    table = claims.claims(found(gain=0.0, promptless=0.4), section)
    rows = table[table["claim"] == claims.PROMPT]
    assert rows[["reading", "outcome", "primary"]].to_numpy().tolist() == [
        ["gain over other prompts", "no", True],
        ["gain over no prompt", "yes", False],
    ]


def test_without_enough_dimensions_growth_is_not_tested(section):
    made = found()
    few = Found(
        *(getattr(made, name) for name in Found.__dataclass_fields__ if name != "bounds" and name != "growth"),
        made.growth[:0],
        made.bounds,
    )
    table = claims.claims(few, section)
    assert f"{claims.MEMORY} {claims.SLOPES}" in set(table.loc[table["outcome"] == "not tested", "claim"])


def test_networks_of_the_usual_size_and_text_are_primary(section):
    rows = [row for row in outcomes(section).values() if row["unit"] == claims.BELOW]
    assert not any(row["primary"] for row in rows)
    training = section.training.model_copy(update={"width": 8, "sentences": 10})
    usual = outcomes(section.model_copy(update={"training": training}))
    assert usual[claims.BOUND, "all weights"]["primary"]
    assert usual[claims.BOUND, "all weights"]["reading"] == "10 sentences, width 8"
    assert usual[claims.BOUND, "5 numbers"]["primary"]


def test_laws_that_cannot_be_told_apart_are_not_weighed(section):
    made = found()
    made.growth["worse"] = [0.0, 5.0]
    table = claims.claims(made, section)
    (row,) = table[table["unit"] == claims.SLOPE].to_dict("records")
    assert row["outcome"] == "not tested"
    assert row["model"] == "random patterns, b = 1"


@pytest.mark.parametrize(("slope", "outcome"), [(0.8, "cannot tell"), (0.1, "no")])
def test_a_steep_slope_is_no_evidence_for_a_law_that_another_beats(section, slope, outcome):
    made = found(slope=slope)
    made.growth["worse"] = [50.0, 0.0]
    table = claims.claims(made, section)
    (row,) = table[table["unit"] == claims.SLOPE].to_dict("records")
    assert row["outcome"] == outcome
    assert row["reading"] == "one step, slope over 30 values of d"


@pytest.mark.parametrize(("zero", "tested"), [(0.94, True), (0.96, False), (1.0, False)])
def test_a_control_near_all_queries_leaves_nothing_to_weigh(section, zero, tested):
    rows = outcomes(section, values=0.99, zero=zero)
    assert ((claims.ENERGY, "m (trained)") in rows) == tested
    for weights in ("trained", "random") if not tested else ():
        row = rows[f"{claims.ENERGY} {claims.ROOM}", f"m ({weights})"]
        assert row["outcome"] == "not tested"
        assert row["primary"] == (weights == "trained")


def test_no_share_above_one_would_have_been_seen(section):
    sure, unsure = (outcomes(section, reach=reach)[claims.TIGHT, f"{section.model} (c)"] for reach in (0.02, 5.0))
    assert sure["detectable"] == pytest.approx(claims.NEAR, abs=0.1)
    assert np.isinf(unsure["detectable"])


def test_layers_are_weighed_against_the_larger_of_their_anchors():
    pairs = claims.beyond_sampling(found().shapes)
    assert pairs[["layer", "other"]].astype(int).to_numpy().tolist() == [[0, 30], [0, 15]][: len(pairs)]
    assert pairs["estimate"].iloc[0] == pytest.approx(0.6)
    assert pairs["high"].iloc[0] - 0.6 == pytest.approx(0.02 * 2**0.5, rel=0.01)


@pytest.mark.parametrize(("random", "ending"), [(0.3, ", as random points do"), (0.49, ""), (0.7, "")])
def test_the_claim_about_dimensions_says_whether_any_points_fare_the_same(section, random, ending):
    made = found()
    made.distortions.loc[made.distortions["points"] == RANDOM, ["estimate", "low", "high"]] = [
        random, random - 0.02, random + 0.02,
    ]  # fmt: skip
    table = claims.claims(made, section)
    assert f"{claims.FEWER}{ending}" in set(table["claim"])


@pytest.mark.parametrize(("loss", "ending"), [(6.0, ", as that of a distribution without context"), (8.5, "")])
def test_the_claim_about_bounds_says_whether_no_context_is_needed(section, loss, ending):
    table = claims.claims(found(loss=loss), section)
    assert f"{claims.BOUND}{ending}" in set(table["claim"])
