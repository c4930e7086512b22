from pathlib import Path

import pytest

from bitskept.base.params import PROFILES, read_yaml
from bitskept.studies.output.class_checkpoints import twin_plan
from bitskept.studies.output.section import OutputUncertainty, attention_jobs, attention_plan, class_jobs, classes_plan


@pytest.fixture(params=PROFILES)
def section(request, checkout):
    values = read_yaml(Path(checkout, "params", f"{request.param}.yaml"))[OutputUncertainty.notebook]
    return OutputUncertainty.model_validate(values | {"profile": request.param})


def test_plans_follow_the_parameters(section):
    assert attention_plan(section).sentences == section.attention.sentences
    assert classes_plan(section).classes == section.word_classes.classes
    of_twin = twin_plan(section.word_classes, section.training)
    assert of_twin.sentences <= section.training.held_out  # sentences that the twin was not trained on
    assert of_twin.seed == section.training.seed
    assert set(section.attention.fixed_rates) <= set(section.attention.rates)


def test_jobs_do_all_heavy_work(section, checkout, home, monkeypatch):
    monkeypatch.setenv("BITSKEPT_ROOT", str(checkout))
    names = [job.name for job in [*attention_jobs(section), *class_jobs(section)]]
    model = section.model
    assert names == [
        f"08.attention.{model}",
        "08.attention.runs",
        f"08.classes.{model}",
        f"08.twins.next-token-{section.twin_seed}",
    ]
