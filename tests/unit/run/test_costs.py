"""What is said of time and downloads before a batch and while it runs."""

import json
from typing import Any

import pytest
import yaml
from toy import SECTIONS

from bitskept.base import params, provenance
from bitskept.run import batch, costs, forecast, run_record
from bitskept.run.costs import Cost, Expected


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(provenance, "cores", lambda: 2)


def sections(profile="smoke"):
    return params.load(profile, SECTIONS)


def fill(home):
    """Put a result into the store; its function and digest."""
    (home / "store" / "squares" / "abc").mkdir(parents=True)
    (home / "store" / "squares" / "abc" / "entry.json").touch()
    return "squares", "abc"


def ran(stem, seconds, computed=0):
    return run_record.Run(stem, True, "", "", seconds, seconds, 0, computed, 0.0)


def finish(profile, stem, results, counted):
    """The log and the record of a run with these results, of which the record counts so many."""
    log = run_record.log_file(profile, stem)
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"function": name, "digest": digest, "from_store": False, "seconds": 1.0} for name, digest in results]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run_record.add(profile, ran(stem, 900.0, counted))


@pytest.mark.parametrize(("cores", "speed", "seconds"), [(2, 1e10, 100), (2, 2e10, 50), (1, 1e10, 200), (8, 1e10, 100)])
def test_a_cost_is_scaled_by_the_speed_of_a_core_and_no_gain_by_more_cores_is_promised(
    monkeypatch, cores, speed, seconds
):
    monkeypatch.setattr(provenance, "cores", lambda: cores)
    assert Cost(100.0, 2, 1e10).here(speed) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 min"),
        (89, "1 min"),
        (3540, "59 min"),
        (3600, "1 h"),
        (4200, "1 h 10 min"),
        (7190, "2 h"),
        (12330, "3 h 30 min"),
    ],
)
def test_durations(seconds, words):
    assert costs.duration(float(seconds)) == words


def test_the_time_left_is_that_of_what_follows_and_of_the_rest_of_what_runs():
    times = Expected({"a": 600.0, "b": 1200.0}, at_most=False)
    assert times.words(["a", "b"]) == "about 30 min"
    assert times.words(["a", "b"], passed=300.0) == "about 25 min"
    assert times.words(["a", "b"], passed=9000.0) == "about 20 min", "the other still takes its time"
    assert times.words(["b"]) == "about 20 min"
    assert times.words(["b", "c"]) == "", "nothing is said where one is not known"
    assert Expected({"a": 600.0}, at_most=True).words(["a"]) == "at most about 10 min"


@pytest.mark.usefixtures("toy", "two_cores")
def test_times_of_a_run_here_come_before_committed_ones(project):
    committed = project / "results" / "smoke" / "costs.json"
    committed.parent.mkdir(parents=True)
    committed.write_text(json.dumps({stem: {"seconds": 10.0, "cores": 2, "core_speed": 1e10} for stem in ("a", "b")}))
    costs.record("smoke", "a", 30.0, 2e10)
    assert costs.expected("smoke", ["a", "b", "c"], 2e10).seconds == {"a": 30.0, "b": 5.0}
    costs.record("smoke", "b", 40.0, 2e10)
    assert costs.expected("smoke", ["a", "b"], 2e10).seconds == {"a": 30.0, "b": 40.0}


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("content", ["{", "[]", '{"a": 3}', '{"a": {"seconds": 1}}'])
def test_damaged_times_are_none(content):
    costs.file("smoke").parent.mkdir(parents=True)
    costs.file("smoke").write_text(content)
    assert costs.expected("smoke", ["a"], 1e10).seconds == {}


@pytest.mark.usefixtures("toy", "two_cores")
def test_what_is_in_the_store_is_not_announced_as_computed(home):
    costs.record("smoke", "00_drawing", 7200.0, 1e10)

    def seconds():
        return costs.expected("smoke", ["00_drawing"], 1e10).seconds["00_drawing"]

    result = fill(home)
    assert seconds() == 7200
    finish("smoke", "00_drawing", [result], counted=1)
    assert seconds() == costs.FROM_STORE
    finish("smoke", "00_drawing", [result], counted=2)  # a record of another run, as the committed one after a clone
    assert seconds() == 7200
    finish("smoke", "00_drawing", [result, ("twins", "0123456789ab")], counted=2)
    assert seconds() == 7200
    (home / "models" / "twins" / "causal-0-0123456789ab").mkdir(parents=True)
    assert seconds() == costs.FROM_STORE


@pytest.mark.usefixtures("two_cores")
def test_only_a_run_of_all_notebooks_on_an_empty_store_is_timed(toy, home, monkeypatch):
    monkeypatch.setattr(batch, "_run", lambda notebook, *_: ran(notebook.stem, 120.0))
    monkeypatch.setattr(forecast, "core_speed", lambda: 1e10)
    batch.run("smoke", ["00"])
    assert not costs.file("smoke").exists(), "one alone may do the work of others"
    result = fill(home)
    batch.run("smoke")
    assert not costs.file("smoke").exists(), "the store may have had some of it"
    (home / "store" / result[0] / result[1] / "entry.json").unlink()  # a folder that is being written, or a lock
    (home / "models" / "twins" / "causal-0-0123456789ab").mkdir(parents=True)
    batch.run("smoke")
    assert not costs.file("smoke").exists(), "a network was trained before"
    (home / "models" / "twins" / "causal-0-0123456789ab").rmdir()
    batch.run("smoke")
    written = json.loads(costs.file("smoke").read_text())
    assert written == {stem: {"seconds": 120.0, "cores": 2, "core_speed": 1e10} for stem in SECTIONS}


