"""Decoders on batches of logits: those that transformers has, and Mirostat."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.theory.decoding import MOST, mirostat_size

PEOPLE, ANCESTRAL = "people", "ancestral"
TOP_K, NUCLEUS, TYPICAL, TOP_H, MIROSTAT = "top-k", "nucleus", "typical", "Top-H", "Mirostat"
Logits = Float[Tensor, "text vocab"]
Cut = Callable[[None, Logits], Logits]


class Decoder:
    """Chooses from which tokens each text's next one is drawn: those that a `processor` leaves; without one, all."""

    def __init__(self, processor: Cut | None = None) -> None:
        self._processor = processor

    def cut(self, logits: Logits) -> Logits:
        """The logits, -inf for tokens that are not to be drawn."""
        return logits if self._processor is None else self._processor(None, logits)

    def told(self, surprisals: Float[Tensor, " text"]) -> None:
        """Learn the surprisals, in bits under the whole distribution, of the tokens that were drawn."""


class MirostatBatch(Decoder):
    """`theory.decoding.Mirostat` for several texts, each with its own ceiling."""

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target, self.ceilings = target, None

    def cut(self, logits: Logits) -> Logits:
        if self.ceilings is None:
            self.ceilings = torch.full((len(logits),), 2 * self.target, dtype=torch.float64)
        vocabulary = logits.shape[1]
        likeliest = logits.topk(min(MOST + 1, vocabulary)).values.double()
        ranks = torch.arange(1, likeliest.shape[1], dtype=torch.float64, device=logits.device)
        steps = ((ranks + 1) / ranks).log()
        exponents = (likeliest[:, :-1] - likeliest[:, 1:]) @ steps / (steps @ steps)
        pairs = zip(exponents.tolist(), self.ceilings.tolist(), strict=True)
        sizes = torch.tensor([mirostat_size(exponent, ceiling, vocabulary) for exponent, ceiling in pairs])
        sorted_logits = logits.topk(int(sizes.max())).values
        limits = sorted_logits.gather(1, sizes.to(logits.device)[:, None] - 1)
        return logits.masked_fill(logits < limits, -torch.inf)

    def told(self, surprisals: Float[Tensor, " text"]) -> None:
        self.ceilings = self.ceilings - (surprisals.double().cpu() - self.target)


def decoder(name: str, setting: float) -> Decoder:
    """A decoder by its name, ready for the first tokens of some texts: ancestral sampling, Mirostat with a target in
    bits, or one that transformers has. Its setting is k, a probability, or for Top-H a share of the terms.
    """
    from transformers import TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper
    from transformers.generation.logits_process import TopHLogitsWarper

    if name == MIROSTAT:
        return MirostatBatch(setting)
    if name == TOP_K:
        return Decoder(TopKLogitsWarper(int(setting)))
    cuts = {NUCLEUS: TopPLogitsWarper, TYPICAL: TypicalLogitsWarper, TOP_H: TopHLogitsWarper}
    return Decoder(None if name == ANCESTRAL else cuts[name](setting))
