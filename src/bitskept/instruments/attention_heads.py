"""The queries, keys and values of a model's attention heads, as the heads compare them: after rotary positions and
norms, with what each query sees.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bitskept.sources.language_model import LanguageModel

RECORDER = "bitskept_recorder"
"""The name of the recording attention in transformers."""
CHANGED = ("softcap", "position_bias", "s_aux")
"""What a head may do to its scores or their sum, so that its weights are no softmax of scaled products."""


@dataclass(frozen=True)
class Heads:
    """One block's heads on one text. Query heads that share keys have a copy each; `visible` is what a query sees."""

    layer: int
    queries: Float[np.ndarray, "head token dim"]
    keys: Float[np.ndarray, "head token dim"]
    values: Float[np.ndarray, "head token _value"]
    visible: Bool[np.ndarray, "#head token token"]
    scale: float


def record(model: LanguageModel, ids: np.ndarray) -> list[Heads]:
    """The heads of every block, in order, for one text given as token ids.

    ValueError for a model without attention heads (a state-space model), one whose heads do not use transformers'
    attention interface, and one whose weights are no softmax of scaled products (a bias by position, capped scores,
    sinks).
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    network, known, recorded = model.network, AttentionInterface(), []
    before = network.config._attn_implementation
    usual = known[before if before in known else "sdpa"]  # "eager" is not among them; both compute the same

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any) -> Any:
        if changed := [name for name in CHANGED if options.get(name) is not None]:
            raise ValueError(f"{model.id} has heads with {changed[0]}: their weights are no softmax of scaled products")
        groups, length = query.shape[1] // key.shape[1], query.shape[2]
        queries, keys, values = (vectors[0].double().cpu().numpy() for vectors in (query, key, value))
        visible = np.ones((1, length, length), bool) if mask is None else (mask[0] == 0).cpu().numpy()
        scale = float(options.get("scaling") or query.shape[-1] ** -0.5)
        copies = keys.repeat(groups, 0), values.repeat(groups, 0)
        recorded.append(Heads(len(recorded) + 1, queries, *copies, visible, scale))
        return usual(module, query, key, value, mask, **options)

    AttentionInterface.register(RECORDER, attend)
    AttentionMaskInterface.register(RECORDER, eager_mask)
    try:
        if network._can_set_attn_implementation():
            network.set_attn_implementation(RECORDER)
        with torch.inference_mode():
            network(input_ids=torch.from_numpy(ids)[None].to(model.device))
    finally:
        if network.config._attn_implementation == RECORDER:
            network.set_attn_implementation(before)
    if not recorded:
        raise ValueError(
            f"{model.id} has no heads whose queries and keys can be read: take a model with attention such as Llama's"
        )
    return recorded
