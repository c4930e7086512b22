import os
import re
import shutil
import socket
import subprocess

import numpy as np
import psutil
import pytest

from bitskept import provenance


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_named_and_marked_where_the_checkout_differs(tmp_path, monkeypatch):
    def git(*words):
        identity = ("-c", "user.name=x", "-c", "user.email=x")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    def commit():
        provenance.commit.cache_clear()
        return provenance.commit()

    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    assert commit() is None
    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    clean = commit()
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("a")
    assert commit() == clean, "a figure just written does not make the code another"
    (tmp_path / "code.py").write_text("2")
    assert commit() == clean + "-dirty"
    provenance.commit.cache_clear()


def test_the_machine_is_described_without_its_name():
    machine = provenance.machine()
    assert machine["cores"] == provenance.cores() >= 1
    assert machine["memory_bytes"] == psutil.virtual_memory().total
    assert machine["cpu"]
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b|{re.escape(os.sep)}home", str(machine))


def test_gpus_are_those_that_the_driver_names(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance._gpus() == []
    command.write_text("#!/bin/sh\necho 'NVIDIA One'\necho 'NVIDIA Two'\n")
    command.chmod(0o755)
    assert provenance._gpus() == ["NVIDIA One", "NVIDIA Two"]
    command.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert provenance._gpus() == []


def test_versions_are_those_of_what_is_installed(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "not-a-package"))
    versions = provenance.versions()
    assert versions["numpy"] == np.__version__
    assert versions["not-a-package"] is None
    assert {"python", "bitskept"} < set(versions)
