"""The settings that answer otherwise than the rows that were planned."""

import pandas as pd

from bitskept.studies.output.claims import otherwise

COLUMNS = ["claim", "model", "reading", "outcome", "primary"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS).assign(probe=None, train_sentences=None)


def test_other_settings_are_named_with_their_outcome():
    rows = table(
        ("A", "m", "planned", "yes", True),
        ("A", "m", "varied", "no", False),
        ("A", "m", "varied twice", "no", False),
        ("A", "m", "varied less", "cannot tell", False),
        ("A", "m", "the same", "yes", False),
        ("A", "m", "missing", "not tested", False),
        ("A", "another", "varied", "no", False),  # of which nothing was planned
    )
    assert otherwise(rows).splitlines()[2:] == [
        "- A, m: **no** with varied; varied twice and **cannot tell** with varied less (primary: yes)"
    ]


def test_an_outcome_that_one_of_several_planned_rows_has_is_no_other():
    rows = table(("A", "m", "one", "yes", True), ("A", "m", "two", "no", True), ("A", "m", "varied", "no", False))
    assert otherwise(rows) == "No other setting says otherwise."
