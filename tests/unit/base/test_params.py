from types import SimpleNamespace
from typing import Annotated

import pytest
import yaml
from pydantic import Field

from bitskept.base import params


class Small(params.Section):
    notebook = "09_small"

    model: str
    repetitions: int = Field(ge=1)
    rate: Annotated[float, Field(gt=0)]
    sizes: list[int]
    training: dict[str, int]


VALUES = {"model": "tiny", "repetitions": 20, "rate": 0.5, "sizes": [1, 2], "training": {"steps": 3, "batch": 4}}
SECTIONS = {"09_small": Small}


def write(project, content, name="smoke.yaml"):
    content = yaml.safe_dump({"09_small": content}) if isinstance(content, dict) else content
    path = project / "params" / name
    path.write_text(content)
    return path


@pytest.fixture
def profiles(project):
    """A project whose smoke and laptop profiles have the section."""
    for name in ("smoke.yaml", "laptop.yaml"):
        write(project, VALUES, name)
    return project


# ---- files ----


def test_a_section_has_the_values_of_its_file_and_the_name_of_the_profile(profiles):
    assert params.load("smoke", SECTIONS)["09_small"].model_dump() == VALUES | {"profile": "smoke"}
    assert params.load("laptop", SECTIONS)["09_small"].profile == "laptop"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle": "x"}, r"09_small\.modle = 'x': unknown name; did you mean model\?"),
        ({"zzz": 1}, r"09_small\.zzz = 1: unknown name; known: profile, model, repetitions, rate, sizes, training"),
        ({"repetitions": "1"}, r"09_small\.repetitions = '1': should be a valid integer"),
        ({"repetitions": True}, r"09_small\.repetitions = True: should be a valid integer"),
        ({"repetitions": 0}, r"09_small\.repetitions = 0: should be greater than or equal to 1"),
        ({"rate": float("inf")}, r"09_small\.rate = inf: should be a finite number"),
        ({"model": 3}, r"09_small\.model = 3: should be a valid string"),
        ({"sizes": [1, "a"]}, r"09_small\.sizes\.1 = 'a': should be a valid integer"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_was_expected(project, change, message):
    write(project, VALUES | change)
    with pytest.raises(params.ParameterError, match=rf"smoke\.yaml: {message}"):
        params.load("smoke", SECTIONS)


def test_all_mistakes_are_listed_at_once(project):
    write(project, {name: value for name, value in VALUES.items() if name != "model"} | {"rate": None})
    with pytest.raises(params.ParameterError) as error:
        params.load("smoke", SECTIONS)
    assert [line.partition(".yaml: ")[2] for line in str(error.value).splitlines()] == [
        "09_small.model: missing",
        "09_small.rate = None: should be a valid number",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("09_small: {rate: 1, rate: 2}", "not valid YAML: the name rate is given twice"),
        ("09_small: [", "not valid YAML"),
        ("", "expected sections of name: value lines, found NoneType"),
        ("09_small: 3", "09_small = 3: expected a section"),
        ("09_smal: {}", r"09_smal: unknown section; did you mean 09_small\?"),
        ("1: {}", "the name 1 is not a text: put quotation marks around it"),
        ("# " + "x" * params.LARGEST_FILE, "it has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_not_a_parameter_file_is_refused(project, text, message):
    write(project, text)
    with pytest.raises(params.ParameterError, match=message):
        params.load("smoke", SECTIONS)


# ---- profiles ----


def test_a_profile_is_a_name_or_a_path(profiles, tmp_path, monkeypatch):
    folder = profiles / "params"
    write(profiles, VALUES, "mine.yaml")
    elsewhere = tmp_path / "other.yaml"
    elsewhere.write_text(yaml.safe_dump({"09_small": VALUES | {"repetitions": 7}}))
    monkeypatch.chdir(profiles / "notebooks")
    for profile in ("mine", "params/mine.yaml", "../params/mine.yaml", str(folder / "mine.yaml")):
        assert params.find(profile) == folder / "mine.yaml"
    assert params.find("smoke") == folder / "smoke.yaml"
    section = params.load(str(elsewhere), SECTIONS)["09_small"]
    assert (section.profile, section.repetitions) == ("other", 7)


@pytest.mark.parametrize("profile", ["tiny", "nowhere.yaml", "~nobody-here/x.yaml", "x" * 5000, "a\0b", ""])
def test_an_unknown_profile_is_refused_with_those_that_exist(profiles, profile):
    write(profiles, "{}", "models.yaml")  # a registry, and no profile
    write(profiles, VALUES, "mine.yaml")
    with pytest.raises(params.ParameterError, match=r"there is no profile .*: choose laptop, mine, paper, smoke, or"):
        params.find(profile)


def test_another_file_with_the_name_of_a_profile_is_refused_for_it_would_write_into_the_committed_folders(
    profiles, tmp_path
):
    (tmp_path / "laptop.yaml").write_text("{}")
    with pytest.raises(params.ParameterError, match="give the file another name; laptop is one of the project's own"):
        params.find(str(tmp_path / "laptop.yaml"))


def test_a_file_that_is_not_in_the_folder_is_the_one_that_the_package_brings_along(profiles, checkout):
    assert params.find("paper") == checkout / "params" / "paper.yaml"
    assert params.find("smoke") == profiles / "params" / "smoke.yaml"


# ---- the parameters of a running notebook ----


def test_a_notebook_reads_the_values_of_the_profile_that_its_cell_names(profiles):
    assert Small.read({"profile": "smoke"}) == params.load("smoke", SECTIONS)["09_small"]
    with pytest.raises(params.ParameterError, match="run the cell with the parameters first"):
        Small.read({})


def test_what_the_cell_sets_replaces_the_values_of_the_file(profiles):
    section = Small.read({"profile": "smoke", "repetitions": 5, "sizes": [9], "training": {"steps": 8}})
    assert (section.repetitions, section.sizes, section.model) == (5, [9], "tiny")
    assert section.training == {"steps": 8, "batch": 4}, "of a mapping only what is given is replaced"
    assert Small.read({"profile": "smoke", "rate": 2}).rate == 2.0


def test_a_misspelt_name_is_refused_and_can_be_corrected(profiles):
    cell = {"profile": "smoke", "repetitoins": 5}
    with pytest.raises(params.ParameterError, match=r"repetitoins = 5: unknown name; did you mean repetitions\?"):
        Small.read(cell)
    cell["repetitions"] = 5
    assert Small.read(cell).repetitions == 5


@pytest.mark.parametrize("value", ["5", 5.5, True, None, [5]])
def test_a_value_of_the_wrong_type_is_refused_and_can_be_corrected(profiles, value):
    cell = {"profile": "smoke", "repetitions": value}
    message = r"smoke\.yaml, with the parameters set in the notebook: 09_small\.repetitions = .*: should be a valid int"
    with pytest.raises(params.ParameterError, match=message):
        Small.read(cell)
    assert Small.read(cell | {"repetitions": 6}).repetitions == 6


def test_cells_can_be_run_again_in_any_order(profiles):
    notebook = {"profile": "smoke", "repetitions": 5}
    notebook["section"] = Small.read(notebook)
    notebook |= {"words": 3, "title": "a name that a later cell defines"}
    assert Small.read(notebook) == notebook["section"]
    assert notebook["words"] == 3
    notebook["profile"] = "laptop"
    assert Small.read(notebook).profile == "laptop"


def test_what_is_not_set_in_a_cell_is_no_parameter(profiles):
    shell = SimpleNamespace(user_ns_hidden={"In": [], "Out": {}, "debug": True})
    notebook = {
        "__name__": "__main__", "_ih": [], "In": [""], "Out": {}, "debug": True, "get_ipython": lambda: shell,
        "exit": object(), "Small": Small, "profile": "smoke",
    }  # fmt: skip
    assert Small.read(notebook).repetitions == 20
    with pytest.raises(params.ParameterError, match="other = 1: unknown name"):
        Small.read(notebook | {"other": 1})


def test_a_profile_without_the_section_is_refused(profiles):
    write(profiles, "other: {}", "mine.yaml")
    with pytest.raises(params.ParameterError, match=r"mine\.yaml: it has no section 09_small"):
        Small.read({"profile": "mine"})


def test_the_parameters_are_shown_as_a_table(profiles):
    table = Small.read({"profile": "smoke"}).table()
    assert list(table.index) == ["profile", "model", "repetitions", "rate", "sizes", "training"]
    assert list(table["value"])[:5] == ["smoke", "tiny", "20", "0.5", "[1, 2]"]


def test_a_module_with_the_name_of_a_parameter_is_not_its_value(profiles):
    assert Small.read({"profile": "smoke", "model": params}).model == "tiny"
