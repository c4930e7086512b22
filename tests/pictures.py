"""What a figure shows."""

import re
from pathlib import Path
from xml.etree import ElementTree

from bitskept.run.redraw import REDRAWN

CLIP = re.compile(r"p[0-9a-f]{10}")
"""The name of a clipped area: a hash of its coordinates in full precision, whose last digit is not the same in every
process.
"""


def picture_data(svg: Path) -> list[tuple[str, dict[str, str], str]]:
    """Everything drawn, in order, with its place and look, and clipped areas numbered in the order of their first use;
    without the note of a redrawn figure.
    """
    parts = ElementTree.parse(svg).getroot()[1:]  # after the metadata
    elements = [element for part in parts for element in part.iter() if element.get("id") != REDRAWN]
    numbers: dict[str, str] = {}

    def numbered(value: str) -> str:
        return CLIP.sub(lambda name: numbers.setdefault(name[0], f"area {len(numbers)}"), value)

    return [
        (element.tag, {name: numbered(value) for name, value in element.attrib.items()}, (element.text or "").strip())
        for element in elements
    ]
