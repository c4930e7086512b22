"""How many bits a symbol costs if errors are allowed, for three binary sources that are small enough to know exactly.

"errors": symbols without memory, and the distortion is the share of errors. "log-loss": the same symbols, each
reproduced by a distribution, and the distortion is -log2 of the symbol's probability. "Markov": a bit that flips with a
given probability, n of them sent together and reproduced causally; the distortion is the share of errors.
"""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.theory.bounds import binary_entropy
from bitskept.theory.checks import Bits, Numbers
from bitskept.theory.rate_distortion import curve, law_grid, log_loss

GRID = 20
"""Steps of the grid of distributions that may reproduce a symbol under log-loss."""


@makes_table
def curves(section: SemanticInformation) -> pd.DataFrame:
    """R(D) of the three sources, in bits per symbol, with the proven `error`; one row per point. `of` is the
    probability of a one, or the number n of symbols of the Markov source, which flips with the least probability of
    `flips`. Computed by `theory.rate_distortion.curve`.
    """
    flip, options = min(section.flips), {"tolerance": section.tolerance}
    errors, costs = 1 - np.eye(2), log_loss(law_grid(2, GRID))
    fair, chain = np.array([0.5, 0.5]), np.array([[1 - flip, flip], [flip, 1 - flip]])
    laws = {chance: np.array([chance, 1 - chance]) for chance in section.flips}
    computed = [("errors", of, curve(law, errors, **options)) for of, law in laws.items()]
    computed += [("log-loss", of, curve(law, costs, **options)) for of, law in laws.items()]
    for n in range(1, section.markov_steps + 1):
        computed.append(("Markov", n, curve(fair, errors, chain, steps=n, **options)))
    tables = [pd.DataFrame({"kind": kind, "of": float(of), **points._asdict()}) for kind, of, points in computed]
    return pd.concat(tables, ignore_index=True)


def at_one_distortion(table: pd.DataFrame, section: SemanticInformation) -> tuple[float, dict[float, float], float]:
    """An error rate, the bits per symbol of the Markov source at it by the number of symbols sent together, and the
    largest proven error of its rates; `table` is from `curves`.
    """
    at = min(0.1, min(section.flips) / 2)
    markov = table[table["kind"] == "Markov"]
    rates = {of: float(np.interp(at, rows["distortion"], rows["rate"])) for of, rows in markov.groupby("of")}
    return at, rates, float(markov["error"].max())


def off_closed_form(table: pd.DataFrame) -> float:
    """The largest difference of a computed rate of symbols without memory from its closed form, in bits per symbol."""
    memoryless = table[table["kind"] != "Markov"].groupby(["kind", "of"])
    differences = [closed_form(*kind, rows["distortion"].to_numpy()) - rows["rate"] for kind, rows in memoryless]
    return float(max(abs(off).max() for off in differences))


def closed_form(kind: str, chance: float, distortion: Numbers) -> Bits:
    """R(D) in bits of a binary source without memory: h(p) - h(D) for "errors", up to D = p, and h(p) - D for
    "log-loss".
    """
    if kind == "log-loss":
        return binary_entropy(chance) - distortion
    return binary_entropy(chance) - binary_entropy(np.minimum(distortion, chance))


def endless(flip: float, distortion: Numbers) -> Bits:
    """Bits per symbol of the Markov source in an endless message, for a stationary scheme and a probability a of a
    flip: h(a (1 - D) + (1 - a) D) - h(D).
    """
    return binary_entropy(flip * (1 - distortion) + (1 - flip) * distortion) - binary_entropy(distortion)
