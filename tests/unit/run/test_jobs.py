"""The jobs of a profile: which there are, what they wait for, what changes their keys, and how they are done."""

import json
import os
import re
from dataclasses import replace

import pytest

from bitskept.base import params
from bitskept.instruments import job
from bitskept.instruments.probes import sweep
from bitskept.instruments.training import twins
from bitskept.run import jobs, notebooks
from bitskept.sources.packages import SourceError


@pytest.fixture(scope="module")
def sections():
    """Those of the smoke profile."""
    return params.load("smoke", notebooks.SECTIONS)


@pytest.fixture(scope="module")
def found(sections):
    """All jobs of the smoke profile."""
    return jobs.jobs(sections)


def kind(job):
    return f"{job.notebook[:2]}.{job.measurement}"


def keys(found):
    return {job.name: json.dumps(job.key) for job in found}


# ---- the list ----


def test_every_job_has_a_name_of_its_own_and_comes_after_those_it_needs(found):
    names = [job.name for job in found]
    assert len(set(names)) == len(names)
    for place, one in enumerate(found):
        assert set(one.needs) <= set(names[:place])
        assert jobs.select(found, [one.name]) == [one]


def test_what_is_trained_is_measured_after_its_training(found):
    needs = {job.name: job.needs for job in found}
    assert needs["03.sweep.minilm-l6"] == ()
    assert needs["03.tasks.minilm-l6-permuted-0.001-0"] == ("03.tune.minilm-l6-permuted-0.001-0",)
    assert needs["05.checkpoints.next-token-0-width96"] == ("05.grow.next-token-0-width96",)
    assert needs["06.twins.next-token-0"] == needs["07.twins.next-token-0"] == ("05.grow.next-token-0",)


def test_a_profile_without_a_notebook_has_no_jobs_of_it_and_does_not_wait_for_them(sections):
    alone = jobs.jobs({"07_inside_a_transformer": sections["07_inside_a_transformer"]})
    assert {job.notebook for job in alone} == {"07_inside_a_transformer"}
    assert all(job.needs == () for job in alone)
    assert jobs.jobs({"01_theory_bounds": sections["01_theory_bounds"]}) == []


def test_the_listing_is_plain_json_and_names_every_file_of_every_notebook(sections, found):
    listed = json.loads(json.dumps(jobs.listing(sections)))
    assert [one["name"] for one in listed["jobs"]] == [one.name for one in found]
    assert list(listed["notebooks"]) == list(sections)
    sweeps = listed["notebooks"]["02_layer_sweep"]
    assert "build/smoke/figures/02_tokens.svg" in sweeps["pictures"]
    assert "build/smoke/results/02_tokens.csv" in sweeps["tables"]
    assert sweeps["parameters"] == 134_515_008
    together = {kind(job) for job, row in zip(found, listed["jobs"], strict=True) if row["one_thread"]}
    small = {
        "02.sweep",
        "03.tune",
        "03.tasks",
        "05.language",
        "05.grow",
        "05.checkpoints",
        "05.untrained",
        "06.twins",
        "07.twins",
        "08.switching",
    }
    assert small <= together
    assert not {"04.compression", "06.density", "07.geometry"} & together


# ---- keys ----

CHANGES = [
    ("02_layer_sweep", {"trained_epochs": 2}, {"02.sweep"}),
    ("02_layer_sweep", {"random_seeds": [0, 1]}, {"02.random"}),
    ("02_layer_sweep", {"test_sentences": 41}, {"02.sweep", "02.random", "02.masked"}),
    ("02_layer_sweep", {"masked_steps": 9}, {"02.masked"}),
    ("03_fine_tuning", {"rank": 4}, {"03.tune", "03.sweep", "03.tasks"}),
    ("03_fine_tuning", {"tasks": ["lee", "wordsim353"]}, {"03.tasks"}),
    ("04_ib_correlations", {"preference_pairs": 11}, {"04.preference"}),
    ("04_ib_correlations", {"more_sentences": [170]}, {"04.longer"}),
    ("04_ib_correlations", {"betas": [2.0]}, {"04.bigrams"}),
    ("04_ib_correlations", {"exact_repeats": 3}, {"04.exact"}),
    ("05_training_dynamics", {"language": {"rate": 1e-3}}, {"05.language"}),
    ("05_training_dynamics", {"items": 41}, {"05.checkpoints"}),
    ("05_training_dynamics", {"initials": [0.02, 0.2]}, {"05.untrained"}),
    ("05_training_dynamics", {"training": {"draws": 3}}, {"05.checkpoints"}),
    ("05_training_dynamics", {"training": {"rate": 1e-3}}, {"05.grow", "05.checkpoints", "05.untrained"}),
    ("06_semantic_information", {"samples": 61}, {"06.flow"}),
    ("06_semantic_information", {"training": {"rate": 1e-3}}, {"06.twins"}),
    ("06_semantic_information", {"flips": [0.5]}, set()),
    ("07_inside_a_transformer", {"training": {"draws": 3}}, {"07.twins"}),
    ("07_inside_a_transformer", {"geometry_points": 9}, {"07.geometry"}),
    ("07_inside_a_transformer", {"twin_pairs": 5}, {"07.twins"}),
    ("08_uncertainty_at_the_output", {"spread": {"samples": 5}}, {"08.spread"}),
    ("07_inside_a_transformer", {"generalisation": {"steps": 9}}, {"07.bound"}),
    ("08_uncertainty_at_the_output", {"decoding": {"length": 13}}, {"08.decoding"}),
]


