"""The probabilities that a decoder gives to the tokens of an answer after a prompt: log2 p, token by token.

Prompt and answer are tokenised separately and then joined, so an answer has the same tokens after every prompt. What
separates the two, such as a space, belongs at the beginning of the answer, where one text of both would have it
(`warn_of_seams`). A prompt is read once, whatever the number of answers: the decoder's cache (keys and values of
attention, or the state of a state-space model) is repeated for each answer of a batch. Answers are padded at the end,
where no earlier token of a decoder can see the padding, so neither masks nor shifted positions are needed, and the
tokenizer's padding side does not matter.
"""

import copy
import warnings
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.surprisal import start_tokens, token_surprisals
from bitskept.instruments.states import TOKEN_BUDGET, batches
from bitskept.sources.contract import some_tokens
from bitskept.sources.language_model import AFTER_BLOCKS, LanguageModel

Ids = Int[np.ndarray, " _token"]

ROUNDED = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 5e-3}
"""The largest distance of two states, as a share of their length, that rounding explains. An alarm costs only time."""
_CONTINUES: weakref.WeakKeyDictionary[torch.nn.Module, bool] = weakref.WeakKeyDictionary()


def read_prompts(model: LanguageModel, prompts: Sequence[str | None], *, context: int | None = None) -> list[Ids]:
    """Prompts as token ids: `surprisal.start_tokens`, then the last `context` tokens of the prompt (default: all). For
    None, the start tokens.

    ValueError for a prompt without tokens, a negative context, and a model without a start token: its first token would
    have no context.
    """
    if context is not None and context < 0:
        raise ValueError(f"context must be a number of tokens, 0 or more, but is {context}")
    if not (start := start_tokens(model)):
        raise ValueError(f"the tokenizer of {model.id} has no start token, so there is nothing to predict from")
    rows = []
    for number, prompt in enumerate(prompts):
        ids = np.empty(0, dtype=np.int64) if prompt is None else _tokens(model, prompt)
        if prompt is not None and not len(ids):
            raise ValueError(f"prompt {number} is empty: leave it out, or give None for an answer without a prompt")
        last = ids if context is None else ids[max(0, len(ids) - context) :]
        rows.append(np.concatenate([np.asarray(start, dtype=np.int64), last]))
    return rows


def read_answers(model: LanguageModel, answers: Sequence[str], *, length: int | None = None) -> list[Ids]:
    """The first `length` tokens of each answer, without special tokens. ValueError for an answer without tokens."""
    if length is not None and length < 1:
        raise ValueError(f"length must be a number of tokens, 1 or more, but is {length}")
    # Some tokenizers begin every text with a space. That of an answer is the one that separates it from its prompt.
    adds_space = _tokens(model, "a a").tolist() == 2 * _tokens(model, "a").tolist()
    rows = [_tokens(model, answer.removeprefix(" ") if adds_space else answer)[:length] for answer in answers]
    if empty := [number for number, ids in enumerate(rows) if not len(ids)]:
        raise ValueError(f"answer {empty[0]} is empty: leave it out")
    return rows


def warn_of_seams(model: LanguageModel, prompts: Sequence[str], answers: Sequence[str]) -> None:
    """A warning if answers do not continue their prompts as one text would: together the two would be other tokens (a
    prompt that ends in a space), or there is nothing between two words. Such an answer costs far too many bits.
    """
    seams = []
    for prompt, answer, ids in zip(prompts, answers, read_answers(model, answers), strict=True):
        apart = np.concatenate([_tokens(model, prompt), ids])
        within_word = _in_word(prompt[-1:]) and _in_word(answer[:1])
        if within_word or not np.array_equal(apart, _tokens(model, prompt + answer)):
            seams.append(f"{prompt[-20:]!r} with {answer[:20]!r}")
    if seams:
        message = (
            f"{len(seams)} of {len(answers)} answers do not continue their prompts as one text would, the first one "
            f"{seams[0]}: what separates the two, such as a space, belongs at the beginning of the answer"
        )
        warnings.warn(message, stacklevel=2)


def _in_word(letter: str) -> bool:
    """Whether it is a digit, or a letter of a script with capital letters (others may put no space between words)."""
    return letter.isdigit() or letter.lower() != letter.upper()


def _tokens(model: LanguageModel, text: str) -> Ids:
    return np.asarray(model.tokenize(text, add_special_tokens=False)["input_ids"], dtype=np.int64)


def check_room(model: LanguageModel, pairs: Iterable[tuple[Ids, Ids]]) -> None:
    """ValueError if a prompt (with its start token) and an answer together have more tokens than the model takes."""
    start = len(start_tokens(model))
    for prompt, answer in pairs:
        if len(prompt) + len(answer) > model.longest:
            raise ValueError(
                f"a prompt of {len(prompt) - start} tokens and an answer of {len(answer)} are more than the "
                f"{model.longest - start} that {model.id} takes after its start: read fewer of them (context, length)"
            )


