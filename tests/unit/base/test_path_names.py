from bitskept.base.path_names import names_of_paths


def test_names_of_paths_are_those_of_folders_unless_something_else_has_them():
    assert names_of_paths(["gpt2", "/x/own/", "~/tilde"], {}) == {"/x/own/": "own", "~/tilde": "tilde"}
    found = names_of_paths(["gpt2", "/x/gpt2", "C:\\y\\gpt2"], {"/x/gpt2": "0123456789"})
    assert found["/x/gpt2"] == "gpt2-01234567"
    assert found["C:\\y\\gpt2"].startswith("gpt2-")
    assert len(set(found.values())) == 2
