"""The benchmarks in miniature: they answer, their pieces work, and what they find is written down."""

import argparse
import importlib.util
import json
import math
import sys

import pytest

from bitskept.base import provenance
from bitskept.instruments.probes.sweep import Plan

TEXTS = [
    f"the cat sat {word} {other}"
    for word in ("the", "42", "unlocked", "it", "cat", "sat", "!")
    for other in ("the", "42", "sat", "it", "cat , the", "!", "cat .", "42 the")
]
PLAN = Plan("mixed", train=24, validation=6, test=20, shuffled=False, side_layers=2, types=6)


@pytest.fixture
def script(checkout, monkeypatch):
    """script(NAME): a benchmark as a module. They import each other by name, as scripts of one folder do."""
    monkeypatch.syspath_prepend(checkout / "benchmarks")

    def load(name):
        spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", checkout / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        # A dataclass looks for the module that it is defined in.
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def scripts(checkout):
    return sorted(path.stem for path in (checkout / "benchmarks").glob("*.py") if path.stem != "record")


def test_each_answers_help_and_make_runs_it(script, checkout, capsys):
    makefile, readme = (checkout / "Makefile").read_text(), (checkout / "benchmarks" / "README.md").read_text()
    for name in scripts(checkout):
        with pytest.raises(SystemExit) as stop:
            script(name).main(["--help"])
        assert stop.value.code == 0
        assert "--quick" in capsys.readouterr().out
        assert f"{name}.py" in makefile
        assert f"`{name}.py`" in readme


def test_a_line_has_the_numbers_and_their_origin(script, tmp_path):
    file = tmp_path / "new" / "lines.jsonl"
    options = argparse.Namespace(record=file, quick=True)
    record = script("record")
    record.append("one", options, [{"seconds": 1.5}])
    record.append("two", options, {})
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["benchmark"], first["numbers"], first["options"]) == ("one", [{"seconds": 1.5}], {"quick": True})
    assert second["benchmark"] == "two"
    assert first["commit"] == provenance.commit()
    assert first["versions"] == provenance.versions()
    assert first["machine"] == provenance.machine()
    assert str(tmp_path) not in file.read_text()


def test_start_up_compares_with_the_first_command(script):
    rows = script("start_up").medians({"pass": ["-c", "pass"], "sleep": ["-c", "import time; time.sleep(0.5)"]}, 1)
    assert [row["command"] for row in rows] == ["pass", "sleep"]
    assert rows[0]["ratio"] == 1
    assert rows[1]["seconds"] >= 0.5
    assert rows[1]["cpu_seconds"] < rows[1]["seconds"]


def test_ridge_and_logistic_prove_bits_of_the_same_tokens(script, tiny, recwarn):
    module = script("ridge_against_logistic")
    model = tiny("bert")
    numbers = module.compare(model, TEXTS, PLAN)
    assert list(numbers["probes"]) == ["ridge", "centroid", "logistic"]
    for probe in numbers["probes"].values():
        assert len(probe["cross_entropy_bound"]) == model.layers + 1
        for estimate, low, high in probe["cross_entropy_bound"]:
            assert low <= estimate <= high
            assert estimate <= numbers["entropy"] + 1e-3
    # The embedding layer names its token: there a linear map has all that is to be had.
    assert numbers["probes"]["logistic"]["cross_entropy_bound"][0][0] > 0.5 * numbers["entropy"]
    module.show(numbers)


def test_a_type_that_training_never_saw_costs_much_and_not_everything(script, tiny):
    module = script("ridge_against_logistic")
    torch = pytest.importorskip("torch")
    states = torch.randn(1, 60, 4, generator=torch.Generator().manual_seed(0))
    types = torch.arange(60) % 3
    states[0, torch.arange(60), types] += 5
    view = module.View(states, types, torch.zeros(60, dtype=torch.long))
    probe = module.logistic(view, view, 4)
    scores = probe.score(states, types)
    assert scores.correct.float().mean() > 0.9
    unseen = probe.score(states, torch.full((60,), 3))
    assert not unseen.correct.any()
    assert all(5 < bits < 40 and math.isfinite(bits) for bits in unseen.surprisal.flatten().tolist())


def test_rates_of_tokens_are_shares_of_the_bare_pass(script, tiny):
    module = script("tokens_per_second")
    numbers = module.rates(tiny("bert"), TEXTS, ["all"] * len(TEXTS), PLAN, repeats=1)
    assert numbers["tokens"] > 100
    assert numbers["bare"]["share_of_bare"] == 1
    assert 0 < numbers["sweep"]["share_of_bare"] < 1, "the sweep does the pass as well"
    for name in ("bare", "reduced", "sweep"):
        assert numbers[name]["tokens_per_second"] > 0
    module.show(numbers)
