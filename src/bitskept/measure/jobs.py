"""The models of the correlations, measured one after the other into the store: one job a model, on any machine.

Stores are folders that can be copied together, and a notebook then joins what they hold.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from bitskept.measure import compression
from bitskept.measure.compression import Instrument, Plan
from bitskept.measure.preference import measure_preference, measured_preference
from bitskept.params import IbCorrelations
from bitskept.sources import tasks
from bitskept.sources.packages import SourceError


def plan(section: IbCorrelations, **others: Any) -> Plan:
    """What a section asks to be measured of each model; `others` replace values of the plan."""
    values = {"sentences": tuple(section.sentences), "widths": tuple(section.widths), "longest": section.longest}
    values["instruments"] = tuple(Instrument(section.anchors, seed) for seed in section.anchor_seeds)
    values |= {"seed": section.seed, "dtype": section.dtype, "memory": section.memory}
    return Plan(section.corpus, **(values | others))


def preference(section: IbCorrelations) -> dict[str, Any]:
    """The arguments of `measure_preference` and `measured_preference` that a section stands for."""
    return {
        "task": section.preference_task,
        "pairs": section.preference_pairs,
        "longest": section.preference_longest,
        "instrument": Instrument(section.anchors, section.anchor_seeds[0]),
        "seed": section.seed,
    }


def run(section: IbCorrelations, ids: Sequence[str] = ()) -> dict[str, str]:
    """Measure these models, by default all of the section, and return why those that failed did.

    What is in the store is passed over. Without the pairs of answers, preference information is left out, with a
    warning. An interrupt stops at once; all models that were finished are kept.
    """
    wanted, pairs = plan(section), preference(section)
    done = trained(compression.measured(wanted))
    try:
        tasks.fetch(section.preference_task)
        judged = trained(measured_preference(**pairs))
    except SourceError as error:
        warnings.warn(f"preference information is left out: {error}", stacklevel=2)
        pairs, judged = {}, set()
    options = {"accept_terms": section.accept_terms}
    failures = {}
    with tqdm(list(dict.fromkeys(ids or [*section.models, *section.correlation_models])), unit="model") as bar:
        for id in bar:
            bar.set_postfix_str(id)
            try:
                if id not in done:
                    compression.measure(id, wanted, **options)
                if pairs and id not in judged:
                    measure_preference(id, **pairs, dtype=section.dtype, **options)
            except (LookupError, MemoryError, OSError, RuntimeError, ValueError) as error:
                failures[id] = str(error.args[0] if error.args else repr(error)).splitlines()[0]
            gc.collect()  # a model has cycles, and the next one needs the room
    return failures


def trained(table: pd.DataFrame) -> set[str]:
    """The models, random copies left out, of a table."""
    return set(table.loc[table["weights"] == "trained", "model"])
