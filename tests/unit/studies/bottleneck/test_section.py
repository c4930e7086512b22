"""The plans of notebook 04, and the jobs that measure by them, on tiny models."""

import pytest

from bitskept.instruments.soft_entropy import compression
from bitskept.sources import model_files, models
from bitskept.studies.bottleneck import documents
from bitskept.studies.bottleneck import section as room


@pytest.fixture
def section(bottleneck):
    return bottleneck


def test_each_model_is_measured_once(section):
    jobs = list(room.jobs(section))
    (first,), (second, _) = section.models, section.correlation_models
    assert [(job.measurement, job.subject, job.optional) for job in jobs] == [
        ("compression", first, False),
        ("preference", first, False),
        ("compression", second, True),
        ("preference", second, True),
        ("longer", first, False),
        ("documents-c4", first, False),
        ("bigrams", first, False),
        ("exact", first, False),
        ("simulation", "floor-alone", False),
    ]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:.*are longer than the 32 tokens")
def test_what_is_in_the_store_is_not_measured_again(section, monkeypatch):
    jobs = [job for job in room.jobs(section) if job.measurement == "compression"]
    for job in jobs:
        job.work()
    table = compression.measured(room.plan(section))
    assert set(table.loc[table["weights"] == "trained", "model"]) == {job.subject for job in jobs}
    assert set(table["anchor_seed"]) == {0, 1}
    assert set(table["sentences"]) == {10, 20}
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    jobs[0].work()
    monkeypatch.setattr(model_files, "fetch", lambda *_, **__: pytest.fail("a model was fetched that need not be here"))
    jobs[1].work()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:.*are longer than the 32 tokens")
def test_what_one_model_is_asked_more_is_kept_as_well(section, monkeypatch):
    jobs = [job for job in room.jobs(section) if job.measurement in ("longer", "bigrams", "exact", "simulation")]
    for job in jobs:
        job.work()
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    for job in jobs:
        job.work()


def test_preference_information_is_left_out_where_there_are_no_pairs(section):
    (job, _) = [job for job in room.jobs(section) if job.measurement == "preference"]
    with pytest.warns(UserWarning, match="preference information is left out: hh-harmless"):
        job.work()


def test_a_text_that_is_not_here_is_left_out(section):
    (job,) = [job for job in room.jobs(section) if job.measurement == "documents-c4"]
    with pytest.warns(UserWarning, match="c4 is left out: c4"):
        job.work()
    table, absent = documents.measured(section)
    assert table.empty
    assert absent.startswith("c4 is left out: c4")


def test_a_model_that_no_section_names_has_two_jobs(section):
    jobs = list(room.model_jobs(section, "gpt2"))
    assert [(job.measurement, job.optional, job.parameters) for job in jobs] == [
        ("compression", True, 124_000_000),
        ("preference", True, 124_000_000),
    ]


def test_a_plan_follows_its_section(section):
    plan = room.plan(section, sentences=(7,))
    assert (plan.sentences, plan.widths, plan.longest, plan.dtype) == ((7,), (1, 2), 32, "float32")
    assert [(one.anchors, one.seed) for one in plan.instruments] == [(8, 0), (8, 1)]
    longer = room.longer_plan(section)
    assert (longer.sentences, len(longer.instruments)) == ((30,), 1)
    [(corpus, documents)] = room.document_plans(section).items()
    assert (corpus, documents.corpus, documents.sentences, documents.longest) == ("c4", "c4", (5,), 32)
    assert room.exact_plan(section).sentences == (10, 20)
    assert [job.tokens for job in room.model_jobs(section, "gpt2")] == [20 * 32, 2 * 5 * 32]
    assert room.bigram_plan(section).sentences == 20
    assert [one.seed for one in room.preference_plan(section).instruments] == [0, 1]
