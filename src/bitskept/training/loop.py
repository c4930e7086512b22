"""Gradient descent that may be killed at any time: transformers' Trainer, with exact resume and a stop at divergence.

What is trained is a module whose forward pass returns its loss. Everything else is the Trainer's: accumulation, mixed
precision, clipping, checkpoints, several GPUs under `accelerate launch`.
"""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import PartialState
from torch import Tensor, nn
from tqdm.auto import tqdm

from bitskept.sources.packages import full_disk_told
from bitskept.sources.seals import SEAL, broken, seal
from bitskept.training.schedule import Schedule

KEPT = 2
"""Checkpoints on disk: the last one may have been cut off by the very fault that ended the run."""


class Diverged(RuntimeError):
    """Training came to a gradient that is no number."""


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
    at_step: Callable[[int], None] | None = None,
    progress: str | None = None,
) -> list[dict[str, int | float]]:
    """Train a module in place on `steps * batch` items; the log: records of a measure or a mean loss, each with `step`.

    Checkpoints of the trainable weights go to `folder`. Where there are some already, of a run that was killed,
    training continues from the last whole one and ends, on one machine, with the same weights as if it had never been
    killed: the random state is in the checkpoint, and the caller's `collate` must depend on its items alone. `at_step`
    is called after every update, and with 0 before the first. The caller's own random state stays as it was.

    Diverged, with the last good checkpoint kept, where a gradient is not finite; OSError (ENOSPC) where the disk is
    full; ValueError for too few items.
    """
    if len(items) != schedule.steps * schedule.batch:
        raise ValueError(f"{schedule.steps} steps of {schedule.batch} items take just so many, not {len(items)}")
    transformers.utils.logging.set_verbosity_error()
    with PartialState().main_process_first():
        last = _last_whole(folder)
    with full_disk_told(folder), _own_random_state():
        options = transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=schedule.steps,
            per_device_train_batch_size=_share(schedule),
            gradient_accumulation_steps=schedule.accumulate,
            learning_rate=schedule.rate,
            lr_scheduler_type="cosine",
            warmup_steps=schedule.warmup,
            weight_decay=schedule.weight_decay,
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
        trainer.add_callback(_Watch(trainer, schedule.measure_every, at_step, progress))
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train(resume_from_checkpoint=last)
    return [record for record in trainer.state.log_history if "train_runtime" not in record]


def _last_whole(folder: Path) -> str | None:
    """The last checkpoint that is as it was written. One that is not goes: the run was killed, or the disk was full,
    while it was written; with a warning, if it was whole once.
    """
    found = folder.glob("checkpoint-*")
    for checkpoint in sorted(found, key=lambda path: int(path.name.partition("-")[2]), reverse=True):
        wrong = broken(checkpoint)
        if (checkpoint / SEAL).exists() and not wrong:
            return str(checkpoint)
        if wrong:
            warnings.warn(f"{checkpoint} is damaged ({', '.join(wrong)}): going on from the one before", stacklevel=3)
        shutil.rmtree(checkpoint)
    return None


def _share(schedule: Schedule) -> int:
    """Items of a batch that one process takes at once."""
    processes = PartialState().num_processes
    share, rest = divmod(schedule.batch, schedule.accumulate * processes)
    if rest:
        raise ValueError(
            f"a batch of {schedule.batch} items in {schedule.accumulate} parts does not share out to "
            f"{processes} processes"
        )
    return share


class _Trainer(transformers.Trainer):
    """Saves what it trains alone, and evaluates by what the caller measures."""

    measure: Callable[[], dict[str, float]] | None = None

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        module = self.accelerator.unwrap_model(self.model)
        super()._save(output_dir, {name: one.detach() for name, one in module.named_parameters() if one.requires_grad})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Weights that are not trained are missing in a checkpoint, and should be."""

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        self.model.eval()
        measured = self.measure()
        self.model.train()
        self.log(dict(measured))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, measured)
        return measured


class _Watch(transformers.TrainerCallback):
    """A progress bar; the caller's `at_step`; and the stop where a gradient is not finite, before it is applied."""

    def __init__(
        self, trainer: _Trainer, measure_every: int, at_step: Callable[[int], None] | None, progress: str | None
    ) -> None:
        self._trainer, self._measure_every = trainer, measure_every
        self._at_step, self._progress = at_step, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        hidden = self._progress is None or not state.is_world_process_zero
        self._bar = tqdm(total=args.max_steps, desc=self._progress, unit="step", disable=hidden, leave=False)
        self._bar.update(state.global_step)
        if not state.global_step:
            self._begin()

    def _begin(self) -> None:
        if self._trainer.measure:
            self._trainer.evaluate()
        if self._at_step:
            self._at_step(0)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: nn.Module, **others: Any) -> None:
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        if not torch.stack([gradient.sum() for gradient in gradients]).isfinite().all():
            raise Diverged(
                f"training diverged at step {state.global_step + 1}: the gradient is not a number, at a learning rate "
                f"of {others['lr_scheduler'].get_last_lr()[0]:.2g}. Lower the rate or warm up longer; the last good "
                f"checkpoint, if there was one yet, is kept in {args.output_dir}"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update()
        if self._at_step:
            self._at_step(state.global_step)
        due = state.global_step % self._measure_every == 0 or state.global_step == args.max_steps
        control.should_evaluate = due and self._trainer.measure is not None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            seal(Path(args.output_dir, f"checkpoint-{state.global_step}"))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()


@contextmanager
def _own_random_state() -> Iterator[None]:
    """The Trainer seeds every generator there is: put the caller's back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
