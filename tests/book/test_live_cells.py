"""Notebooks with live cells as a reader runs them: JupyterLab in Chromium, Run All, and a slider that is dragged."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from bitskept.base import publishing, store

CHECKOUT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NOTEBOOKS = ("00_tour", "01_theory_bounds")
MINUTE = 60_000  # milliseconds
RUN_ALL = """async () => {
    const panel = jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await jupyterapp.commands.execute('notebook:run-all-cells');
    return [...panel.content.model.cells].filter(cell => cell.type === 'code').map(cell => cell.toJSON());
}"""
# JupyterLab takes cells out of the page that are not in sight, and where a cell stands it then only estimates.
SETTINGS, ALL_CELLS = "lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings", "none"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt install chromium"),
    pytest.mark.skipif(
        not all(map(find_spec, ("ipywidgets", "jupyterlab"))), reason="there is no JupyterLab: make lab"
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab over a copy of the notebooks, which ask for the smoke profile."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(CHECKOUT / "params", folder / "params")
    (folder / "notebooks").mkdir()
    for stem in NOTEBOOKS:
        source = (CHECKOUT / "notebooks" / f"{stem}.ipynb").read_text("utf-8")
        smoke = source.replace('profile = \\"laptop\\"', 'profile = \\"smoke\\"')
        assert smoke != source
        (folder / "notebooks" / f"{stem}.ipynb").write_text(smoke, "utf-8")
    settings = folder / "CONFIG" / SETTINGS
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": ALL_CELLS}), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = {"BITSKEPT_ROOT": str(folder), "BITSKEPT_HOME": str(store.home())}
    here |= {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = [f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="]
    options += ["--ServerApp.allow_root=True", "--LabApp.expose_app_in_browser=True", "--no-browser"]
    environment = {name: value for name, value in os.environ.items() if name != publishing.RUN} | here
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api", server, folder / "log")
        yield address
    finally:
        server.terminate()  # it ends its kernels
        server.wait(60)


def wait_for(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    raise TimeoutError(log.read_text()[-3000:])


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=5 * MINUTE)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_run_all_ends_without_an_error_and_a_slider_changes_the_picture(lab, browser, stem, tmp_path):
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(2 * MINUTE)
    # In a workspace of its own: the usual one opens the notebooks of earlier tests again, behind this one.
    page.goto(f"{lab}/lab/workspaces/{stem}/tree/notebooks/{stem}.ipynb")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.content?.model?.cells?.length > 5")
    cells = page.evaluate(RUN_ALL)
    assert all(cell["execution_count"] for cell in cells)
    errors = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert not errors
    live = page.locator(".jp-CodeCell", has=page.locator(".widget-hslider"))
    picture, slider = live.locator(".jp-RenderedImage img"), live.locator(".widget-hslider").last
    handle = slider.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    before, place, bar = picture.get_attribute("src"), handle.bounding_box(), slider.bounding_box()
    page.screenshot(path=tmp_path / "before.png")
    y = place["y"] + place["height"] / 2
    middle = bar["x"] + bar["width"] / 3
    page.mouse.move(place["x"] + place["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(middle, y, steps=5)
    page.mouse.up()
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / "after.png")
    expect(picture).not_to_have_attribute("src", before, timeout=2 * MINUTE)  # JupyterLab may make another element
    page.screenshot(path=tmp_path / "after.png")
    page.close()
