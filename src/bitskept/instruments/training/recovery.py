"""Fine-tuning for recoverability, and its two controls: does a model understand more once its last layer can
name its tokens again?

The objective is that of the first paper: the mean of -log q(X_i | Z_theta(x)) at the last layer, over theta and q,
without labels. The head q maps a state linearly and compares it with the table of input embeddings, which is not
trained.
"""

import json
import math
import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from accelerate import PartialState
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bitskept.base.parallel import MEMORY, each_stored
from bitskept.instruments.states import Encoding, cut_as_planned, encode
from bitskept.instruments.training.masking import LEFT_OUT
from bitskept.instruments.training.objectives import Batch, Objective
from bitskept.instruments.training.schedule import Schedule, check_run, training_items
from bitskept.instruments.training.stored_runs import Run, checkpoint_folder, write_curve, write_sealed
from bitskept.sources import corpora, model_files, models
from bitskept.sources.adapters import peft_without_warnings
from bitskept.sources.language_model import LanguageModel
from bitskept.sources.loaded_files import ADAPTER
from bitskept.sources.precision import resolve_dtype

VERSION = 2
"""Raise it when the same plan would give another model or curve."""
ARMS = ("recoverability", "continued", "permuted", "mask only", "sentence")
"""Predict each token from its own state; two controls: continue pre-training (hidden tokens of an encoder by BERT's
rule, next tokens of a decoder), or predict another token in its place; continue an encoder with every hidden token
replaced by the mask; and predict each token of a sentence from the mean of the sentence's states."""
TILE = 256
"""The number of states that are compared with the whole vocabulary at once."""


@dataclass(frozen=True)
class Plan:
    """One run: the model, its objective and its text.

    Of the corpus, in the order drawn by `text_seed`, training leaves out the first `held_out` sentences, for
    measurements, and takes the `sentences` that follow; the learning curve is measured on the last `curve` of those
    held out. `seed` draws the order of the data, the hidden tokens, the permutation, the negatives and the initial
    values of added weights. `rank` is LoRA's, in every linear map of the network; 0 trains all weights. `hidden` is the
    share of an encoder's tokens that "continued" and "mask only" hide. `negatives` random types stand for all types
    that are not in a batch. The model is kept after the steps `checkpoints` as well, and the learning curve is measured
    there.
    """

    model: str
    arm: str
    corpus: str
    schedule: Schedule
    sentences: int
    held_out: int
    curve: int = 100
    longest: int = 64
    rank: int = 16
    negatives: int = 2048
    hidden: float = 0.15
    text_seed: int = 0
    seed: int = 0
    dtype: str = "auto"
    checkpoints: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.arm not in ARMS:
            raise ValueError(f"there is no arm {self.arm!r}: choose one of {', '.join(ARMS)}")
        check_run(self.curve, self.held_out, self.hidden)
        if wrong := [step for step in self.checkpoints if not 1 <= step <= self.schedule.steps]:
            raise ValueError(f"a checkpoint is at one of the steps 1 to {self.schedule.steps}, not {wrong[0]}")

    @property
    def early(self) -> list[int]:
        """The checkpoints before the last step, in order."""
        return sorted(set(self.checkpoints) - {self.schedule.steps})


@dataclass(frozen=True)
class Tuned:
    """A tuned model: `id` for `models.load` and all measurements, `ids` of its checkpoints and of the last model by
    step, and its learning `curve`.

    Columns of the curve: model (the base), arm, seed, step, quantity, estimate, unit. Quantities: `named`, the share of
    held-out targets that rank first in the whole vocabulary, and `cross_entropy`, their mean surprisal; for the arm
    "recoverability" these are measured at its last layer, by its head, and for "sentence" from the mean of a sentence.
    `masked_cross_entropy`, where an encoder's tokens are hidden, is that of the same hidden tokens if each is replaced
    by the mask, whatever the arm. `loss` is the objective on the batches, sampled.
    """

    id: str
    curve: pd.DataFrame
    ids: dict[int, str]


def tune(plan: Plan, *, accept_terms: Collection[str] = ()) -> Tuned:
    """The tuned model of a plan, trained now if it is missing. A run that was killed is continued.

    Errors as `loop.train`, `models.load` and `corpora.load`; SourceError where the tuned model is damaged.
    """
    model_files.fetch(plan.model, accept_terms=accept_terms)
    run = _run(plan)

    def train(folder: Path) -> None:
        model = models.load(plan.model, accept_terms=accept_terms)
        texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
        fine_tune(model, texts, plan, folder, bfloat16=run.key["dtype"] == "bfloat16")

    ids = {step: f"{run.id}/step-{step}" for step in plan.early} | {plan.schedule.steps: run.id}
    return Tuned(run.id, run.curve(train).assign(model=plan.model, arm=plan.arm, seed=plan.seed), ids)


