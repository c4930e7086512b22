import dataclasses
import itertools
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from bitskept.base import params
from bitskept.base.publishing import read_table
from bitskept.instruments.likelihood import bits_per_byte
from bitskept.instruments.training.builds import CLASSES
from bitskept.instruments.training.twin_runs import NAMES, TwinTraining
from bitskept.run.notebooks import SECTIONS
from bitskept.sources import models
from bitskept.studies.dynamics import (
    bits_by_layer,
    built_in,
    checkpoints,
    figures,
    late_forgetting,
    phases,
    predictors,
    sizes,
)
from bitskept.studies.dynamics.section import TrainingDynamics, jobs, plans

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
        training = TwinTraining(
            width=48, depth=2, steps=2, batch=4, rate=0.01, weight_decay=0.0, hidden=0.3, longest=24, vocabulary=300,
            corpus=str(folder / "text.txt"), sentences=40, held_out=50, test_sentences=12, draws=2, seed=0,
            dtype="float32",
        )  # fmt: skip
        language = params.load("smoke", SECTIONS)[TrainingDynamics.notebook].language
        yield TrainingDynamics(
            profile="smoke", language=language, training=training, twins=["causal", "masked"], seeds=[0],
            varied=["masked"], varied_seeds=[0], other_widths=[96], other_sentences=[8], varied_in_full=True,
            initials=[0.02, 0.2], train_sentences=30, validation_sentences=8, soft_sentences=40, anchors=8, widths=[1],
            tasks=["stsb"], data_tasks=["sick"], items=10,
        )  # fmt: skip


@pytest.fixture(scope="module")
def trained(section):
    return checkpoints.train(section)


@pytest.fixture(scope="module")
def measured(section, trained):
    return checkpoints.measure(section, trained[0])


def test_twins_of_a_seed_differ_only_in_their_objective(section):
    named = dict(list(plans(section))[:2])
    assert list(named) == ["causal", "masked"]
    assert dataclasses.replace(named["causal"], objective="masked") == named["masked"]
    assert named["causal"].held_out == 30 + 8 + 12


def test_sizes_and_amounts_are_varied_one_at_a_time(section):
    others = [(twin, plan.build.width, plan.sentences) for twin, plan in plans(section)][2:]
    assert others == [("masked", 96, 40), ("masked", 48, 8)]


def test_every_run_has_its_checkpoints_and_its_curve(section, trained):
    found, learning = trained
    assert list(found) == NAMES
    assert found["id"].is_unique
    runs = found.groupby(["twin", "seed", "size", "amount"], sort=False)["step"].agg(list)
    assert runs.tolist() == [STEPS] * 4
    assert set(learning["quantity"]) == {"loss", "held_out"}
    assert learning.groupby(["twin", "size", "amount"]).ngroups == 4
    assert checkpoints.middle(found, section)["id"].tolist() == found["id"].tolist()[:6]


def test_each_job_does_its_part(section, trained, measured, monkeypatch):
    found = {job.name: job for job in jobs(section)}
    runs = ["causal-0", "masked-0", "masked-0-width96", "masked-0-sentences8"]
    assert [name for name in found if not name.startswith("05.language.")] == [
        *(f"05.{job}.{run}" for run in runs for job in ("grow", "checkpoints")),
        "05.untrained.builds",
    ]
    assert found["05.checkpoints.masked-0-width96"].needs == ("05.grow.masked-0-width96",)
    assert len({str(job.key) for job in found.values()}) == len(found)
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    mine, _ = found["05.grow.masked-0"].work()
    assert mine["id"].tolist() == trained[0].query("twin == 'masked' and size == 48 and amount == 40")["id"].tolist()
    found["05.checkpoints.masked-0"].work()


def test_effort_counts_weights_and_passes_through_the_text(section, trained):
    table = checkpoints.effort(trained[0], section).set_index(["twin", "size", "amount"])
    assert table.loc[("causal", 48, 40), "parameters"] == table.loc[("masked", 48, 40), "parameters"]
    network = models.load(trained[0]["id"].iloc[0]).network
    assert table.loc[("causal", 48, 40), "parameters"] == sum(part.numel() for part in network.parameters())
    assert table.loc[("masked", 48, 8), "passes"] == 1


