"""The cost of a text under a model, in bits: -log2 of its probability or, for encoders, of its pseudo-likelihood.

A `LanguageModel` is a network without its head. Any function from states of the last layer to logits over the
vocabulary can serve as the head; `head` loads the one that was trained with the network.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitskept.instruments.embeddings import with_special_tokens
from bitskept.instruments.states import Encoding, encode, stream
from bitskept.sources.models import LanguageModel
from bitskept.sources.packages import SourceError

Head = Callable[[Float[Tensor, "token dim"]], Float[Tensor, "token vocab"]]

CHUNK = 256
"""Tokens whose logits are held at once: for a large vocabulary they take more memory than the states."""
PORTION = 64
"""Texts whose masked copies are in memory at once."""


def surprisals(
    model: LanguageModel,
    head: Head,
    texts: Sequence[str],
    *,
    start: int | None = None,
    longest: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """The cost of each text: `bits`, and the `tokens` and `bytes` (in UTF-8) that were scored.

    Bits per byte, bits.sum() / bytes.sum(), can be compared between tokenizers; bits per token cannot.

    A decoder's bits are -log2 p(text): the sum over its tokens, each given those before it. The first token is given a
    start token: the one that the tokenizer puts in front of a text, or else `start`. With neither, the first token is
    not scored, and is left out of `tokens` and `bytes`.

    An encoder's bits are the negative pseudo-log-likelihood of Salazar and others (2020): the sum over its tokens, each
    masked in turn and given all others. They are not a code length: the tokens of one word predict each other.

    Special tokens are not scored. Texts of more than `longest` tokens (default: the most that the model takes) are cut,
    with a warning. ValueError for an encoder without a mask token.
    """
    room = model.longest - (model.kind == "decoder" and start is not None)
    encoding = encode(model, texts, longest=min(longest or room, room))
    scored = encoding.measured
    if model.kind == "encoder":
        bits = _pseudo(model, head, encoding, progress)
    else:
        if start is None:
            scored = [mask & (np.arange(len(mask)) > 0) for mask in scored]
        bits = _causal(model, head, encoding, scored, start, progress)
    table = {"bits": bits, "tokens": [int(mask.sum()) for mask in scored], "bytes": scored_bytes(model, texts, scored)}
    return pd.DataFrame(table).astype({"bits": float, "tokens": int, "bytes": int})


def start_token(model: LanguageModel) -> int | None:
    """The token that separated texts when a decoder was trained, to be put in front of a text: <|endoftext|> if it is
    in the vocabulary (the start and end tokens of a chat model are those of a turn), else the start or the end token.

    It matters: of 1,675 minimal pairs (BLiMP) SmolLM2-135M-Instruct gets 0.76 right after <|endoftext|> and 0.72 if the
    first token is not scored; of 402 others 0.78 and 0.74, and 0.72 after its own start token, which begins a turn.
    None for an encoder.
    """
    if model.kind == "encoder":
        return None
    tokenizer = model.tokenizer
    fallback = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return tokenizer.get_vocab().get("<|endoftext|>", fallback)


def head(model: LanguageModel) -> Head:
    """The head that was trained with a model, from the folder of its network (for an adapter: the base model's folder).

    If the model ties its head to the input embeddings, those of `model` are used. SourceError if the folder holds no
    such head, as for encoders that were tuned for sentence embeddings; ValueError for random weights.
    """
    import transformers

    if model.seed is not None:
        raise ValueError(f"{model.id} has random weights, and a head that was trained says nothing about them")
    kind = transformers.AutoModelForCausalLM if model.kind == "decoder" else transformers.AutoModelForMaskedLM
    folder = model.network.name_or_path
    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity_error()  # missing weights are reported below
    try:
        whole, report = kind.from_pretrained(
            folder, dtype=model.dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    finally:
        log.set_verbosity(level)
    # transformers would fill missing weights with random numbers.
    if missing := sorted(report["missing_keys"]):
        what = "next" if model.kind == "decoder" else "masked"
        raise SourceError(
            f"{model.id} has no head to predict {what} tokens with ({folder} lacks {missing[0]}), so it gives no "
            "likelihoods and no minimal pairs: leave them out, or take a model that was published with its head"
        )
    if whole.config.tie_word_embeddings:
        whole.get_output_embeddings().weight = model.embeddings
    setattr(whole, whole.base_model_prefix, _GivenStates())
    whole = whole.to(model.device).eval()
    return lambda states: whole(inputs_embeds=states[None]).logits[0]


class _GivenStates(torch.nn.Module):
    """Takes the place of a network's body and returns the embeddings that it is given as the last states, so that only
    the head is computed, with what belongs to it: a transform, a scale, a cap on the logits.
    """

    @property
    def decoder(self) -> torch.nn.Module:
        return self  # OPT calls this part of its body

    def forward(self, *_: object, inputs_embeds: Tensor, **__: object) -> object:
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        output = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=inputs_embeds)
        output.cache_params = None  # Mamba passes them on
        return output


def _causal(
    model: LanguageModel,
    head: Head,
    encoding: Encoding,
    scored: list[Bool[np.ndarray, " _length"]],
    start: int | None,
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


def scored_bytes(
    model: LanguageModel, texts: Sequence[str], scored: Sequence[Bool[np.ndarray, " _token"]]
) -> list[int]:
    """The UTF-8 bytes of the scored part of each text: from the end of the token before it to the end of its last."""
    spans = model.tokenizer(list(texts), return_offsets_mapping=True, truncation=False, verbose=False)["offset_mapping"]
    sizes = []
    for text, offsets, mask in zip(texts, spans, scored, strict=True):
        places = np.flatnonzero(mask)
        start = offsets[places[0] - 1][1] if len(places) and places[0] else 0
        sizes.append(len(text[start : offsets[places[-1]][1]].encode()) if len(places) else 0)
    return sizes
