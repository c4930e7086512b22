"""Random copies of a model: weights as its configuration says, or multiplied at two places where the scale matters."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from bitskept.sources.packages import SourceError

SCALES = ("configured", "embeddings", "residual", "both")
WRITERS = (
    *("output.dense", "attn.o", "Wo", "c_proj"),  # BERT, MPNet, ModernBERT, GPT-2
    *("o_proj", "down_proj", "out_proj", "fc2", "attention.dense", "dense_4h_to_h"),  # Llama, Qwen, Gemma; OPT; Pythia
    *("self_attn.dense", "self_attention.dense"),  # Phi, Falcon
)
"""How the names of the maps that write to the residual stream end, by family."""
WITHOUT_ATTENTION = ("mamba", "mamba2")
"""Types of networks whose blocks have one such map."""


@dataclass(frozen=True)
class Weights:
    """Weights drawn at random by a `seed`, as the configuration says, and then multiplied.

    At the scale "embeddings" the table of input embeddings is multiplied by the square root of its width (Vaswani et
    al. 2017, section 3.4); at "residual" the maps that write to the residual stream, attention's and the feed-forward
    network's of each block, by 1 / sqrt(number of such maps), so that their sum does not grow with depth (Radford et
    al. 2019, section 2.3); "both" does both. Gemma's code and GPT-2's configuration have the first and the second
    already; in Gemma 3, which normalises what such a map gives, the second changes next to nothing.
    """

    seed: int
    scale: str = "configured"

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"there is no scale {self.scale!r}: choose one of {', '.join(SCALES)}")


def seed_and_scale(weights: int | Weights | None) -> dict[str, Any]:
    """The arguments `seed` and `scale` of `models.load` and `model_files.fingerprint`."""
    if isinstance(weights, Weights):
        return {"seed": weights.seed, "scale": weights.scale}
    return {"seed": weights}


@torch.no_grad()
def rescale(network: Any, scale: str) -> None:
    """Multiply the weights of a network as `Weights` says. SourceError as `writers`."""
    if scale in ("embeddings", "both"):
        table = network.get_input_embeddings().weight
        table.mul_(math.sqrt(table.shape[1]))
    if scale in ("residual", "both"):
        maps = writers(network)
        for part in maps:
            part.weight.div_(math.sqrt(len(maps)))


def writers(network: Any) -> list[Any]:
    """The maps that write to the residual stream. SourceError unless two are found for each block, or one where there
    is no attention.
    """
    layers, kind = network.config.get_text_config().num_hidden_layers, network.config.model_type
    each, expected = (1, "one") if kind in WITHOUT_ATTENTION else (2, "two")
    ends = tuple(f".{name}" for name in WRITERS)
    found = [part for name, part in network.named_modules() if name.endswith(ends)]
    if len(found) != each * layers:
        raise SourceError(
            f"in the {layers} blocks of a {kind} network, {len(found)} maps that write to the residual stream are "
            f"known by name, not {expected} in each block: leave out the scales 'residual' and 'both'"
        )
    return found
