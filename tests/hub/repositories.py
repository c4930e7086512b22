"""What the hub on loopback serves: tiny models for the entries of `params/models.yaml`, and small data sets."""

import gzip
import json
import os
import re
from itertools import pairwise
from pathlib import Path

import families
import pandas as pd
import yaml

CHECKOUT = Path(__file__).parents[2]
WHOLE = os.environ.get("BITSKEPT_HUB") == "whole"  # all entries and every checkpoint, not one entry for each family
REGISTRY = yaml.safe_load((CHECKOUT / "params" / "models.yaml").read_text("utf-8"))
ON_HUB = {id: entry for id, entry in REGISTRY.items() if "hub" in entry}
FIRST = {}  # the first entry of each family
for _id in ON_HUB:
    FIRST.setdefault(families.family_of(_id), _id)
CHECKPOINT = "pythia-70m@step1000"
SERVED = [*(ON_HUB if WHOLE else FIRST.values()), CHECKPOINT]
TERMS = sorted({entry["terms"] for entry in ON_HUB.values() if "terms" in entry})
BESIDE = {"README.md": "# A model", ".gitattributes": "*.bin filter=lfs", "pytorch_model.bin": "a pickle",
          "onnx/model.onnx": "another format", "original/params.json": "{}"}  # fmt: skip


def entry_of(id):
    """The repository and the revision of an id, ID or ID@REVISION."""
    name, _, revision = id.partition("@")
    return ON_HUB[name]["hub"], revision or ON_HUB[name]["revision"]


def put_model(hub, id):
    """A tiny model of the family of a registry's id, with what real repositories have beside it.

    Larger ones come in shards; no two ids have the same weights.
    """
    repository, revision = entry_of(id)
    folder, family = hub.place(repository, revision), families.family_of(id)
    large = ON_HUB[id.partition("@")[0]]["parameters"] > 5e9
    families.save(family, folder, shards=2 if large else 1, seed=sum(id.encode()))
    for name, content in BESIDE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


def put_data_sets(hub, sentences):
    """Data sets of `params/tasks.yaml`: pairs of sentences, labelled sentences, and preferred answers."""
    pairs = [{"sentence1": text, "sentence2": other, "score": place % 6 / 5}
             for place, (text, other) in enumerate(pairwise(sentences))]  # fmt: skip
    folder = hub.place("sentence-transformers/stsb", kind="datasets") / "data"
    folder.mkdir()
    for place, part in enumerate(("train", "validation", "test")):
        pd.DataFrame(pairs[place::3]).to_parquet(folder / f"{part}-00000-of-00001.parquet")
    folder = hub.place("SetFit/sst2", kind="datasets")
    labelled = [{"text": text, "label": len(text) % 2} for text in sentences]
    for place, part in enumerate(("train", "test")):
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled[place::2]))
    folder = hub.place("Salesforce/wikitext", kind="datasets")
    parts = {"train": sentences[:2], "validation": sentences[:50], "test": sentences[50:80]}
    (folder / "wikitext-2-v1").mkdir()
    for part, lines in parts.items():
        name = f"wikitext-2-v1/{part}-00000-of-00001.parquet"
        pd.DataFrame({"text": [" = Heading = \n", *(f" {line} \n" for line in lines)]}).to_parquet(folder / name)
    files = [{"split": part, "path": f"wikitext-2-v1/{part}-*"} for part in parts]
    card = {"configs": [{"config_name": "wikitext-2-v1", "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n# WikiText\n")
    folder = hub.place("Anthropic/hh-rlhf", kind="datasets") / "harmless-base"
    folder.mkdir()
    lines = []
    for place in range(0, len(sentences) - 2, 3):
        question, good, bad = (sentences[place + step] for step in range(3))
        shown = {name: f"\n\nHuman: {question}\n\nAssistant: {answer}"
                 for name, answer in (("chosen", good), ("rejected", bad))}  # fmt: skip
        lines.append(json.dumps(shown))
    (folder / "test.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def sentences(number):
    """That many different short sentences."""
    people = ("The captain", "A farmer", "My sister", "The senator", "Nobody", "An old man", "The teacher")
    acts = ("saw", "sold", "did not want", "painted", "asked for", "lost", "brought home")
    things = (
        "the lamp",
        "two chairs",
        "a bill of 1998",
        "the whole story",
        "an unlocked door",
        "42 letters",
        "the cat",
    )
    places = ("in the room", "by the sea", "on the table", "after the film", "before the speech", "in Zürich")
    every = [f"{who} {does} {what} {where}." for where in places for what in things for does in acts for who in people]
    step = 205  # prime to their number, so that neighbours differ in all parts
    return [every[place * step % len(every)] for place in range(number)]


def table(cells):
    """Rows of cells as lines of text."""
    widths = [max(len(str(row[place])) for row in cells) for place in range(len(cells[0]))]
    return "\n".join(
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def words_of(text):
    """A message without paths and addresses of this run."""
    return re.sub(r"(/tmp|http://127)\S*", "...", text)
