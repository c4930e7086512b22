"""What git and the driver of a GPU are asked."""

import shutil
import subprocess

import pytest

from bitskept.base import provenance


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_marked_if_the_checkout_differs_from_it(tmp_path, monkeypatch):
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
    assert commit() == clean, "a new figure does not change the code"
    (tmp_path / "code.py").write_text("2")
    assert commit() == clean + "-dirty"
    provenance.commit.cache_clear()


def test_gpus_have_the_names_that_the_driver_gives(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance._gpus() == []
    command.write_text("#!/bin/sh\necho 'NVIDIA One'\necho 'NVIDIA Two'\n")
    command.chmod(0o755)
    assert provenance._gpus() == ["NVIDIA One", "NVIDIA Two"]
    command.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert provenance._gpus() == []
