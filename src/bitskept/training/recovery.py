"""Fine-tuning for recoverability, and its two controls: does a model whose last layer can name its own tokens again
understand more?

The objective is the first paper's: the mean of -log q(X_i | Z_theta(x)) at the last layer, over theta and q, without
labels. The head q maps a state linearly and compares it with the table of input embeddings, which stays as it is.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitskept import store
from bitskept.locks import alone
from bitskept.measure.states import Encoding, batches, cut_as_planned, encode
from bitskept.sources import corpora, models
from bitskept.sources.models import LanguageModel
from bitskept.sources.packages import commit, scratch
from bitskept.sources.seals import check, seal
from bitskept.training.masking import LEFT_OUT, hide
from bitskept.training.schedule import Schedule, in_order

VERSION = 1
"""Raise it when the same plan would give another model."""
ARMS = {
    "recoverability": "name each token from its own state",
    "continued": "the pre-training objective: hidden tokens of an encoder, next tokens of a decoder",
    "permuted": "name each token as another one, by a permutation of the vocabulary drawn once",
}
CURVE = "curve.json"
TILE = 256


@dataclass(frozen=True)
class Plan:
    """One run: which model, towards what, on which text.

    Of the corpus, in the order drawn by `text_seed`, the first `held_out` sentences are left to measures; the learning
    curve is taken on the last `curve` of these and training takes the `sentences` that follow. `seed` draws the order
    of the data, what is hidden, the permutation, the negatives and the first weights of what is added. `rank` is
    LoRA's, in every linear map of the network; 0 trains all weights. `hidden` is the share of an encoder's tokens that
    the continued arm hides; `negatives` random types stand for all that a batch does not hold.
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

    def __post_init__(self) -> None:
        if self.arm not in ARMS:
            raise ValueError(f"there is no arm {self.arm!r}: choose one of {', '.join(ARMS)}")
        if not 1 <= self.curve <= self.held_out:
            raise ValueError(f"the learning curve takes 1 to {self.held_out} (held_out) sentences, not {self.curve}")
        if not 0 < self.hidden < 1:
            raise ValueError(f"hidden must lie between 0 and 1, but is {self.hidden}")


@dataclass(frozen=True)
class Tuned:
    """A tuned model: `id` is one for `models.load` and for all that measures; `curve` tells how it learned.

    Columns of the curve: model (the base), arm, seed, step, quantity, estimate, unit. Quantities: `named`, the share of
    held-out targets that come first among the whole vocabulary, and `cross_entropy`, their mean surprisal; of the arm
    "recoverability" these are what its last layer and head recover. `loss` is the objective on the batches, sampled.
    """

    id: str
    curve: pd.DataFrame


