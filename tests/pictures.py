"""What a figure shows."""

from pathlib import Path
from xml.etree import ElementTree

from bitskept.figures import REDRAWN


def picture_data(svg: Path) -> list[tuple[str, dict[str, str], str]]:
    """All that is drawn, in order, with its place and look, without the note of a redrawn figure."""
    drawn = ElementTree.parse(svg).getroot()[1:]  # after the metadata
    shown = [one for part in drawn for one in part.iter() if one.get("id") != REDRAWN]
    return [(one.tag, one.attrib, (one.text or "").strip()) for one in shown]
