"""How many random patterns attention retrieves, and how many random labels a perceptron learns."""

import pandas as pd

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import associative_memory


def perceptron(section: InsideTransformer) -> pd.DataFrame:
    """The share of random labellings that a perceptron learns, by the number of points per weight (`load`)."""
    key = {"dimensions": [section.perceptron_dimension], "loads": section.loads, "trials": section.trials}
    key |= {"seed": section.seed}

    def compute() -> pd.DataFrame:
        return pd.DataFrame(associative_memory.perceptron(**key))

    return store.stored("perceptron", 1, key, compute, logged=False)


@makes_table
def capacities(section: InsideTransformer) -> pd.DataFrame:
    """How many random patterns attention retrieves with a fixed scale b and with its usual one, followed by the table
    of `perceptron`; the column `scale` says which. Computed by `theory.associative_memory.retrieval` and `perceptron`
    in the same module.
    """
    scales = {f"b = {section.memory_scale:g}": section.memory_scale, "b = 1/√d": None}
    options, parts = {"seeds": range(section.repetitions)}, []
    for name, scale in scales.items():
        table = associative_memory.retrieval(section.memory_dimensions, section.stored, scale=scale, **options)
        parts.append(pd.DataFrame(table).assign(scale=name))
    return pd.concat([*parts, perceptron(section).assign(scale="perceptron")], ignore_index=True)
