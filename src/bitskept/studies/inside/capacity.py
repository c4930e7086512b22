"""How many random patterns attention retrieves, and how many random labels a perceptron learns."""

import numpy as np
import pandas as pd
from scipy.stats import chi2, t

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import associative_memory

LAWS = {"exp(d)": np.array, "exp(√d)": np.sqrt, "a power of d": np.log2}
"""Laws of growth, and what log2 of the number of patterns is a straight line in."""
TOLD = 2 * np.log(100)
"""A law whose misfit is worse by this is a hundred times less likely than the best one."""
EXPONENTIAL, ROOT, POWER = LAWS


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


@makes_table
def growth(capacities: pd.DataFrame) -> pd.DataFrame:
    """How the number of patterns grows with the dimension d, from a table of `capacities`: by `scale` and `law` (a
    straight line of log2 of the number in d, in √d or in log2 d) the slope (estimate, low, high: 95 %), the `misfit`,
    which is the sum of squared deviations in standard errors, `worse`, by how much this is above that of the best law,
    `p` of such a misfit if the law is right, and n (dimensions). Only dimensions whose capacity has an interval count;
    a scale with fewer than three has no rows. Where points scatter around a law by more than their errors, its slope
    has a wider interval, and where they do so around the best law, the others are less `worse`, by this factor.
    """
    rows = []
    for scale, part in capacities[capacities["quantity"] == "capacity"].groupby("scale", sort=False):
        known = part.dropna(subset=["estimate", "low", "high"])
        if len(known) < 3:
            continue
        d, high, low = (known[name].to_numpy(float) for name in ("dimension", "high", "low"))
        errors = np.log2(high / low) / (2 * t.ppf(0.975, known["n"].to_numpy() - 1))
        fits = [_line(LAWS[law](d), np.log2(known["estimate"].to_numpy(float)), errors) for law in LAWS]
        least = min(misfit for _, _, misfit in fits)
        scatter = max(1.0, least / (len(d) - 2))
        for law, (slope, error, misfit) in zip(LAWS, fits, strict=True):
            reach = 1.96 * error * max(1.0, np.sqrt(misfit / (len(d) - 2)))
            ends = {"estimate": slope, "low": slope - reach, "high": slope + reach}
            facts = {"scale": scale, "law": law} | ends | {"misfit": misfit, "worse": (misfit - least) / scatter}
            rows.append(facts | {"p": float(chi2.sf(misfit, len(d) - 2)), "n": len(d)})
    return pd.DataFrame(rows, columns=["scale", "law", "estimate", "low", "high", "misfit", "worse", "p", "n"])


def _line(x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """The slope of the weighted least-squares line, its standard error, and the sum of squared deviations in errors."""
    design = np.column_stack([x, np.ones(len(x))]) / errors[:, None]
    weights, *_ = np.linalg.lstsq(design, y / errors)
    covariance = np.linalg.inv(design.T @ design)
    return float(weights[0]), float(np.sqrt(covariance[0, 0])), float(((design @ weights - y / errors) ** 2).sum())