def log2_probabilities(
    model: LanguageModel, head: Head, prompt: Ids, answers: Sequence[Ids]
) -> list[Float[np.ndarray, " _token"]]:
    """log2 p of each token of the answers given one prompt and the tokens before it, in bits (so at most 0).

    The prompt is from `read_prompts`, the answers are from `read_answers`.
    """
    scored = [np.empty(0)] * len(answers)
    for rows, states in Context(model, prompt).states(answers):
        for row, row_states in zip(rows, states, strict=True):
            targets = torch.from_numpy(answers[row]).to(row_states.device)
            scored[row] = -token_surprisals(head, row_states[: len(targets)], targets)
    return scored


@dataclass
class Reader:
    """Texts of one length that a decoder reads side by side: their `ids` so far, its `last` states, which predict the
    next tokens, and its cache, the `memory`. That is None for a model without a cache, or with one that does not give
    the states of a pass over all tokens: these are then read again.
    """

    model: LanguageModel
    ids: Int[Tensor, "row token"]
    last: Float[Tensor, "row dim"]
    memory: object

    def read(self, ids: Int[Tensor, "row token"]) -> Float[Tensor, "row token dim"]:
        """The last layer's states at these tokens, which come next in each text."""
        self.ids, cached = torch.cat([self.ids, ids], dim=1), self.memory is not None
        states, self.memory = advance(self.model, ids if cached else self.ids, self.memory, cached=cached)
        self.last = states[:, -1]
        return states[:, -ids.shape[1] :]

    def copy(self, rows: Int[Tensor, " copy"]) -> "Reader":
        """Another reader at the same place of these texts, which may be the same ones several times."""
        memory = copy.deepcopy(self.memory)
        if memory is not None:
            memory.reorder_cache(rows.to(self.model.device))
        return Reader(self.model, self.ids[rows], self.last[rows], memory)


def start(model: LanguageModel, ids: Int[Tensor, "row token"]) -> Reader:
    """A reader of these beginnings of texts."""
    states, memory = advance(model, ids, cached=continues(model))
    return Reader(model, ids, states[:, -1], memory)


class Context:
    """A decoder that has read some tokens, ready to predict answers."""

    def __init__(self, model: LanguageModel, ids: Ids) -> None:
        self.model, self.ids, self._reader = model, ids, start(model, torch.from_numpy(ids)[None])

    def states(self, answers: Sequence[Ids]) -> Iterator[tuple[list[int], Float[Tensor, "answer token dim"]]]:
        """Batches of answers: their indices and, for each token, the state that predicts it: the last layer's
        state at the token before. For shorter answers of a batch, the last states are padding.
        """
        for rows in batches([len(self.ids) + len(ids) for ids in answers], TOKEN_BUDGET):
            width = max(len(answers[row]) for row in rows)
            before = torch.full((len(rows), width - 1), self.model.tokenizer.pad_token_id)
            for place, row in enumerate(rows):
                before[place, : len(answers[row]) - 1] = torch.from_numpy(answers[row][:-1])
            states = self._reader.last.expand(len(rows), 1, -1)
            if width > 1:
                reader = self._reader.copy(torch.zeros(len(rows), dtype=torch.long))
                states = torch.cat([states, reader.read(before)], dim=1)
            yield rows, states


def continues(model: LanguageModel) -> bool:
    """Whether the states that follow a cache are those of a pass over all tokens, for several tokens at once and one by
    one. In some families they are not: transformers' Mamba and Jamba continue only with single tokens, Bamba with none,
    and RecurrentGemma has no cache to start with unless a layer has attention.
    """
    if model.network not in _CONTINUES:
        ids = torch.tensor([some_tokens(model)])
        read = ids.shape[1] // 2
        whole = advance(model, ids, cached=False)[0][:, read:]
        try:
            memory = advance(model, ids[:, :read])[1]
            at_once, one_by_one = advance(model, ids[:, read:], copy.deepcopy(memory))[0], []
            for place in range(read, ids.shape[1]):
                state, memory = advance(model, ids[:, place : place + 1], memory)
                one_by_one.append(state)
        except Exception:  # whatever a family raises where its cache does not work
            _CONTINUES[model.network] = False
        else:
            away = torch.cat([at_once - whole, torch.cat(one_by_one, dim=1) - whole])
            _CONTINUES[model.network] = bool((away.norm(dim=-1) <= ROUNDED[model.dtype] * whole.norm(dim=-1)).all())
    return _CONTINUES[model.network]


@torch.inference_mode()
def advance(
    model: LanguageModel, ids: Int[Tensor, "row token"], memory: object = None, *, cached: bool = True
) -> tuple[Float[Tensor, "row token dim"], object]:
    """The states of a decoder's last layer at tokens that follow those in the cache `memory`, and the cache of all
    tokens.

    The given cache is changed. It is None for families without one, and unless `cached`.
    """
    name = "cache_params" if model.network.config.model_type in AFTER_BLOCKS else "past_key_values"
    options = {} if memory is None else {name: memory}
    output = model.network(input_ids=ids.to(model.device), use_cache=cached, **options)
    return output.last_hidden_state, getattr(output, name, None) if cached else None
