"""What counts as an outcome in notebook 06: every claim, with effects that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bitskept.instruments.claims import COLUMNS, CONTROL
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic import claims
from bitskept.studies.semantic.human_answers import DIFFERENCE, RISE
from bitskept.studies.semantic.prompt_information import ANOTHER, BEYOND_ANOTHER, CHANGE
from bitskept.studies.semantic.section import SemanticInformation

NOTHING = {"low": np.nan, "high": np.nan}


def row(estimate, reach=0.05, **facts):
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach, "n": 40, "model": "m"} | facts


def last(drift, whose, **facts):
    rows = [row(drift, 0.4, marginal=name, position=3, quantity="M", whose=whose) for name in MARGINALS]
    early = [r | {"position": 0, "estimate": 9.0} for r in rows]
    return [r | {"corpus": "c"} | facts for r in (*early, *rows)]


@pytest.fixture
def table():
    """table(**effects): the claims where every effect is there and every control is passed, but for these."""

    def make(
        prompt=0.5,
        own=0.5,
        more=0.5,
        rise=0.5,
        fall=-3.0,
        luck=0.1,
        gathered=2.0,
        excess=0.5,
        known=True,
        short=0.0,
        **gaps,
    ):
        gains = [row(prompt, corpus="c", marginal=name) for name in MARGINALS]
        gains += [row(value, corpus="c", marginal=name) for name, value in ((BEYOND_ANOTHER, own), (ANOTHER, 0.5))]
        change = {"corpus": "c", "quantity": CHANGE, "context": 8}
        contexts = [row(more, marginal=name, since=since, **change) for name in MARGINALS for since in (1, 4)]
        usual = {"corpus": "c", "quantity": "context_gain", "since": None}
        contexts.append(row(9.0, context=8, marginal="left_out", **usual))
        contexts += [row(short, context=4, marginal=name, **usual) for name in MARGINALS]
        contexts.append(row(9.0, context=8, marginal="mixture", **usual))
        people = [*last(-3.0, "people"), *last(luck, "model"), *last(fall, DIFFERENCE)]
        late = {"corpus": "c", "quantity": RISE, "position": 3}
        people += [row(rise, whose="people", marginal=name, **late) for name in MARGINALS]
        people += [
            row(9.0, whose=whose, marginal=name, **late) for whose in ("model", DIFFERENCE) for name in MARGINALS
        ]
        curves = [
            ("errors", 0.5, 0.0, 1.0),
            ("errors", 0.5, 0.5, 0.0),
            ("Markov", 1.0, 0.0, 1.0),
            ("Markov", 1.0, 0.2, 0.8),
        ]
        curves += [("Markov", 2.0, 0.0, 0.9), ("Markov", 2.0, 0.2, 0.6)]
        curves = pd.DataFrame(curves, columns=["kind", "of", "distortion", "rate"]).assign(error=gaps.get("gap", 1e-4))
        twins = pd.DataFrame(
            [row(0.0, twin="next token", gathered=gathered) | {"low": gathered - 0.1, "high": gathered + 0.1}]
        )
        costs = pd.DataFrame(
            [row(value, at=n, known=ok) for n, value, ok in ((2, 0.0, known), (4, excess, known), (8, 9.0, False))]
        )
        smoke = SemanticInformation.read({"profile": "smoke"})
        section = smoke.model_copy(update={"flips": [0.5, 0.2], "markov_steps": 2})
        means = pd.DataFrame(last(luck, "one"))
        parts = gains, contexts, means, people, curves, twins, costs
        return claims.claims(*map(pd.DataFrame, parts), section).set_index("claim", drop=False)

    return make


def outcomes(table, claim, primary=True):
    rows = table[(table["claim"] == claim) & (table["primary"] == primary)]
    return set(rows["outcome"])


def test_where_all_is_there_the_paper_is_right_and_the_controls_are_passed(table):
    found = table()
    assert list(found) == COLUMNS
    paper = found[(found["paper"] == "P3") & found["primary"] & found["estimate"].notna()]
    assert len(paper) == 7
    assert set(paper["outcome"]) == {"yes"}
    assert outcomes(found, claims.OWN) == {"yes"}
    assert outcomes(found, claims.ANY) == {"yes"}
    assert outcomes(found, claims.LUCK) == {"no"}
    assert outcomes(found, claims.CLOSED) == {"no"}
    assert set(found.loc[list(claims.UNMEASURED), "outcome"]) == {"not tested"}
    assert set(found.loc[found["claim"].isin([claims.OWN, claims.ANY, claims.LUCK, claims.CLOSED]), "paper"]) == {
        CONTROL
    }


@pytest.mark.parametrize(
    ("effect", "claim", "outcome"),
    [
        ({"prompt": 0.01}, claims.DIRECTS, "no"),
        ({"prompt": 0.09}, claims.DIRECTS, "cannot tell"),
        ({"own": -0.3}, claims.OWN, "no"),
        ({"more": 0.0}, claims.MORE, "no"),
        ({"rise": -0.2}, claims.ARRIVES, "no"),
        ({"fall": 3.0}, claims.DRIFTS, "no"),
        ({"fall": -0.9}, claims.DRIFTS, "cannot tell"),
        ({"luck": -3.0}, claims.LUCK, "yes"),
        ({"luck": 3.0}, claims.LUCK, "yes"),
        ({"gap": 0.3}, claims.PAST, "cannot tell"),
        ({"gathered": -1.0}, claims.GATHERS, "no"),
        ({"excess": 0.12}, claims.BEST_OF, "cannot tell"),
        ({"excess": 0.01}, claims.BEST_OF, "no"),
    ],
)
def test_an_effect_that_is_missing_is_no_and_one_that_is_unsure_cannot_be_told(table, effect, claim, outcome):
    assert outcomes(table(**effect), claim) == {outcome}


def test_shorter_prompts_are_claims_that_are_not_primary(table):
    found = table().loc[claims.DIRECTS]
    [shorter] = found[found["reading"] == "mixture over prompts, last tokens of the prompt: 4"].to_dict("records")
    assert (shorter["outcome"], shorter["primary"]) == ("no", False)
    assert len(found) == len(MARGINALS) + 1


def test_the_setting_that_decides_what_the_past_saves_is_named(table):
    assert table().loc[claims.PAST, "reading"] == "2 symbols together, f = 0.2, D = 0.1"


def test_what_would_have_been_seen_beyond_the_least_effect_is_not_raised_as_a_whole(table):
    """Best of N is tested beyond 0.1 bits; only what lies beyond grows with the family of six that are not exact."""
    found = table(excess=0.12)
    [row] = found[(found["claim"] == claims.BEST_OF) & found["primary"]].to_dict("records")
    power, error = norm.ppf(0.8), 0.05 / norm.isf(0.025)
    assert row["detectable"] == pytest.approx(0.1 + (norm.isf(0.05 / 6) + power) * error)


def test_primary_is_the_mixture_but_where_it_reaches_its_ceiling(table):
    main = table().query("primary")
    assert main.loc[claims.DIRECTS, "reading"] == claims.NAMES["mixture"]
    assert main.loc[claims.DRIFTS, "reading"] == claims.NAMES["mixture"]
    assert main.loc[claims.ARRIVES, "reading"] == claims.NAMES["left_out"]
    assert main.loc[claims.MORE, "reading"] == f"{claims.NAMES['left_out']}, 8 against 1 tokens"
    assert main.loc[claims.BEST_OF, "reading"] == "N = 4"


def test_a_reward_whose_least_rate_is_not_known_is_not_tested(table):
    found = table()
    assert found.loc[f"{claims.BEST_OF} (to be tested: more samples for N = 8)", "outcome"] == "not tested"
    none = table(known=False)
    assert not none["claim"].eq(claims.BEST_OF).any()
    assert none.loc[f"{claims.BEST_OF} (to be tested: more samples for N = 2)", "primary"]


def test_the_primary_claims_pay_for_their_number_and_the_others_do_not(table, monkeypatch):
    """Three effects with p = .02 each: significant where they stand alone, and not in a family of seven."""
    monkeypatch.setitem(claims.RELEVANT, claims.PER_TOKEN, 0.01)
    unsure = 0.05 / norm.isf(0.025) * norm.isf(0.02)
    found = table(prompt=unsure, more=unsure, rise=unsure, short=unsure)
    for claim in (claims.DIRECTS, claims.MORE, claims.ARRIVES):
        assert outcomes(found, claim) == {"cannot tell"}
        assert outcomes(found, claim, primary=False) == {"yes"}
