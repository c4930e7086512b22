"""Is information about the token first enhanced, then discarded? The contrasts between layers that decide it."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.layer_sweep.bits_by_layer import READINGS, with_all_text

HALVES = {
    "token": {"rise": "rise", "fall": "late_forgetting"},
    "window": {"rise": "rise", "fall": "late_forgetting"},
    "bag": {"rise": "peak_rise", "fall": "peak_fall"},
    "place": {"rise": "peak_rise", "fall": "peak_fall"},
}
"""The quantity that tests each half of the claim, by reading. Layer 0 is a look-up of the token, so that a rise above
it is possible only for what one vector tells about a sentence; for a token, any rise from one layer to a later one
counts.
"""
IN_WORDS = {
    "rise": "a later layer above an earlier one",
    "late_forgetting": "late layers above the last",
    "peak_rise": "best inner layer above the first",
    "peak_fall": "best inner layer above the last",
}
"""What each of these quantities is."""
ALSO = {reading: HALVES["token"] for reading in ("bag", "place")}
"""Other quantities for the same halves: those of a token, between any two layers, for what one vector tells."""


def contrasts(trained: pd.DataFrame) -> pd.DataFrame:
    """The rows of `HALVES` (`main`) and `ALSO` for all readings, poolings, probes and numbers of training sentences,
    each with its `half`. Shuffled targets are left out.
    """
    rows = trained[~trained["shuffled"].astype(bool)]
    parts = [
        rows[(rows["reading"] == reading) & (rows["quantity"] == quantity)].assign(half=half, main=table is HALVES)
        for table in (HALVES, ALSO)
        for reading, halves in table.items()
        for half, quantity in halves.items()
    ]
    return pd.concat(parts, ignore_index=True)


@makes_table
def forgetting(trained: pd.DataFrame) -> pd.DataFrame:
    """The main contrasts of each model with all training sentences under each probe, in bits per token, for the
    readings token, window and bag (from the mean). Measured by `instruments.probes.sweep.measure`, computed in
    `instruments.probes.layer_contrasts`.
    """
    rows = with_all_text(contrasts(trained))
    rows = rows[rows["main"]].drop(columns="main")
    return rows[rows["reading"].isin(READINGS) & (rows["pooling"].isna() | (rows["pooling"] == "mean"))]
