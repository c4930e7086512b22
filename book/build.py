"""Build the site: `python book/build.py` writes build/book from the committed notebooks, figures and tables.

Nothing is executed and nothing is fetched. The notebooks are copied with their figures as vector graphics; links to the
project's files become links to pages.
"""

import ast
import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import mathjax
import nbformat
from sphinx.cmd.build import build_main

import explore

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE, SITE = CHECKOUT / "build" / "book-source", CHECKOUT / "build" / "book"
IMAGE = re.compile(r"(!\[[^\]]*\]\()(?!https?:)([^)\s]+)")
LINK = re.compile(r"(?<=\]\()(?!https?:|[#/])([^)\s#]+)")
TERM = re.compile(r"\*\*([^*]+)\*\*")
EXPLORED = {
    "00_tour": "one-sentence-through-the-layers",
    **dict.fromkeys(["02_retained", "02_readings", "02_sentence", "02_learning", "02_probes"], "what-each-layer-keeps"),
    **dict.fromkeys(["04_plane", "04_optimality"], "the-information-plane"),
    **dict.fromkeys(["05_retained", "05_plane", "05_ranks"], "twins-over-training"),
}
LEGIBLE = 0.011
"""Share of a picture's width that its smallest letters need, to be read on a phone at the usual width of figures."""
SHOWN = re.compile(r"\bshow(?:_twins)?\(figures\.(\w+)")