def tune_each(plans: Sequence[Plan], *, accept_terms: Collection[str] = ()) -> list[Tuned]:
    """`tune` for several plans, side by side, the most expensive first."""
    names = {plan.model for plan in plans}
    weights = {model: models.number_of_weights(model, accept_terms=accept_terms) for model in names}
    return each_stored(
        partial(tune, accept_terms=accept_terms),
        plans,
        is_stored=is_tuned,
        cost=lambda plan: weights[plan.model] * plan.schedule.steps,
        # Weights, gradients and two moments of each, four bytes, and half of that again for what passes through. Two
        # runs of SmolLM2 side by side took 12 GB.
        memory=lambda plan: MEMORY + 24 * weights[plan.model],
        progress="tuning",
    )


def is_tuned(plan: Plan) -> bool:
    """Whether the tuned model of a plan exists. Its base model must exist."""
    return _run(plan).is_finished()


def _run(plan: Plan) -> Run:
    corpora.fetch(plan.corpus)
    key = asdict(plan) | {
        "dtype": resolve_dtype(plan.dtype),
        "base": model_files.fingerprint(plan.model),
        "text": corpora.fingerprint(plan.corpus),
    }
    arm = plan.arm.replace(" ", "-")
    return Run("fine_tuning", VERSION, key, f"tuned/{Path(plan.model).name}-{arm}-{plan.seed}")


def fine_tune(model: LanguageModel, texts: Sequence[str], plan: Plan, target: Path, *, bfloat16: bool = False) -> None:
    """Tune a model, whose network is changed, and write it to the folder `target`: an adapter, or all weights. The
    checkpoints are in its folders `step-N`.

    The caller holds the lock of the folder. Errors as `tune`.
    """
    from bitskept.instruments.training.loop import train

    with cut_as_planned():
        encoding = encode(model, texts, longest=plan.longest)
    usable = [sentence for sentence in range(len(encoding)) if encoding.measured[sentence].sum() > 1]
    training = [sentence for sentence in usable if sentence >= plan.held_out]
    held_out = [sentence for sentence in usable if plan.held_out - plan.curve <= sentence < plan.held_out]
    arm_objective = objective(model, encoding, plan)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(plan.seed)
        module = Recovery(model, plan)
    items = [{"sentence": sentence, "draw": 0} for sentence in held_out]
    curve_batches, hides = arm_objective.batches(items), arm_objective.objective == "masked"
    all_masked = replace(arm_objective, replaced=0.0, kept=0.0).batches(items)
    kept = {step: checkpoint_folder(target) / f"step-{step}" for step in plan.early}
    processes = PartialState()

    def measure() -> dict[str, float]:
        others = {"masked_cross_entropy": module.answers(all_masked)["cross_entropy"]} if hides else {}
        return module.answers(curve_batches) | others

    def keep(step: int) -> None:
        if step in kept and processes.is_main_process and not kept[step].exists():
            write_sealed(kept[step], lambda folder: _save(module.network, model, plan, folder))

    log = train(
        module,
        training_items(encoding, training, plan.schedule, seed=plan.seed),
        arm_objective,
        plan.schedule,
        checkpoint_folder(target),
        seed=plan.seed,
        bfloat16=bfloat16,
        measure=measure,
        measure_at=plan.early,
        at_step=keep,
    )

    def write(folder: Path) -> None:
        _save(module.network, model, plan, folder)
        write_curve(log, folder)
        for step in kept.values():
            shutil.copytree(step, folder / step.name)

    if processes.is_main_process:
        write_sealed(target, write)
    processes.wait_for_everyone()


def objective(model: LanguageModel, encoding: Encoding, plan: Plan) -> Objective:
    """The objective of an arm. ValueError for hiding tokens of a decoder or of an encoder that has no mask token, and
    for a model that does not mask the padding of a batch.
    """
    if not model.masks_padding:
        raise ValueError(
            f"{model.id} does not mask padding, and the texts of a training batch are padded to one length: tune "
            "another model"
        )
    if plan.arm == "mask only" and model.kind == "decoder":
        raise ValueError(f"{model.id} is a decoder and never sees a mask: take the arm 'continued', not 'mask only'")
    continued = "causal" if model.kind == "decoder" else "masked"
    others = {"continued": continued, "mask only": "masked", "sentence": "recoverability"}
    name = others.get(plan.arm, plan.arm)
    if name == "masked" and model.tokenizer.mask_token_id is None:
        raise ValueError(f"{model.id} has no mask token, so its pre-training cannot be continued: leave out this arm")
    options = {"types": len(model.embeddings), "hidden": plan.hidden, "batch": plan.schedule.batch, "seed": plan.seed}
    if plan.arm == "mask only":
        options |= {"replaced": 0.0, "kept": 0.0}
    return Objective(name, encoding, model.tokenizer, **options)


