"""Every outcome of the table of claims, and that each changes when the numbers do."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bitskept.instruments.claims import CONTROL
from bitskept.studies.bottleneck import claims
from bitskept.studies.bottleneck.claims import (
    BOUND,
    CHANCE,
    CLAIMS,
    EXACT,
    INSTRUCT,
    LENGTH,
    LIMIT,
    PHASES,
    PREFERENCE,
    REFERENCE,
    RUNS,
    SCORES,
    TEXT,
)
from bitskept.theory.statistics import detectable_correlation


def ends(estimate, spread):
    return {"estimate": estimate, "low": estimate - spread, "high": estimate + spread}


def optimality(value=0.3, spread=0.05, model="d", kind="decoder"):
    facts = {"model": model, "kind": kind, "layer": 3, "width": 1, "sentences": 80}
    return pd.DataFrame([facts | {"quantity": "optimality_corrected"} | ends(value, spread)])


def changes(value=0.2, spread=0.05, width=1, planned=True, first=1.0):
    p = 0.001 if abs(value) > spread else 0.5
    facts = {"model": "d", "estimator": "raw", "sentences": 250, "more": 2000, "width": width}
    facts |= {"planned": planned, "first": first}
    return pd.DataFrame([facts | {"p": p} | ends(value, spread)])


def exactness(value=0.2, spread=0.01, exact=0.1, sentences=80):
    facts = {"source": "s", "sentences": sentences, "quantity": "optimality", "kind": "raw"}
    facts |= {"exact": exact, "repeats": 5}
    return pd.DataFrame([facts | ends(value, spread)])


def preferred(value=0.01, spread=0.002, p=0.005, exchanged=0.0, longer=0.05):
    facts = {"model": "d", "layer": pd.NA, "clusters": 35}
    rows = [
        {"quantity": f"preference_beyond_length{end}"} | numbers
        for end, numbers in (("_corrected", ends(value, spread)), ("_p", ends(p, 0)))
    ]
    rows += [
        {"quantity": f"preference_exchanged{end}"} | numbers
        for end, numbers in (("_corrected", ends(exchanged, 0.0002)), ("_p", ends(0.6, 0)))
    ]
    rows += [
        {"quantity": f"preference_longer{end}"} | numbers
        for end, numbers in (("_corrected", ends(longer, 0.002)), ("_p", ends(0.005 if longer > 0.002 else 0.6, 0)))
    ]
    return pd.DataFrame([facts | row for row in rows])


def runs(
    value=0.8,
    p=0.001,
    number=24,
    measure="optimality_corrected",
    target="blimp accuracy",
    tests=1,
    able=True,
    setting=None,
):
    facts = {"target": target, "measure": measure, "n": number, "controls": 4, "p_holm": p, "tests": tests}
    facts |= {"able": able, "setting": setting}
    return pd.DataFrame([facts | ends(value, 0.1)])


def correlated(value=0.8, p=0.001, number=40, quantity="optimality"):
    row = {"quantity": quantity, "n": number, "partial": value, "p": p}
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
    """That of the one primary row."""
    found = of(table(**replaced), claim)
    (row,) = found[found["primary"]].to_dict("records")
    return row["outcome"]


def test_no_claim_is_left_empty_whatever_is_missing():
    nothing = {"preferred": None, "runs": runs(p=np.nan), "correlated": correlated(p=np.nan)}
    found = table(**nothing, optimality=optimality(np.nan), changes=changes(np.nan), exactness=exactness())
    for claim in CLAIMS:
        rows = of(found, claim)
        assert len(rows)
        untested = rows[rows["outcome"] == "not tested"]
        assert untested["claim"].str.contains(claim.takes, regex=False).all()
    assert found["outcome"].value_counts()["not tested"] == len(found) - 1  # but the exact values
    assert set(found["paper"]) == {"P2", CONTROL}


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [(0.97, 0.01, "yes"), (0.3, 0.1, "no"), (0.9, 0.1, "cannot tell"), (np.nan, 0, "not tested")],
)
def test_the_ratio_beside_a_reference(value, spread, expected):
    assert outcome(REFERENCE, optimality=optimality(value, spread)) == expected


def test_the_papers_claim_on_the_bound_is_not_tested_whatever_the_ratio_is():
    assert outcome(BOUND, optimality=optimality(0.97, 0.01)) == "not tested"
    assert of(table(), BOUND)["paper"].tolist() == ["P2"]


def test_what_the_paper_does_not_claim_is_a_control():
    found = table(
        runs=pd.concat([runs(), runs(measure="expressivity_corrected"), runs(measure="complexity_corrected")]),
        correlated=pd.concat([correlated(), correlated(quantity="expressivity"), correlated(p=np.nan)]),
    )
    for claim in (RUNS, SCORES):
        rows = of(found, claim)
        own = rows["claim"].str.startswith("more expressivity")
        assert set(rows.loc[own, "paper"]) == {CONTROL}
        assert set(rows.loc[~own, "paper"]) == {"P2"}
    assert {claim.paper for claim in (REFERENCE, PREFERENCE, INSTRUCT)} == {CONTROL}


@pytest.mark.parametrize(
    ("quantity", "takes"),
    [("optimality", "30 models with a score, for a power of 80 % at P2's 0.52"), ("complexity_corrected", "56 ")],
)
def test_how_many_models_it_takes_to_see_the_papers_coefficient(quantity, takes):
    (row,) = of(table(correlated=correlated(p=np.nan, quantity=quantity)), SCORES).to_dict("records")
    assert f"(to be tested: {takes}" in row["claim"]


def test_encoders_stand_apart():
    both = pd.concat([optimality(), optimality(0.99, model="e", kind="encoder")])
    found = table(optimality=both)
    rows = found[found["claim"] == REFERENCE.text].set_index("model")
    assert rows["primary"].to_dict() == {"d": True, "e (has seen the output)": False}


@pytest.mark.parametrize(
    ("value", "p", "number", "expected"),
    [(0.8, 0.001, 40, "yes"), (-0.6, 0.001, 40, "no"), (0.3, 0.2, 40, "cannot tell"), (0.8, np.nan, 3, "not tested")],
)
def test_scores_of_models_and_of_runs(value, p, number, expected):
    assert outcome(SCORES, correlated=correlated(value, p, number)) == expected
    assert outcome(RUNS, runs=runs(value, p, number)) == expected


@pytest.mark.parametrize(
    ("facts", "lacks"),
    [
        ({"number": 9, "target": "bits per byte"}, "1 more run with bits per byte for a p-value"),
        ({"number": 8, "target": "bits per byte"}, "2 more runs with bits per byte for a p-value"),
        ({"number": 24, "able": False}, "runs that do better than guessing"),
        ({"number": 10}, "runs that differ in both"),
    ],
)
def test_what_runs_lack_is_said_by_target(facts, lacks):
    (row,) = of(table(runs=runs(p=np.nan, **facts)), RUNS).to_dict("records")
    assert row["claim"].endswith(f"what a network can do (to be tested: {lacks}: 05_training_dynamics)")


def test_runs_are_tested_once_and_other_settings_are_not_primary():
    """The sentence of section 9 and the claim count the same tests."""
    other = runs(tests=10, setting="without controls").assign(controls=0)
    found = of(table(runs=pd.concat([runs(tests=10), other])), RUNS).set_index("probe")
    assert found["primary"].to_dict() == {"corrected": True, "corrected, without controls": False}
    for name, controls in zip(found.index, (4, 0), strict=True):
        assert found.loc[name, "detectable"] == pytest.approx(detectable_correlation(24, controls, 10))


def test_preference_is_tested_on_one_side():
    pair = pd.concat([preferred(), preferred().assign(model="e")])
    found = of(table(preferred=pair), PREFERENCE)
    first = norm.isf(0.05 / 2) + norm.ppf(0.8)  # of Holm's two steps
    assert found["detectable"].tolist() == pytest.approx([first * 0.002 / norm.isf(0.025)] * 2)


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


@pytest.mark.parametrize(("longer", "expected"), [(0.05, "yes"), (-0.002, "no"), (0.0, "cannot tell")])
def test_which_answer_is_longer_is_a_control(longer, expected):
    assert outcome(LENGTH, preferred=preferred(longer=longer)) == expected
    assert set(of(table(), LENGTH)["paper"]) == {CONTROL}


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


@pytest.mark.parametrize(
    ("first", "expected"), [(1.0, "no"), (0.2, "yes"), (0.4, "cannot tell"), (np.nan, "not tested")]
)
def test_a_change_is_weighed_as_a_share_as_well(first, expected):
    found = of(table(changes=changes(0.03, 0.015, first=first)), TEXT)
    assert found["primary"].tolist() == [True, False]
    assert found["outcome"].tolist() == ["no", expected]
    assert found["probe"].iloc[1] == LIMIT or expected == "not tested"
    assert expected != "yes" or found["estimate"].iloc[1] == pytest.approx(0.15)


def test_the_rows_on_the_amount_of_text_are_there_by_themselves():
    some = changes(0.03, 0.015)
    whole = of(table(changes=some), TEXT).reset_index(drop=True)
    pd.testing.assert_frame_equal(claims.changes_with_text(some), whole, check_dtype=False)


def test_other_widths_and_amounts_of_text_are_settings():
    wider = pd.concat([changes(), changes(0.01, 0.02, width=2), changes(planned=False)])
    found = of(table(changes=wider), TEXT)
    assert found["reading"].tolist()[1:3] == [f"{name}, 250 to 2,000 sentences" for name in ("token", "bigram")]
    assert found["primary"].tolist() == [True, False, False, False]
    assert found["outcome"].tolist() == ["yes", "yes", "no", "yes"]
    found = of(table(exactness=pd.concat([exactness(sentences=40), exactness(0.1, 0.005)])), EXACT)
    assert found["train_sentences"].tolist() == [40, 80]
    assert found["primary"].tolist() == [False, True]
    assert found["outcome"].tolist() == ["yes", "no"]


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
