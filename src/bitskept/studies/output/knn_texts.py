"""The texts of a kNN-LM: those of a corpus as states that predict their tokens, and those that it writes itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.likelihood import answers
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.surprisal import CHUNK
from bitskept.instruments.states import PORTION, TOKEN_BUDGET, Encoding, cut_as_planned, encode, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.output import neighbours
from bitskept.studies.output.neighbours import Store

Ids = Int[np.ndarray, " _token"]
SPECIAL = 2
"""Room for the special tokens that a tokenizer puts around a text."""


@dataclass(frozen=True)
class Predicted:
    """Tokens of some texts (`text` and `position` count from 0), and the states that predict them."""

    states: Float[Tensor, "token dim"]
    tokens: Int[Tensor, " token"]
    text: Int[np.ndarray, " token"]
    position: Int[np.ndarray, " token"]


def read(model: LanguageModel, corpus: str, longest: int, seed: int) -> Iterator[Ids]:
    """The texts of a corpus in the order drawn by the seed, as at most `longest` tokens each."""
    texts = corpora.load(corpus, seed=seed)["text"]
    for start in range(0, len(texts), PORTION):
        with cut_as_planned():
            encoding = encode(model, texts[start : start + PORTION], longest=longest + SPECIAL)
        yield from (encoding.tokens(place)[:longest] for place in range(len(encoding)))


def long_texts(texts: Iterator[Ids], number: int, length: int) -> list[Ids]:
    """The next texts of `length` tokens. ValueError if there are too few."""
    rows: list[Ids] = []
    for ids in texts:
        rows += [ids] if len(ids) == length else []
        if len(rows) == number:
            return rows
    raise ValueError(f"{number} texts of {length} tokens or more were asked for, and there are {len(rows)}: take fewer")


def predicted(model: LanguageModel, rows: list[Ids], progress: str | None = None) -> Predicted:
    """All tokens of these texts, each after a start token. ValueError for a model without one."""
    [start] = answers.read_prompts(model, [None])
    whole = [np.concatenate([start[-1:], ids]) for ids in rows]
    encoding = Encoding(whole, [np.ones(len(ids), dtype=bool) for ids in whole], 0)
    parts = []
    for batch in stream(model, encoding, range(len(whole)), layers=(model.layers,), progress=progress):
        last = torch.tensor([len(whole[text]) - 1 for text in batch.sentences.tolist()], device=model.device)
        used = batch.positions < last
        facts = batch.tokens.roll(-1), batch.sentences, batch.positions
        parts.append((batch.states[0][used].cpu(), *(values[used].cpu() for values in facts)))
    states, tokens, text, position = (torch.cat(part) for part in zip(*parts, strict=True))
    return Predicted(states, tokens, text.numpy(), position.numpy())


def store_of(model: LanguageModel, texts: Iterator[Ids], places: int, progress: str | None = None) -> Store:
    """The store of the first texts that have so many tokens together. ValueError if all of them have fewer."""
    rows, tokens = [], 0
    while tokens < places:
        if (ids := next(texts, None)) is None:
            raise ValueError(f"a store of {places} tokens was asked for, and the texts have {tokens}: take fewer")
        rows.append(ids)
        tokens += len(ids)
    read_rows = predicted(model, [ids for ids in rows if len(ids)], progress)
    return Store(read_rows.states, read_rows.tokens).first(places)


@dataclass(frozen=True)
class Writer:
    """A kNN-LM that draws from the distribution (1 - weight) p + weight p_r, or from its `nucleus`: of its likeliest
    tokens, as few as hold this mass together (Holtzman and others 2020, arXiv 1904.09751); 1 stands for the whole
    distribution.
    """

    model: LanguageModel
    head: Head
    store: Store
    neighbours: int
    temperature: float
    weight: float
    nucleus: float

    @torch.inference_mode()
    def continue_texts(self, texts: list[Ids], context: int, longest: int, seed: int) -> Predicted:
        """The first `context` tokens of each text, continued to `longest`: the tokens that were drawn."""
        [start] = answers.read_prompts(self.model, [None])
        prompts = torch.from_numpy(np.stack([np.concatenate([start[-1:], ids[:context]]) for ids in texts]))
        generator, states, drawn = torch.Generator().manual_seed(seed), [], []
        for rows in prompts.split(max(1, 2 * TOKEN_BUDGET // longest)):
            reader, seen, tokens = answers.start(self.model, rows), [], []
            for step in range(longest - context):
                if step:
                    reader.read(tokens[-1][:, None])
                seen.append(reader.last.cpu())
                tokens.append(self.draw(reader.last, generator))
            states.append(torch.stack(seen, dim=1))
            drawn.append(torch.stack(tokens, dim=1))
        number, length = len(texts), longest - context
        text, position = np.repeat(np.arange(number), length), np.tile(np.arange(context, longest), number)
        return Predicted(torch.cat(states).flatten(0, 1), torch.cat(drawn).flatten(), text, position)

    def draw(self, states: Float[Tensor, "row dim"], generator: torch.Generator) -> Int[Tensor, " row"]:
        """A token for each state."""
        own = self.head(states).float().softmax(dim=1).cpu()
        near = neighbours.nearest(self.store, states.cpu(), self.neighbours)
        retrieved = neighbours.law(near, neighbours.weights(near, self.temperature), own.shape[1])
        law = in_nucleus((1 - self.weight) * own + self.weight * retrieved, self.nucleus)
        return law.multinomial(1, generator=generator)[:, 0]


def in_nucleus(laws: Float[Tensor, "row type"], mass: float) -> Float[Tensor, "row type"]:
    """The distributions with 0 outside of their nucleus, not divided by what is left."""
    if mass >= 1:
        return laws
    ordered, order = laws.sort(dim=1, descending=True)
    inside = ordered.cumsum(1) - ordered < mass
    return torch.zeros_like(laws).scatter_(1, order, ordered * inside)


@torch.inference_mode()
def own_law(head: Head, read_rows: Predicted, device: torch.device) -> dict[str, Float[np.ndarray, " token"]]:
    """The cost of each token under the model alone, and the entropy of its distribution, in bits."""
    bits, entropies = [], []
    for states, tokens in zip(read_rows.states.split(CHUNK), read_rows.tokens.split(CHUNK), strict=True):
        laws = head(states.to(device)).float().log_softmax(-1).cpu() / np.log(2)
        bits.append(-laws.gather(1, tokens[:, None])[:, 0])
        entropies.append(-(laws.exp2() * laws).sum(1))
    return {"own_bits": torch.cat(bits).double().numpy(), "own_entropy": torch.cat(entropies).double().numpy()}
