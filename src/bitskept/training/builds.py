"""Networks that have not learned anything yet: transformers' own classes, equal in size, that differ in one thing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import transformers

FAMILIES = {
    "llama": "norm before each part, rotary positions, gated feed-forward; with both-sided attention: EuroBERT",
    "roberta": "norm after each part, learned positions, a norm after the embeddings, feed-forward without a gate",
    "roberta-prelayernorm": "the same with the norm before each part, and one after the last",
    "mamba2": "no attention: a state-space model, two blocks for each of the others' layers",
}
CLASSES = {
    ("llama", True): "LlamaForCausalLM",
    ("llama", False): "EuroBertForMaskedLM",
    ("roberta", True): "RobertaForCausalLM",
    ("roberta", False): "RobertaForMaskedLM",
    ("roberta-prelayernorm", True): "RobertaPreLayerNormForCausalLM",
    ("roberta-prelayernorm", False): "RobertaPreLayerNormForMaskedLM",
    ("mamba2", True): "Mamba2ForCausalLM",
}
CHUNK = 32
"""Positions that a state-space model takes at once in training: about a sentence."""


@dataclass(frozen=True)
class Build:
    """The size of a network and its family, one of FAMILIES. Embeddings and head share their weights.

    Of one family, the causal network and the both-sided one have the same weights and, from one seed, the same numbers
    in them. Between families the number of weights is about the same: a feed-forward without a gate is half as wide
    again, and there are two state-space blocks for a layer, each of whose heads keeps `state` numbers a channel.
    `initial` is the standard deviation of the first weights; in "mamba2" that of the embeddings and of what leads into
    a block only. What leads out of it is scaled down by the root of the number of blocks, which a random copy of a
    saved one (`models.load` with a seed) is not: to measure untrained networks, take step 0 of twins.
    """

    family: str = "llama"
    width: int = 192
    depth: int = 6
    heads: int = 4
    feed_forward: int = 512
    state: int = 32
    initial: float = 0.02

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"there is no family {self.family!r}: choose one of {', '.join(FAMILIES)}")
        for name in ("width", "depth", "heads", "feed_forward", "state"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.width % (2 * self.heads):  # rotary positions turn pairs
            raise ValueError(f"a width of {self.width} does not fall into {self.heads} heads of an even size")
        if not self.initial > 0:
            raise ValueError(f"the initial scale must be above 0, but is {self.initial}")


def network(
    build: Build, tokenizer: transformers.PreTrainedTokenizerBase, *, causal: bool, seed: int
) -> transformers.PreTrainedModel:
    """A network with its head, its weights drawn from the seed; the global random state stays as it was.

    It takes as many tokens as the tokenizer lets through. ValueError for a family that has no both-sided form.
    """
    if (build.family, causal) not in CLASSES:
        raise ValueError(f"{build.family} reads from left to right only: train it on the next token")
    kind = getattr(transformers, CLASSES[build.family, causal])
    options = {
        "vocab_size": len(tokenizer),
        "hidden_size": build.width,
        "num_hidden_layers": build.depth,
        "initializer_range": build.initial,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    longest = tokenizer.model_max_length
    if build.family == "mamba2":
        inner = {"num_heads": build.heads, "head_dim": 2 * build.width // build.heads, "state_size": build.state}
        options |= inner | {"num_hidden_layers": 2 * build.depth, "n_groups": 1, "chunk_size": CHUNK}
    elif build.family == "llama":
        options |= {"num_attention_heads": build.heads, "intermediate_size": build.feed_forward}
        options |= {"max_position_embeddings": longest}
        options |= {} if causal else {"mask_token_id": tokenizer.mask_token_id}
    else:
        options |= {"num_attention_heads": build.heads, "intermediate_size": build.feed_forward * 3 // 2}
        # Positions are numbered from the padding index on.
        options |= {"max_position_embeddings": longest + tokenizer.pad_token_id + 1, "type_vocab_size": 1}
        options |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "is_decoder": causal}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made = kind(kind.config_class(**options))
    if build.family == "mamba2":
        # As its authors start. transformers has an option for it, rescale_prenorm_residual, but where that is on it
        # divides loaded weights as well (5.23), so that a saved model comes back as another.
        with torch.no_grad():
            for block in made.backbone.layers:
                block.mixer.out_proj.weight /= math.sqrt(len(made.backbone.layers))
    return made
