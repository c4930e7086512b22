import dataclasses
import itertools
from functools import partial
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from bitskept.base import params
from bitskept.base.publishing import read_table
from bitskept.instruments.likelihood import bits_per_byte
from bitskept.instruments.training.builds import CLASSES
from bitskept.instruments.training.twin_runs import BERT, DIFFUSION, NAMES, NEXT, TwinTraining
from bitskept.run.notebooks import SECTIONS
from bitskept.sources import models
from bitskept.studies.dynamics import (
    between_runs,
    bits_by_layer,
    built_in,
    checkpoints,
    figures,
    gains,
    last_layers,
    late_forgetting,
    phases,
    run_claims,
    sizes,
    twin_claims,
)
from bitskept.studies.dynamics.section import TrainingDynamics, jobs, plans

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
STEPS = [0, 2]
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
            width=48, depth=2, steps=2, batch=4, rate=0.01, weight_decay=0.0, first_weights=0.1, hidden=0.3, longest=24,
            vocabulary=300, corpus=str(folder / "text.txt"), sentences=40, held_out=50, test_sentences=12, draws=2,
            seed=0, dtype="float32",
        )  # fmt: skip
        language = params.load("smoke", SECTIONS)[TrainingDynamics.notebook].language
        yield TrainingDynamics(
            profile="smoke", language=language, training=training, twins=[NEXT, BERT], seeds=[0],
            other_twins={DIFFUSION: [0]}, least_gain=2.0, scored_hidden=0.15, varied=[BERT],
            varied_seeds=[0], other_widths=[96], other_sentences=[8], varied_in_full=True, initials=[0.1, 0.2],
            train_sentences=30, smaller_train_sentences=[15], validation_sentences=8, soft_sentences=40, anchors=8,
            widths=[1], tasks=["stsb"], data_tasks=["sick"], items=10,
        )  # fmt: skip


@pytest.fixture(scope="module")
def trained(section):
    return checkpoints.train(section)


@pytest.fixture(scope="module")
def measured(section, trained):
    return checkpoints.measure(section, trained[0])


def test_twins_of_a_seed_differ_only_in_their_objective(section):
    named = dict(list(plans(section))[:2])
    assert list(named) == [NEXT, BERT]
    assert dataclasses.replace(named[NEXT], objective="masked") == named[BERT]
    assert named[NEXT].held_out == 30 + 8 + 12


def test_sizes_and_amounts_are_varied_one_at_a_time(section):
    others = [(twin, plan.build.width, plan.sentences) for twin, plan in plans(section)][2:]
    assert others == [(DIFFUSION, 48, 40), (BERT, 96, 40), (BERT, 48, 8)]


def test_every_run_has_its_checkpoints_and_its_curve(section, trained):
    found, learning = trained
    assert list(found) == NAMES
    assert found["id"].is_unique
    runs = found.groupby(["twin", "seed", "size", "amount"], sort=False)["step"].agg(list)
    assert runs.tolist() == [STEPS] * 5
    assert set(learning["quantity"]) == {"loss", "held_out"}
    assert learning.groupby(["twin", "size", "amount"]).ngroups == 5
    assert checkpoints.middle(found, section)["id"].tolist() == found["id"].tolist()[:6]


def test_each_job_does_its_part(section, trained, measured, monkeypatch):
    found = {job.name: job for job in jobs(section)}
    runs = ["next-token-0", "BERT-s-rule-0", "diffusion-0", "BERT-s-rule-0-width96", "BERT-s-rule-0-sentences8"]
    assert [name for name in found if not name.startswith("05.language.")] == [
        *(f"05.{job}.{run}" for run in runs for job in ("grow", "checkpoints")),
        "05.untrained.builds",
    ]
    assert found["05.checkpoints.BERT-s-rule-0-width96"].needs == ("05.grow.BERT-s-rule-0-width96",)
    assert len({str(job.key) for job in found.values()}) == len(found)
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("a model was loaded again"))
    mine, _ = found["05.grow.BERT-s-rule-0"].work()
    assert mine["id"].tolist() == trained[0].query("twin == @BERT and size == 48 and amount == 40")["id"].tolist()
    found["05.checkpoints.BERT-s-rule-0"].work()


def test_effort_counts_weights_and_passes_through_the_text(section, trained):
    table = checkpoints.effort(trained[0], section).set_index(["twin", "size", "amount"])
    assert table.loc[(NEXT, 48, 40), "parameters"] == table.loc[(BERT, 48, 40), "parameters"]
    network = models.load(trained[0]["id"].iloc[0]).network
    assert table.loc[(NEXT, 48, 40), "parameters"] == sum(part.numel() for part in network.parameters())
    assert table.loc[(BERT, 48, 8), "passes"] > 4 * table.loc[(BERT, 48, 40), "passes"] > 0


