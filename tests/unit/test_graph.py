"""The jobs of a profile: which there are, what they wait for, and what changes their keys."""

import json

import pytest

from bitskept import graph, job, params
from bitskept.measure import sweep
from bitskept.training import twins


@pytest.fixture(scope="module")
def sections(checkout):
    """Those of the smoke profile."""
    return dict(params.load("smoke", folder=checkout / "params"))


@pytest.fixture(scope="module")
def found(sections):
    """All jobs of the smoke profile."""
    return graph.jobs(sections)


def changed(found, sections, stem, **values):
    """The jobs, as NOTEBOOK.MEASUREMENT, that have another key or are new once a section has other values."""
    before = {one.name: one.key for one in found}
    after = graph.jobs(sections | {stem: sections[stem].model_copy(update=values)})
    return {kind(one) for one in after if before.get(one.name) != one.key}


def kind(one):
    return f"{one.notebook[:2]}.{one.measurement}"


def test_every_job_has_a_name_of_its_own_and_comes_after_those_it_needs(found):
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    for place, one in enumerate(found):
        assert set(one.needs) <= set(names[:place])
        assert job.select(found, [one.name]) == [one]


def test_what_was_trained_is_measured_after_it_was_trained(found):
    needs = {one.name: one.needs for one in found}
    assert needs["03.sweep.minilm-l6"] == ()
    assert needs["03.tasks.minilm-l6-permuted-0"] == ("03.tune.minilm-l6-permuted-0",)
    assert needs["05.checkpoints.causal-0-width96"] == ("05.grow.causal-0-width96",)
    assert needs["06.twins.diffusion-0"] == ("05.grow.diffusion-0",)


def test_the_listing_is_plain_json_and_names_every_file_of_every_notebook(sections, found):
    listed = json.loads(json.dumps(graph.listing(sections)))
    assert [one["name"] for one in listed["jobs"]] == [one.name for one in found]
    assert list(listed["notebooks"]) == list(sections)
    sweeps = listed["notebooks"]["02_layer_sweep"]
    assert "build/smoke/figures/02_tokens.svg" in sweeps["pictures"]
    assert "build/smoke/results/02_tokens.csv" in sweeps["tables"]
    assert sweeps["parameters"] == 134_515_008
    together = {kind(one) for one, row in zip(found, listed["jobs"], strict=True) if row["one_thread"]}
    assert {"03.tune", "03.tasks", "05.grow", "05.checkpoints", "05.untrained", "06.twins"} <= together
    assert not {"02.sweep", "04.compression", "06.density"} & together


CHANGES = [
    ("02_layer_sweep", {"trained_epochs": 2}, {"02.sweep"}),
    ("02_layer_sweep", {"random_seeds": [0, 1]}, {"02.random"}),
    ("02_layer_sweep", {"test_sentences": 41}, {"02.sweep", "02.random"}),
    ("03_fine_tuning", {"rank": 4}, {"03.tune", "03.sweep", "03.tasks"}),
    ("03_fine_tuning", {"tasks": ["lee"]}, {"03.tasks"}),
    ("04_ib_correlations", {"preference_pairs": 11}, {"04.preference"}),
    ("04_ib_correlations", {"more_sentences": [170]}, {"04.longer"}),
    ("04_ib_correlations", {"betas": [2.0]}, {"04.bigrams"}),
    ("04_ib_correlations", {"other_anchors": [11]}, {"04.trial"}),
    ("05_training_dynamics", {"items": 41}, {"05.checkpoints"}),
    ("05_training_dynamics", {"initials": [0.02, 0.2]}, {"05.untrained"}),
    ("05_training_dynamics", {"draws": 3}, {"05.checkpoints", "06.twins"}),
    ("05_training_dynamics", {"rate": 1e-3}, {"05.grow", "05.checkpoints", "05.untrained", "06.twins"}),
    ("06_semantic_information", {"samples": 61}, {"06.flow"}),
    ("06_semantic_information", {"geometry_points": 9}, {"06.geometry"}),
    ("06_semantic_information", {"twin_pairs": 5}, {"06.twins"}),
    ("06_semantic_information", {"flips": [0.5]}, set()),
]


@pytest.mark.parametrize(
    ("stem", "values", "expected"), CHANGES, ids=[f"{stem[:2]} {next(iter(v))}" for stem, v, _ in CHANGES]
)
def test_a_parameter_changes_the_jobs_that_depend_on_it(found, sections, stem, values, expected):
    assert changed(found, sections, stem, **values) == expected


def test_another_seed_is_another_run_and_changes_none(found, sections):
    more = changed(found, sections, "05_training_dynamics", seeds=[0, 1])
    assert more == {"05.grow", "05.checkpoints", "05.untrained"}
    before = {one.name: one.key for one in found}
    after = graph.jobs(
        sections | {"05_training_dynamics": sections["05_training_dynamics"].model_copy(update={"seeds": [0, 1]})}
    )
    same = [one for one in after if one.measurement == "grow" and one.name in before]
    assert all(one.key == before[one.name] for one in same)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (sweep, {"02.sweep", "02.random", "03.sweep", "05.checkpoints", "05.untrained"}),
        (twins, {"05.grow", "05.checkpoints", "05.untrained", "06.twins"}),
    ],
    ids=["sweep", "twins"],
)
def test_the_version_of_a_function_changes_the_jobs_that_call_it(found, sections, module, expected, monkeypatch):
    before = {one.name: one.key for one in found}
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert {kind(one) for one in graph.jobs(sections) if before[one.name] != one.key} == expected


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


def test_the_weights_of_a_model_are_registered_or_estimated_from_its_files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(400))
    assert [job.size(one) for one in ("minilm-l6", "pythia-70m@step1000", str(tmp_path), "nowhere")] == [
        *(22_565_376, 70_000_000),
        *(100, 0),
    ]


def test_jobs_are_chosen_by_model_run_twin_name_and_notebook(found):
    def names(*wanted, **options):
        return {one.name for one in job.select(found, wanted, **options)}

    assert names("minilm-l6", notebook="02") == {"02.sweep.minilm-l6", "02.random.minilm-l6"}
    run = "minilm-l6-continued-0"
    assert names(run) == {f"03.{one}.{run}" for one in ("tune", "sweep", "tasks")}
    diffusion = {"05.grow.diffusion-0", "05.checkpoints.diffusion-0", "06.twins.diffusion-0"}
    assert names("diffusion") == names("diffusion-0") == diffusion
    assert names(notebook="06") == {one.name for one in found if one.notebook == "06_semantic_information"}
    with pytest.raises(LookupError, match="no job of this profile is of 'nothing'"):
        names("minilm-l6", "nothing")
    with pytest.raises(LookupError, match="no job of 02 is of 'diffusion'"):
        names("diffusion", notebook="02")