def tune(plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> Tuned:
    """Run a plan, or take what it gave before. A run that was killed goes on from its last checkpoint; one that
    another process is at is waited for.

    Diverged, with the last good checkpoint kept, where a gradient is not finite; SourceError where what is there is
    damaged. Other errors as `models.load` and `corpora.load`.
    """
    models.fetch(plan.model, accept_terms=accept_terms)
    corpora.fetch(plan.corpus)
    dtype = models.resolve_dtype(plan.dtype, models.resolve_device("auto"))
    key = asdict(plan) | {
        "dtype": dtype,
        "base": models.fingerprint(plan.model),
        "text": corpora.fingerprint(plan.corpus),
    }
    digest = store.digest("fine_tuning", VERSION, key)[:12]
    id = f"tuned/{Path(plan.model).name}-{plan.arm}-{plan.seed}-{digest}"
    target, started = store.home() / "models" / id, time.perf_counter()
    if not target.exists():
        store.may_compute(id)
    with _alone_together(target, id):
        if not (found := target.exists()):
            model = models.load(plan.model, accept_terms=accept_terms)
            texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
            fine_tune(model, texts, plan, target, bfloat16=dtype == "bfloat16", progress=id if progress else None)
        elif PartialState().is_main_process:  # left by a run that was killed at its very end
            shutil.rmtree(target.with_name(f"{target.name}.training"), ignore_errors=True)
    store.log("fine_tuning", digest, found, time.perf_counter() - started)
    check(target)
    curve = pd.read_json(target / CURVE, orient="records")
    return Tuned(id, curve.assign(model=plan.model, arm=plan.arm, seed=plan.seed))


@contextmanager
def _alone_together(target: Path, id: str) -> Iterator[None]:
    """The lock of a tuned model, held by the first of the processes that train it together, for all of them."""
    processes = PartialState()
    with alone(target, id) if processes.is_main_process else nullcontext():
        processes.wait_for_everyone()
        yield


def fine_tune(
    model: LanguageModel,
    texts: Sequence[str],
    plan: Plan,
    target: Path,
    *,
    bfloat16: bool = False,
    progress: str | None = None,
) -> None:
    """Tune a model, whose network is changed, and write it to the folder `target`: an adapter, or all weights.

    Checkpoints lie beside it until it is whole. The caller holds the lock of the folder. Errors as `tune`.
    """
    from bitskept.training.loop import train  # seconds, for the Trainer

    with cut_as_planned():
        encoding = encode(model, texts, longest=plan.longest)
    kept = [place for place in range(len(encoding)) if encoding.measured[place].sum() > 1]
    training = np.array([place for place in kept if place >= plan.held_out])
    held = [place for place in kept if plan.held_out - plan.curve <= place < plan.held_out]
    objective = Objective(model, encoding, plan)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(plan.seed)
        module = Recovery(model, plan)
    order = in_order(np.array([len(encoding.ids[place]) for place in training]), plan.schedule, seed=plan.seed)
    items = [{"sentence": int(training[index]), "draw": draw} for draw, index in enumerate(order)]
    groups = batches([len(encoding.ids[place]) for place in held])
    questions = [objective([{"sentence": held[i], "draw": 0} for i in group]) for group in groups]
    checkpoints = target.with_name(f"{target.name}.training")
    log = train(
        module,
        items,
        objective,
        plan.schedule,
        checkpoints,
        seed=plan.seed,
        bfloat16=bfloat16,
        measure=lambda: module.answers(questions),
        progress=progress,
    )
    processes = PartialState()
    if processes.is_main_process:
        with scratch(target) as work:
            finished = work / "model"
            _save(module.network, model, plan, finished)
            (finished / CURVE).write_text(_curve(log).to_json(orient="records"), "utf-8")
            seal(finished)
            commit(finished, target)
        shutil.rmtree(checkpoints, ignore_errors=True)
    processes.wait_for_everyone()


class Objective:
    """Turns sentences into what an arm asks of them: `ids`, `attention` and `wanted`, or LEFT_OUT, by position."""

    def __init__(self, model: LanguageModel, encoding: Encoding, plan: Plan) -> None:
        self._encoding, self._plan, self._decoder = encoding, plan, model.kind == "decoder"
        self._pad, self._mask = model.tokenizer.pad_token_id, model.tokenizer.mask_token_id
        if plan.arm == "continued" and not self._decoder and self._mask is None:
            raise ValueError(
                f"{model.id} has no mask token, so its pre-training cannot be continued: leave out this arm"
            )
        self._types = len(model.embeddings)
        self._other = torch.randperm(self._types, generator=torch.Generator().manual_seed(plan.seed))

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        rows = [self._row(item["sentence"], item["draw"]) for item in items]
        ids = nn.utils.rnn.pad_sequence([row for row, _ in rows], batch_first=True, padding_value=self._pad)
        wanted = nn.utils.rnn.pad_sequence([row for _, row in rows], batch_first=True, padding_value=LEFT_OUT)
        lengths = torch.tensor([len(row) for row, _ in rows])
        attention = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        return {"ids": ids, "attention": attention, "wanted": wanted}

    def _row(self, sentence: int, draw: int) -> tuple[Int[Tensor, " token"], Int[Tensor, " token"]]:
        ids = torch.from_numpy(self._encoding.ids[sentence])
        measured = torch.from_numpy(self._encoding.measured[sentence])
        if self._plan.arm == "permuted":
            return ids, self._other[ids].masked_fill(~measured, LEFT_OUT)
        own = ids.masked_fill(~measured, LEFT_OUT)
        if self._plan.arm == "recoverability":
            return ids, own
        if self._decoder:
            return ids, torch.cat([own[1:], own.new_full((1,), LEFT_OUT)])
        random = np.random.default_rng([self._plan.seed, sentence, draw])
        return hide(ids, own, random, share=self._plan.hidden, mask=self._mask, types=self._types)


class Recovery(nn.Module):
    """A network with the head q: log q(x | z) = <W z, e_x> - log sum_x' exp <W z, e_x'>, W the identity at first.

    e_x is the input embedding of x, which no arm changes: with tied embeddings, the W of a decoder that continues its
    pre-training starts as the head that it had.
    """

    def __init__(self, model: LanguageModel, plan: Plan) -> None:
        super().__init__()
        self._negatives = plan.negatives
        network = model.network.requires_grad_(not plan.rank)
        self.register_buffer("table", model.embeddings.detach().clone() if not plan.rank else None, persistent=False)
        if plan.rank:
            with models.peft_without_warnings() as peft:
                options = peft.LoraConfig(r=plan.rank, lora_alpha=2 * plan.rank, target_modules="all-linear")
                network = peft.get_peft_model(network, options)
        self.network = network
        self.head = nn.Linear(model.width, model.width, bias=False, device=model.device)
        nn.init.eye_(self.head.weight)

    def forward(self, ids: Tensor, attention: Tensor, wanted: Int[Tensor, "sentence token"]) -> dict[str, Tensor]:
        """The mean surprisal of what is wanted, in nats, by a softmax over the batch's types and random others."""
        named, types = self._named(ids, attention, wanted)
        table = self._table()
        present, target = torch.unique(types, return_inverse=True)
        drawn = torch.randint(len(table), (self._negatives,)).to(types.device)
        others = drawn[~torch.isin(drawn, present)]
        # Each drawn type stands for so many absent ones: the partition function is right on average.
        stand_for = (len(table) - len(present)) / max(1, len(others))
        scores = torch.cat([named @ table[present].T, named @ table[others].T + math.log(max(stand_for, 1e-9))], dim=1)
        return {"loss": nn.functional.cross_entropy(scores.float(), target)}

    def answers(self, questions: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """`named` and `cross_entropy` (bits) of what is wanted, among the whole vocabulary."""
        right, bits, table = [], [], self._table().float()
        for question in questions:
            moved = {name: part.to(table.device) for name, part in question.items()}
            named, types = self._named(**moved)
            for part, wanted in zip(named.float().split(TILE), types.split(TILE), strict=True):
                scores = part @ table.T
                right.append(scores.argmax(1) == wanted)
                bits.append(nn.functional.cross_entropy(scores, wanted, reduction="none") / math.log(2))
        return {"named": torch.cat(right).float().mean().item(), "cross_entropy": torch.cat(bits).mean().item()}

    def _named(self, ids: Tensor, attention: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        states = self.network(input_ids=ids, attention_mask=attention).last_hidden_state
        where = wanted != LEFT_OUT
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
    # peft keeps the names of the changed maps as a set: in order, the same run gives the same file.
    path = folder / models.ADAPTER
    description = json.loads(path.read_text("utf-8"))
    description["target_modules"] = sorted(description["target_modules"])
    path.write_text(json.dumps(description, indent=1), "utf-8")


def _curve(log: Sequence[dict[str, int | float]]) -> pd.DataFrame:
    """The Trainer's records as rows."""
    units = {"named": "share", "cross_entropy": "bits per token", "loss": "bits per token"}
    rows = []
    for entry in log:
        for quantity in units.keys() & entry.keys():
            value = entry[quantity] / math.log(2) if quantity == "loss" else entry[quantity]
            rows.append({"step": entry["step"], "quantity": quantity, "estimate": value, "unit": units[quantity]})
    return pd.DataFrame(rows).sort_values(["quantity", "step"], ignore_index=True)