def test_every_checkpoint_goes_through_every_measure(trained, measured):
    table, left_out = measured
    assert list(table) == checkpoints.COLUMNS
    assert "sick" in left_out
    cost = {"causal": "bits_per_byte", "masked": "bits_per_byte_bound"}
    for (twin, _), rows in table.groupby(["twin", "id"]):
        other = {name for name in bits_per_byte.QUANTITIES if name != cost[twin]}
        assert set(rows["quantity"]) == {*checkpoints.QUANTITIES, "stsb spearman"} - other
        assert set(rows.loc[rows["quantity"] == "retained_cross_entropy", "layer"]) == {0, 1, 2}
        assert rows.loc[rows["quantity"] == "late_forgetting", "layer"].isna().all()
    assert table["id"].nunique() == len(trained[0])
    assert not table.duplicated([*NAMES, "layer", "probe", "k", "quantity"]).any()
    assert set(checkpoints.targets(table)) == {"stsb spearman", "bits_per_byte", "bits_per_byte_bound"}
    assert len(predictors.within_runs(table, checkpoints.targets(table)))


def test_of_other_sizes_and_amounts_the_last_checkpoint_may_do(section, trained, measured):
    fewer, _ = checkpoints.measure(section.model_copy(update={"varied_in_full": False}), trained[0])
    assert set(fewer["id"]) == {*trained[0]["id"].iloc[:6], *trained[0].query("step == 2")["id"]}
    whole = measured[0][measured[0]["id"].isin(fewer["id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer, whole)


def test_a_second_time_everything_comes_from_the_store(section, trained, measured, monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    again, _ = checkpoints.measure(section, trained[0])
    pd.testing.assert_frame_equal(again, measured[0])


def test_untrained_networks_are_those_that_twins_begin_as(section, measured):
    raw = built_in.untrained(section)
    assert set(map(tuple, raw[["family", "causal"]].drop_duplicates().to_numpy())) == set(CLASSES)
    assert set(raw["initial"]) == {0.02, 0.2}
    table = checkpoints.middle(measured[0], section)
    for twin, causal in (("causal", True), ("masked", False)):
        begun = table[(table["twin"] == twin) & (table["step"] == 0)]
        same = raw[(raw["family"] == "llama") & (raw["causal"] == causal) & (raw["initial"] == 0.02)]
        begun = begun[begun["quantity"] == "retained_cross_entropy"]
        both = begun.merge(same, on=["layer", "probe"], suffixes=("", "_untrained"))
        assert len(both) == len(same)
        np.testing.assert_allclose(both["estimate"].astype(float), both["estimate_untrained"].astype(float), atol=1e-6)


def test_each_figure_is_drawn_from_its_table(section, trained, measured):
    main = checkpoints.middle(measured[0], section)
    within = predictors.within_runs(main, checkpoints.targets(main))
    tables = {
        figures.learning: checkpoints.learning(trained[1], section),
        figures.retained: bits_by_layer.retained(main),
        figures.forgetting: late_forgetting.by_step(main),
        figures.untrained: built_in.by_architecture(built_in.untrained(section)),
        figures.plane: phases.plane(main[main["layer"].isna() & (main["k"] == 1)]),
        figures.ranks: phases.ranks(main),
        figures.size_and_data: sizes.size_and_data(measured[0], section.varied),
        figures.predictors: predictors.over_runs(within),
    }
    for draw, table in tables.items():
        assert table.attrs["made by"].startswith("bitskept.studies.dynamics.")
        content = table.to_csv(index=False, float_format="%.6g").encode()
        figure = draw(read_table(BytesIO(content)))
        assert any(axes.has_data() for axes in figure.axes), draw.__name__
    assert bits_by_layer.first_and_last(main).index.tolist() == [
        (probe, twin) for probe in ("centroid", "ridge") for twin in ("causal", "masked")
    ]
