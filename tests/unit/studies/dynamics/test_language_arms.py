"""The arms of the experiment on languages with a truth, and their jobs."""

from dataclasses import asdict

import pandas as pd
import pytest
from pydantic import ValidationError

from bitskept.studies.dynamics import language_arms, language_runs
from bitskept.studies.dynamics.language_arms import BERT, FIRST, MAIN, MASK, NEXT, SECOND, LanguageTwins, arms

ALL = ["hidden", "kept", "replaced", "tied", "own head", "attention", "norm", "first weights", "steps", "language"]
SEEDS = {factor: [3] for factor in ALL}

LANGUAGE = {"classes": 4, "synonyms": 2, "concentration": 0.5, "lag": 2, "language_seed": 0, "length": 12}
NETWORK = {"width": 16, "depth": 2, "heads": 2, "feed_forward": 24, "first_weights": 0.02, "large_first_weights": 0.1}
TRAINING = {"hidden": 0.3, "steps": 8, "lag_steps": 16, "batch": 8, "rate": 3e-3, "seeds": [0, 3], "factors": SEEDS}
PROBES = {"train_sentences": 60, "smaller_train_sentences": [30], "validation_sentences": 20, "test_sentences": 30}
OTHERS = {"loss_sentences": 40, "optimum_sentences": 64, "anchors": 20, "clusters": 8, "largest_gap": 0.05}


@pytest.fixture(scope="module")
def twins():
    return LanguageTwins(**LANGUAGE, **NETWORK, **TRAINING, **PROBES, **OTHERS)


def flat(plan):
    """All settings of a plan, by name."""
    found = {}

    def add(prefix, values):
        for name, value in values.items():
            if isinstance(value, dict):
                add(f"{prefix}{name}.", value)
            else:
                found[prefix + name] = value

    add("", asdict(plan))
    return found


def test_an_arm_differs_in_one_thing_from_the_one_that_it_is_compared_with(twins):
    by_name = {arm.name: arm.plan for arm in arms(twins)}
    assert list(by_name)[:3] == list(MAIN)
    pairs = [arm for arm in arms(twins) if arm.against]
    assert {arm.factor for arm in pairs} == set(ALL)
    for arm in pairs:
        mine, other = flat(arm.plan), flat(by_name[arm.against])
        assert len([name for name in mine if mine[name] != other[name]]) == 1, arm.name


def test_only_under_berts_rule_and_where_tokens_are_kept_must_a_visible_token_be_named(twins):
    kept = {arm.name: arm.plan.corruption.kept for arm in arms(twins) if arm.plan.corruption}
    assert {name for name, share in kept.items() if share} == {
        *(BERT, f"{BERT}, untied"),
        *("1 % kept", "3 % kept", "10 % kept", "20 % kept"),
    }
    masks = {arm.name: arm.plan.corruption for arm in arms(twins) if arm.plan.corruption}
    shown = [masks[name].hidden * masks[name].masked for name in (BERT, "fewer hidden")]
    assert shown[0] == pytest.approx(shown[1])


def test_factors_that_are_not_asked_for_are_left_out_and_have_seeds_of_their_own(twins):
    fewer = twins.model_copy(update={"factors": {"hidden": [1], "replaced": [0, 4]}})
    named = [(arm.name, plan.seed) for arm, plan in language_arms.runs(fewer)]
    main = [(name, seed) for name in MAIN for seed in (0, 3)]
    assert named == [*main, ("fewer hidden", 1), ("10 % replaced", 0), ("10 % replaced", 4)]
    assert all(plan.followed == (not arm.factor) for arm, plan in language_arms.runs(fewer))
    settings = twins.model_dump()
    with pytest.raises(ValidationError, match="first_weights"):
        LanguageTwins(**settings | {"factors": {"first_weights": [0]}})
    with pytest.raises(ValidationError, match="at least 1 item"):
        LanguageTwins(**settings | {"factors": {"kept": []}})


def test_every_run_has_a_job_with_a_name_and_key_of_its_own(twins, monkeypatch):
    jobs = list(language_arms.jobs("05_training_dynamics", twins))
    runs = language_arms.runs(twins)
    assert len({job.name for job in jobs}) == len({str(job.key) for job in jobs}) == len(jobs) == len(runs)
    assert jobs[0].name == "05.language.next-token-0"
    assert {job.twin for job in jobs} == {"language"}
    done = []
    monkeypatch.setattr(language_runs, "run", done.append)
    again = list(language_arms.jobs("05_training_dynamics", twins))
    again[1].work()
    assert done == [runs[1][1]]


def test_measures_name_the_arm_the_language_and_the_seed_of_each_run(twins, monkeypatch):
    table = pd.DataFrame({"step": [0, 1]})
    monkeypatch.setattr(language_runs, "run", lambda plan: table.assign(estimate=plan.seed))
    monkeypatch.setattr(language_runs, "is_stored", lambda plan: True)
    found = language_arms.measures(twins)
    assert (found["estimate"] == found["seed"]).all()
    assert found.groupby("language")["arm"].unique().map(list)[SECOND] == [
        f"{name}, with a lag" for name in (NEXT, MASK)
    ]
    assert set(found.loc[found["language"] == FIRST, "arm"]) >= {NEXT, MASK}
