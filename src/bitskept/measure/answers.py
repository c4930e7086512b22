"""What the tokens of an answer cost given a prompt: log2 of their probabilities, token by token.

A decoder reads a prompt once, whatever the number of answers: what it keeps of it (keys and values of attention, or
the state of a state-space model) is copied to every answer of a batch. Answers are padded at their end, where no token
before can see it, so neither masks nor shifted positions are needed, and the tokenizer's side of padding is not used.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from bitskept.measure.likelihood import Head, pseudo_surprisals, start_token, token_surprisals
from bitskept.measure.states import AFTER_BLOCKS, TOKEN_BUDGET, Encoding, batches
from bitskept.sources.models import LanguageModel

Ids = Int[np.ndarray, " _token"]


def log_probabilities(
    model: LanguageModel,
    head: Head,
    prompts: Sequence[str | None],
    answers: Sequence[str],
    *,
    context: int | None = None,
    length: int | None = None,
    progress: str | None = None,
) -> list[Float[np.ndarray, " _token"]]:
    """log2 p of each token of `answers[i]` given `prompts[i]` and the tokens before it, in bits (so at most 0).

    Prompt and answer are tokenised apart and joined: the answer has the same tokens whatever stands before it. What
    separates the two, a space perhaps, belongs to one of them. In front of the prompt stands what the tokenizer puts
    there, or else `likelihood.start_token`; where the prompt is None, it alone is what the answer is given. Of a prompt
    only the last `context` tokens are read, of an answer the first `length`. Answers with the same prompt are scored
    together.

    Of an encoder: log2 p of each token given the prompt and all other tokens of the answer, masked in turn
    (pseudo-log-likelihood, Salazar and others 2020). It is no probability of the answer.

    ValueError for a prompt or an answer without a token (a prompt that is None has none, and may), for more tokens than
    the model takes, and for a decoder without a start token, or an encoder without a mask token.
    """
    if len(prompts) != len(answers):
        raise ValueError(f"there are {len(prompts)} prompts and {len(answers)} answers: give each answer its prompt")
    contexts = read_prompts(model, prompts, context=context)
    targets = read_answers(model, answers, length=length)
    check_room(model, zip(contexts, targets, strict=True))
    if model.kind == "encoder":
        return _pseudo(model, head, contexts, targets, progress)
    found: list[Float[np.ndarray, " _token"]] = [np.empty(0)] * len(answers)
    shared: dict[bytes, list[int]] = {}
    for row, ids in enumerate(contexts):
        shared.setdefault(ids.tobytes(), []).append(row)
    for rows in tqdm(shared.values(), desc=progress, unit="prompt", disable=progress is None, leave=False):
        scored = given(model, head, contexts[rows[0]], [targets[row] for row in rows])
        for row, values in zip(rows, scored, strict=True):
            found[row] = values
    return found


def read_prompts(model: LanguageModel, prompts: Sequence[str | None], *, context: int | None = None) -> list[Ids]:
    """Prompts as token ids, the start token in front of the last `context` tokens. Errors as `log_probabilities`."""
    if context is not None and context < 0:
        raise ValueError(f"context must be a number of tokens, 0 or more, but is {context}")
    opening = start(model)
    found = []
    for number, prompt in enumerate(prompts):
        ids = np.empty(0, dtype=np.int64) if prompt is None else _tokens(model, prompt)
        if prompt is not None and not len(ids):
            raise ValueError(f"prompt {number} is empty: leave it out, or give None for an answer without a prompt")
        kept = ids[max(0, len(ids) - context) :] if context is not None else ids
        found.append(np.concatenate([opening, kept]))
    return found


def read_answers(model: LanguageModel, answers: Sequence[str], *, length: int | None = None) -> list[Ids]:
    """The first `length` tokens of each answer, without special tokens. ValueError for an answer without a token."""
    if length is not None and length < 1:
        raise ValueError(f"length must be a number of tokens, 1 or more, but is {length}")
    found = [_tokens(model, answer)[:length] for answer in answers]
    if empty := [number for number, ids in enumerate(found) if not len(ids)]:
        raise ValueError(f"answer {empty[0]} is empty: leave it out")
    return found


def start(model: LanguageModel) -> Ids:
    """What stands in front of a text: the tokenizer's own special tokens, else `likelihood.start_token`; one token.

    ValueError for a decoder that has none: its first token would be given nothing.
    """
    own = model.tokenizer("")["input_ids"][:1]
    known = own if own else [start_token(model)]
    if known == [None]:
        raise ValueError(f"the tokenizer of {model.id} has no start token, so there is nothing to predict from")
    return np.asarray(known, dtype=np.int64)


def check_room(model: LanguageModel, pairs: Iterable[tuple[Ids, Ids]]) -> None:
    """ValueError where a prompt (with its start token) and an answer are more tokens than the model takes."""
    room = model.longest - (len(_closing(model)) if model.kind == "encoder" else 0)
    for prompt, answer in pairs:
        if len(prompt) + len(answer) > room:
            raise ValueError(
                f"a prompt of {len(prompt) - 1} tokens and an answer of {len(answer)} are more than the {room - 1} "
                f"that {model.id} takes after a start token: read fewer of them (context, length)"
            )


def given(model: LanguageModel, head: Head, prompt: Ids, answers: Sequence[Ids]) -> list[Float[np.ndarray, " _token"]]:
    """log2 p of each token of the answers given one prompt, under a decoder; all as token ids."""
    read, found = Context(model, prompt), [np.empty(0)] * len(answers)
    for rows, states in read.states(answers):
        for row, some in zip(rows, states, strict=True):
            targets = torch.from_numpy(answers[row]).to(some.device)
            found[row] = -token_surprisals(head, some[: len(targets)], targets)
    return found


class Context:
    """A decoder that has read some tokens, and is asked for the states from which it predicts what may follow."""

    def __init__(self, model: LanguageModel, ids: Ids) -> None:
        self.model, self.ids = model, ids
        states, self.memory = advance(model, torch.from_numpy(ids)[None])
        self.last: Float[Tensor, " dim"] = states[0, -1]

    def states(self, answers: Sequence[Ids]) -> Iterator[tuple[list[int], Float[Tensor, "answer token dim"]]]:
        """In batches, the places of some answers in the list and, for each token of theirs, the state of the last layer
        at the token before it: what the head turns into the token's law. A shorter answer's last ones mean nothing.
        """
        for rows in batches([len(self.ids) + len(ids) for ids in answers], TOKEN_BUDGET):
            width = max(len(answers[row]) for row in rows)
            before = torch.full((len(rows), width - 1), self.model.tokenizer.pad_token_id)
            for place, row in enumerate(rows):
                before[place, : len(answers[row]) - 1] = torch.from_numpy(answers[row][:-1])
            first = self.last.expand(len(rows), 1, -1)
            yield rows, torch.cat([first, self._after(before)], dim=1) if width > 1 else first

    def copies(self, number: int) -> object:
        """What the model keeps of these tokens, for a batch of so many rows; None where it keeps nothing."""
        memory = copy.deepcopy(self.memory)
        if memory is not None:
            memory.reorder_cache(torch.zeros(number, dtype=torch.long, device=self.model.device))
        return memory

    def _after(self, ids: Int[Tensor, "row token"]) -> Float[Tensor, "row token dim"]:
        if self.memory is not None:
            return advance(self.model, ids, self.copies(len(ids)))[0]
        read = torch.from_numpy(self.ids).expand(len(ids), -1)
        return advance(self.model, torch.cat([read, ids], dim=1))[0][:, len(self.ids) :]


@torch.inference_mode()
def advance(
    model: LanguageModel, ids: Int[Tensor, "row token"], memory: object = None
) -> tuple[Float[Tensor, "row token dim"], object]:
    """The states of a decoder's last layer at these tokens, after those that `memory` is of (which then is of both);
    and the memory, None for a family that keeps none.
    """
    name = "cache_params" if model.network.config.model_type in AFTER_BLOCKS else "past_key_values"
    options = {} if memory is None else {name: memory}
    output = model.network(input_ids=ids.to(model.device), use_cache=True, **options)
    return output.last_hidden_state, getattr(output, name, None)


def _tokens(model: LanguageModel, text: str) -> Ids:
    return np.asarray(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=np.int64)


def _closing(model: LanguageModel) -> Ids:
    """What stands behind a text of an encoder."""
    return np.asarray(model.tokenizer("")["input_ids"][1:], dtype=np.int64)


def _pseudo(
    model: LanguageModel, head: Head, prompts: Sequence[Ids], answers: Sequence[Ids], progress: str | None
) -> list[Float[np.ndarray, " _token"]]:
    ids, measured = [], []
    for prompt, answer in zip(prompts, answers, strict=True):
        whole = np.concatenate([prompt, answer, _closing(model)])
        for place in range(len(prompt), len(prompt) + len(answer)):
            ids.append(whole)
            measured.append(np.arange(len(whole)) == place)
    bits = pseudo_surprisals(model, head, Encoding(ids, measured, 0), progress)
    return np.split(-bits, np.cumsum([len(answer) for answer in answers])[:-1])
