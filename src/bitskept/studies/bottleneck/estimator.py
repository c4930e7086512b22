"""The estimator in two dimensions: clouds of states on a circle, and the anchors that they are assigned to."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy.assignments import entropy


def clouds(random: np.random.Generator) -> dict[str, Float[np.ndarray, " state"]]:
    """States on a circle, as angles, by the name of their cloud."""
    made = {"one state": np.array([0.9]), "five states of one label": 0.9 + 0.35 * random.standard_normal(5)}
    return made | {f"{name} random states": random.uniform(0, 2 * np.pi, n) for name, n in (("five", 5), ("500", 500))}


def on_circle(angles: Float[np.ndarray, " state"]) -> Float[Tensor, "state 2"]:
    """The points of the unit circle at these angles."""
    return torch.tensor(np.stack([np.cos(angles), np.sin(angles)], axis=1), dtype=torch.float32)


@makes_table
def circle(
    clouds: Mapping[str, np.ndarray], ring: Float[np.ndarray, " anchor"], shares: Mapping[str, Tensor]
) -> pd.DataFrame:
    """The entropy of each cloud, in bits, its states, and the mean share of them that each anchor of the ring gets.
    Computed by `instruments.soft_entropy.assignments.entropy`.
    """
    facts = {"n": [len(angles) for angles in clouds.values()], "estimate": [float(entropy(s)) for s in shares.values()]}
    parts = [pd.DataFrame({"cloud": list(clouds)} | facts).assign(quantity="entropy", unit="bits")]
    for name, angles in clouds.items():
        parts.append(pd.DataFrame({"cloud": name, "quantity": "state", "angle": angles}))
        share = shares[name].numpy()
        parts.append(pd.DataFrame({"cloud": name, "quantity": "anchor", "angle": ring, "estimate": share}))
    return pd.concat(parts)
