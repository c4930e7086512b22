import pandas as pd

from bitskept.studies.fine_tuning.doses import NAMED, against_before, doses
from bitskept.studies.fine_tuning.section import FineTuning

TUNING = {"arms": ["recoverability"], "first_rate_arms": [], "rates": [0.1], "seeds": [0], "steps": 60,
          "checkpoints": [8], "dose_tasks": ["stsb"], "batch": 4}  # fmt: skip
FACTS = {"model": "m", "arm": "recoverability", "rate": 0.1}


def section(*models):
    sizes = {"train_sentences": 9, "validation_sentences": 9, "test_sentences": 9, "layers": 3, "items": 9}
    return FineTuning(
        profile="small", tuning=dict.fromkeys(models, TUNING), measuring=dict.fromkeys(models, sizes), corpus="mixed",
        longest=9, rank=2, negatives=9, curve_sentences=9, tasks=["stsb", "sick"], data_tasks=[], seed=0,
        dtype="float32", accept_terms=[],
    )  # fmt: skip


def test_scores_start_at_no_change_and_stand_beside_the_share_named():
    learned = pd.DataFrame([FACTS | {"step": step, "quantity": quantity, "estimate": 0.1 * step, "low": 0, "high": 1}
                            for step in (0, 8) for quantity in ("named", "cross_entropy")])  # fmt: skip
    changes = pd.DataFrame([FACTS | {"step": 8, "against": against, "task": task, "quantity": "spearman",
                                     "pooling": pooling, "estimate": 0.2, "low": 0.1, "high": 0.3, "n": 9, "runs": 2}
                            for against in ("before", "continued") for task in ("stsb", "sick")
                            for pooling in ("mean", "last")])  # fmt: skip
    table = doses(section("m"), learned, changes)
    rows = list(table[["score", "step", "estimate", "low", "high"]].itertuples(index=False, name=None))
    assert rows == [
        (NAMED, 0, 0.0, 0.0, 1.0), ("stsb", 0, 0.0, 0.0, 0.0), (NAMED, 8, 0.8, 0.0, 1.0), ("stsb", 8, 0.2, 0.1, 0.3),
        ("stsb", 8, 0.2, 0.1, 0.3),
    ]  # fmt: skip
    assert table["against"].fillna("").tolist() == ["", "before", "", "before", "continued"]
    assert against_before(table).index.tolist() == [0, 1, 2, 3]


def test_each_arm_and_rate_starts_by_itself():
    facts = FACTS | {"step": 8, "against": "before", "task": "stsb", "quantity": "spearman", "pooling": "mean",
                     "estimate": 0.2}  # fmt: skip
    others = [{}, {"arm": "continued"}, {"rate": 0.2}, {"model": "n"}, {"step": 16}]
    learned = pd.DataFrame([FACTS | {"step": 0, "quantity": "named", "estimate": 0.0, "low": 0.0, "high": 0.0}])
    table = doses(section("m", "n"), learned, pd.DataFrame([facts | other for other in others]))
    starts = table[(table["score"] == "stsb") & (table["step"] == 0)]
    assert set(starts[["model", "arm", "rate"]].itertuples(index=False, name=None)) == {
        ("m", "recoverability", 0.1), ("m", "continued", 0.1),
        ("m", "recoverability", 0.2), ("n", "recoverability", 0.1),
    }  # fmt: skip
    assert len(starts) == 4
