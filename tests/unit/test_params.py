import pytest
import yaml

from bitskept import params

GOOD = {"profile": "smoke", "model": "tiny", "sentence": "A sentence.", "seed": 0, "accept_terms": []}


class Tour(params.Section):
    model: str
    sentence: str
    seed: params.NonNegativeInt
    accept_terms: list[str]


def load(folder, values, stem="00_tour"):
    (folder / "smoke.yaml").write_text(yaml.safe_dump({stem: values}) if isinstance(values, dict) else values)
    return params.load("smoke", folder=folder, sections={"00_tour": Tour})


@pytest.mark.parametrize("profile", params.PROFILES)
def test_every_profile_of_the_project_is_valid_and_has_every_section(profile, checkout):
    assert set(params.load(profile, folder=checkout / "params")) == set(params.SECTIONS)


def test_a_section_gives_its_parameters(tmp_path):
    section = load(tmp_path, GOOD)["00_tour"]
    assert section.model_dump() == GOOD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentense": "x"}, r"00_tour\.sentense = 'x': unknown name; did you mean sentence\?"),
        ({"zzz": 1}, r"00_tour\.zzz = 1: unknown name; known: profile, model, sentence, seed, accept_terms"),
        ({"seed": "1"}, r"00_tour\.seed = '1': should be a valid integer"),
        ({"seed": True}, r"00_tour\.seed = True: should be a valid integer"),
        ({"seed": -1}, r"00_tour\.seed = -1: should be greater than or equal to 0"),
        ({"model": 3}, r"00_tour\.model = 3: should be a valid string"),
        ({"accept_terms": [1]}, r"00_tour\.accept_terms\.0 = 1: should be a valid string"),
        ({"profile": "laptop"}, r"00_tour\.profile = 'laptop': expected 'smoke', the name of its file"),
        ({"profile": "tiny"}, r"00_tour\.profile = 'tiny': should be 'smoke', 'laptop' or 'paper'"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_was_expected(tmp_path, change, message):
    with pytest.raises(params.ParameterError, match=rf"smoke\.yaml: {message}"):
        load(tmp_path, GOOD | change)


def test_all_mistakes_are_told_at_once(tmp_path):
    values = {name: value for name, value in GOOD.items() if name != "model"} | {"seed": None}
    with pytest.raises(params.ParameterError) as error:
        load(tmp_path, values)
    assert [line.partition(".yaml: ")[2] for line in str(error.value).splitlines()] == [
        "00_tour.model: missing",
        "00_tour.seed = None: should be a valid integer",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("00_tour: {seed: 1, seed: 2}", "not valid YAML: the name seed is given twice"),
        ("00_tour: [", "not valid YAML"),
        ("", "expected sections of name: value lines, found NoneType"),
        ("00_tour: 3", "00_tour = 3: expected a section"),
        ("00_tuor: {}", r"00_tuor: unknown section; did you mean 00_tour\?"),
    ],
)
def test_a_file_that_is_no_parameter_file_is_told_so(tmp_path, text, message):
    with pytest.raises(params.ParameterError, match=message):
        load(tmp_path, text)


def test_an_unknown_profile_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(params.ParameterError, match="there is no profile tiny: choose one of smoke, laptop, paper"):
        params.load("tiny", folder=tmp_path)
    with pytest.raises(params.ParameterError, match=r"paper\.yaml: there is no such file"):
        params.load("paper", folder=tmp_path)


def test_a_section_that_is_not_there_is_told_with_the_nearest(tmp_path):
    with pytest.raises(KeyError, match="has no section 00_tuor; did you mean 00_tour"):
        load(tmp_path, GOOD)["00_tuor"]
