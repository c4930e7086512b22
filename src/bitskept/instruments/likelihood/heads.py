"""The head that was trained with a network: the family's own, applied to states that are given to it.

A `LanguageModel` is a network without its head. What stands between the last states and the logits differs by family: a
transform, a scale, a cap on the logits. Instead of repeating any of it, the model with its head is called as
transformers wrote it, with a stand-in for its network that returns the given states.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.instruments.states import Encoding, stream
from bitskept.sources.contract import some_tokens
from bitskept.sources.language_model import LanguageModel
from bitskept.sources.model_checks import quiet, readable
from bitskept.sources.packages import SourceError

Head = Callable[[Float[Tensor, "token dim"]], Float[Tensor, "token vocab"]]

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""How far two logits may differ, as a share of the largest one."""


def head(model: LanguageModel) -> Head:
    """The head that was trained with a model, from the folder of its network (for an adapter: the base model's folder).

    If its head is tied to the input embeddings, those of `model` are used. On `some_tokens` the head must give
    the logits of the whole model. SourceError if it does not, and if the folder holds no head, as for encoders that
    were tuned for sentence embeddings; ValueError for random weights, and for a family that has no head of this kind.
    """
    whole = _with_head(model)
    names = (name for name, module in whole.named_modules() if type(module) is type(model.network))
    if (name := next(names, None)) is None:
        raise SourceError(
            f"the network of {model.id} is a {type(model.network).__name__}, and its head belongs to a "
            f"{type(whole).__name__}, which has no such part, so it gives no likelihoods: leave them out"
        )
    narrowed = getattr(getattr(whole.get_submodule(name), "decoder", None), "project_out", None)
    tied = _is_tied(whole)
    whole.set_submodule(name, model.network)
    if tied:
        whole.tie_weights()
    if narrowed is not None:  # OPT-350m's map to the width of its embeddings, which is taken off its network
        whole.lm_head = torch.nn.Sequential(narrowed, whole.lm_head)
    ids = np.array(some_tokens(model))
    options = {"input_ids": torch.from_numpy(ids)[None].to(model.device), "return_dict": True}
    options |= {"use_cache": False} if model.kind == "decoder" else {}  # some caches fail without earlier tokens
    with (
        readable(f"{len(ids)} tokens with {model.id} and its head", "leave its likelihoods out"),
        torch.inference_mode(),
    ):
        logits, output = whole(**options).logits[0], model.network(**options)
    whole.set_submodule(name, stand_in := _GivenStates(model.network, output))

    def apply(states: Float[Tensor, "token dim"]) -> Float[Tensor, "token vocab"]:
        stand_in.states = states[None]
        return whole(input_ids=states.new_zeros(1, len(states), dtype=torch.long), return_dict=True).logits[0]

    _check(model, apply, ids, logits)
    return apply


def _is_tied(whole: torch.nn.Module) -> bool:
    """Whether a head has the input embeddings as its weights. Files may hold another one, whatever the configuration
    says, and transformers then takes it.
    """
    last = getattr(whole.get_output_embeddings(), "weight", None)
    return last is None or last.data_ptr() == whole.get_input_embeddings().weight.data_ptr()


def _with_head(model: LanguageModel) -> torch.nn.Module:
    """The network in the folder of a model's network, with its head."""
    import transformers

    if model.seed is not None:
        raise ValueError(f"{model.id} has random weights, and a head that was trained says nothing about them")
    decoder = model.kind == "decoder"
    what = "next" if decoder else "masked"
    families = transformers.MODEL_FOR_CAUSAL_LM_MAPPING if decoder else transformers.MODEL_FOR_MASKED_LM_MAPPING
    if type(model.network.config) not in families:
        raise ValueError(
            f"{model.id} is {'a decoder' if decoder else 'an encoder, whose states depend on later tokens'}, and its "
            f"family ({model.network.config.model_type}) has no head to predict {what} tokens with, so it gives no "
            "likelihoods and no minimal pairs: leave them out"
        )
    folder = model.network.name_or_path
    auto = transformers.AutoModelForCausalLM if decoder else transformers.AutoModelForMaskedLM
    with quiet():  # missing weights are reported below
        whole, report = auto.from_pretrained(
            folder, dtype=model.dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    # transformers would fill missing weights with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise SourceError(
            f"{model.id} has no head to predict {what} tokens with ({folder} lacks {missing[0]}), so it gives no "
            "likelihoods and no minimal pairs: leave them out, or take a model that was published with its head"
        )
    return whole.to(model.device).eval()


@torch.inference_mode()
def _check(model: LanguageModel, head: Head, ids: np.ndarray, logits: Float[Tensor, "token vocab"]) -> None:
    """SourceError unless the head gives these logits at the states that `states.stream` gives for these tokens."""
    encoding = Encoding([ids], [np.ones(len(ids), dtype=bool)], 0)
    [batch] = stream(model, encoding, [0], layers=(model.layers,))
    difference = (head(batch.states[0]).float() - logits.float()).abs().max() / logits.float().abs().max()
    if not difference <= TOLERANCE[model.dtype]:
        raise SourceError(
            f"the head of {model.id}, given the states of its last layer, does not give the logits of the whole model: "
            f"they differ by {float(difference):.2g} of the largest one; its likelihoods would be wrong: leave them out"
        )


class _GivenStates(torch.nn.Module):
    """Takes the place of a network in front of its head, and returns given `states` as the last ones. The rest of its
    output, such as the choices of experts, is what the network returned for other tokens: no logit depends on it.
    """

    states: Tensor

    def __init__(self, network: torch.nn.Module, output: object) -> None:
        super().__init__()
        self.network, self.output = network, output

    @property
    def decoder(self) -> torch.nn.Module:
        return self  # OPT calls this part of its network

    def __getattr__(self, name: str) -> object:  # some heads use the network's embeddings, or a scale that it holds
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, *_: object, **__: object) -> object:
        output = copy.copy(self.output)
        output.last_hidden_state = self.states
        return output
