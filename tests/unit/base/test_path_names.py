import pandas as pd

from bitskept.base.path_names import names_of_paths, without_paths


def test_names_of_paths_are_those_of_folders_unless_something_else_has_them():
    assert names_of_paths(["gpt2", "/x/own/", "~/tilde"], {}) == {"/x/own/": "own", "~/tilde": "tilde"}
    found = names_of_paths(["gpt2", "/x/gpt2", "C:\\y\\gpt2"], {"/x/gpt2": "0123456789"})
    assert found["/x/gpt2"] == "gpt2-01234567"
    assert found["C:\\y\\gpt2"].startswith("gpt2-")
    assert len(set(found.values())) == 2


def test_only_models_that_are_paths_are_renamed(tmp_path):
    folder = tmp_path / "decoder"
    folder.mkdir()
    table = pd.DataFrame({"model": [str(folder), "random patterns, b = 1/√d", None], "estimate": [1.0, 2.0, 3.0]})
    _, _, published = without_paths({"model": str(folder)}, {}, table)
    assert published["model"].tolist()[:2] == ["decoder", "random patterns, b = 1/√d"]
    assert str(tmp_path) not in published.to_csv()
