"""Figures drawn again from their tables."""

import numpy as np
import pytest
import yaml
from pictures import picture_data
from PIL import Image
from toy.drawing import figures
from toy.drawing.section import Drawing, squares

from bitskept.base import publishing
from bitskept.base.publishing import Publisher
from bitskept.run import redraw


@pytest.fixture
def drawn(toy, monkeypatch):
    """The figure as a batch of the laptop profile leaves it."""
    monkeypatch.setenv(publishing.RUN, "laptop")
    section = Drawing.read({"profile": "laptop"})
    return Publisher(section)(figures.line, squares(section)).path


def test_a_figure_is_redrawn_from_its_table_with_a_note(drawn, toy):
    # The parameters are those of the run that made the numbers, whatever the profile says by now.
    (toy / "params" / "laptop.yaml").write_text(yaml.safe_dump({"00_drawing": {"seed": 7}}))
    pictures = redraw.redraw("laptop")
    assert pictures == [toy / "build" / "laptop" / "redrawn" / f"00_line.{suffix}" for suffix in ("png", "svg")]
    redrawn, before = pictures[1].read_text(), drawn.with_suffix(".svg").read_text()
    assert "redrawn from the kept table 00_line.csv" in redrawn
    assert "redrawn" not in before
    assert "seed 1" in redrawn
    assert len(picture_data(drawn.with_suffix(".svg"))) > 20
    assert picture_data(pictures[1]) == picture_data(drawn.with_suffix(".svg"))
    image, with_note = (np.asarray(Image.open(path).convert("RGB")) for path in (drawn, pictures[0]))
    assert (with_note[: len(image)] == image).all()
    assert with_note[len(image) :].min() < 200, "the note"


def test_the_table_is_what_is_drawn(drawn, toy):
    before = picture_data(drawn.with_suffix(".svg"))
    table = toy / "results" / "laptop" / "00_line.csv"
    table.write_text(table.read_text().replace("1,0.333333", "1,3"))
    (_, redrawn) = redraw.redraw("laptop", ["00"])
    assert picture_data(redrawn) != before


def test_a_missing_table_is_named_with_what_to_do(drawn, toy):
    (toy / "results" / "laptop" / "00_line.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"00_line\.csv is missing, run first: bitskept run --profile lap"):
        redraw.redraw("laptop", ["00"])
    assert not (toy / "build").exists()


def test_parameters_that_no_longer_fit_are_refused(drawn):
    origin = drawn.with_suffix(".json")
    origin.write_text(origin.read_text().replace('"seed": 1\n', '"sede": 1\n'))
    with pytest.raises(ValueError, match=r"00_line\.json: 00_drawing\.sede = 1: unknown name; did you mean seed\?"):
        redraw.redraw("laptop", ["00"])
