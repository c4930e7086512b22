"""The worst that small files can claim, read in a separate process that may use little memory."""

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import bitskept
from bitskept.sources import models
from bitskept.sources.adapters import peft_without_warnings

ROOM = 1_500_000_000  # bytes of address space that the process may take in addition to that of its libraries
GROWTH = 400_000_000  # bytes of memory that it may fill
LONG = "word " * 2_000_000  # a line of 10 MB

# Each case is a call that has to end with a result, or with a message that names what is wrong.
READER = """
import json, resource, signal, sys, warnings
from pathlib import Path

import datasets, peft, transformers  # before memory is counted
from bitskept import error_text
from bitskept.sources import corpora, models, records, tasks

records.LARGEST = 50_000_000
warnings.simplefilter("ignore")
base = Path(sys.argv[1])
models.load(str(base / "sound"), device="cpu")
models.load(str(base / "adapter"), device="cpu")
_, most = resource.getrlimit(resource.RLIMIT_AS)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]), most))
calls = {
    "model": lambda path: models.load(str(path), device="cpu"),
    "random": lambda path: models.load(str(path), device="cpu", seed=0),
    "corpus": lambda path: corpora.load(str(path)),
    "task": lambda path: tasks.preference("hh-harmless"),
}

def memory(most):
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines["VmHWM" if most else "VmRSS"].split()[0])

for name in json.loads(sys.argv[3]):
    kind, _, _ = name.partition("-")
    Path("/proc/self/clear_refs").write_text("5")  # the most memory is counted from here on
    before = memory(most=False)
    signal.alarm(100)  # ends the process
    try:
        found, message = repr(calls[kind](base / name))[:80], None
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        found, message = None, error_text(error)
    signal.alarm(0)
    grown = memory(most=True) - before
    print(json.dumps({"case": name, "found": found, "message": message, "grown": grown}), flush=True)
"""


@pytest.fixture(scope="module")
def cases(place, tiny):
    """Folders and files: by the name of a case, what its message has to say, or None if the file is read."""
    import peft

    (place / "project" / "params" / "models.yaml").write_text("{}")
    tiny("bert").network.save_pretrained(place / "sound")
    tiny("bert").tokenizer.save_pretrained(place / "sound")
    base = models.load(str(place / "sound"), device="cpu").network
    with peft_without_warnings():
        adapter = peft.LoraConfig(
            r=2, init_lora_weights=False, target_modules=["query"], base_model_name_or_path=str(place / "sound")
        )
        peft.get_peft_model(base, adapter).save_pretrained(place / "adapter")
    config = json.loads((place / "sound" / "config.json").read_text())
    expected = {}

    def folder(name, says, source="sound", file="config.json", **values):
        shutil.copytree(place / source, place / name)
        path = place / name / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        expected[name] = says

    for field in ("hidden_size", "vocab_size", "intermediate_size", "max_position_embeddings"):
        folder(f"model-{field}", "of weights have" if field == "vocab_size" else "config.json", **{field: 2 * 10**9})
        folder(f"random-{field}", "which take" if field == "vocab_size" else "config.json", **{field: 2 * 10**12})
    for field in ("num_hidden_layers", "num_labels"):
        folder(f"model-{field}", f"{field} = 1000000000", **{field: 10**9})
        folder(f"random-{field}", f"{field} = 1000000000", **{field: 10**9})
    folder("model-nested", "num_hidden_layers = 1000000000", text_config=config | {"num_hidden_layers": 10**9})
    folder("model-adapter", "r = 1000000000 fits none", "adapter", "adapter_config.json", r=10**9)
    content = (place / "sound" / "model.safetensors").read_bytes()
    for length in (10**8, 2**62):
        folder(f"model-length{length}", "cannot be read")
        (place / f"model-length{length}" / "model.safetensors").write_bytes(struct.pack("<Q", length) + content[8:])
    header = {"a": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}
    folder("model-shape", "cannot be read")
    text = json.dumps(header).encode()
    (place / "model-shape" / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(10**5))

    for name, text, says in (
        ("line.txt", LONG, "no sentence"),
        ("line.jsonl", json.dumps({"text": LONG}), "no sentence"),
        ("line.csv", f'text\n"{LONG}"', "no sentence"),
        ("quotes.csv", 'text\n"' + 'a"' * 5_000_000, "quotation mark"),
        ("deep.jsonl", '{"text":' + "[" * 5_000_000, "of another format"),
        ("digits.jsonl", '{"text": ' + "1" * 5_000_000 + "}", "of another format"),
        ("halves.jsonl", '{"text": "' + "\\ud800" * 1_000_000 + '"}', "is no text"),
    ):
        (place / f"corpus-{name}").write_text(text)
        expected[f"corpus-{name}"] = says
    (place / "data" / "preference").mkdir()
    bomb = gzip.compress(b" " * 400_000_000, compresslevel=1)
    (place / "data" / "preference" / "hh_harmless_base_test.jsonl.gz").write_bytes(bomb)
    expected["task-bomb"] = "bytes unpacked"
    return expected


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux, which says how much memory is used"
)
def test_what_small_files_claim_takes_neither_memory_nor_time(cases, place):
    run = subprocess.run(
        [sys.executable, "-c", READER, str(place), str(ROOM), json.dumps(list(cases))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(bitskept.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    results = {result["case"]: result for result in map(json.loads, run.stdout.splitlines())}
    assert list(results) == list(cases), run.stderr[-2000:]
    for name, says in cases.items():
        result = results[name]
        assert result["found"] if says is None else says in (result["message"] or ""), result
        assert result["grown"] < GROWTH, result