@pytest.mark.parametrize(
    ("stem", "values", "expected"), CHANGES, ids=[f"{stem[:2]} {next(iter(v))}" for stem, v, _ in CHANGES]
)
def test_a_parameter_changes_the_jobs_that_depend_on_it(found, sections, stem, values, expected):
    section = sections[stem]
    nested = {name: value for name, value in values.items() if isinstance(value, dict)}
    values = values | {name: getattr(section, name).model_copy(update=value) for name, value in nested.items()}
    after = jobs.jobs(sections | {stem: section.model_copy(update=values)})
    before = keys(found)
    assert {kind(job) for job in after if before.get(job.name) != json.dumps(job.key)} == expected


def test_another_seed_is_another_run_and_changes_none(found, sections):
    more = sections["05_training_dynamics"].model_copy(update={"seeds": [0, 1]})
    after = jobs.jobs(sections | {"05_training_dynamics": more})
    before = keys(found)
    new = {job.name for job in after if job.measurement == "grow" and job.name not in before}
    assert new
    assert all("-1" in name for name in new)
    assert all(
        json.dumps(job.key) == before[job.name] for job in after if job.command == "grow" and job.name not in new
    )


def test_the_version_of_a_measurement_changes_the_jobs_that_take_it(found, sections, monkeypatch):
    monkeypatch.setattr(sweep.measure, "version", sweep.measure.version + 1)
    before = keys(found)
    changed = {kind(job) for job in jobs.jobs(sections) if json.dumps(job.key) != before[job.name]}
    assert changed == {"02.sweep", "02.random", "02.masked", "03.sweep", "05.checkpoints", "05.untrained"}


def test_the_version_of_a_training_changes_the_jobs_that_need_it(found, sections, monkeypatch):
    monkeypatch.setattr(twins, "VERSION", twins.VERSION + 1)
    before = keys(found)
    changed = {kind(job) for job in jobs.jobs(sections) if json.dumps(job.key) != before[job.name]}
    of_05 = {"05.grow", "05.checkpoints", "05.untrained"}
    of_08 = {"08.twins", "08.capacity", "08.detection", "08.switching"}
    assert changed == of_05 | {"06.twins", "07.bound", "07.twins"} | of_08


def test_a_changed_file_of_a_model_or_a_text_changes_the_key(tmp_path):
    for name in ("model.safetensors", "text.txt"):
        (tmp_path / name).write_text("one")
    text = str(tmp_path / "text.txt")

    def key():
        return job.key_of([], texts=[text, "mixed"], model=str(tmp_path))

    before = key()
    assert key() == before
    (tmp_path / "text.txt").write_text("three")
    after = key()
    assert after["texts"][0] != before["texts"][0]
    assert after["texts"][1] == before["texts"][1]
    (tmp_path / "model.safetensors").write_text("three")
    assert key()["model"] != after["model"]


def test_a_job_of_a_model_given_by_a_path_has_a_name_that_a_file_can_have():
    """Paths that differ in one sign only are two jobs, and no part of the path but its end is in the name."""
    paths = ["/home/NAME/a b", "/home/NAME/a-b", "/home/NAME/{x}/$y 'z'*", "/home/NAME/" + "long" * 90, "C:\\NAME\\a"]
    made = [job.Job("measure", "04_ib_correlations", "compression", path, 0, {}, print) for path in paths]
    names = [one.name for one in made]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"04\.compression\.[0-9a-f]{8}-[\w.@-]{1,100}", name)
    assert [name.rpartition("NAME")[1] for name in names[:4]] == [""] * 4
    assert replace(made[0], subject="gpt2@step1").name == "04.compression.gpt2@step1"


def test_the_weights_of_a_model_are_registered_or_estimated_from_its_files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(400))
    assert [job.size(one) for one in ("minilm-l6", "pythia-70m@step1000", str(tmp_path), "nowhere")] == [
        *(22_565_376, 70_000_000),
        *(100, 0),
    ]


