"""Live cells in real kernels: no widget for a batch runner, controls that answer for a front end with cells."""

import os
import subprocess
import sys

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from toy import write_notebook

CELL = """import pandas as pd
from matplotlib.figure import Figure
from bitskept.base.live import explore

def line(table, x):
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot(table["x"], x * table["x"])
    return figure

explore(line, pd.DataFrame({"x": [1, 2, 3]}), x=2)"""
NO_COMM = """from comm import get_comm_manager
assert not get_comm_manager().comms"""
PAPERMILL = ["papermill", "--no-progress-bar", "06_live.ipynb", "out.ipynb"]
NBVAL = ["pytest", "-c", "pytest.ini", "-p", "no:cacheprovider"]
RUNNERS = {
    "papermill": PAPERMILL,
    "our engine": [*PAPERMILL, "--engine", "bitskept"],
    "nbconvert": ["nbconvert", "--execute", "--to", "notebook", "--output", "out.ipynb", "06_live.ipynb"],
    "nbval": [*NBVAL, "--nbval-lax", "--nbval-current-env", "06_live.ipynb"],
}


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_batch_runner_gets_a_picture_and_no_widget(tmp_path, runner):
    pytest.importorskip("ipywidgets", reason="without ipywidgets there is nothing to be avoided")
    write_notebook(tmp_path, "06_live", [CELL, NO_COMM])
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", *RUNNERS[runner]]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if runner == "nbval":
        return  # it writes no copy
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "widgets" not in executed.metadata
    picture, sentence = executed.cells[-2].outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    assert sentence.data["text/markdown"].startswith("*To choose x, run this notebook in JupyterLab")


@pytest.fixture
def kernel():
    """The client of a new kernel."""
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def send(client, kind, content, **metadata):
    """Send a message as a front end does; all answers up to the one that says the kernel is idle again."""
    message = client.session.msg(kind, content, metadata=metadata)
    client.shell_channel.send(message)
    answers = []
    while not (answers and answers[-1]["content"].get("execution_state") == "idle"):
        answer = client.get_iopub_msg(timeout=120)
        if answer["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            answers.append(answer)
    return answers


def contents(answers, kind):
    return [answer["content"] for answer in answers if answer["msg_type"] == kind]


def test_a_front_end_with_cells_gets_a_control_that_changes_the_picture(kernel):
    pytest.importorskip("ipywidgets")
    code = {"code": CELL, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    answers = send(kernel, "execute_request", code, cellId="some-cell")
    (picture,) = [shown for shown in contents(answers, "display_data") if "image/png" in shown["data"]]
    opened = {comm["data"]["state"]["_model_name"]: comm for comm in contents(answers, "comm_open")}
    slider = opened["SelectionSliderModel"]
    assert slider["data"]["state"]["_options_labels"] == ["1", "2", "3"]
    moved = {"method": "update", "state": {"index": 2}, "buffer_paths": []}
    answers = send(kernel, "comm_msg", {"comm_id": slider["comm_id"], "data": moved})
    (update,) = contents(answers, "update_display_data")
    assert update["transient"]["display_id"] == picture["transient"]["display_id"]
    assert update["data"]["image/png"] != picture["data"]["image/png"]
