"""Make slides of the committed notebooks, by nbconvert: `python book/slides.py` writes build/slides/.

A heading starts a slide, and what follows goes below it, in pieces of a screen. Figures stand without their code, and
what comes after the exercises is left out. reveal.js and MathJax are taken along, so that slides work from disk.
"""

import re
import shutil
from pathlib import Path

import mathjax
import nbformat
import sphinx_revealjs
from nbconvert import SlidesExporter
from traitlets.config import Config

import build

SLIDES = build.CHECKOUT / "build" / "slides"
SCREEN = 1100  # characters of text that fit below each other
NO_CODE = "no-code"
LOCAL_LINK = re.compile(r"\[([^\[\]]+)\]\((?!https?:)[^)]*\)")


def main() -> None:
    """Write the slides of each notebook, and the scripts that they need."""
    shutil.rmtree(SLIDES, ignore_errors=True)
    scripts = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
    for name in ("dist", "plugin/notes"):
        shutil.copytree(scripts / name, SLIDES / "reveal.js" / name)
    (SLIDES / "mathjax").mkdir()
    shutil.copy(Path(mathjax.__file__).parent / "static/mathjax/es5/tex-svg.js", SLIDES / "mathjax")
    exporter = SlidesExporter(
        template_name="slides_template",
        extra_template_basedirs=[str(build.CHECKOUT / "book")],
        config=Config(TagRemovePreprocessor={"enabled": True, "remove_input_tags": {NO_CODE}}),
        reveal_url_prefix="reveal.js",
        reveal_theme="white",  # its fonts are in the package
    )
    for path in sorted((build.CHECKOUT / "notebooks").glob("*.ipynb")):
        text, _ = exporter.from_notebook_node(talk(path))
        (SLIDES / f"{path.stem}.html").write_text(text, "utf-8")


def talk(path: Path) -> nbformat.NotebookNode:
    """A notebook cut into slides."""
    notebook = nbformat.read(path, as_version=4)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cells += [slide(piece) for piece in pieces(LOCAL_LINK.sub(r"\1", cell.source))]
            if "\n## Exercises" in f"\n{cell.source}":
                break
        elif shown := build.SHOWN.search(cell.source):
            cells.append(picture(cell, f"{path.name[:2]}_{shown[1]}"))
        elif cell.outputs and not set(cell.metadata.get("tags", [])) & {"setup", "parameters"}:
            written = all("text/markdown" in output.get("data", {}) for output in cell.outputs)
            cell.metadata = below(*[NO_CODE] * written)  # the call that writes sentences tells an audience nothing
            cells.append(cell)
    notebook.cells = cells
    return notebook


def pieces(text: str) -> list[str]:
    """A text in pieces of a screen: cut at headings, and between paragraphs where it is long."""
    cut = [""]
    for block in text.split("\n\n"):
        if cut[-1] and (block.startswith("#") or len(cut[-1]) + len(block) > SCREEN):
            cut.append("")
        cut[-1] += ("\n\n" if cut[-1] else "") + block
    return cut


def slide(text: str) -> nbformat.NotebookNode:
    """A slide if the text starts with a heading of the first or second level, and otherwise one below it."""
    kind = "slide" if re.match("##? ", text) else "subslide"
    return nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def below(*tags: str) -> dict[str, object]:
    """The metadata of a slide below another."""
    return {"slideshow": {"slide_type": "subslide"}, "tags": list(tags)}


def picture(cell: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """A figure without the code that draws it, with its alternative text."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            output.metadata["image/png"] = {"alt": build.alternative(name)}
    cell.metadata = below(NO_CODE)
    return cell


if __name__ == "__main__":
    main()
