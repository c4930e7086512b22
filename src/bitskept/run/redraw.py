"""Figures drawn again from their tables, without a notebook, a model, a text or a training run."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from bitskept import root
from bitskept.base import params
from bitskept.base.figures import DPI, rendered
from bitskept.base.files import locked, write_whole
from bitskept.base.publishing import drawn, folders, read_table
from bitskept.run import notebooks

REDRAWN = "redrawn"
"""The id of the note below a picture."""
NOTE_HEIGHT = 14
"""Points."""
SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def redraw(profile: str, names: Sequence[str] = ()) -> list[Path]:
    """Draw every figure of these notebooks, by default of all, into `build/PROFILE/redrawn/`; the pictures.

    The parameters are those of the run that made the numbers. FileNotFoundError, before anything is drawn, if a table
    is missing.
    """
    path = params.find(profile)
    stems = [notebook.stem for notebook in notebooks.select(names, params.load(profile, notebooks.SECTIONS))]
    draws = {name: (stem, draw) for stem in stems for name, draw in notebooks.figure_functions(stem).items()}
    pictures, tables = folders(path.stem)
    for file in [place for name in draws for place in (pictures / f"{name}.json", tables / f"{name}.csv")]:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing, run first: bitskept run --profile {profile} {file.name[:2]}")
    made = []
    for name, (stem, draw) in tqdm(draws.items(), unit="figure", desc="redrawing", disable=None):
        origin = json.loads((pictures / f"{name}.json").read_text("utf-8"))
        section, wrong = params.validated(stem, origin["parameters"], notebooks.SECTIONS[stem])
        params.refuse(pictures / f"{name}.json", wrong)
        figure = drawn(draw, read_table(tables / f"{name}.csv"), section)
        for suffix, picture in rendered(figure, name).items():
            made.append(root() / "build" / path.stem / "redrawn" / f"{name}.{suffix}")
            with locked(made[-1], made[-1].name):
                write_whole(made[-1], _with_note(picture, suffix, f"redrawn from the kept table {name}.csv"))
    return made


def _with_note(picture: bytes, suffix: str, note: str) -> bytes:
    """The picture with a line of text below it; the picture itself stays as it is."""
    if suffix == "svg":
        tree = ElementTree.fromstring(picture)
        left, top, width, height = (float(number) for number in tree.get("viewBox").split())
        tree.set("viewBox", f"{left:g} {top:g} {width:g} {height + NOTE_HEIGHT:g}")
        tree.set("height", f"{height + NOTE_HEIGHT:g}pt")
        look = {"id": REDRAWN, "x": f"{left + 4:g}", "y": f"{top + height + 10:g}"}
        look["style"] = "font: 9px sans-serif; fill: grey"
        ElementTree.SubElement(tree, f"{{{SVG}}}text", look).text = note
        return ElementTree.tostring(tree, encoding="utf-8", xml_declaration=True)
    image = Image.open(BytesIO(picture)).convert("RGB")
    scale = DPI / 72
    whole = Image.new("RGB", (image.width, image.height + round(NOTE_HEIGHT * scale)), "white")
    whole.paste(image)
    font = ImageFont.load_default(9 * scale)
    ImageDraw.Draw(whole).text((round(4 * scale), image.height), note, fill="grey", font=font)
    buffer = BytesIO()
    whole.save(buffer, "png")
    return buffer.getvalue()
