"""Made-up changes of scores, as notebook 03 has them."""

import pandas as pd

OPPONENTS = ("before", "continued", "permuted")


def changes(by_task, opponents=OPPONENTS, model="m", arm="recoverability"):
    """Rows of `score_changes.changes`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": model, "arm": arm, "rate": 0.1, "step": 60, "against": against, "task": task,
         "quantity": "spearman", "pooling": "mean",
         "before": 0.5, "after": 0.5 + change, "estimate": change, "p": 0.001 if abs(change) >= 0.1 else 0.5}
        for task, changes in by_task.items()
        for against, change in zip(opponents, changes, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)
