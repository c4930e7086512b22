"""Figures drawn again from the tables that were kept, without a model, a text or a training run.

What draws a figure are the cells of its notebook from the one that reads its numbers (`figures.table`) to the one that
saves it (`figures.save`). They use nothing else but the parameters and the cells tagged `setup`, so the same code draws
what was just computed and what lies in `results/laptop/`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bitskept import batch, environment, outputs, params, processes, root
from bitskept.parallel import side_by_side

READ, SAVED = "figures.table(", "figures.save("
KEPT_TAGS = {"parameters", "setup"}
PICTURES = ("png", "svg")


def drawing(notebook: Any) -> Any:
    """The notebook without what computes: its parameters, the cells tagged `setup`, and those that draw.

    ValueError where a cell saves a figure whose numbers no cell before it reads.
    """
    import nbformat

    kept, drawn = [], False
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        drawn = drawn or READ in cell.source
        if SAVED in cell.source and not drawn:
            raise ValueError(f"this figure does not read its numbers with figures.table:\n{cell.source}")
        if drawn or KEPT_TAGS & set(cell.metadata.get("tags", [])):
            kept.append(cell)
        drawn = drawn and SAVED not in cell.source
    return nbformat.v4.new_notebook(cells=kept, metadata=notebook.metadata)


def redraw(
    profile: str, names: Sequence[str] = (), *, sections: Mapping[str, type[params.Section]] = params.SECTIONS
) -> list[Path]:
    """Draw every figure of these notebooks, by default of all, into `build/PROFILE/redrawn/`; the pictures.

    The parameters are those that the numbers were made with. FileNotFoundError, before anything is drawn, where
    numbers are missing; NotebookError where a cell fails.
    """
    notebooks = batch.select(names, sections, root() / "notebooks")
    jobs = {}
    for notebook in notebooks:
        names = sections[notebook.stem].figures
        origin = [outputs.origin(name, profile=profile) for name in names][-1]
        jobs[notebook.stem] = batch.Execution(notebook, origin["parameters"], names, profile, False)
    with environment({outputs.REDRAW: "1", "BITSKEPT_ROOT": str(root())}):
        drawn = processes.each(_draw, jobs, side_by_side(len(jobs)))
        pictures = dict(tqdm(drawn, total=len(jobs), unit="notebook", desc="redrawing", disable=None))
    return [path for stem in jobs for path in pictures[stem]]


def _draw(job: batch.Execution, line: int | None) -> tuple[str, list[Path]]:
    """Execute what draws one notebook's figures: its name, and the pictures."""
    import nbformat

    folder = outputs.folders(job.profile)[0] / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    cells = folder / f".{job.notebook.name}"
    nbformat.write(drawing(nbformat.read(job.notebook, as_version=4)), cells)
    before = batch.stamps(job.figures, job.profile, PICTURES)
    batch.execute(cells, folder / job.notebook.name, job.parameters)
    cells.unlink()
    after = batch.stamps(job.figures, job.profile, PICTURES)
    batch.check_figures(job.notebook, before, after)
    return job.notebook.stem, list(after)
