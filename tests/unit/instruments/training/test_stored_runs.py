import pytest

from bitskept.instruments.training.stored_runs import CURVE, Run, checkpoint_folder, write_curve, write_sealed
from bitskept.sources.packages import SourceError

LOG = [{"step": 2, "loss": 1.0}, {"step": 0, "named": 0.5, "cross_entropy": 3.0}, {"step": 1, "loss": 2.0, "rate": 0.1}]


def test_a_log_becomes_a_curve_in_bits(home):
    table, _ = trained(Run("function", 1, {}, "kind/name"))
    assert table[["step", "quantity", "unit"]].to_numpy().tolist() == [
        [0, "cross_entropy", "bits per token"],
        [1, "loss", "bits per token"],
        [2, "loss", "bits per token"],
        [0, "named", "share"],
    ]
    assert table["estimate"].tolist() == pytest.approx([3, 2 / 0.693147, 1 / 0.693147, 0.5], rel=1e-5)


def trained(run):
    """The curve of a run, and how often it was trained for it."""
    calls = []

    def train(folder):
        calls.append(folder)
        checkpoint_folder(folder).mkdir(parents=True)
        write_sealed(folder, lambda target: write_curve(LOG, target))

    return run.curve(train), len(calls)


def test_a_run_is_trained_once_and_leaves_no_checkpoints(home):
    run = Run("function", 1, {"seed": 0}, "kind/name")
    assert not run.is_finished()
    curve, times = trained(run)
    assert (times, run.is_finished()) == (1, True)
    assert run.folder == home / "models" / run.id
    checkpoint_folder(run.folder).mkdir()  # as a kill at the very end leaves it
    again, times = trained(run)
    assert times == 0
    assert again.equals(curve)
    assert [path.name for path in run.folder.parent.iterdir()] == [run.folder.name]


def test_another_key_or_version_is_another_run(home):
    ids = {Run(*what, "kind/name").id for what in (("function", 1, {}), ("function", 2, {}), ("function", 1, {"a": 1}))}
    assert len(ids) == 3
    assert {id.rpartition("-")[0] for id in ids} == {"kind/name"}


def test_a_run_that_lacks_a_part_is_not_finished(home):
    trained(Run("function", 1, {}, "kind/name"))
    run = Run("function", 1, {}, "kind/name", parts=["step-0"])
    assert not run.is_finished()
    (run.folder / "step-0").mkdir()
    assert run.is_finished()


def test_a_damaged_run_is_refused(home):
    run = Run("function", 1, {}, "kind/name")
    trained(run)
    (run.folder / CURVE).write_text("[]")
    with pytest.raises(SourceError, match=r"is damaged \(curve.json\)"):
        trained(run)
