"""Every outcome of the table of claims, and that each changes when the numbers do."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.claims import CONTROL
from bitskept.studies.bottleneck import claims
from bitskept.studies.bottleneck.claims import (
    BOUND,
    CHANCE,
    CLAIMS,
    EXACT,
    INSTRUCT,
    PHASES,
    PREFERENCE,
    RUNS,
    SCORES,
    TEXT,
)


def ends(estimate, spread):
    return {"estimate": estimate, "low": estimate - spread, "high": estimate + spread}


def optimality(value=0.3, spread=0.05, model="d", kind="decoder"):
    facts = {"model": model, "kind": kind, "layer": 3, "width": 1, "sentences": 80}
    return pd.DataFrame([facts | {"quantity": "optimality_corrected"} | ends(value, spread)])


def changes(value=0.2, spread=0.05):
    p = 0.001 if abs(value) > spread else 0.5
    return pd.DataFrame([{"model": "d", "estimator": "raw", "sentences": 250, "p": p} | ends(value, spread)])


def exactness(value=0.2, spread=0.01, exact=0.1):
    facts = {"source": "s", "sentences": 80, "quantity": "optimality", "kind": "raw", "exact": exact, "repeats": 5}
    return pd.DataFrame([facts | ends(value, spread)])


def preferred(value=0.01, spread=0.002, p=0.005, exchanged=0.0):
    facts = {"model": "d", "layer": pd.NA, "clusters": 35}
    rows = [
        {"quantity": f"preference_beyond_length{end}"} | numbers
        for end, numbers in (("_corrected", ends(value, spread)), ("_p", ends(p, 0)))
    ]
    rows += [
        {"quantity": f"preference_exchanged{end}"} | numbers
        for end, numbers in (("_corrected", ends(exchanged, 0.0002)), ("_p", ends(0.6, 0)))
    ]
    return pd.DataFrame([facts | row for row in rows])


def runs(value=0.8, p=0.001, number=24, measure="optimality_corrected", target="blimp accuracy"):
    facts = {"target": target, "measure": measure, "n": number, "controls": 4, "p": p}
    return pd.DataFrame([facts | ends(value, 0.1)])


def correlated(value=0.8, p=0.001, number=40):
    row = {"quantity": "optimality", "n": number, "partial": value, "p": p}
    return pd.DataFrame([row])


def measured(spread=0.001, **values):
    rows = [{"model": model, "quantity": quantity} | ends(value, spread) for model, (quantity, value) in values.items()]
    return pd.DataFrame(rows, columns=["model", "quantity", "estimate", "low", "high"])


def table(**replaced):
    parts = {
        "optimality": optimality(), "changes": changes(), "exactness": exactness(), "preferred": preferred(),
        "runs": runs(), "measured": measured(), "correlated": correlated(),
    }  # fmt: skip
    return claims.claims(**(parts | replaced))


def of(found, claim):
    return found[found["claim"].str.contains(claim.text.removeprefix("{}"), regex=False)]


def outcome(claim, **replaced):
    found = table(**replaced)
    (row,) = of(found, claim).to_dict("records")
    return row["outcome"]


def test_no_claim_is_left_empty_whatever_is_missing():
    nothing = {"preferred": None, "runs": runs(p=np.nan), "correlated": correlated(p=np.nan)}
    found = table(**nothing, optimality=optimality(np.nan), changes=changes(np.nan), exactness=exactness())
    for claim in CLAIMS:
        rows = of(found, claim)
        assert len(rows)
        untested = rows[rows["outcome"] == "not tested"]
        assert untested["claim"].str.contains(claim.takes, regex=False).all()
    assert found["outcome"].value_counts()["not tested"] == len(found) - 1
    assert set(found["paper"]) == {"P2", CONTROL}


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [(0.97, 0.01, "yes"), (0.3, 0.1, "no"), (0.9, 0.1, "cannot tell"), (np.nan, 0, "not tested")],
)
def test_near_the_bound(value, spread, expected):
    assert outcome(BOUND, optimality=optimality(value, spread)) == expected


def test_encoders_stand_apart():
    both = pd.concat([optimality(), optimality(0.99, model="e", kind="encoder")])
    found = table(optimality=both)
    rows = found[found["claim"] == BOUND.text].set_index("model")
    assert rows["primary"].to_dict() == {"d": True, "e (has seen the output)": False}


@pytest.mark.parametrize(
    ("value", "p", "number", "expected"),
    [(0.8, 0.001, 40, "yes"), (-0.6, 0.001, 40, "no"), (0.3, 0.2, 40, "cannot tell"), (0.8, np.nan, 3, "not tested")],
)
def test_scores_of_models_and_of_runs(value, p, number, expected):
    assert outcome(SCORES, correlated=correlated(value, p, number)) == expected
    assert outcome(RUNS, runs=runs(value, p, number)) == expected


def test_what_is_good_for_a_network_is_a_low_cost_and_a_low_complexity():
    assert outcome(RUNS, runs=runs(-0.8, target="bits per byte")) == "yes"
    assert outcome(RUNS, runs=runs(-0.8, measure="complexity_corrected")) == "yes"
    assert outcome(RUNS, runs=runs(0.8, measure="complexity_corrected", target="bits per byte")) == "yes"
    assert outcome(RUNS, runs=runs(0.8, measure="complexity_corrected")) == "no"


@pytest.mark.parametrize(
    ("value", "spread", "p", "expected"),
    [(0.01, 0.002, 0.005, "yes"), (0.0001, 0.0002, 0.5, "no"), (0.01, 0.02, 0.5, "cannot tell")],
)
def test_preference_beyond_length(value, spread, p, expected):
    assert outcome(PREFERENCE, preferred=preferred(value, spread, p)) == expected
    assert of(table(), PREFERENCE)["clusters"].tolist() == [35]


def test_exchanged_labels_that_seem_to_be_known_would_be_seen():
    assert outcome(CHANCE) == "no"
    wrong = preferred(exchanged=0.01)
    wrong.loc[wrong["quantity"] == "preference_exchanged_p", "estimate"] = 0.005
    assert outcome(CHANCE, preferred=wrong) == "yes"


@pytest.mark.parametrize(("tuned", "expected"), [(0.02, "yes"), (0.005, "no"), (0.0065, "cannot tell")])
def test_instruction_tuning(tuned, expected):
    name = "preference_beyond_length_corrected"
    assert outcome(INSTRUCT) == "not tested"
    for base, other in (("x", "x-instruct"), ("y-base", "y-instruct")):
        values = {base: (name, 0.006), other: (name, tuned)}
        assert outcome(INSTRUCT, measured=measured(**values)) == expected


@pytest.mark.parametrize(("last", "expected"), [(0.4, "yes"), (0.5, "no"), (0.4992, "cannot tell")])
def test_fitting_and_compression_over_checkpoints(last, expected):
    values = {"x@step1": 0.1, "x@stage1-step20-tokens1B": 0.5, "x@step300": last, "other": 0.9}
    rows = measured(0.0003, **{name: ("complexity_corrected", value) for name, value in values.items()})
    assert outcome(PHASES, measured=rows) == expected
    assert outcome(PHASES, measured=rows[rows["model"] != "x@step1"]) == "not tested"


@pytest.mark.parametrize(
    ("value", "spread", "expected"), [(-0.2, 0.05, "yes"), (0.01, 0.02, "no"), (0.06, 0.1, "cannot tell")]
)
def test_a_change_with_the_amount_of_text(value, spread, expected):
    assert outcome(TEXT, changes=changes(value, spread)) == expected


@pytest.mark.parametrize(
    ("value", "spread", "expected"), [(0.05, 0.01, "yes"), (0.1, 0.005, "no"), (0.105, 0.02, "cannot tell")]
)
def test_off_the_exact_value(value, spread, expected):
    assert outcome(EXACT, exactness=exactness(value, spread)) == expected


def test_what_will_be_tested_is_said_of_every_claim():
    lines = claims.planned().splitlines()
    assert len(lines) == 2 + len(CLAIMS)
    for line, claim in zip(lines[2:], CLAIMS, strict=True):
        assert all(text in line for text in (claim.text.format(claim.things), claim.tested, claim.on))


def test_each_estimator_and_each_direction_is_a_claim_of_its_own():
    found = table(runs=pd.concat([runs(), runs(-0.8, measure="complexity_corrected")]))
    assert {"raw optimality changes with the amount of text", "raw optimality is off its exact value"} <= set(
        found["claim"]
    )
    assert {
        "more optimality goes with what a network can do",
        "less complexity goes with what a network can do",
    } <= set(found["claim"])
