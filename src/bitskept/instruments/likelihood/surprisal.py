"""The cost of a text under a model, in bits: -log2 of its probability or, for encoders, of its pseudo-likelihood.

A `LanguageModel` is a network without its head. Any function from states of the last layer to logits over the
vocabulary can serve as the head; `heads.head` gives the one that was trained with the network.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitskept.instruments.embeddings import with_special_tokens
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.text_bytes import scored_bytes
from bitskept.instruments.states import Encoding, encode, stream
from bitskept.sources.language_model import LanguageModel

CHUNK = 256
"""Tokens whose logits are held at once: for a large vocabulary they take more memory than the states."""
PORTION = 64
"""Texts whose masked copies are in memory at once."""


def surprisals(
    model: LanguageModel,
    head: Head,
    texts: Sequence[str],
    *,
    longest: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """The cost of each text: `bits`, and the `tokens` and `bytes` (in UTF-8) that were scored.

    Bits per byte, bits.sum() / bytes.sum(), can be compared between tokenizers; bits per token cannot.

    A decoder's bits are -log2 p(text): the sum over its tokens, each given those before it. The first token is given
    the `start_tokens`. Where there are none it is not scored, and is left out of `tokens` and `bytes`.

    An encoder's bits are the negative pseudo-log-likelihood of Salazar and others (2020): the sum over its tokens, each
    masked in turn and given all others. They are not a code length: the tokens of one word predict each other.

    Special tokens are not scored. Texts of more than `longest` tokens (default: the most that the model takes) are cut,
    with a warning. ValueError for an encoder without a mask token.
    """
    start = missing_start(model)
    room = model.longest - len(start)
    encoding = encode(model, texts, longest=min(longest or room, room))
    scored = encoding.measured
    if model.kind == "encoder":
        bits = _pseudo(model, head, encoding, progress)
    else:
        if not start:
            scored = [mask & (np.arange(len(mask)) > 0) for mask in scored]
        bits = _causal(model, head, encoding, scored, start, progress)
    table = {"bits": bits, "tokens": [int(mask.sum()) for mask in scored], "bytes": scored_bytes(model, texts, scored)}
    return pd.DataFrame(table).astype({"bits": float, "tokens": int, "bytes": int})


def start_tokens(model: LanguageModel) -> list[int]:
    """The tokens in front of every text: those that the tokenizer puts there, or else `missing_start`."""
    return _front(model) or missing_start(model)


def missing_start(model: LanguageModel) -> list[int]:
    """The token to put in front of a text, for a decoder whose tokenizer puts none there: the one that separated texts
    in training, <|endoftext|> if it is in the vocabulary (the start and end tokens of a chat model are those of a
    turn), else the start or the end token.

    It matters: of 1,675 minimal pairs (BLiMP) SmolLM2-135M-Instruct gets 0.76 right after <|endoftext|> and 0.72 if the
    first token is not scored; of 402 others 0.78 and 0.74, and 0.72 after its own start token, which begins a turn.
    Empty for other models, and where there is no such token.
    """
    if model.kind == "encoder" or _front(model):
        return []
    tokenizer = model.tokenizer
    fallback = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    start = tokenizer.get_vocab().get("<|endoftext|>", fallback)
    return [] if start is None or start >= len(model.embeddings) else [start]


def _front(model: LanguageModel) -> list[int]:
    """The special tokens that the tokenizer puts in front of a text; an empty text would not tell them from those that
    it puts at the end.
    """
    encoding = encode(model, ["a"])
    [ids], [places] = encoding.ids, np.nonzero(encoding.measured[0])
    return ids[: places[0]].tolist() if len(places) else []


def _causal(
    model: LanguageModel,
    head: Head,
    encoding: Encoding,
    scored: list[Bool[np.ndarray, " _length"]],
    start: list[int],
    progress: str | None,
) -> Float[np.ndarray, " text"]:
    # A token is predicted from the state of the one before it, so a first token that is scored needs one.
    ids = [np.append(start, row) if mask[:1].any() else row for row, mask in zip(encoding.ids, scored, strict=True)]
    scored = [np.append(False, mask) if mask[:1].any() else mask for mask in scored]
    whole = with_special_tokens(Encoding(ids, scored, 0))
    bits = np.zeros(len(encoding))
    for batch in stream(model, whole, range(len(whole)), layers=(model.layers,), progress=progress):
        texts = batch.sentences.cpu().numpy()
        wanted = np.concatenate([scored[text] for text in pd.unique(texts)])
        places = torch.from_numpy(np.flatnonzero(wanted)).to(batch.tokens.device)
        np.add.at(bits, texts[wanted], token_surprisals(head, batch.states[0][places - 1], batch.tokens[places]))
    return bits


def _pseudo(model: LanguageModel, head: Head, encoding: Encoding, progress: str | None) -> Float[np.ndarray, " text"]:
    mask = model.tokenizer.mask_token_id
    if mask is None:
        raise ValueError(f"the tokenizer of {model.id} has no mask token, which a pseudo-likelihood needs")
    bits = np.zeros(len(encoding))
    for start in range(0, len(encoding), PORTION):
        # One copy of a text for each measured token, which is masked in it.
        portion = range(start, min(start + PORTION, len(encoding)))
        owners = np.repeat(portion, [encoding.measured[text].sum() for text in portion])
        hidden = [
            row for text in portion for row in np.eye(len(encoding.ids[text]), dtype=bool)[encoding.measured[text]]
        ]
        ids = [np.where(row, mask, encoding.ids[text]) for text, row in zip(owners, hidden, strict=True)]
        targets = np.concatenate([encoding.tokens(text) for text in portion])
        copies = Encoding(ids, hidden, 0)
        for batch in stream(model, copies, range(len(copies)), layers=(model.layers,), progress=progress):
            which = batch.sentences.cpu().numpy()
            wanted = torch.from_numpy(targets[which]).to(batch.tokens.device)
            np.add.at(bits, owners[which], token_surprisals(head, batch.states[0], wanted))
    return bits


@torch.inference_mode()
def token_surprisals(
    head: Head, states: Float[Tensor, "token dim"], targets: Int[Tensor, " token"]
) -> Float[np.ndarray, " token"]:
    """-log2 of the probability that the head gives to each target, in bits; `CHUNK` tokens at a time."""
    parts = [
        torch.nn.functional.cross_entropy(head(part).float(), wanted, reduction="none")
        for part, wanted in zip(states.split(CHUNK), targets.split(CHUNK), strict=True)
    ]
    return torch.cat(parts).cpu().numpy().astype(float) / math.log(2)
