"""What twins are trained to do: name the next token, hidden tokens, or hidden tokens at every rate of hiding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitskept.measure.states import Encoding
from bitskept.training.masking import LEFT_OUT, hide, hide_at_rate

OBJECTIVES = {
    "causal": "name each token from those before it",
    "masked": "name hidden tokens from all others, a fixed share of them hidden in BERT's way",
    "diffusion": "name hidden tokens from all others, any share of them hidden, as LLaDA does",
}


class Objective:
    """Turns sentences into what is asked of them: `ids`, `attention`, `wanted` (or LEFT_OUT) by position, `weights`.

    What is asked depends on seed, sentence and draw alone. All objectives ask for the tokens of the text and for no
    special token, so that what they cost, in bits, is given the number of tokens. Draws that follow each other, `batch`
    of them from a multiple of it on, spread the rates of diffusion evenly.
    """

    def __init__(
        self,
        objective: str,
        encoding: Encoding,
        tokenizer: transformers.PreTrainedTokenizerBase,
        *,
        hidden: float,
        batch: int,
        seed: int,
    ) -> None:
        self._objective, self._encoding = objective, encoding
        self._pad, self._mask, self._types = tokenizer.pad_token_id, tokenizer.mask_token_id, len(tokenizer)
        self._hidden, self._batch, self._seed = hidden, batch, seed

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        rows = [self._row(item["sentence"], item["draw"]) for item in items]
        ids, wanted = (
            nn.utils.rnn.pad_sequence([row[part] for row in rows], batch_first=True, padding_value=filler)
            for part, filler in ((0, self._pad), (1, LEFT_OUT))
        )
        lengths = torch.tensor([len(row[0]) for row in rows])
        attention = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        weights = torch.tensor([row[2] for row in rows])[:, None].expand(ids.shape)
        return {"ids": ids, "attention": attention, "wanted": wanted, "weights": weights}

    def _row(self, sentence: int, draw: int) -> tuple[Tensor, Tensor, float]:
        ids = torch.from_numpy(self._encoding.ids[sentence])
        own = ids.masked_fill(~torch.from_numpy(self._encoding.measured[sentence]), LEFT_OUT)
        if self._objective == "causal":
            return ids, torch.cat([own[1:], own.new_full((1,), LEFT_OUT)]), 1.0
        random = np.random.default_rng([self._seed, sentence, draw])
        if self._objective == "masked":
            return *hide(ids, own, random, share=self._hidden, mask=self._mask, types=self._types), 1.0
        return hide_at_rate(ids, own, random, rate=self._rate(draw), mask=self._mask)

    def _rate(self, draw: int) -> float:
        """Uniform in (0, 1], and one in each of `batch` equal parts of it within a batch."""
        random = np.random.default_rng([self._seed, draw // self._batch])
        return (random.permutation(self._batch)[draw % self._batch] + 1 - random.random()) / self._batch


class Learner(nn.Module):
    """A network whose forward pass returns the mean surprisal of what is wanted, in nats, weighted.

    The weights of a diffusion sentence sum to its number of tokens: its loss is the bound on -log p, a token.
    """

    def __init__(self, network: transformers.PreTrainedModel) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        ids: Int[Tensor, "sentence token"],
        attention: Int[Tensor, "sentence token"],
        wanted: Int[Tensor, "sentence token"],
        weights: Float[Tensor, "sentence token"],
    ) -> dict[str, Tensor]:
        total, weight = self._costs(ids, attention, wanted, weights)
        return {"loss": total / weight}

    @torch.no_grad()
    def bits_per_token(self, questions: Sequence[dict[str, Tensor]]) -> float:
        """The same over several batches, in bits."""
        device = self.network.device
        parts = [self._costs(**{name: part.to(device) for name, part in one.items()}) for one in questions]
        total, weight = (torch.stack(part).double().sum().item() for part in zip(*parts, strict=True))
        return total / weight / math.log(2)

    def _costs(self, ids: Tensor, attention: Tensor, wanted: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        states = self.network.base_model(input_ids=ids, attention_mask=attention).last_hidden_state
        where = wanted != LEFT_OUT
        scores = self.network.lm_head(states[where]).float()
        surprisals = nn.functional.cross_entropy(scores, wanted[where], reduction="none")
        return (weights[where] * surprisals).sum(), weights[where].sum()
