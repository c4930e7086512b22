"""The Snakefile, on a project of tiny models: what runs, what runs again, and what one failure stops."""

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml

pytest.importorskip("snakemake", reason="snakemake comes with the extra `graph`")

SWEEP = {
    "train_sentences": 12, "smaller_train_sentences": [8], "validation_sentences": 4, "test_sentences": 6,
    "longest": 32, "types": 64, "side_layers": 3, "window_layers": 3, "places": 1, "more_poolings": [],
    "trained_epochs": 1, "random_seeds": [0], "random_scales": [], "masked_steps": 2,
    "masked_batch": 1, "masked_rate": 1e-3, "masked_seeds": [0], "seed": 0, "dtype": "float32", "accept_terms": [],
}  # fmt: skip


ODD = '{x} $HOME *\'s "own"'
"""The name of a folder: braces mark a wildcard for Snakemake, and the rest means something to a shell."""


class Project:
    """A folder with the Snakefile and a section for notebook 02, of which only the jobs are asked for."""

    def __init__(self, folder: Path, checkout: Path, home: Path) -> None:
        self.folder, self.section = folder, dict(SWEEP)
        self.environment = os.environ | {"BITSKEPT_HOME": str(home), "OMP_NUM_THREADS": "1"}
        shutil.copy(checkout / "Snakefile", folder)
        for name in ("smoke", "models", "corpora", "tasks", "questions", "facts"):
            shutil.copy(checkout / "params" / f"{name}.yaml", folder / "params")

    def change(self, **values: object) -> None:
        """Write the section with other values."""
        self.section |= values
        (self.folder / "params" / "mine.yaml").write_text(yaml.safe_dump({"02_layer_sweep": self.section}))

    def snakemake(self, *arguments: str, target: str = "jobs") -> subprocess.CompletedProcess:
        """What a call of Snakemake gives, for a parameter file of one's own."""
        command = [sys.executable, "-m", "snakemake", target, "--cores", "2", "--keep-going", *arguments]
        options = {"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True, "check": False}
        return subprocess.run([*command, "--config", "profile=params/mine.yaml"], **options)

    def pending(self) -> set[str]:
        """The jobs that would run."""
        dry = self.snakemake("--dry-run")
        assert dry.returncode == 0, dry.stderr
        lines = dry.stdout.splitlines() + dry.stderr.splitlines()
        return {Path(line.split()[1]).stem for line in lines if line.strip().startswith("output: build/mine/jobs/")}


@pytest.fixture(scope="module")
def project(tiny, checkout, tmp_path_factory):
    """A project of a model that is broken and a tiny one that is not; its jobs have run once."""
    folder = tmp_path_factory.mktemp("graph")
    for name in ("params", "notebooks"):
        (folder / name).mkdir()
    (folder / "notebooks" / "02_layer_sweep.ipynb").touch()
    for part in (tiny("llama").network, tiny("llama").tokenizer):
        part.save_pretrained(folder / ODD / "whole")
    (folder / "broken").mkdir()
    text = folder / "text.txt"
    words = product(("the", "The"), ("cat", "sat"), ("it", "42"), (".", "!", ","))
    text.write_text("\n".join(" ".join(one) for one in words), "utf-8")
    made = Project(folder, checkout, folder / "home")
    models = [str(folder / name) for name in ("broken", f"{ODD}/whole")]
    made.change(models=models, masked_model=models[0], corpus=str(text))
    made.first = made.snakemake()
    return made


def short(names):
    """NN.MEASUREMENT.SOME-FOLDER-MODEL as (measurement, model)."""
    return {(name.split(".")[1], name.rpartition("-")[2]) for name in names}


def test_a_model_that_fails_stops_no_other_and_is_reported(project):
    assert project.first.returncode == 1
    assert "1 failed; the others are in the store" in project.first.stderr
    markers = (project.folder / "build" / "mine" / "jobs").glob("*.jsonl")
    assert short(path.stem for path in markers) == {("sweep", "whole"), ("random", "whole")}
    tables = (project.folder / "home" / "store" / "layer_sweep").glob("*/table.parquet")
    assert len(list(tables)) == 3, "the whole model twice, and one random copy"


def test_only_what_failed_or_changed_runs_again(project):
    assert short(project.pending()) == {("sweep", "broken"), ("random", "broken"), ("masked", "broken")}
    project.change(models=project.section["models"][1:])
    changed = {("sweep", "whole"), ("masked", "broken")}
    assert short(project.pending()) == changed, "the words that all models share may be others"
    project.change(random_seeds=[0, 1])
    assert short(project.pending()) == changed | {("random", "whole")}


def test_a_notebook_waits_for_its_jobs_and_its_files_are_in_the_folder_of_the_profile(project):
    dry = project.snakemake("--dry-run", target="all")
    assert dry.returncode == 0, dry.stderr
    lines = (dry.stdout + dry.stderr).splitlines()
    (outputs,) = [line for line in lines if "build/mine/notebooks/02_layer_sweep.ipynb" in line and "output:" in line]
    assert "build/mine/figures/02_retained.png" in outputs
    (inputs,) = [line for line in lines if "input: notebooks/02_layer_sweep.ipynb" in line]
    assert "build/mine/jobs/02.sweep" in inputs


def test_jobs_that_run_side_by_side_have_one_core_and_others_all(project):
    dry = project.snakemake("--dry-run", "--forceall")
    assert dry.returncode == 0, dry.stderr
    assert "threads: 2" not in dry.stdout
    (project.folder / "notebooks" / "04_ib_correlations.ipynb").touch()
    smoke = yaml.safe_load((project.folder / "params" / "smoke.yaml").read_text())
    only = {"04_ib_correlations": smoke["04_ib_correlations"]}
    (project.folder / "params" / "mine.yaml").write_text(yaml.safe_dump(only))
    dry = project.snakemake("--dry-run", "--forceall")
    assert dry.returncode == 0, dry.stderr
    jobs = dry.stdout.count("rule measure:")
    assert dry.stdout.count("threads: 2") == jobs > 0