class Recovery(nn.Module):
    """A network with the head q: log q(x | z) = <W z, e_x> - log sum_x' exp <W z, e_x'>, and W starts as the identity.

    e_x is the input embedding of x, which no arm changes; where it is narrower than a state, W starts as the identity
    of its first dimensions. A decoder with tied embeddings that continues its
    pre-training therefore starts with its original head.
    """

    def __init__(self, model: LanguageModel, plan: Plan) -> None:
        super().__init__()
        self._negatives, self._pooled = plan.negatives, plan.arm == "sentence"
        network = model.network.requires_grad_(not plan.rank)
        self.register_buffer("table", model.embeddings.detach().clone() if not plan.rank else None, persistent=False)
        if plan.rank:
            with peft_without_warnings() as peft:
                # GPT-2 keeps the weights of its linear maps transposed; told so, peft need not find out, and warn.
                transposed = any(isinstance(module, Conv1D) for module in network.modules())
                options = {"lora_alpha": 2 * plan.rank, "target_modules": "all-linear", "fan_in_fan_out": transposed}
                network = peft.get_peft_model(network, peft.LoraConfig(r=plan.rank, **options))
        self.network = network
        self.head = nn.Linear(model.width, model.embeddings.shape[1], bias=False, device=model.device)
        nn.init.eye_(self.head.weight)

    def forward(self, ids: Tensor, attention: Tensor, wanted: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The mean surprisal of the targets, in nats, by a softmax over the batch's types and random others."""
        named, types = self._named(ids, attention, wanted)
        table = self._table()
        present, target = torch.unique(types, return_inverse=True)
        drawn = torch.randint(len(table), (self._negatives,)).to(types.device)
        others = drawn[~torch.isin(drawn, present)]
        # Each drawn type stands for this many absent ones, so that the partition function is right on average.
        stand_for = (len(table) - len(present)) / max(1, len(others))
        scores = torch.cat([named @ table[present].T, named @ table[others].T + math.log(max(stand_for, 1e-9))], dim=1)
        return {"loss": nn.functional.cross_entropy(scores.float(), target)}

    def answers(self, batches: Sequence[Batch]) -> dict[str, float]:
        """`named` (share) and `cross_entropy` (bits) of the targets, in the whole vocabulary."""
        right, bits, table = [], [], self._table().float()
        for batch in batches:
            named, types = self._named(*(batch[name].to(table.device) for name in ("ids", "attention", "wanted")))
            for part, wanted in zip(named.float().split(TILE), types.split(TILE), strict=True):
                scores = part @ table.T
                right.append(scores.argmax(1) == wanted)
                bits.append(nn.functional.cross_entropy(scores, wanted, reduction="none") / math.log(2))
        return {"named": torch.cat(right).float().mean().item(), "cross_entropy": torch.cat(bits).mean().item()}

    def _named(self, ids: Tensor, attention: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        states = self.network(input_ids=ids, attention_mask=attention).last_hidden_state
        where = wanted != LEFT_OUT
        if self._pooled:  # the targets are all tokens of a sentence, so these are the positions to average over
            means = (states * where[..., None]).sum(1) / where.sum(1, keepdim=True)
            states = means[:, None].expand_as(states)
        return self.head(states[where]), wanted[where]

    def _table(self) -> Float[Tensor, "type dim"]:
        return self.table if self.table is not None else self.network.get_input_embeddings().weight


def _save(network: nn.Module, model: LanguageModel, plan: Plan, folder: Path) -> None:
    if not plan.rank:
        network.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return
    network.peft_config["default"].base_model_name_or_path = plan.model
    network.save_pretrained(folder, save_embedding_layers=False)
    # peft keeps the names of the changed maps as a set: sorted, the same run gives the same file.
    path = folder / ADAPTER
    description = json.loads(path.read_text("utf-8"))
    description["target_modules"] = sorted(description["target_modules"])
    path.write_text(json.dumps(description, indent=1), "utf-8")
