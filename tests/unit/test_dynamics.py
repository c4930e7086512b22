import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from bitskept import __main__ as command_line
from bitskept import params
from bitskept.sources import models
from bitskept.training import dynamics, predictors
from bitskept.training.builds import CLASSES

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
STEPS = [0, 1, 2]
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*sentences are longer than"),
]


def texts(number):
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=4 + place % 5)) + "." for place in range(number)]


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    """Two twins, one of them in two sizes, on a text of a few words."""
    folder = tmp_path_factory.mktemp("dynamics")
    (folder / "text.txt").write_text("\n".join(texts(150)), "utf-8")
    (folder / "data" / "stsb").mkdir(parents=True)
    pairs = [
        f"a\tb\tc\td\t{place % 6}\t{one}\t{other}" for place, (one, other) in enumerate(itertools.pairwise(texts(24)))
    ]
    for part in ("train", "dev", "test"):
        (folder / "data" / "stsb" / f"sts-{part}.csv").write_text("\n".join(pairs), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(folder / "home"))
        patch.setenv("BITSKEPT_DATA", str(folder / "data"))
        yield params.TrainingDynamics(
            profile="smoke", twins=["causal", "masked"], seeds=[0], width=48, depth=2, steps=2, batch=4, rate=0.01,
            weight_decay=0.0, hidden=0.3, corpus=str(folder / "text.txt"), sentences=40, longest=24, vocabulary=300,
            varied=["masked"], varied_seeds=[0], other_widths=[96], other_sentences=[8], varied_in_full=True,
            initials=[0.02, 0.2], train_sentences=30, validation_sentences=8, test_sentences=12, soft_sentences=40,
            anchors=8, widths=[1], draws=2, tasks=["stsb"], data_tasks=["sick"], items=10, seed=0, dtype="float32",
        )  # fmt: skip


@pytest.fixture(scope="module")
def grown(section):
    return dynamics.grow(section, progress=False)


@pytest.fixture(scope="module")
def measured(section, grown):
    return dynamics.measure(section, grown[0], progress=False)


def test_twins_of_a_seed_differ_in_what_they_are_asked_alone(section):
    named = dict(list(dynamics.plans(section))[:2])
    assert list(named) == ["causal", "masked"]
    assert dataclasses.replace(named["causal"], objective="masked") == named["masked"]
    assert named["causal"].held_out == 30 + 8 + 12


def test_sizes_and_amounts_are_varied_one_at_a_time(section):
    others = [(twin, plan.build.width, plan.sentences) for twin, plan in dynamics.plans(section)][2:]
    assert others == [("masked", 96, 40), ("masked", 48, 8)]


def test_every_run_has_its_checkpoints_and_its_curve(section, grown):
    checkpoints, curves = grown
    assert list(checkpoints) == dynamics.NAMES
    assert checkpoints["id"].is_unique
    runs = checkpoints.groupby(["twin", "seed", "size", "amount"], sort=False)["step"].agg(list)
    assert runs.tolist() == [STEPS] * 4
    assert set(curves["quantity"]) == {"loss", "held_out"}
    assert curves.groupby(["twin", "size", "amount"]).ngroups == 4
    assert dynamics.middle(checkpoints, section)["id"].tolist() == checkpoints["id"].tolist()[:6]


def test_the_command_line_grows_what_the_profile_names(section, grown, monkeypatch, capsys):
    monkeypatch.setattr(params, "load", lambda _: {"05_training_dynamics": section})
    assert command_line.main(["grow", "--profile", "smoke", "causal"]) == 0
    said = capsys.readouterr().out.split()
    assert said == grown[0].query("twin == 'causal' and step == 2")["id"].tolist()
    assert command_line.main(["grow", "--profile", "smoke", "state-space"]) == 2
    assert "the smoke profile has no twin state-space: choose from causal, masked" in capsys.readouterr().err


def test_effort_counts_weights_and_passes_through_the_text(section, grown):
    table = dynamics.effort(grown[0], section).set_index(["twin", "size", "amount"])
    assert table.loc[("causal", 48, 40), "parameters"] == table.loc[("masked", 48, 40), "parameters"]
    network = models.load(grown[0]["id"].iloc[0]).network
    assert table.loc[("causal", 48, 40), "parameters"] == sum(one.numel() for one in network.parameters())
    assert table.loc[("masked", 48, 8), "passes"] == 1


def test_every_checkpoint_goes_through_every_measure(grown, measured):
    table, left_out = measured
    assert list(table) == dynamics.COLUMNS
    assert "sick" in left_out
    cost = {"causal": "bits_per_byte", "masked": "bits_per_byte_bound"}
    for (twin, _), rows in table.groupby(["twin", "id"]):
        wanted = {*dynamics.SWEPT, *dynamics.COMPRESSED, *dynamics.RANKED, "stsb spearman", cost[twin]}
        assert set(rows["quantity"]) == wanted
        assert set(rows.loc[rows["quantity"] == "retained_cross_entropy", "layer"]) == {0, 1, 2}
    assert table["id"].nunique() == len(grown[0])
    assert not table.duplicated([*dynamics.NAMES, "layer", "probe", "k", "quantity"]).any()
    assert set(dynamics.targets(table)) == {"stsb spearman", "bits_per_byte", "bits_per_byte_bound"}
    assert len(predictors.within_runs(table, dynamics.targets(table)))


def test_of_other_sizes_and_amounts_the_last_checkpoint_may_do(section, grown, measured):
    fewer, _ = dynamics.measure(section.model_copy(update={"varied_in_full": False}), grown[0], progress=False)
    assert set(fewer["id"]) == {*grown[0]["id"].iloc[:6], *grown[0].query("step == 2")["id"]}
    whole = measured[0][measured[0]["id"].isin(fewer["id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer, whole)


def test_a_second_time_everything_comes_from_the_store(section, grown, measured, monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    again, _ = dynamics.measure(section, grown[0], progress=False)
    pd.testing.assert_frame_equal(again, measured[0])


def test_untrained_networks_are_those_that_twins_begin_as(section, measured):
    raw = dynamics.untrained(section, progress=False)
    assert set(map(tuple, raw[["family", "causal"]].drop_duplicates().to_numpy())) == set(CLASSES)
    assert set(raw["initial"]) == {0.02, 0.2}
    table = dynamics.middle(measured[0], section)
    for twin, causal in (("causal", True), ("masked", False)):
        begun = table[(table["twin"] == twin) & (table["step"] == 0)]
        same = raw[(raw["family"] == "llama") & (raw["causal"] == causal) & (raw["initial"] == 0.02)]
        both = begun.merge(same, on=["layer", "probe", "quantity"], suffixes=("", "_untrained"))
        assert len(both) == len(same)
        np.testing.assert_allclose(both["estimate"].astype(float), both["estimate_untrained"].astype(float), atol=1e-6)
