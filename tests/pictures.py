"""What a figure shows."""

from pathlib import Path
from xml.etree import ElementTree

from bitskept.run.redraw import REDRAWN


def picture_data(svg: Path) -> list[tuple[str, dict[str, str], str]]:
    """Everything drawn, in order, with its place and look; without the note of a redrawn figure."""
    parts = ElementTree.parse(svg).getroot()[1:]  # after the metadata
    elements = [element for part in parts for element in part.iter() if element.get("id") != REDRAWN]
    return [(element.tag, element.attrib, (element.text or "").strip()) for element in elements]