def test_every_checkpoint_goes_through_every_measure(trained, measured):
    table, left_out = measured
    assert list(table) == checkpoints.COLUMNS
    assert "sick" in left_out
    cost = {NEXT: "bits_per_byte", DIFFUSION: "bits_per_byte_bound"}
    for (twin, _), rows in table.groupby(["twin", "id"]):
        other = {name for name in bits_per_byte.QUANTITIES if name != cost.get(twin)}
        assert set(rows["quantity"]) == {*checkpoints.QUANTITIES, "stsb spearman"} - other
        assert set(rows.loc[rows["quantity"] == "retained_cross_entropy", "layer"]) == {0, 1, 2}
        assert rows.loc[rows["quantity"] == "late_forgetting", "layer"].isna().all()
        kept = rows[rows["quantity"] == "retained_cross_entropy"]
        readings = {"token", "window"} | (set() if twin == NEXT else {checkpoints.VISIBLE})
        assert set(kept["reading"]) == readings
        assert set(kept.loc[kept["reading"] == "token", "train_sentences"]) == {15, 30}
        assert checkpoints.usual(kept)[["reading", "train_sentences"]].drop_duplicates().to_numpy().tolist() == [
            ["token", 30]
        ]
    assert table["id"].nunique() == len(trained[0])
    assert not table.duplicated([*NAMES, "layer", "reading", "probe", "train_sentences", "k", "quantity"]).any()


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
    assert set(raw["initial"]) == {0.1, 0.2}
    table = checkpoints.usual(checkpoints.middle(measured[0], section))
    for twin, causal in ((NEXT, True), (BERT, False)):
        begun = table[(table["twin"] == twin) & (table["step"] == 0)]
        same = raw[(raw["family"] == "llama") & (raw["causal"] == causal) & (raw["initial"] == 0.1)]
        begun = begun[begun["quantity"] == "retained_cross_entropy"]
        both = begun.merge(same, on=["layer", "probe"], suffixes=("", "_untrained"))
        assert len(both) == len(same)
        np.testing.assert_allclose(both["estimate"].astype(float), both["estimate_untrained"].astype(float), atol=1e-5)


def test_each_figure_is_drawn_from_its_table(section, measured):
    main = checkpoints.middle(measured[0], section)
    usual = checkpoints.usual(main)
    tables = {
        partial(figures.learning, section=section): gains.learning(main),
        figures.kept_and_learned: gains.kept_and_learned(main),
        figures.retained: bits_by_layer.retained(usual),
        figures.forgetting: late_forgetting.by_step(usual),
        figures.untrained: built_in.by_architecture(built_in.untrained(section)),
        figures.plane: phases.plane(usual[usual["layer"].isna() & (usual["k"] == 1)]),
        figures.ranks: phases.ranks(usual),
        partial(figures.size_and_data, section=section): sizes.size_and_data(
            checkpoints.usual(measured[0]), section.varied
        ),
        figures.run_measures: between_runs.run_measures(measured[0], section),
    }
    for draw, table in tables.items():
        assert table.attrs["made by"].startswith("bitskept.studies.dynamics.")
        content = table.to_csv(index=False, float_format="%.6g").encode()
        figure = draw(read_table(BytesIO(content)))
        assert any(axes.has_data() for axes in figure.axes), draw


def test_one_number_of_each_measure_for_each_run(section, measured):
    table = between_runs.run_measures(measured[0], section)
    assert not table.duplicated(["run", "quantity"]).any()
    runs = table.drop_duplicates("run").set_index("run")
    assert list(runs.index) == ["next-token-0", "BERT-s-rule-0", "diffusion-0", "BERT-s-rule-0-width96",
                                "BERT-s-rule-0-sentences8"]  # fmt: skip
    assert runs["weights"].nunique() == 2
    assert (
        table.groupby("run")["quantity"].agg(set).map(lambda names: {*between_runs.MEASURES} - names) == set()
    ).all()
    tokens = runs.loc[["next-token-0", "diffusion-0"], "tokens"]
    assert tokens.nunique() == 1
    assert tokens.iloc[0] == 2 * 4 * 24  # two steps of four rows
    last = measured[0].query("step == 2 and twin == @NEXT and quantity == 'retained_cross_entropy' and layer == 2")
    last = checkpoints.usual(last).query("probe == 'centroid'")["estimate"].item()
    mine = table.query("run == 'next-token-0' and quantity == 'retained'")["estimate"].item()
    assert mine == last


def test_the_main_table_has_a_row_for_each_twin(section, measured):
    table = gains.summary(checkpoints.middle(measured[0], section), section.least_gain)
    assert table["twin"].tolist() == [NEXT, BERT, DIFFUSION]
    assert table[["runs", "learned"]].to_numpy().tolist() == [[1, 0]] * 3
    assert table.notna().all(axis=None)


def test_claims_are_weighed_on_what_was_measured(section, measured):
    main = checkpoints.middle(measured[0], section).copy()
    complexity = checkpoints.usual(main)
    complexity = complexity[complexity["quantity"].isin(["complexity", "complexity_corrected"])]
    complexity = complexity[complexity["layer"].isna() & (complexity["k"] == 1)]
    fitting = phases.by_quantity(complexity, phases.INFORMATION_PLANE)
    by_run = last_layers.by_run(main, section.least_gain)
    assert set(by_run["reading"]) > {"token", f"token{last_layers.BELOW}", f"visible{last_layers.BEFORE}"}
    weighed = twin_claims.claims(by_run, fitting)
    early = weighed["claim"] == run_claims.EARLY  # before the first step nobody has learned
    assert set(weighed.loc[~early, "outcome"]) == {"not tested"}
    main["low"] = main["low"].fillna(main["estimate"] - 1)  # 12 sentences are too few for an interval of the gain
    found = twin_claims.claims(last_layers.by_run(main, -9.0), fitting)
    untested = found["outcome"] == "not tested"
    assert found.loc[untested, "claim"].str.endswith(twin_claims.UNTURNED).all()
    assert not untested.all()
    pairs = found["model"].str.contains("−")
    assert set(found.loc[pairs, "outcome"]) == {"cannot tell"}  # there is one seed
