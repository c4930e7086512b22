"""A full disk: a sentence that names the folder, nothing half-written, and with room again the work goes on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faults.places import environment
from matplotlib.figure import Figure
from toy import write_notebook
from toy.drawing.section import Drawing
from wheels import make_wheel

from bitskept.base import files, store
from bitskept.base.publishing import Publisher, makes_table
from bitskept.instruments.training import twins
from bitskept.instruments.training.builds import Build
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import packages

PAGE = 4096
TABLE = pd.DataFrame({"estimate": np.random.default_rng(0).random(10_000)})
TEXTS = [f"the captain told the {word} that the whale had swallowed {number} ships" for word in ("crew", "parrot")
         for number in range(20)]  # fmt: skip
FULL = r"the disk is full under .*: free some space, or name another folder in BITSKEPT_HOME, and run this again"


class Disk:
    """A small disk of its own. `leave` fills it up to so many bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._filler = folder, folder / "filler"

    def leave(self, free: int) -> None:
        """Fill it."""
        self.make_room()
        with self._filler.open("wb") as file:
            file.truncate(0)
            status = os.statvfs(self.folder)
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - free)

    def make_room(self) -> None:
        """Take away what fills it."""
        self._filler.unlink(missing_ok=True)

    def files(self) -> set[str]:
        """What lies there."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")} - {"filler"}


@pytest.fixture
def disk(tmp_path):
    """A tmpfs of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a disk of its own, to be filled, needs Linux and root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


RUN = """
import sys, toy
from bitskept.run import command_line, notebooks
notebooks.SECTIONS = toy.SECTIONS
sys.exit(command_line.main(["run", "--profile", "smoke"]))
"""


@pytest.fixture
def home(disk, monkeypatch):
    """A home on that disk."""
    monkeypatch.setenv("BITSKEPT_HOME", str(disk.folder / "home"))
    monkeypatch.setenv("BITSKEPT_PROCESSES", "1")
    return disk.folder / "home"


@pytest.mark.parametrize("pages", [0, 1, 8, 19])
def test_a_result_that_does_not_fit(disk, home, pages):
    store.stored("measure", 1, {"one": 0}, lambda: TABLE)
    before = disk.files()
    disk.leave(pages * PAGE)
    with pytest.raises(OSError, match=FULL):
        store.stored("measure", 1, {"one": 1}, lambda: TABLE)
    assert disk.files() == before
    assert store.stored("measure", 1, {"one": 0}, lambda: None).equals(TABLE)  # what is there can be read
    disk.make_room()
    assert store.stored("measure", 1, {"one": 1}, lambda: TABLE).equals(TABLE)


@pytest.mark.parametrize("free", [0, 40, 400, 700])
def test_a_training_run_that_does_not_fit_goes_on_later(disk, home, tmp_path, monkeypatch, free):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(TEXTS), "utf-8")
    plan = twins.Plan(
        "causal", str(corpus), Schedule(steps=4, batch=4, rate=0.01, save_every=2, measure_every=2), sentences=20,
        held_out=10, curve=8, longest=20, vocabulary=300, build=Build(width=32, depth=2, heads=2, feed_forward=64),
        dtype="float32",
    )  # fmt: skip
    disk.leave(free * 1024)
    with pytest.raises(OSError, match=FULL) as told:
        twins.grow(plan)
    assert str(home) in str(told.value)
    assert not [name for name in disk.files() if ".partial" in name or name.endswith(".lock")]
    disk.make_room()
    grown = twins.grow(plan)
    monkeypatch.setenv("BITSKEPT_HOME", str(tmp_path / "elsewhere"))
    assert twins.grow(plan).curve.equals(grown.curve)
    for id in grown.ids.values():
        one, other = (folder / "models" / id / "model.safetensors" for folder in (home, tmp_path / "elsewhere"))
        assert one.read_bytes() == other.read_bytes()
    assert not list(home.rglob("*.training"))


@pytest.mark.parametrize("free", [0, 100, 1000])
def test_a_download_that_does_not_fit(disk, home, tmp_path, monkeypatch, free):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    entry = make_wheel(tmp_path / "index", "tiny", {"data/a": os.urandom(2 << 20)})
    disk.leave(free * 1024)
    with pytest.raises(OSError, match=FULL):
        packages.download([entry], home / "wheels")
    assert disk.files() <= {"home", "home/wheels"}
    disk.make_room()
    [wheel] = packages.download([entry], home / "wheels")
    assert files.sha256(wheel) == entry["sha256"]


@pytest.mark.parametrize("pages", [0, 1, 3, 9])
def test_a_figure_that_does_not_fit_leaves_whole_files(disk, monkeypatch, pages):
    monkeypatch.setenv("BITSKEPT_ROOT", str(disk.folder))
    show = Publisher(Drawing(profile="smoke", seed=0))

    @makes_table
    def heights(height):
        return pd.DataFrame({"x": range(400), "y": [height * x for x in range(400)]})

    def line(table):
        figure = Figure()
        figure.subplots().plot(table["x"], table["y"], marker="o")
        return figure

    def draw(height):
        show(line, heights(height))

    def written():
        return {name: (disk.folder / name).read_bytes() for name in disk.files() if (disk.folder / name).is_file()}

    draw(1)
    before = written()
    disk.leave(pages * PAGE)
    with pytest.raises(OSError, match=rf"{disk.folder}/build/custom/.*line\.\w+ could not be written. Free some space"):
        draw(2)
    at_fault = written()
    disk.make_room()
    draw(2)
    after = written()
    assert at_fault.keys() == before.keys() == after.keys()
    for name, content in at_fault.items():
        assert content in (before[name], after[name]) or name.endswith(".json")  # which has the time in it
    assert after != before


def test_a_notebook_that_does_not_fit_leaves_no_copy(disk, tmp_path):
    project = disk.folder / "project"
    for folder in ("params", "notebooks", "tmp"):
        (project / folder).mkdir(parents=True)
    (project / "params" / "smoke.yaml").write_text("01_failing: {seed: 1}")
    write_notebook(project / "notebooks", "01_failing", ["print('word ' * 20_000)"])
    own = environment(tmp_path / "home", project) | {"TMPDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    copy = project / "build" / "smoke" / "notebooks" / "01_failing.ipynb"

    def run():
        return subprocess.run([sys.executable, "-c", RUN], env=own, capture_output=True, text=True)

    disk.leave(8 * PAGE)
    failed = run()
    assert failed.returncode == 1
    message = failed.stderr.strip().splitlines()[-1]
    assert re.fullmatch(f"bitskept: .*the disk is full under {copy.parent}: free some space and .*", message)
    assert not [name for name in disk.files() if name.endswith((".tmp", ".lock", copy.name)) and "build" in name]
    disk.make_room()
    assert run().returncode == 0
    assert copy.is_file()
