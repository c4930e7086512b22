"""What a loaded model is: a network without its head, its tokenizer, and the facts that a forward pass depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.sources.model_checks import readable

AFTER_BLOCKS = ("mamba", "mamba2", "falcon_mamba", "rwkv")
"""Families whose `hidden_states` come after each block and after the final norm, without the embeddings."""
POSITIONS = ("position_embeddings", "embed_positions", "wpe", "positions_embed")  # names of a table of positions


@dataclass(frozen=True)
class LanguageModel:
    """A network without its head, ready for forward passes, with its tokenizer.

    `kind` is "encoder" or "decoder"; `seed` is None for the trained weights, and `scale` that of random ones
    (`random_weights.Weights`). `fingerprint` identifies the weights and
    the tokenizer, not the dtype. A tokenizer without a padding token pads with another one that the network knows:
    padding is never measured. Unless `masks_padding`, padding would change the states of a text, so texts in a batch
    must have one length.
    """

    id: str
    kind: str
    tokenizer: Any
    network: torch.nn.Module
    dtype: torch.dtype
    device: torch.device
    fingerprint: str
    seed: int | None = None
    masks_padding: bool = True
    scale: str = "configured"

    @property
    def layers(self) -> int:
        """Number of blocks; `hidden_states` has one entry more."""
        return int(self._config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Dimension of a state."""
        return int(self._config.hidden_size)

    @property
    def longest(self) -> int:
        """The most tokens in one text, including special ones."""
        limits, positions = [self.tokenizer.model_max_length], getattr(self._config, "max_position_embeddings", None)
        if positions and positions > 0:  # a state-space model has no positions; XLNet, which has no limit, says -1
            limits.append(positions)
        if table := position_table(self.network):
            # Where the table has a row for padding, positions start after it.
            limits.append(table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1))
        return int(min(limits))

    @property
    def embeddings(self) -> Float[Tensor, "vocab dim"]:
        """The table of input embeddings."""
        return self.network.get_input_embeddings().weight

    @property
    def _config(self) -> Any:
        """The description of the text model, which is a part of that of a model that also reads images."""
        return self.network.config.get_text_config()

    def tokenize(self, texts: str | Sequence[str], **options: Any) -> Any:
        """What the tokenizer makes of a text or texts. SourceError if it fails."""
        with readable(f"a text with the tokenizer of {self.id}"):
            return self.tokenizer(texts, verbose=False, **options)

    def hidden_states(self, ids: Int[Tensor, "text token"], attention: Int[Tensor, "text token"]) -> tuple[Tensor, ...]:
        """The states [text, token, dim] from layer 0, the output of the embeddings, to the last. `attention` is 0 for
        padding.
        """
        options = {"use_cache": False} if self.kind == "decoder" else {}
        output = self.network(input_ids=ids, attention_mask=attention, output_hidden_states=True, **options)
        hidden = output.hidden_states
        if hasattr(output, "last_hidden_state"):  # a configuration can untie the two
            hidden = (*hidden[:-1], output.last_hidden_state)
        if self.network.config.model_type in AFTER_BLOCKS:
            embedded = self.network.get_input_embeddings()(ids)
            hidden = (embedded.to(hidden[-1].dtype), *hidden[:-2], hidden[-1])
        return hidden


def position_table(network: torch.nn.Module) -> torch.nn.Embedding | None:
    """The table of learnt positions, if the network has one: it stands beside that of the input embeddings."""
    embeddings = network.get_input_embeddings()
    beside = next(part for part in network.modules() if any(child is embeddings for child in part.children()))
    tables = [part for name, part in beside.named_children() if name in POSITIONS]
    return next((table for table in tables if isinstance(table, torch.nn.Embedding)), None)
