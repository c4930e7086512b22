"""Training objectives: predict the next token, hidden tokens, the token itself, or another one in its place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitskept.instruments.states import Encoding, batches
from bitskept.instruments.training.masking import LEFT_OUT, Tokens, hide, hide_at_rate

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """Turns items, {"sentence": its place in the encoding, "draw": a number}, into a batch: `ids`, `attention`,
    `wanted`, the targets (LEFT_OUT where nothing is predicted), and `weights`, each [sentence, token].

    Targets depend only on seed, sentence and draw. All objectives predict the tokens of the text and no special token,
    so that their costs, in bits, are given the number of tokens. The vocabulary has `types`; "masked"
    hides the share `hidden` of the tokens, and of these `replaced` become another token and `kept` stay as they are
    (`masking.hide`). The rates of "diffusion" are spread evenly over each `batch` draws.
    """

    objective: str
    encoding: Encoding
    tokenizer: transformers.PreTrainedTokenizerBase
    types: int
    hidden: float
    batch: int
    seed: int
    replaced: float = 0.1
    kept: float = 0.1

    def __call__(self, items: Sequence[dict[str, int]]) -> Batch:
        rows = [self._row(item["sentence"], item["draw"]) for item in items]
        ids, wanted = (
            nn.utils.rnn.pad_sequence([row[part] for row in rows], batch_first=True, padding_value=filler)
            for part, filler in ((0, self.tokenizer.pad_token_id), (1, LEFT_OUT))
        )
        lengths = torch.tensor([len(row[0]) for row in rows])
        attention = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        weights = torch.tensor([row[2] for row in rows])[:, None].expand(ids.shape)
        return {"ids": ids, "attention": attention, "wanted": wanted, "weights": weights}

    def batches(self, items: Sequence[dict[str, int]]) -> list[Batch]:
        """Many items in batches of sentences of similar length."""
        groups = batches([len(self.encoding.ids[item["sentence"]]) for item in items])
        return [self([items[index] for index in group]) for group in groups]

    def _row(self, sentence: int, draw: int) -> tuple[Tokens, Tokens, float]:
        ids = torch.from_numpy(self.encoding.ids[sentence])
        targets = ids.masked_fill(~torch.from_numpy(self.encoding.measured[sentence]), LEFT_OUT)
        random, mask = np.random.default_rng([self.seed, sentence, draw]), self.tokenizer.mask_token_id
        match self.objective:
            case "causal":  # predict each token from those before it
                return ids, torch.cat([targets[1:], targets.new_full((1,), LEFT_OUT)]), 1.0
            case "masked":  # predict hidden tokens from all others, with a fixed share of them hidden as in BERT
                shares = {"share": self.hidden, "replaced": self.replaced, "kept": self.kept}
                return *hide(ids, targets, random, mask=mask, types=self.types, **shares), 1.0
            case "diffusion":  # the same with any share of them hidden as in LLaDA
                return hide_at_rate(ids, targets, random, rate=self._rate(draw), mask=mask)
            case "permuted":  # predict another token in its place, by a permutation of the vocabulary drawn once
                return ids, self._permutation[ids].masked_fill(targets == LEFT_OUT, LEFT_OUT), 1.0
            case "recoverability":  # predict each token from its own state
                return ids, targets, 1.0
        raise ValueError(f"there is no objective {self.objective!r}")

    def _rate(self, draw: int) -> float:
        """Uniform in (0, 1]; each draw of a batch falls into a different one of equal parts."""
        random = np.random.default_rng([self.seed, draw // self.batch])
        return (random.permutation(self.batch)[draw % self.batch] + 1 - random.random()) / self.batch

    @cached_property
    def _permutation(self) -> Tokens:
        return torch.randperm(self.types, generator=torch.Generator().manual_seed(self.seed))


class Learner(nn.Module):
    """A network whose forward pass returns the weighted mean surprisal of the targets, in nats.

    The weights of a diffusion sentence sum to its number of tokens: its loss is the bound on -log p, per token.
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
    def bits_per_token(self, batches: Sequence[Batch]) -> float:
        """The weighted mean surprisal over several batches, in bits."""
        device = self.network.device
        parts = [self._costs(**{name: part.to(device) for name, part in batch.items()}) for batch in batches]
        total, weight = (torch.stack(part).double().sum().item() for part in zip(*parts, strict=True))
        return total / weight / math.log(2)

    def _costs(self, ids: Tensor, attention: Tensor, wanted: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        states = self.network.base_model(input_ids=ids, attention_mask=attention).last_hidden_state
        where = wanted != LEFT_OUT
        scores = self.network.lm_head(states[where]).float()
        surprisals = nn.functional.cross_entropy(scores, wanted[where], reduction="none")
        return (weights[where] * surprisals).sum(), weights[where].sum()