def main() -> int:
    """Lay out the sources, build the site, and put the notebooks as they are committed behind the download buttons."""
    for folder in (SOURCE, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("figures", "results/laptop", "params"):
        shutil.copytree(CHECKOUT / name, SOURCE / name)
    for picture in (SOURCE / "figures").glob("*.svg"):
        describe(picture)
    for page in [*(CHECKOUT / "book").glob("*.md"), CHECKOUT / "README.md"]:
        copy(page, SOURCE)
    (SOURCE / "notebooks" / "solutions").mkdir(parents=True)
    for page in (CHECKOUT / "notebooks" / "solutions").glob("*.md"):
        copy(page, SOURCE / "notebooks" / "solutions")
    for name in ("conf.py", "references.bib"):
        shutil.copy(CHECKOUT / "book" / name, SOURCE)
    notebooks = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
    for path in notebooks:
        nbformat.write(chapter(path), SOURCE / "notebooks" / path.name)
    static = SOURCE / "_static"
    (static / "mathjax").mkdir(parents=True)
    shutil.copy(CHECKOUT / "book" / "bitskept.css", static)
    explore.write(CHECKOUT / "results" / "laptop", static)
    shutil.copy(Path(mathjax.__file__).parent / "static/mathjax/es5/tex-svg.js", static / "mathjax")
    os.environ["BITSKEPT_SOURCE"] = str(CHECKOUT / "src" / "bitskept")
    failed = build_main(["-q", "-j", "auto", "-W", "--keep-going", str(SOURCE), str(SITE)])
    for path in notebooks:
        shutil.copy(path, SITE / "_sources" / "notebooks")
    return failed


def copy(page: Path, folder: Path) -> None:
    """Copy a page of Markdown into this folder, with its links as links of the site."""
    (folder / page.name).write_text(relink(page.read_text("utf-8"), page.parent), "utf-8")


def chapter(path: Path) -> nbformat.NotebookNode:
    """A notebook as a chapter: each figure as an SVG with its caption, imports folded."""
    notebook = nbformat.read(path, as_version=4)
    cells, terms = [], glossary()
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = defined(relink(cell.source, path.parent), terms)
            continue
        if "setup" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [*cell.metadata["tags"], "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"}
        if "explore(" in cell.source:
            cell.metadata["mystnb"] = {"image": {"alt": cell.outputs[0].metadata["image/png"]["alt"]}}
        shown = SHOWN.search(cell.source)
        if shown and any("image/png" in output.get("data", {}) for output in cell.outputs):
            cell.outputs = [output for output in cell.outputs if "image/png" not in output.get("data", {})]
            cells.append(nbformat.v4.new_markdown_cell(figure(f"{path.name[:2]}_{shown[1]}")))
    notebook.cells = cells
    return notebook


def glossary() -> set[str]:
    """The terms that the glossary explains."""
    text = (CHECKOUT / "book" / "glossary.md").read_text("utf-8")
    return set(re.findall(r"\n\n([^\W\d][^\n:]*)\n  ", text)) | set(re.findall(r"{glossary}\n(.+)\n", text))


def defined(text: str, terms: set[str]) -> str:
    """The text with a link to the glossary where a chapter first sets one of its terms in bold; those terms go."""

    def link(match: re.Match[str]) -> str:
        if match[1] not in terms:
            return match[0]
        terms.remove(match[1])
        return f"{{term}}`{match[1]}`"

    return TERM.sub(link, text)


def figure(name: str) -> str:
    """The figure in MyST, with an alternative text, its table, its origin, and the functions behind it."""
    drawn, made = (origin(name)[key] for key in ("drawn by", "table made by"))
    links = f"[Table](../results/laptop/{name}.csv), [origin](../figures/{name}.json)"
    if name in EXPLORED:
        links += f", [explore it](/explore.md#{EXPLORED[name]})"
    return (
        f":::{{figure}} ../figures/{name}.svg\n:name: {name}\n:target: ../_images/{name}.svg\n"
        f":alt: {alternative(name)}\n:figclass: {'usual' if letters(name) >= LEGIBLE else 'wide'}\n\n"
        f"**{name}.** {first_paragraph(drawn)} {links}; table made by "
        f"{{py:obj}}`{short(made)} <{made}>`, drawn by {{py:obj}}`{short(drawn)} <{drawn}>`.\n:::"
    )


def letters(name: str) -> float:
    """The size of a figure's smallest letters, as a share of its width."""
    picture = (CHECKOUT / "figures" / f"{name}.svg").read_text("utf-8")
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", picture)]
    return min(sizes) / float(re.search(r'width="([\d.]+)pt"', picture)[1])


def describe(picture: Path) -> None:
    """Put a title and a description into a figure, for those who open it by itself."""
    drawn = first_paragraph(origin(picture.stem)["drawn by"])
    words = f"<title>{escape(drawn)}</title>\n <desc>{escape(extent(picture.stem))}</desc>\n <metadata>"
    picture.write_text(picture.read_text("utf-8").replace("<metadata>", words, 1), "utf-8")


def alternative(name: str) -> str:
    """What a figure shows, in words, from the function that draws it and from its table."""
    return f"{first_paragraph(origin(name)['drawn by'])} {extent(name)}"


def origin(name: str) -> dict[str, str]:
    """Where a figure comes from."""
    return json.loads((CHECKOUT / "figures" / f"{name}.json").read_text("utf-8"))


def short(name: str) -> str:
    """Module and function, of a full name."""
    return ".".join(name.split(".")[-2:])


def first_paragraph(function: str) -> str:
    """The first paragraph of a function's docstring, from its source."""
    module, _, name = function.rpartition(".")
    tree = ast.parse((CHECKOUT / "src" / (module.replace(".", "/") + ".py")).read_text("utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return " ".join(ast.get_docstring(found).partition("\n\n")[0].split())


def extent(name: str) -> str:
    """What a figure's table holds, in words: its columns with a few values, and the range of its numbers."""
    with (CHECKOUT / "results" / "laptop" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return f"Its table has {len(rows):,} rows. " + " ".join(column_words(rows))


def column_words(rows: list[dict[str, str]]) -> Iterator[str]:
    """A sentence for each column with a few different words in it, and one for the estimates."""
    for column in rows[0]:
        values = list(dict.fromkeys(row[column] for row in rows if row[column]))
        words = [value for value in values if not re.fullmatch(r"[-+.\deinf]+", value)]
        if words == values and 2 <= len(values) <= 6:
            yield f"{column}: {', '.join(values)}."
        elif column in ("layer", "step", "estimate") and len(values) > 1 and not words:
            ends = sorted(map(float, values))
            yield f"{column} from {ends[0]:.3g} to {ends[-1]:.3g}."


def relink(text: str, folder: Path) -> str:
    """The text with its links to files of the project as links of the site."""
    text = IMAGE.sub(lambda match: f"{match[1]}/{inside(match[2], folder)}", text)
    return LINK.sub(lambda match: page(inside(match[1], folder)), text)


def inside(target: str, folder: Path) -> Path:
    """The path within the project of what a link in this folder leads to."""
    return (folder / target).resolve().relative_to(CHECKOUT)


def page(path: Path) -> str:
    """Where the site has a file of the project: a figure in its chapter, a module in the reference."""
    if path.parts[0] == "src":
        module = path.with_suffix("") if path.name != "__init__.py" else path.parent
        return f"/api/{module.relative_to('src')}/index.rst"
    if path.parts[0] == "figures" and path.suffix in (".svg", ".png"):
        return f"#{path.stem}"
    return f"/{path.relative_to('book') if path.parts[0] == 'book' else path}"


if __name__ == "__main__":
    sys.exit(main())
