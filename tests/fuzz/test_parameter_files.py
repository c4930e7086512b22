"""Parameter files and registries, as a user may have edited them. How to search longer: see conftest.py."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.base import params
from bitskept.run.notebooks import SECTIONS
from bitskept.sources import corpora, facts, model_files, prompts, registry, task_files, tasks

quick = settings.get_profile("quick")
CATALOGUES = {"models": model_files, "corpora": corpora, "tasks": tasks}
KEPT = {
    "models": ("minilm-l6", "mpnet-base", "smollm2-135m", "gpt2", "pythia-14m"),
    "corpora": ("speeches", "reviews", "lee", "mixed", "wikitext", "c4"),
    "tasks": ("hh-harmless", "pandalm", "open-llm-leaderboard", "lee", "stsb", "sick", "review-sentiment", "trec"),
}


@pytest.fixture(scope="module")
def folder(place):
    """The folder of parameters, its registries cut down to an entry of each kind."""
    for name, kept in KEPT.items():
        path = place / "project" / "params" / f"{name}.yaml"
        entries = yaml.safe_load(path.read_text("utf-8"))
        entries |= {"mixed": entries["mixed"] | {"mixed": ["speeches", "reviews"]}} if name == "corpora" else {}
        path.write_text(yaml.safe_dump({id: entries[id] for id in kept}), "utf-8")
    return place / "project" / "params"


@pytest.fixture(scope="module")
def profile(folder):
    """The sections of the smoke profile."""
    return yaml.safe_load((folder / "smoke.yaml").read_text("utf-8"))


@quick
@given(data=st.data())
def test_a_wrong_value_is_named_with_its_section(data, folder, profile, outcome_of, mutated_tree):
    path = folder / "smoke.yaml"
    section = data.draw(st.sampled_from(sorted(profile)))
    tree, where = data.draw(mutated_tree({section: profile[section]}))
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), "utf-8", "surrogatepass")
    read, message = outcome_of(lambda: params.load("smoke", SECTIONS), str(path))
    if read is not None:
        profile = {"profile": "smoke"}
        assert {name: section.model_dump() for name, section in read.items()} == {
            name: values | profile for name, values in tree.items()
        }
        json.dumps(tree, allow_nan=False)  # as the sidecars need it
    else:
        assert "YAML" in message or all(name in message for name in where[:2])


@quick
@given(data=st.data())
def test_bytes_that_are_not_a_parameter_file(data, folder, profile, outcome_of, mutated_bytes):
    path = folder / "smoke.yaml"
    section = data.draw(st.sampled_from(sorted(profile)))
    path.write_bytes(data.draw(mutated_bytes(yaml.safe_dump({section: profile[section]}).encode())))
    outcome_of(lambda: params.load("smoke", SECTIONS), str(path))


@quick
@given(data=st.data())
@pytest.mark.parametrize("name", [*CATALOGUES, "questions", "facts"])
def test_what_a_registry_takes_can_be_used(name, data, folder, outcome_of, mutated_bytes, mutated_tree):
    path = folder / f"{name}.yaml"
    whole = path.read_bytes()
    try:
        if data.draw(st.booleans()):
            path.write_bytes(data.draw(mutated_bytes(whole)))
        else:
            tree, _ = data.draw(mutated_tree(yaml.safe_load(whole)))
            path.write_text(yaml.safe_dump(tree, allow_unicode=True), "utf-8", "surrogatepass")
        if name == "questions":
            outcome_of(
                lambda: (prompts.load("questions", pairs=1), prompts.fingerprint("questions")), str(path), "prompts"
            )
            return
        if name == "facts":
            outcome_of(lambda: (facts.load(facts=1), facts.fingerprint("facts")), str(path), "questions were asked for")
            return
        entries, _ = outcome_of(lambda: registry(name), str(path))
        if entries is not None:
            outcome_of(CATALOGUES[name].catalogue)
            for id in entries:
                about = (id, repr(id)[1:-1], *entries[id].get("mixed", []), entries[id].get("package_of", id))
                outcome_of(lambda id=id: CATALOGUES[name].fingerprint(id), *about)
                if name == "tasks":
                    outcome_of(lambda id=id: task_files.files(id, fetch=False), *about)
    finally:
        path.write_bytes(whole)
