import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck.floor_alone import floor_alone, simulated

pytestmark = pytest.mark.usefixtures("one_thread", "home")


def test_equal_signal_is_ordered_by_the_vocabulary_if_raw_and_not_if_corrected():
    models = simulated(8, 3000, (5, 100), 0)
    assert set(models["varied"]) == {"vocabulary", "text"}
    table = floor_alone(models)
    found = table[table["size"].isna()].set_index(["varied", "kind"])["estimate"]
    assert found["vocabulary", "raw"] > 0.9
    assert found["text", "raw"] < -0.9
    values = models.pivot(index=["varied", "size"], columns="kind", values="estimate")
    assert np.ptp(values["corrected"]) < np.ptp(values["raw"]) / 3
    assert table["n"].dropna().unique().tolist() == [8]


def test_few_models_have_no_correlation():
    models = pd.DataFrame({"varied": "text", "kind": "raw", "size": [1, 2, 3, 4], "estimate": [1, 2, 3, np.nan]})
    row = floor_alone(models).iloc[-1]
    assert row["n"] == 3
    assert np.isnan(row["estimate"])
