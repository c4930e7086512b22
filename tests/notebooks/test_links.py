"""Every link of the notebooks, the README and the book's pages, followed without a network."""

import re
from pathlib import Path

import nbformat
import pytest

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((CHECKOUT / "notebooks" / "solutions").glob("*.md"))
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "book").glob("*.md")), *SOLUTIONS]
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)\s]+)\)")
PAPER = re.compile(r"arXiv:? ?(\d{4}\.\d{5})")


def prose(path):
    """The Markdown of a file, without its blocks of code."""
    if path.suffix == ".md":
        text = path.read_text("utf-8")
    else:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def target_of(name, notebook):
    """The file that a name in backticks stands for; None if it stands for no file."""
    if name == notebook.stem:
        return None
    if name in {path.stem for path in NOTEBOOKS}:
        return CHECKOUT / "notebooks" / f"{name}.ipynb"
    if (CHECKOUT / "figures" / f"{name}.svg").is_file():
        return CHECKOUT / "figures" / f"{name}.svg"
    if re.fullmatch(r"\d\d_\w+\.csv", name):
        return CHECKOUT / "results" / "laptop" / name
    if name.endswith(".py"):
        return CHECKOUT / "src" / "bitskept" / name
    return None


def unlinked(text, notebook):
    """What a text names without a link: papers, notebooks, figures, tables and modules."""
    rest = LINK.sub("", text)
    names = [name for name in re.findall(r"`([^`\n]+)`", rest) if target_of(name, notebook)]
    return PAPER.findall(rest) + names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_names_is_a_link(path):
    assert not unlinked(prose(path), path)


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=lambda path: path.name)
def test_every_link_leads_to_what_its_text_says(path):
    for text, target in LINK.findall(prose(path)):
        for number in PAPER.findall(text):
            assert target == f"https://arxiv.org/abs/{number}"
        if re.match("https?:", target):
            continue
        file = (path.parent / target.partition("#")[0]).resolve() if not target.startswith("#") else path
        assert file.is_file(), f"{target} leads nowhere"
        assert file.is_relative_to(CHECKOUT), f"{target} leaves the project"
        wanted = target_of(text.strip("`"), path)
        assert wanted is None or file.stem == wanted.stem, f"{text} leads to {target}"
        if file.suffix == ".py" and text.startswith("`") and not text.endswith(".py`"):
            assert re.search(rf"^def {text.strip('`')}\(", file.read_text("utf-8"), re.MULTILINE)


def test_a_name_without_a_link_is_found():
    notebook = NOTEBOOKS[0]
    text = f"`{NOTEBOOKS[2].stem}`, `02_retained`, `02_claims.csv`, `theory/naming.py`, arXiv 2505.23790, `seen`"
    names = ["2505.23790", NOTEBOOKS[2].stem, "02_retained", "02_claims.csv", "theory/naming.py"]
    assert unlinked(text, notebook) == names
    assert not unlinked(f"[`{NOTEBOOKS[2].stem}`]({NOTEBOOKS[2].name}) and `{notebook.stem}`", notebook)