# ---- choosing and doing ----


def test_jobs_are_chosen_by_model_run_twin_name_and_notebook(found):
    def names(*wanted, **options):
        return {job.name for job in jobs.select(found, wanted, **options)}

    assert names("minilm-l6", notebook="02") == {f"02.{one}.minilm-l6" for one in ("sweep", "random", "masked")}
    run = "minilm-l6-continued-0.001-0"
    assert names(run) == {f"03.{one}.{run}" for one in ("tune", "sweep", "tasks")}
    diffusion = {"05.grow.diffusion-0", "05.checkpoints.diffusion-0", "07.twins.diffusion-0"}
    assert names("diffusion") == names("diffusion-0") == diffusion
    assert {name.rpartition(".")[0] for name in names("language")} == {"05.language"}
    assert names("mask-only-0") == {f"05.{one}.mask-only-0" for one in ("language", "grow", "checkpoints")}
    assert names(notebook="06") == {job.name for job in found if job.notebook == "06_semantic_information"}
    with pytest.raises(LookupError, match="no job of this profile is named 'minilm-l7'; did you mean minilm-l6"):
        names("minilm-l6", "minilm-l7")
    with pytest.raises(LookupError, match="no job of 02 is named 'diffusion'"):
        names("diffusion", notebook="02")


def test_a_model_that_no_section_names_is_measured_for_the_correlations(sections, found):
    more = jobs.jobs(sections, ["gpt2", sections["02_layer_sweep"].models[0]])
    extra = [job for job in more if job.subject == "gpt2"]
    assert [(job.measurement, job.optional, job.parameters) for job in extra] == [
        ("compression", True, 124_000_000),
        ("preference", True, 124_000_000),
    ]
    assert len(more) == len(found) + 2
    with pytest.raises(LookupError, match="gpt2 is not in this profile, which has no section 04_ib_correlations"):
        jobs.jobs({"02_layer_sweep": sections["02_layer_sweep"]}, ["gpt2"])


class PanicException(BaseException):
    """As the Rust code of a tokenizer raises it."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("it broke\nin two lines"), "it broke"),
        (LookupError("it broke"), "it broke"),
        (SourceError("\n  it broke"), "it broke"),
        (OSError(" "), "OSError"),
        (KeyError("it broke"), "KeyError: it broke"),
        (AttributeError("no attribute 'hidden_size'"), "AttributeError: no attribute 'hidden_size'"),
        (TypeError(), "TypeError"),
        (MemoryError(), "MemoryError"),
        (SystemExit("it broke"), "SystemExit: it broke"),
        (PanicException("it broke"), "PanicException: it broke"),
    ],
)
def test_a_job_that_fails_stops_no_other_whatever_it_raises(found, error, told):
    def fail():
        raise error

    done = []
    first, second, third = [job for job in found if job.notebook.startswith("04")][:3]
    works = [replace(first, work=lambda: done.append(1)), replace(second, work=fail)]
    assert jobs.run([*works, replace(third, work=lambda: done.append(3))]) == {second.name: told}
    assert done == [1, 3]


def test_small_jobs_whose_process_is_killed_stop_no_large_one(found, monkeypatch):
    def each(function, chosen, *, at_once, cost=None, progress=None):
        if at_once > 1:
            raise MemoryError("one of 2 processes was killed")
        return [function(job) for job in chosen]

    done = []
    monkeypatch.setattr(jobs, "each", each)
    monkeypatch.setattr(jobs, "side_by_side", lambda number, memory: 2)
    large, *_ = [job for job in found if job.notebook.startswith("04")]
    small = next(job for job in found if job.twin)
    failures = jobs.run([small, replace(large, work=lambda: done.append(1))])
    assert failures == {small.name: "one of 2 processes was killed"}
    assert done == [1]


def test_an_interrupt_stops_all_jobs(found):
    def interrupt():
        raise KeyboardInterrupt

    first, second = [job for job in found if job.notebook.startswith("04")][:2]
    works = [replace(first, work=interrupt), replace(second, work=lambda: pytest.fail("it went on"))]
    with pytest.raises(KeyboardInterrupt):
        jobs.run(works)


def test_small_jobs_are_done_side_by_side_with_one_thread_each_even_a_single_one(found, monkeypatch):
    calls = []

    def record(function, chosen, *, at_once, cost=None, progress=None):
        calls.append(([kind(job) for job in chosen], at_once))
        return [None for _ in chosen]

    monkeypatch.setattr(jobs, "each", record)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv("BITSKEPT_PROCESSES", "2")
    assert jobs.run(jobs.select(found, ["04.compression.minilm-l6", "05.grow.next-token-0"])) == {}
    assert calls == [(["05.grow"], 2), (["04.compression"], 1)]
