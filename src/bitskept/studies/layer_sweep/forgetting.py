"""Is information about the token first enhanced, then discarded? The contrasts between layers that decide it."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes.readings import OTHERS
from bitskept.studies.layer_sweep.bits_by_layer import main_readings, with_all_text

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
SETTING = ["model", "reading", "pooling", "position", "probe", "train_sentences"]
"""What is read, by which probe, with how much text."""
READS = 0.5
"""Usable bits per token that a probe must show in some layer, or it is no witness to differences between them."""


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
    return main_readings(rows[rows["main"]].drop(columns="main"))


@makes_table
def by_setting(trained: pd.DataFrame) -> pd.DataFrame:
    """`contrasts` under every setting, in bits per token, each with the usable bits of its two layers (`bits` and
    `bits_other`), the `best` of all layers, and how many `layers` were read. What the other words tell about a place
    is a control, not a reading of the claim: their states cannot hold it at layer 0.
    """
    trained = trained[trained["pooling"].isna() | (trained["pooling"] != OTHERS)]
    usable = trained[(trained["quantity"] == "usable") & trained["group"].isna() & ~trained["shuffled"].astype(bool)]
    bits = usable[[*SETTING, "layer", "estimate"]].rename(columns={"estimate": "bits"})
    facts = bits.groupby(SETTING, dropna=False).agg(best=("bits", "max"), layers=("layer", "nunique")).reset_index()
    others = bits.rename(columns={"layer": "other", "bits": "bits_other"})
    rows = contrasts(trained).drop(columns=["group", "shuffled"])
    for table in (facts, bits, others):
        rows = rows.merge(table, how="left", validate="many_to_one")
    return rows
