import re

import pandas as pd
import pytest

from bitskept.base import publishing
from bitskept.instruments import claims
from bitskept.run import readme

ROW = {
    "paper": "P1",
    "claim": "Late layers forget",
    "reading": "token",
    "probe": "centroid",
    "train_sentences": 3000,
    "model": "null",
    "estimate": 0.5,
    "low": 0.3,
    "high": 0.7,
    "p": 0.001,
    "unit": "bits per token",
    "clusters": 250,
    "detectable": 0.25,
}
LINE = "| Late layers forget | P1 | yes for null | [`02`](notebooks/02_layer_sweep.ipynb) |"
EMPTY = f"# A title\n\n{readme.START}\n{readme.END}\n\nMore.\n"


@pytest.fixture
def committed(project):
    """A project with a README.md and a table of claims of notebook 02."""
    _, folder = publishing.folders("laptop")
    folder.mkdir(parents=True)
    claims.table([ROW], relevant=0.1).to_csv(folder / "02_claims.csv", index=False)
    (project / "README.md").write_text(EMPTY)
    return project


def test_the_block_is_written_between_its_marks_and_replaced_when_the_tables_change(committed):
    readme.update()
    text = (committed / "README.md").read_text()
    assert text.startswith(f"# A title\n\n{readme.START}\n| claim |")
    assert text.endswith(f"{LINE}\n{readme.END}\n\nMore.\n")
    readme.update()
    assert (committed / "README.md").read_text() == text
    (committed / "results" / "laptop" / "02_claims.csv").unlink()
    readme.update()
    assert (committed / "README.md").read_text() == EMPTY


def test_a_claim_is_written_as_it_stands(committed):
    tables = {"02_layer_sweep": claims.table([ROW | {"claim": r"\1 and \g<0>"}], relevant=0.1)}
    assert r"| \1 and \g<0> | P1 |" in readme.with_claims(EMPTY, tables)


@pytest.mark.parametrize("model", ["null", "null (speeches)"])
def test_mixed_outcomes_without_a_yes_say_so(model):
    yes, no = ROW | {"model": model}, ROW | {"model": model, "low": -0.6, "high": 0.05, "p": 0.9, "estimate": -0.2}
    unsure = no | {"high": 0.4}

    def found(*rows):
        text = readme.with_claims(EMPTY, {"02_layer_sweep": claims.table(rows, relevant=0.1)})
        return re.search(r"\| P1 \| (.*?) \|", text)[1]

    assert found(no, no, unsure) == f"mixed for {model} (yes in none, no in 2, cannot tell in 1)"
    assert found(yes, no, unsure) == f"mixed for {model} (yes in 1, no in 1, cannot tell in 1)"
    assert found(no, unsure | {"model": "other"}).startswith(f"no for {model}; cannot tell for other (a difference")


def test_a_project_without_a_readme_or_without_marks_is_left_alone(committed):
    (committed / "README.md").write_text("# Mine\n")
    readme.update()
    assert (committed / "README.md").read_text() == "# Mine\n"
    (committed / "README.md").unlink()
    readme.update()
    assert not (committed / "README.md").exists()


def test_the_tables_are_those_of_the_notebooks(committed):
    assert list(readme.tables()) == ["02_layer_sweep"]
    assert readme.tables()["02_layer_sweep"]["model"].tolist() == ["null"]


def test_of_02_only_settings_that_ask_the_primary_question_are_counted(committed):
    _, folder = publishing.folders("laptop")
    row = ROW | {"claim": "first enhanced: bits rise from a layer to a later one"}
    others = [
        row | {"reading": reading, "primary": False}
        for reading in ("window", "bag: mean", "bag: last", "place 2: mean")
    ]
    rows = [row | {"primary": True}, row | {"probe": "ridge", "primary": False}, *others]
    claims.table(rows, relevant=0.1).to_csv(folder / "02_claims.csv", index=False)
    assert readme.tables()["02_layer_sweep"]["reading"].tolist() == ["token", "token", "window", "bag: mean"]


def test_what_is_too_near_the_border_in_03_is_counted_as_its_verdict_does(committed):
    _, folder = publishing.folders("laptop")
    row = ROW | {"reading": "mean", "probe": "cosine", "estimate": -0.1, "low": -0.2, "p": 0.9}
    table = claims.table([row | {"high": 0.0}, row | {"high": -0.15}], relevant=0.02)
    table = table.assign(arm="recoverability", score=["lee", "sick"], rate=float("nan"))
    table.to_csv(folder / "03_claims.csv", index=False)
    assert readme.tables()["03_fine_tuning"]["outcome"].tolist() == ["no", "no"]
    contrasts = pd.DataFrame({"score": ["lee", "sick"], "against": "permuted", "estimate": -0.1})
    contrasts = contrasts.assign(model="null", arm="recoverability")
    contrasts.to_csv(folder / "03_differences.csv", index=False)
    assert readme.tables()["03_fine_tuning"]["outcome"].tolist() == [claims.BORDER, "no"]


def test_the_committed_readme_says_what_the_committed_tables_say(checkout, monkeypatch):
    monkeypatch.setenv("BITSKEPT_ROOT", str(checkout))
    text = (checkout / "README.md").read_text("utf-8")
    assert text.count(readme.START) == text.count(readme.END) == 1
    assert readme.with_claims(text, readme.tables()) == text, "call bitskept.run.readme.update()"


def test_the_legend_counts_the_seeds_of_05_as_its_table_does(checkout):
    """Verdicts on the languages rest on four seeds or fewer, those on real text on three or fewer."""
    table = pd.read_csv(checkout / "results" / "laptop" / "05_claims.csv")
    table = table[table["primary"] & table["outcome"].isin(["yes", "no"])]
    most = table.groupby(table["model"].str.endswith("language)"))["clusters"].max()
    assert most[True] <= 4
    assert most[False] <= 3


def test_the_verdicts_of_the_changelog_are_those_of_the_readme(checkout):
    """Each claim that changed has the outcomes, in the column of the newest version, that the README has now."""
    text, changelog = ((checkout / name).read_text("utf-8") for name in ("README.md", "book/changelog.md"))
    rows = [line.strip("| ").split(" | ") for line in changelog.splitlines()]
    changed = {row[0]: row[3] for row in rows if len(row) == 5 and row[1] in ("P1", "P2", "P3")}
    assert len(changed) >= 5
    for claim, outcomes in changed.items():
        found = re.search(rf"^\| {re.escape(claim)} \| P\d \| (.*?) \| \[", text, re.MULTILINE)
        if outcomes == "not tested":
            assert f"\n- {claim} (to be tested: " in text
        else:
            assert {part.split(" for ")[0] for part in found[1].split("; ")} == set(outcomes.split("; ")), claim
