"""Gradient descent that can be interrupted at any time: transformers' Trainer with exact resume and a stop at
divergence.

The Trainer does accumulation, mixed precision, clipping, and several GPUs under `accelerate launch`.
"""

import random
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import PartialState
from torch import Tensor, nn

from bitskept.base.files import full_disk_explained
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources.model_checks import quiet
from bitskept.sources.seals import SEAL, broken, seal

KEPT = 2
"""Checkpoints on disk: the last one may be incomplete if the run ended while writing it."""


class Diverged(RuntimeError):
    """Training reached a gradient that is not finite."""


def train(
    module: nn.Module,
    items: Sequence[dict[str, Any]],
    collate: Callable[[list[dict[str, Any]]], dict[str, Tensor]],
    schedule: Schedule,
    folder: Path,
    *,
    seed: int,
    bfloat16: bool = False,
    measure: Callable[[], dict[str, float]] | None = None,
    measure_at: Collection[int] = (),
    at_step: Callable[[int], None] | None = None,
) -> list[dict[str, int | float]]:
    """Train a module, whose forward pass returns its loss, on `steps * batch` items. Returns the log: records of a
    measure or a mean loss, each with `step`. The measure is taken when the schedule says so, and after the steps
    `measure_at`.

    Checkpoints of the trainable weights go to `folder`. A run that was killed continues from the last complete one and
    ends, on the same machine, with the same weights as if it had not been killed, provided that `collate` depends only
    on its items. `at_step` is called with 0 before the first update and after every update. The caller's random
    state is not changed.

    Diverged where a gradient is not finite (the last good checkpoint stays); OSError (ENOSPC) where the disk is full;
    ValueError for the wrong number of items.
    """
    if len(items) != schedule.steps * schedule.batch:
        raise ValueError(f"{schedule.steps} steps of {schedule.batch} items need as many items, not {len(items)}")
    with PartialState().main_process_first():
        last = _last_whole(folder)
    with full_disk_explained(folder), _random_state_restored(), quiet():
        options = transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=schedule.steps,
            per_device_train_batch_size=_batch_of_a_process(schedule),
            gradient_accumulation_steps=schedule.accumulate,
            learning_rate=schedule.rate,
            lr_scheduler_type="cosine",
            warmup_steps=schedule.warmup,
            weight_decay=schedule.weight_decay,
            adam_beta2=schedule.beta2,
            max_grad_norm=1.0,
            bf16=bfloat16,
            seed=seed,
            train_sampling_strategy="sequential",
            save_steps=schedule.save_every,
            save_total_limit=KEPT,
            logging_steps=1,
            logging_nan_inf_filter=False,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
            ddp_find_unused_parameters=False,
        )
        trainer = _Trainer(model=module, args=options, train_dataset=items, data_collator=collate)
        trainer.measure = measure
        trainer.add_callback(_Watch(trainer, schedule.measure_every, measure_at, at_step))
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train(resume_from_checkpoint=last)
    return [record for record in trainer.state.log_history if "train_runtime" not in record]


def _last_whole(folder: Path) -> str | None:
    """The last complete checkpoint. Later ones are removed, with a warning unless they were being written."""
    paths = folder.glob("checkpoint-*")
    for checkpoint in sorted(paths, key=lambda path: int(path.name.partition("-")[2]), reverse=True):
        wrong = broken(checkpoint)
        if (checkpoint / SEAL).exists() and not wrong:
            return str(checkpoint)
        if wrong:
            warnings.warn(f"{checkpoint} is damaged ({', '.join(wrong)}): going on from the one before", stacklevel=3)
        shutil.rmtree(checkpoint)
    return None


def _batch_of_a_process(schedule: Schedule) -> int:
    """The number of items that one process takes at once."""
    processes = PartialState().num_processes
    share, rest = divmod(schedule.batch, schedule.accumulate * processes)
    if rest:
        parts = f"{schedule.accumulate} parts for each of {processes} processes"
        raise ValueError(f"a batch of {schedule.batch} items cannot be split into {parts}")
    return share


class _Trainer(transformers.Trainer):
    """Saves only the weights that it trains, and evaluates by the caller's measure."""

    measure: Callable[[], dict[str, float]] | None = None

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        weights = self.accelerator.unwrap_model(self.model).named_parameters()
        super()._save(output_dir, {name: weight.detach() for name, weight in weights if weight.requires_grad})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """RuntimeError unless a checkpoint holds the weights that are trained; others are not saved in it."""
        trained = {name for name, weight in self.model.named_parameters() if weight.requires_grad}
        if wrong := sorted(trained.intersection(load_result.missing_keys).union(load_result.unexpected_keys)):
            folder, what = self.args.output_dir, f"{len(wrong)} weights too few or too many, {wrong[0]} among them"
            raise RuntimeError(f"a checkpoint in {folder} has {what}: remove that folder, and run this again")

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        self.model.eval()
        measured = self.measure()
        self.model.train()
        self.log(dict(measured))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, measured)
        return measured


class _Watch(transformers.TrainerCallback):
    """The caller's `at_step`, and the stop before a gradient that is not finite is applied."""

    def __init__(
        self,
        trainer: _Trainer,
        measure_every: int,
        measure_at: Collection[int],
        at_step: Callable[[int], None] | None,
    ) -> None:
        self._trainer, self._measure_every, self._measure_at = trainer, measure_every, measure_at
        self._at_step = at_step or (lambda step: None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.global_step:
            if self._trainer.measure:
                self._trainer.evaluate()
            self._at_step(0)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: nn.Module, **others: Any) -> None:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        if not torch.stack([gradient.sum() for gradient in gradients]).isfinite().all():
            rate = others["lr_scheduler"].get_last_lr()[0]
            raise Diverged(
                f"training diverged at step {state.global_step + 1}: the gradient is not finite, at a learning rate "
                f"of {rate:.2g}. Lower the rate or warm up longer; the last good checkpoint, if there was one yet, is "
                f"kept in {args.output_dir}"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._at_step(state.global_step)
        step = state.global_step
        due = step % self._measure_every == 0 or step in self._measure_at or step == args.max_steps
        control.should_evaluate = due and self._trainer.measure is not None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            seal(Path(args.output_dir, f"checkpoint-{state.global_step}"))


@contextmanager
def _random_state_restored() -> Iterator[None]:
    """The Trainer seeds every generator there is: restore the caller's states afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
