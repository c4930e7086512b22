import json

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.figure import Figure

from bitskept import __version__, figures, outputs

TABLE = pd.DataFrame({"layer": [0, 1, 2], "estimate": [1 / 3, 2e-9, 1234567.0]})


def drawn(size=(4, 3)):
    figures.style()
    figure, axes = plt.subplots(figsize=size)
    axes.plot(TABLE.layer, TABLE.estimate)
    return figure


def save(figure, name="retained", table=TABLE, profile="smoke", **more):
    figures.keep(name, table, profile=profile, parameters={"seed": 3, "model": "tiny"}, **more)
    return figures.save(figure, name, profile=profile)


def test_a_figure_is_saved_with_its_numbers_and_its_origin(project):
    saved = save(drawn(), models={"tiny": "abc"})
    folder, results = project / "build" / "smoke" / "figures", project / "build" / "smoke" / "results"
    assert saved.path == folder / "retained.png"
    assert saved.path.read_bytes().startswith(b"\x89PNG")
    assert saved._repr_png_() == saved.path.read_bytes()
    assert "<text" in (folder / "retained.svg").read_text(), "text is to stay text"
    assert (results / "retained.csv").read_text() == "layer,estimate\n0,0.333333\n1,2e-09\n2,1.23457e+06\n"
    origin = json.loads((folder / "retained.json").read_text())
    assert origin["parameters"] == {"seed": 3, "model": "tiny"}
    assert origin["seeds"] == {"seed": 3}
    assert origin["models"] == {"tiny": "abc"}
    assert origin["bitskept"] == __version__
    assert sorted(path.name for path in folder.iterdir()) == ["retained.json", "retained.png", "retained.svg"]


def test_only_the_laptop_profile_writes_into_committed_folders(project):
    save(drawn(), profile="laptop")
    assert (project / "figures" / "retained.svg").is_file()
    assert (project / "results" / "laptop" / "retained.csv").is_file()
    assert not (project / "build").exists()


def test_the_same_figure_gives_the_same_files(project):
    first = save(drawn(), "first").path
    second = save(drawn(), "second").path
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".svg").read_bytes() == second.with_suffix(".svg").read_bytes()


def test_a_saved_figure_is_closed_and_its_name_shows_no_path(project):
    figure = drawn()
    saved = save(figure)
    assert not plt.fignum_exists(figure.number)
    assert repr(saved) == "<figure retained>"


def test_a_large_figure_is_rendered_at_a_lower_resolution(project):
    pixels = plt.imread(save(drawn((40, 4))).path)
    assert max(pixels.shape) <= 1.05 * figures.LARGEST_SIDE


def test_seaborn_grids_are_saved_with_their_legend(project):
    figures.style()
    grid = sns.relplot(TABLE.assign(side="late"), x="layer", y="estimate", hue="side", col="side", kind="line")
    assert "late" in save(grid.figure).path.with_suffix(".svg").read_text()


@pytest.mark.parametrize(
    ("figure", "name", "table", "message"),
    [
        (drawn(), "rows", TABLE.iloc[:0], "figure rows: its table is empty"),
        (drawn(), "../away", TABLE, r"letters, digits and underscores only, not '\.\./away'"),
    ],
)
def test_a_table_that_cannot_be_kept_is_refused_and_nothing_is_written(project, figure, name, table, message):
    with pytest.raises(ValueError, match=message):
        save(figure, name, table)
    assert not (project / "build").exists()
    plt.close("all")


@pytest.mark.parametrize("figure", [Figure(), None])
def test_a_figure_that_shows_nothing_is_refused(project, figure):
    with pytest.raises(ValueError, match="figure empty shows no data"):
        save(figure or plt.subplots()[0], "empty")
    assert not list((project / "build").rglob("empty.png"))
    plt.close("all")


def test_a_figure_whose_numbers_were_not_kept_is_refused(project):
    with pytest.raises(ValueError, match=r"figure bare: keep its numbers .* figures\.keep"):
        figures.save(drawn(), "bare", profile="smoke")
    plt.close("all")


def test_the_numbers_that_were_kept_are_read_back(project):
    table = TABLE.assign(token=["null", "NA", None], layer=[0, 1, None])
    save(drawn(), table=table)
    pd.testing.assert_frame_equal(figures.table("retained", profile="smoke"), table, rtol=1e-5)
    assert outputs.origin("retained", profile="smoke")["seeds"] == {"seed": 3}


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(project):
    blocked = project / "build" / "smoke" / "results" / "retained.csv"
    blocked.mkdir(parents=True)
    with pytest.raises(OSError, match=r"retained\.csv could not be written"):
        save(drawn())
    assert [path.name for path in blocked.parent.iterdir()] == ["retained.csv"]


def test_registered_models_have_colours_of_their_own_and_others_a_steady_one(project):
    ids = [f"model-{number}" for number in range(25)]
    (project / "params" / "models.yaml").write_text("".join(f"{one}: {{}}\n" for one in ids))
    assert len({figures.colour(one) for one in ids}) == len(ids)
    assert figures.colour("my-own") == figures.colour("my-own")