@pytest.mark.usefixtures("two_cores")
def test_time_and_what_takes_less_are_said_before_and_the_time_left_meanwhile(toy, home, monkeypatch, capsys):
    monkeypatch.setattr(batch, "_run", lambda notebook, *_: ran(notebook.stem, 120.0))
    monkeypatch.setattr(forecast, "core_speed", lambda: 1e10)
    fill(home)
    for stem in ("03_waiting", "04_idle"):
        costs.record("laptop", stem, 1200.0, 1e10)
        costs.record("smoke", stem, 30.0, 1e10)
    batch.run("laptop", ["03", "04"])
    first, store, hurry, redraw, *told = capsys.readouterr().err.splitlines()
    assert first == "2 notebooks with the profile laptop: at most about 40 min on this machine."
    assert store == "What is in the store is not computed again."
    assert "`make figures PROFILE=smoke` runs the same on small samples in at most about 1 min," in hurry
    assert "`make redraw`" in hurry
    assert "two minutes" in redraw
    assert told == [
        "03_waiting: started, 1 of 2, at most about 40 min left in all",
        "03_waiting: done in 2 min",
        "04_idle: started, 2 of 2, at most about 20 min left in all",
        "04_idle: done in 2 min",
    ]


@pytest.mark.usefixtures("toy", "two_cores")
def test_each_case_of_the_announcement(home):
    one = {"04_idle": sections()["04_idle"]}
    unknown = "04_idle with the profile smoke: how long it takes is not known."
    assert costs.announcement("smoke", one, 1e10) == [unknown], "smoke is what takes less time"
    assert "In a hurry?" in costs.announcement("laptop", one, 1e10)[1]
    costs.record("laptop", "04_idle", 600.0, 1e10)
    short = ["04_idle with the profile laptop: about 10 min on this machine."]
    assert costs.announcement("laptop", one, 1e10) == short
    finish("laptop", "04_idle", [fill(home)], counted=1)
    assert costs.announcement("laptop", one, 1e10) == [
        "04_idle with the profile laptop: at most about 1 min on this machine.",
        "The results are in the store, unless code or parameters have changed since the last run.",
    ]


# ---- downloads ----

MODELS = {
    "small": {"kind": "encoder", "parameters": 10**9, "licence": "MIT", "hub": "a/small", "revision": "main"},
    "packed": {"kind": "encoder", "parameters": 1, "licence": "MIT", "folder": "x", "files": ["config.json"]},
}
CORPORA = {
    "text": {"licence": "MIT", "what": "", "members": ["*"]},
    "both": {"licence": "MIT", "what": "", "mixed": ["text"]},
    "remote": {"licence": "MIT", "what": "", "hub": "a/b", "name": "n", "splits": ["s"], "revision": "main"},
    "other": {"licence": "MIT", "what": "", "hub": "a/c", "name": "n", "splits": ["s"], "revision": "main"},
}
TASKS = {
    "rated": {"licence": "MIT", "what": "", "kind": "similarity", "package_of": "text", "members": ["*"]},
    "by-hand": {"licence": "MIT", "what": "", "kind": "similarity", "by_hand": "a file"},
}


def wheel(name, size):
    return {"package": name, "version": "1", "sha256": "0" * 64, "bytes": size}


@pytest.fixture
def registries(project):
    models = MODELS | {"packed": MODELS["packed"] | {"packages": [wheel("model", 3 * 10**8)]}}
    texts = CORPORA | {"text": CORPORA["text"] | {"package": wheel("text-wheel", 2 * 10**8)}}
    for name, entries in (("models", models), ("corpora", texts), ("tasks", TASKS)):
        (project / "params" / f"{name}.yaml").write_text(yaml.safe_dump(entries))


class Names(params.Section):
    names: Any


def naming(*values):
    return [Names(profile="smoke", names=values)]


@pytest.mark.usefixtures("registries")
def test_downloads_are_those_that_sections_name_each_package_once(home):
    named = naming("packed", {"both": {"tasks": ["rated"]}}, "by-hand", "remote", 3, None)
    assert costs.downloads(named) == [
        "To download, about 0.5 GB: packed, both, rated.",
        "If the Hugging Face Hub can be reached, also: remote.",
    ]
    assert costs.downloads(naming("small@step1000")) == ["To download, about 2.0 GB: small."], "16 bits a weight"
    assert costs.downloads(naming("nothing")) == []
    (home / "wheels").mkdir(parents=True)
    (home / "wheels" / "text_wheel-1-py3-none-any.whl").touch()
    assert costs.downloads(named)[0] == "To download, about 0.3 GB: packed."


def test_long_lists_are_cut():
    names = [f"model-{number}" for number in range(costs.MOST_NAMES + 2)]
    assert costs._listed(names[:-2]) == ", ".join(names[:-2])
    assert costs._listed(names).endswith("model-11 and 2 more")
