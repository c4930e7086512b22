import pytest

from bitskept import __main__ as command_line
from bitskept import params
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
    text.write_text("\n".join(f"the cat sat {'un ' * number}it 42 ." for number in range(20)), "utf-8")
    first, broken, second = (str(tmp_path / name) for name in ("first", "broken", "second"))
    names = {"models": [first], "more_model": first, "sensitivity_model": first, "corpus": str(text)}
    return params.IbCorrelations(**VALUES, **names, correlation_models=[broken, second, first])


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:.*are longer than the")
def test_models_are_measured_once_each_and_those_that_fail_are_told(section, monkeypatch, capsys):
    first, (broken, second, _) = section.models[0], section.correlation_models
    with pytest.warns(UserWarning, match="preference information is left out: hh-harmless"):
        failures = jobs.run(section)
    assert list(failures) == [broken]
    table = compression.measured(jobs.plan(section))
    assert jobs.trained(table) == {first, second}
    assert set(table["anchor_seed"]) == {0, 1}
    assert set(table["sentences"]) == {10, 20}

    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    monkeypatch.setattr(params, "load", lambda _: {"04_ib_correlations": section})
    for ids, status in (([first, second], 0), ([], 1)):
        with pytest.warns(UserWarning, match="preference information is left out"):
            assert command_line.main(["measure", "--profile", "smoke", *ids]) == status
    assert f"bitskept: 1 failed; the other models are in the store\n  {broken}: " in capsys.readouterr().err


def test_a_model_that_does_not_exist_is_told_before_anything_is_measured(section, monkeypatch, capsys):
    monkeypatch.setattr(params, "load", lambda _: {"04_ib_correlations": section})
    monkeypatch.setattr(jobs, "run", lambda *_: pytest.fail("something was measured"))
    assert command_line.main(["measure", "minilm-l7"]) == 2
    assert "there is no model 'minilm-l7'" in capsys.readouterr().err


def test_a_plan_follows_its_section(section):
    plan = jobs.plan(section, sentences=(7,))
    assert (plan.sentences, plan.widths, plan.longest, plan.dtype) == ((7,), (1, 2), 32, "float32")
    assert [(one.anchors, one.seed) for one in plan.instruments] == [(8, 0), (8, 1)]
