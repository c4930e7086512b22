"""The jobs of notebook 04, done on tiny models."""

import pytest

from bitskept.base import params
from bitskept.instruments.soft_entropy import compression
from bitskept.run import command_line, jobs
from bitskept.sources import models
from bitskept.studies.bottleneck import section as room
from bitskept.studies.bottleneck.section import IbCorrelations

VALUES = {
    "profile": "smoke", "sentences": [10, 20], "more_sentences": [30], "widths": [1, 2], "longest": 32, "anchors": 8,
    "anchor_seeds": [0, 1], "memory": 64, "sensitivity_sentences": 10, "other_anchors": [4], "bottleneck_types": 5,
    "betas": [2.0],
    "preference_task": "hh-harmless", "preference_pairs": 5, "preference_longest": 32, "seed": 0, "dtype": "float32",
    "accept_terms": [],
}  # fmt: skip


@pytest.fixture
def section(tiny, tmp_path, home, monkeypatch):
    """A section with two models that can be measured and, between them, one that cannot."""
    monkeypatch.delenv("BITSKEPT_DATA", raising=False)
    for name, family in (("first", "llama"), ("second", "bert")):
        model = tiny(family)
        model.network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "broken").mkdir()
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the cat sat {'un ' * number}it 42 ." for number in range(30)), "utf-8")
    first, broken, second = (str(tmp_path / name) for name in ("first", "broken", "second"))
    names = {"models": [first], "more_model": first, "sensitivity_model": first, "corpus": str(text)}
    return IbCorrelations(**VALUES, **names, correlation_models=[broken, second, first])


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
@pytest.mark.parametrize("measurement", ["longer", "trial", "bigrams"])
def test_each_measurement_can_be_done_by_itself(found, section, measurement):
    (job,) = [job for job in found if job.measurement == measurement]
    assert job.subject == section.models[0]
    assert jobs.run([job]) == {}
