import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bitskept import __version__
from bitskept.base import files, publishing
from bitskept.base.params import Section
from bitskept.base.publishing import Publisher, makes_table


class Small(Section):
    notebook = "09_small"

    model: str
    seed: int


SECTION = Small(profile="smoke", model="tiny", seed=3)


@makes_table
def estimates(rows=3):
    """A table whose numbers have more digits than are written."""
    return pd.DataFrame({"layer": [0, 1, 2], "estimate": [1 / 3, 2e-9, 1234567.0]}).head(rows)


def retained(table):
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot(table["layer"], table["estimate"])
    return figure


def labelled(table, section):
    figure = retained(table)
    figure.axes[0].set_title(f"seed {section.seed}")
    return figure


def nothing(table):
    return Figure()


@pytest.fixture
def published(project, monkeypatch):
    """published(DRAW, TABLE, RUN): a figure as a notebook of such a run shows it."""
    monkeypatch.delenv(publishing.RUN, raising=False)

    def publish(draw=retained, table=None, run=None):
        if run:
            monkeypatch.setenv(publishing.RUN, run)
        return Publisher(SECTION, {"tiny": "abc"})(draw, estimates() if table is None else table)

    return publish


def test_a_figure_is_written_with_its_numbers_and_its_origin(published, project):
    shown = published(run="smoke")
    folder, results = project / "build" / "smoke" / "figures", project / "build" / "smoke" / "results"
    assert shown.path == folder / "09_retained.png"
    assert shown._repr_png_() == shown.path.read_bytes()
    assert shown._repr_png_().startswith(b"\x89PNG")
    assert repr(shown) == "<figure 09_retained>", "a reader sees no path"
    assert (results / "09_retained.csv").read_text() == "layer,estimate\n0,0.333333\n1,2e-09\n2,1.23457e+06\n"
    origin = json.loads((folder / "09_retained.json").read_text())
    assert origin["table made by"] == f"{__name__}.estimates"
    assert origin["drawn by"] == f"{__name__}.retained"
    assert origin["parameters"] == {"profile": "smoke", "model": "tiny", "seed": 3}
    assert (origin["seeds"], origin["models"], origin["bitskept"]) == ({"seed": 3}, {"tiny": "abc"}, __version__)
    assert sorted(path.name for path in folder.iterdir()) == [f"09_retained.{kind}" for kind in ("json", "png", "svg")]


def test_only_a_batch_of_the_laptop_profile_writes_into_the_committed_folders(published, project):
    published()
    assert (project / "build" / "custom" / "figures" / "09_retained.svg").is_file()
    assert not (project / "figures").exists()
    published(run="laptop")
    assert (project / "figures" / "09_retained.svg").is_file()
    assert (project / "results" / "laptop" / "09_retained.csv").is_file()


def test_a_figure_is_drawn_from_the_numbers_that_were_written(published):
    seen = []

    def looked(table):
        seen.append(table)
        return retained(table)

    published(looked)
    assert list(seen[0]["estimate"]) == [0.333333, 2e-09, 1234570.0]


def test_a_figure_gets_its_section_if_it_takes_one(published):
    assert "seed 3" in published(labelled).path.with_suffix(".svg").read_text()


@pytest.mark.parametrize(
    ("draw", "table", "message"),
    [
        (retained, estimates(0), "figure 09_retained: its table is empty"),
        (retained, pd.DataFrame(estimates().to_dict()), "its table has to come from a function marked by makes_table"),
        (nothing, estimates(), "figure 09_nothing shows no data"),
    ],
)
def test_what_cannot_be_published_is_refused_and_nothing_is_written(published, project, draw, table, message):
    with pytest.raises(ValueError, match=message):
        published(draw, table)
    assert not (project / "build").exists()


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = pd.DataFrame({"token": ["null", "NA", None], "layer": [0, 1, None]})
    table.to_csv(tmp_path / "x.csv", index=False)
    pd.testing.assert_frame_equal(publishing.read_table(tmp_path / "x.csv"), table)


def test_a_file_that_cannot_be_written_is_named(published, project):
    blocked = project / "build" / "custom" / "results" / "09_retained.csv"
    blocked.mkdir(parents=True)
    with pytest.raises(OSError, match=r"09_retained\.csv could not be written"):
        published()
    assert [path.name for path in blocked.parent.iterdir()] == ["09_retained.csv"]


def test_a_full_disk_leaves_whole_files(published, project, monkeypatch):
    shown, before = published(), {}
    before = {path: path.read_bytes() for path in shown.path.parent.iterdir()}
    write = files.Path.write_bytes

    def full(path, content):
        write(path, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"could not be written\. Free some space"):
        published()
    assert {path: path.read_bytes() for path in shown.path.parent.iterdir()} == before
