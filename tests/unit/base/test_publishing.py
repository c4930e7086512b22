import json
from pathlib import Path

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


class Given(Section):
    notebook = "09_small"

    models: list[str]
    corpus: str
    sentence: str


def by_model(table):
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    for model, rows in table.groupby("model"):
        axes.plot(rows["layer"], rows["estimate"], label=model)
    axes.legend()
    return figure


def in_section(table, section):
    figure = by_model(table[table["model"].isin(section.models)])
    figure.axes[0].set_title(f"{section.corpus} {section.sentence}")
    return figure


def test_no_path_is_published_but_the_name_at_its_end(project, tmp_path, monkeypatch):
    """In the table, the parameters, the fingerprints and both pictures; two folders of one name have a fingerprint."""
    monkeypatch.delenv(publishing.RUN, raising=False)
    home = tmp_path / "NAME"
    mine, other, text, elsewhere = (str(home / name) for name in ("a/mine", "b/mine", "text.txt", "gone/alone"))
    for folder in (mine, other):
        Path(folder).mkdir(parents=True)
    Path(text).touch()
    section = Given(profile="smoke", models=[mine, other, "gpt2@refs/pr/1"], corpus=text, sentence="his/her")

    @makes_table
    def measured():
        rows = [
            {"model": model, "run": f"{model}-continued-0", "layer": layer, "estimate": 0.1, mine: 1}
            for model in (mine, other, elsewhere, "gpt2@refs/pr/1")
            for layer in (0, 1)
        ]
        return pd.DataFrame(rows)

    prints = {mine: "0123456789abcdef", other: "fedcba9876543210"}
    shown = Publisher(section, prints)(in_section, measured())
    table = pd.read_csv(project / "build" / "custom" / "results" / "09_in_section.csv")
    names = ["mine-01234567", "mine-fedcba98", "alone", "gpt2@refs/pr/1"]
    assert table["model"].unique().tolist() == names
    assert table["run"].unique().tolist() == [f"{name}-continued-0" for name in names]
    origin = json.loads(shown.path.with_suffix(".json").read_text())
    assert origin["models"] == {"mine-01234567": "0123456789abcdef", "mine-fedcba98": "fedcba9876543210"}
    assert origin["parameters"]["models"] == [*names[:2], "gpt2@refs/pr/1"]
    assert (origin["parameters"]["corpus"], origin["parameters"]["sentence"]) == ("text.txt", "his/her")
    picture = shown.path.with_suffix(".svg").read_text()
    assert all(word in picture for word in (*names[:2], "text.txt his/her"))
    for path in (project / "build").rglob("*.*"):
        assert b"NAME" not in path.read_bytes()
