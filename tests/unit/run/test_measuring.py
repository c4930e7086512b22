"""The jobs of notebook 04, done on tiny models."""

import pytest

from bitskept.base import params
from bitskept.instruments.soft_entropy import compression
from bitskept.run import command_line, jobs
from bitskept.sources import models
from bitskept.studies.bottleneck import section as room


@pytest.fixture
def section(bottleneck, tmp_path):
    """A section with two models that can be measured and, between them, one that cannot."""
    (tmp_path / "broken").mkdir()
    return bottleneck.model_copy(
        update={"correlation_models": [str(tmp_path / "broken"), *bottleneck.correlation_models]}
    )


@pytest.fixture
def found(section):
    """The jobs of that section."""
    return jobs.jobs({"04_ib_correlations": section})


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:preference information is left out")
def test_models_are_measured_and_those_that_fail_are_listed(section, found, monkeypatch, capsys):
    first, (broken, second, _) = section.models[0], section.correlation_models
    failures = jobs.run([job for job in found if job.measurement == "compression"])
    assert [name.rpartition("-")[2] for name in failures] == ["broken"]
    table = compression.measured(room.plan(section))
    assert set(table.loc[table["weights"] == "trained", "model"]) == {first, second}
    assert set(table["anchor_seed"]) == {0, 1}
    assert set(table["sentences"]) == {10, 20}

    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    monkeypatch.setattr(params, "load", lambda *_: {"04_ib_correlations": section})
    assert command_line.main(["measure", "--profile", "smoke", second, broken]) == 1
    assert "bitskept: 1 failed; the others are in the store\n  04.compression." in capsys.readouterr().err
    assert command_line.main(["measure", "--profile", "smoke", "--notebook", "04", second]) == 0


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("measurement", ["longer", "bigrams", "exact"])
def test_each_measurement_can_be_done_by_itself(found, section, measurement):
    (job,) = [job for job in found if job.measurement == measurement]
    assert job.subject == section.models[0]
    assert jobs.run([job]) == {}
