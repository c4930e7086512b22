"""What the last layers keep and forget, in words: every branch."""

import pandas as pd

from bitskept.studies.dynamics import last_layer_sentences as sentences


def test_what_the_last_layer_keeps_and_where_most_is_kept():
    rows = [
        {"twin": twin, "probe": probe, "step": step, "layer": layer, "estimate": share, "low": share - 0.1,
         "high": share + 0.1}
        for twin, top in (("one", 0.5), ("other", 0.95))
        for probe, less in (("centroid", 0.0), ("ridge", 0.1))
        for step, shares in ((0, (0.4, 0.4, 0.4)), (64, (1.0, 0.8, top - less)))
        for layer, share in enumerate(shares)
    ]  # fmt: skip
    lines = sentences.kept(pd.DataFrame(rows), ["other"]).splitlines()
    assert lines[2] == (
        "- **one**: by the centroid 0.40 [0.30, 0.50] and 0.50 [0.40, 0.60], most at layer 1, 0.80 [0.70, 0.90]; by "
        "the ridge 0.40 [0.30, 0.50] and 0.40 [0.30, 0.50], most at layer 1, 0.80 [0.70, 0.90]."
    )
    assert lines[3].startswith(
        "- **other** (no verdict, as it has not learned): by the centroid 0.40 [0.30, 0.50] and "
    )
    assert lines[3].endswith("0.85 [0.75, 0.95], most at the last layer.")


def test_what_is_forgotten_late_and_when_most_was():
    rows = [
        {"twin": "one", "probe": probe, "step": step, "estimate": bits, "low": bits - 0.1, "high": bits + 0.1}
        for probe, curve in (("centroid", (0.9, 0.6, 0.2)), ("ridge", (0.1, 0.2, 0.6)))
        for step, bits in zip((0, 1, 1024), curve, strict=True)
    ]
    assert sentences.forgetting(pd.DataFrame(rows), []).splitlines()[2:] == [
        "- **one**: 0.20 [0.10, 0.30] by the centroid (most: 0.60, at step 1); 0.60 [0.50, 0.70] by the ridge."
    ]
    assert "**one** (no verdict, as it has not learned): 0.20" in sentences.forgetting(pd.DataFrame(rows), ["one"])
