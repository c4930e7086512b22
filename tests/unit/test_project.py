"""The files that describe the project agree with each other."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml
from jaxtyping import TypeCheckError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bitskept import __version__
from bitskept.base import figures, params
from bitskept.run.notebooks import SECTIONS


@pytest.fixture(scope="module")
def ranges(checkout):
    """The dependencies of pyproject.toml, those of the extras as well, by name."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(line) for line in project["dependencies"] + [line for extra in extras for line in extra]]
    return {canonicalize_name(one.name): one for one in asked}


@pytest.fixture(scope="module")
def lock(checkout):
    """The version that requirements.lock has of each package."""
    lines = (checkout / "requirements.lock").read_text().splitlines()
    return pinned(line for line in lines if line and not line.startswith("#"))


def pinned(lines):
    versions = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is not an exact version"
        assert "+" not in specifier.version, f"{line} names a build of one machine"
        versions[canonicalize_name(requirement.name)] = specifier.version
    return versions


def test_the_lock_has_every_dependency_within_its_range(ranges, lock):
    outside = [str(one) for name, one in ranges.items() if name not in lock or lock[name] not in one.specifier]
    assert not outside, f"run `make lock`: {outside}"


def test_conda_users_get_the_same_packages_and_versions(checkout, ranges, lock):
    environment = yaml.safe_load((checkout / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    conda = pinned(line for line in pip if not line.startswith("-"))
    assert conda == {name: lock[name] for name in ranges}


def test_torch_is_locked_without_a_build(checkout):
    assert "torch==2.13.0" in (checkout / "requirements.lock").read_text().splitlines()


def imported(path):
    """The top-level names that a module imports, those inside its functions as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_every_imported_package_is_a_dependency(checkout, ranges):
    names = {name for path in (checkout / "src").rglob("*.py") for name in imported(path)}
    providers = packages_distributions()
    for name in names - sys.stdlib_module_names - {"bitskept"}:
        assert {canonicalize_name(one) for one in providers[name]} & set(ranges), f"{name} is not in pyproject.toml"


def test_the_models_and_texts_that_profiles_name_are_registered(checkout):
    known = {kind: params.read_yaml(checkout / "params" / f"{kind}.yaml") for kind in ("models", "corpora")}
    for profile in params.PROFILES:
        sections = params.load(profile, SECTIONS)
        assert list(sections) == list(SECTIONS), "every profile of the project has every section, in order"
        assert sections["00_tour"].model in known["models"]
        assert set(sections["02_layer_sweep"].models) <= set(known["models"])
        assert sections["02_layer_sweep"].corpus in known["corpora"]


def test_no_module_is_longer_than_300_lines(checkout):
    lines = {path: len(path.read_text().splitlines()) for path in (checkout / "src").rglob("*.py")}
    assert not {str(path): count for path, count in lines.items() if count > 300}


def test_the_citation_names_this_version_and_the_three_papers(checkout):
    citation = yaml.safe_load((checkout / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    papers = [reference["identifiers"][0]["value"] for reference in citation["references"]]
    assert papers == ["arXiv:2505.23790", "arXiv:2604.07569", "arXiv:2511.01202"]


def test_the_makefile_has_every_target_that_its_help_names(checkout):
    text = (checkout / "Makefile").read_text()
    named = re.findall(r'@echo "make (\w+)', text)
    assert {"figures", "test", "lab", "lint", "bench", "clean"} <= set(named)
    assert all(re.search(rf"^{name}:", text, re.MULTILINE) for name in named)


def test_types_are_checked_while_the_tests_run():
    with pytest.raises(TypeCheckError):
        figures.colour(3)
