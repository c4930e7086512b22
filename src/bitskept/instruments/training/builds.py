"""Untrained networks of different architectures: transformers' classes, nearly equal in size."""

import math
from dataclasses import dataclass

import torch
import transformers

from bitskept.instruments.measurement import at_least

CLASSES = {
    # Norm before each part, rotary positions, gated feed-forward. Both-sided, it is EuroBERT.
    ("llama", True): "LlamaForCausalLM",
    ("llama", False): "EuroBertForMaskedLM",
    # Norm after each part, learned positions, a norm after the embeddings, feed-forward without a gate.
    ("roberta", True): "RobertaForCausalLM",
    ("roberta", False): "RobertaForMaskedLM",
    # The same with the norm before each part, and one after the last.
    ("roberta-prelayernorm", True): "RobertaPreLayerNormForCausalLM",
    ("roberta-prelayernorm", False): "RobertaPreLayerNormForMaskedLM",
    # No attention: a state-space model, with two blocks for each layer of the others.
    ("mamba2", True): "Mamba2ForCausalLM",
}
"""By family, and whether attention is causal."""
CHUNK = 32
"""Positions that a state-space model takes at once in training: about a sentence."""


@dataclass(frozen=True)
class Build:
    """The family and the size of a network.

    Within a family, the causal and the both-sided network have the same weights with the same initial values. Families
    differ little in their number of weights: a feed-forward without a gate is half as wide again. `initial` is the
    standard deviation of the initial weights; in "mamba2", whose heads have `state` numbers per channel, only that of
    the embeddings and of the maps into a block. The maps out of a block are divided by the root of the number of
    blocks, which a random copy of a saved network (`models.load` with a seed) lacks: to measure untrained networks, use
    step 0 of twins.
    """

    family: str = "llama"
    width: int = 192
    depth: int = 6
    heads: int = 4
    feed_forward: int = 512
    state: int = 32
    initial: float = 0.02

    def __post_init__(self) -> None:
        if self.family not in (families := {family for family, _ in CLASSES}):
            raise ValueError(f"there is no family {self.family!r}: choose one of {', '.join(sorted(families))}")
        at_least(self, width=1, depth=1, heads=1, feed_forward=1, state=1)
        if self.width % (2 * self.heads):  # rotary positions turn pairs
            raise ValueError(f"a width of {self.width} cannot be split into {self.heads} heads of an even size")
        if not self.initial > 0:
            raise ValueError(f"the initial scale must be above 0, but is {self.initial}")


@dataclass(frozen=True)
class Vocabulary:
    """What a network asks of a tokenizer, for a language that needs none: `types` tokens, then a mask and a padding
    token, and the length of the longest sentence.
    """

    types: int
    model_max_length: int

    bos_token_id = eos_token_id = None

    def __len__(self) -> int:
        return self.types + 2

    @property
    def mask_token_id(self) -> int:
        return self.types

    @property
    def pad_token_id(self) -> int:
        return self.types + 1


def class_name(family: str, *, causal: bool) -> str:
    """The class in transformers. ValueError for a family that has no both-sided form."""
    if (family, causal) not in CLASSES:
        raise ValueError(f"{family} reads from left to right only: train it as causal")
    return CLASSES[family, causal]


def network(
    build: Build,
    tokenizer: transformers.PreTrainedTokenizerBase | Vocabulary,
    *,
    causal: bool,
    seed: int,
    tied: bool = True,
) -> transformers.PreTrainedModel:
    """A network with its head, its weights drawn from the seed; the global random state does not change.

    It takes as many tokens as the tokenizer allows. Unless it is `tied`, its head has a table of its own. Errors as
    `class_name`.
    """
    kind = getattr(transformers, class_name(build.family, causal=causal))
    options = {
        "vocab_size": len(tokenizer),
        "hidden_size": build.width,
        "num_hidden_layers": build.depth,
        "initializer_range": build.initial,
        "tie_word_embeddings": tied,
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
        # As in the original code. transformers has an option for it, rescale_prenorm_residual, but if that is on, it
        # divides loaded weights as well (5.23), so that a saved model is changed when it is loaded.
        with torch.no_grad():
            for block in made.backbone.layers:
                block.mixer.out_proj.weight /= math.sqrt(len(made.backbone.layers))
    return made
