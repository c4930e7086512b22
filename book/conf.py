"""Configuration of the site. build.py puts its sources together in build/book-source; Sphinx runs there."""

import os
import re

from sphinx.addnodes import pending_xref

project = "Bits Kept"
author = copyright = "Bits Kept contributors"
language = "en"
extensions = [
    "autoapi.extension",
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
]
default_role = "py:obj"  # docstrings write names in single backticks
suppress_warnings = ["autoapi.python_import_resolution"]
exclude_patterns = ["README.md"]  # pages include parts of it

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-svg.js"
bibtex_bibfiles = ["references.bib"]

autoapi_dirs = [os.environ["BITSKEPT_SOURCE"]]  # read, never imported
autoapi_root = "api"
autoapi_add_toctree_entry = False
autoapi_options = ["members", "undoc-members", "show-inheritance"]
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
autoapi_member_order = "bysource"

html_theme = "sphinx_book_theme"
html_title = "Bits Kept"
html_static_path = ["_static"]
html_css_files = ["bitskept.css"]
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # they are fetched, which a browser forbids for files on disk
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "max_navbar_depth": 2,
    "use_fullscreen_button": False,
}


def escape_docstring(app, kind, name, thing, options, lines):
    """Docstrings are plain text: |A| and *args mean themselves. Names in backticks become links."""
    parts = re.split(r"(`+[^`]+`+)", "\n".join(lines))
    parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def exact_types(app, doctree):
    """A name in a type is looked up as it stands. Sphinx takes this mark, even where it is false, for leave to link any
    name that ends so: the axes of an array would lead to the fields of some class.
    """
    for name in doctree.findall(pending_xref):
        if name.get("refspecific") is False:
            del name["refspecific"]


def setup(app):
    app.connect("doctree-read", exact_types)
    app.connect("autodoc-process-docstring", escape_docstring)
