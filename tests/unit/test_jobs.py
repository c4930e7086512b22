"""Plans of sections, and the jobs that measure by them, on tiny models."""

import pytest

from bitskept import __main__ as command_line
from bitskept import graph, job, params
from bitskept.measure import compression, jobs
from bitskept.sources import models

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
    return params.IbCorrelations(**VALUES, **names, correlation_models=[broken, second, first])


@pytest.fixture
def found(section):
    """The jobs of that section."""
    return graph.jobs({"04_ib_correlations": section})


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:preference information is left out")
def test_models_are_measured_and_those_that_fail_are_told(section, found, monkeypatch, capsys):
    first, (broken, second, _) = section.models[0], section.correlation_models
    failures = job.run([one for one in found if one.measurement == "compression"])
    assert [name.rpartition("-")[2] for name in failures] == ["broken"]
    table = compression.measured(jobs.plan(section))
    assert set(table.loc[table["weights"] == "trained", "model"]) == {first, second}
    assert set(table["anchor_seed"]) == {0, 1}
    assert set(table["sentences"]) == {10, 20}

    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    monkeypatch.setattr(params, "load", lambda _: {"04_ib_correlations": section})
    assert command_line.main(["measure", "--profile", "smoke", second, broken]) == 1
    assert "bitskept: 1 failed; the others are in the store\n  04.compression." in capsys.readouterr().err
    assert command_line.main(["measure", "--profile", "smoke", "--notebook", "04", second]) == 0


@pytest.mark.usefixtures("one_thread")
def test_every_measurement_of_the_correlations_can_be_done_alone(found, section):
    for name in ("longer", "trial", "bigrams"):
        (one,) = [one for one in found if one.measurement == name]
        assert one.subject == section.models[0]
        assert not job.run([one])


@pytest.mark.parametrize("names", [["minilm-l7"], ["02.sweep.minilm-l6"]])
def test_what_does_not_exist_is_told_before_anything_is_measured(section, names, monkeypatch, capsys):
    monkeypatch.setattr(params, "load", lambda _: {"04_ib_correlations": section})
    monkeypatch.setattr(job, "run", lambda *_: pytest.fail("something was measured"))
    assert command_line.main(["measure", "--profile", "smoke", *names]) == 2
    assert f"no job of this profile is of '{names[0]}'" in capsys.readouterr().err


def test_a_model_that_no_section_names_is_measured_for_the_correlations(section):
    found = graph.jobs({"04_ib_correlations": section}, ["gpt2", section.models[0]])
    extra = [one for one in found if one.subject == "gpt2"]
    assert [(one.measurement, one.optional, one.parameters) for one in extra] == [
        ("compression", True, 124_000_000),
        ("preference", True, 124_000_000),
    ]
    assert len(found) == len(graph.jobs({"04_ib_correlations": section})) + 2


def test_a_plan_follows_its_section(section):
    plan = jobs.plan(section, sentences=(7,))
    assert (plan.sentences, plan.widths, plan.longest, plan.dtype) == ((7,), (1, 2), 32, "float32")
    assert [(one.anchors, one.seed) for one in plan.instruments] == [(8, 0), (8, 1)]
    assert jobs.longer(section).sentences == (30,)
    tried = [(one.anchors, one.calibration, one.label_weights) for one in jobs.trial(section).instruments]
    every, other = ("exact", "frequency"), ("reference", "frequency")
    assert tried == [(4, *every), (8, *every), (8, *other), (8, "exact", "equal")]
