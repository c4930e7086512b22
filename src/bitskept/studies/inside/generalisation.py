"""What a network may cost on text that it was not trained on: a bound that is computed from its training text alone.

The network is written down in whole numbers: the changes of its weights since the first step, which a seed draws, in a
few levels (`theory.description_length`, which has the bound and its proof). Its code has these parts:

- the changes: the tables of symbols, and a scale for each table of weights (`quantised`, `symbols_bits`);
- the vocabulary of the tokenizer, since it was learned from the training text too (`vocabulary_bits`);
- the number of tokens (`integer_bits`), and which of the networks, levels and smoothings it is (`choice_bits`).

Levels and smoothing are chosen for the best bound. The tokens are those of the distinct rows of text that are trained
on, each but the first of its row, however often training sees them. Which rows these are is drawn by a seed, which
knows nothing of the text but its number of rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import Field, NonNegativeInt, PositiveInt
from scipy.stats import norm
from torch import Tensor, nn

from bitskept.base import store
from bitskept.base.params import Strict
from bitskept.base.publishing import makes_table
from bitskept.instruments.job import Job, key_of
from bitskept.instruments.states import cut_as_planned, encode
from bitskept.instruments.training import twin_runs, twins
from bitskept.instruments.training.byte_pairs import SPECIAL
from bitskept.instruments.training.twin_runs import NEXT, TwinTraining
from bitskept.sources import corpora
from bitskept.studies.inside import subspace
from bitskept.theory import description_length as lengths
from bitskept.theory.intervals import ratio_interval, standard_error

VERSION = 1
"""Raise it when the same parameters would give another table."""
ALL, FEW, COUNTS = "all weights", "a subspace", "token counts"
BATCH = 64
"""Rows that pass through a network at once."""
BITS = "bits per token"
FIRST_TYPES = 256 + len(SPECIAL)
"""Types of a vocabulary that has merged nothing: the bytes, and the special tokens."""
FACTS = ["kind", "width", "sentences", "numbers", "levels", "alpha"]

Rows = Int[np.ndarray, "row token"]
Probabilities = Float[np.ndarray, "row following"]


class Bounds(Strict):
    """Which networks are bounded, and what may be chosen."""

    sizes: list[PositiveInt]  # other widths of the next-token twin
    amounts: list[PositiveInt]  # other numbers of training sentences
    dimensions: list[PositiveInt] = Field(min_length=1)  # numbers that are trained, of a network that has few
    rank: PositiveInt  # of the changes of its tables
    steps: PositiveInt  # of its training
    rate: float = Field(gt=0)
    levels: list[PositiveInt] = Field(min_length=1)  # that a number may be rounded to
    smoothings: list[float] = Field(min_length=1)  # weights of the uniform distribution
    delta: float = Field(gt=0, lt=1)  # the probability with which a bound may fail
    choosing_rows: PositiveInt  # on which levels and smoothing are chosen
    seed: NonNegativeInt  # of the subspace


@dataclass(frozen=True)
class Material:
    """A network before its first step, and its text in rows."""

    network: nn.Module
    rows: Rows
    held_out: Int[np.ndarray, "other _token"]
    types: int


def plans(training: TwinTraining, bounds: Bounds, seed: int) -> list[twins.Plan]:
    """The next-token twins that are written down with all their weights: by width, then by amount of text."""
    options = [{}, *({"size": size} for size in bounds.sizes), *({"amount": amount} for amount in bounds.amounts)]
    return [twin_runs.plan(training, NEXT, seed, **option) for option in options]


def material(plan: twins.Plan) -> Material:
    """The network of a plan before its first step; the distinct rows that it is trained on, in the order of the text;
    and rows of the sentences that are left out, made in the same way.
    """
    tokenizer = twins.tokenizer(plan)
    texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
    model = twins.untrained(tokenizer, plan)
    with cut_as_planned():
        encoding = encode(model, texts)
    joined = twins.joined(encoding, plan)
    seen = sorted({item["sentence"] for item in twins.data(joined, plan)})
    others = np.concatenate(encoding.ids[: plan.held_out])
    others = others[: max(1, len(others) // plan.longest) * plan.longest]
    held_out = others.reshape(-1, min(plan.longest, len(others)))
    return Material(model.network.eval(), np.stack([joined.ids[place] for place in seen]), held_out, len(tokenizer))


@torch.inference_mode()
def probabilities(network: nn.Module, rows: Rows) -> Probabilities:
    """What a network gives to each token of a row but the first."""
    parts = []
    for start in range(0, len(rows), BATCH):
        ids = torch.from_numpy(rows[start : start + BATCH]).to(network.device)
        scores = network(input_ids=ids).logits[:, :-1].float()
        right = scores.gather(-1, ids[:, 1:, None])[..., 0]
        parts.append((right - scores.logsumexp(-1)).double().exp().clamp(max=1.0).cpu().numpy())
    return np.concatenate(parts)


def all_weights(bounds: Bounds, plan: twins.Plan) -> pd.DataFrame:
    """The rows of `_described` for a trained twin, all of whose weights are written down."""

    def compute() -> pd.DataFrame:
        text, last = material(plan), twins.grow(plan).ids[plan.schedule.steps]
        network = text.network
        trained = dict(network.from_pretrained(store.home() / "models" / last).named_parameters())
        first = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        changes = {
            name: (trained[name].detach() - weight.cpu()).double().numpy().ravel() for name, weight in first.items()
        }

        def write(levels: int | None) -> int:
            parts = {name: lengths.quantised(values, levels) for name, values in changes.items()} if levels else {}
            for name, weight in network.named_parameters():
                values = torch.from_numpy(parts[name].values if levels else changes[name]).view(weight.shape)
                weight.data = first[name] + values.to(weight)
            symbols = np.concatenate([part.symbols for part in parts.values()]) if levels else np.empty(0, int)
            return lengths.symbols_bits(symbols, levels) + lengths.SCALE_BITS * len(parts) if levels else 0

        facts = {"kind": ALL, "width": plan.build.width, "sentences": plan.sentences}
        return _described(text, write, facts | {"numbers": sum(map(len, changes.values()))}, bounds)

    return _stored(plan, bounds, {"kind": ALL}, compute)


def few_numbers(training: TwinTraining, bounds: Bounds, seed: int, dimension: int) -> pd.DataFrame:
    """The rows of `_described` for the network of the next-token twin in which so many numbers are trained."""
    plan = twin_runs.plan(training, NEXT, seed)
    options = {"rank": bounds.rank, "steps": bounds.steps, "batch": training.batch, "rate": bounds.rate}
    run = subspace.Plan(dimension, **options, seed=bounds.seed)

    def compute() -> pd.DataFrame:
        text = material(plan)
        network, space = text.network, subspace.Subspace(text.network, run)
        theta = subspace.trained(network, space, text.rows, run)

        def write(levels: int | None) -> int:
            part = lengths.quantised(theta, levels) if levels else None
            weights = space.weights(torch.from_numpy(part.values if part else theta).float())
            for name, weight in network.named_parameters():
                weight.data = weights[name]
            return lengths.symbols_bits(part.symbols, levels) + lengths.SCALE_BITS if part else 0

        facts = {"kind": FEW, "width": plan.build.width, "sentences": plan.sentences, "numbers": space.size}
        return _described(text, write, facts, bounds)

    return _stored(plan, bounds, {"kind": FEW} | asdict(run), compute)


def _stored(
    plan: twins.Plan, bounds: Bounds, more: dict[str, Any], compute: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    chosen = bounds.model_dump(exclude={"rank", "steps", "rate", "seed"})
    run = {"twins": twins.VERSION, "run": asdict(plan), "text": corpora.fingerprint(plan.corpus)}
    return store.stored("description_length", VERSION, run | chosen | more, compute)


def _described(
    text: Material, write: Callable[[int | None], int], facts: dict[str, Any], bounds: Bounds
) -> pd.DataFrame:
    """What a network costs and what it may cost, in rows with the columns `FACTS`, quantity, estimate, low, high, unit
    and n (rows of text). `write(levels)` gives the network its rounded numbers and returns the length of their code;
    `write(None)` gives it the numbers as they are.
    """
    draw = np.random.default_rng(bounds.seed)
    chosen = np.sort(draw.permutation(len(text.rows))[: bounds.choosing_rows])
    write(None)
    raw = {
        name: -np.log2(np.maximum(probabilities(text.network, rows), 1e-300))
        for name, rows in (("training", text.rows[chosen]), ("held_out", text.held_out))
    }
    tokens = text.rows[:, 1:].size
    options = []
    for levels in bounds.levels:
        code = write(levels) + _other_bits(text.types, tokens, bounds)
        given = probabilities(text.network, text.rows[chosen])
        for alpha in bounds.smoothings:
            options.append((_bound(given, alpha, text.types, code, tokens, bounds)[1], levels, alpha))
    _, levels, alpha = min(options)
    code = write(levels) + _other_bits(text.types, tokens, bounds)
    given, others = (probabilities(text.network, rows) for rows in (text.rows, text.held_out))
    loss, bound = _bound(given, alpha, text.types, code, tokens, bounds)
    rows = [_mean(name, bits) for name, bits in raw.items()]
    rows += [_gap(*rows), _mean("coded_held_out", lengths.smoothed_bits(others, alpha, text.types))]
    uniform, span = float(np.log2(text.types)), float(lengths.loss_range(alpha, text.types))
    longest = lengths.longest_code(span, loss, uniform, tokens, bounds.delta)
    values = {"coded_training": loss, "bound": bound, "uniform": uniform}
    rows += [{"quantity": name, "estimate": value, "n": len(text.rows)} for name, value in values.items()]
    counted = {"code": float(code), "longest_code": longest, "tokens": float(tokens)}
    units = {"code": "bits", "longest_code": "bits", "tokens": "tokens"}
    rows += [{"quantity": name, "estimate": value, "unit": units[name]} for name, value in counted.items()]
    return pd.DataFrame([facts | {"levels": levels, "alpha": alpha, "unit": BITS} | row for row in rows])


def _bound(
    given: Probabilities, alpha: float, types: int, code: int, tokens: int, bounds: Bounds
) -> tuple[float, float]:
    """The mean smoothed loss, and the bound that it would give on so many tokens."""
    loss = float(lengths.smoothed_bits(given, alpha, types).mean())
    return loss, loss + float(lengths.excess(lengths.loss_range(alpha, types), code, tokens, bounds.delta))


def _other_bits(types: int, tokens: int, bounds: Bounds) -> int:
    """What a code needs besides the numbers of the network."""
    networks = 1 + len(bounds.sizes) + len(bounds.dimensions) + 1
    choices = sum(map(lengths.choice_bits, (networks, len(bounds.levels), len(bounds.smoothings))))
    return lengths.vocabulary_bits(max(types, FIRST_TYPES), FIRST_TYPES) + lengths.integer_bits(tokens) + choices


def _mean(name: str, bits: Probabilities) -> dict[str, Any]:
    """The mean over tokens with its interval over rows."""
    low, high = ratio_interval(bits.sum(1), np.full(len(bits), bits.shape[1]), seed=0)
    return {"quantity": name, "estimate": float(bits.mean()), "low": low, "high": high, "n": len(bits)}


def _gap(training: dict[str, Any], held_out: dict[str, Any]) -> dict[str, Any]:
    """Held-out minus training bits; both are samples, and independent."""
    gap = held_out["estimate"] - training["estimate"]
    reach = norm.ppf(0.975) * np.hypot(*(standard_error(row["low"], row["high"]) for row in (training, held_out)))
    return {"quantity": "gap", "estimate": gap, "low": gap - reach, "high": gap + reach, "n": held_out["n"]}


def token_counts(training: TwinTraining, bounds: Bounds, seed: int) -> pd.DataFrame:
    """The rows of `_described` for a distribution without any context: how often each type occurs, as rounded
    logarithms. It is the control, since a network whose bound is not below this one was not worth its code.
    """
    plan = twin_runs.plan(training, NEXT, seed)

    def compute() -> pd.DataFrame:
        text = material(plan)
        counts = np.bincount(text.rows[:, 1:].ravel(), minlength=text.types)
        logarithms = np.log(counts + 1.0) - np.log(counts + 1.0).mean()
        law = _Law(logarithms)

        def write(levels: int | None) -> int:
            part = lengths.quantised(logarithms, levels) if levels else None
            law.scores = torch.from_numpy(part.values if part else logarithms)
            return lengths.symbols_bits(part.symbols, levels) + lengths.SCALE_BITS if part else 0

        facts = {"kind": COUNTS, "width": 0, "sentences": plan.sentences, "numbers": text.types}
        return _described(replace(text, network=law), write, facts, bounds)

    return _stored(plan, bounds, {"kind": COUNTS}, compute)


class _Law(nn.Module):
    """The same distribution after every context, in the form of a network."""

    device = "cpu"

    def __init__(self, scores: Float[np.ndarray, " type"]) -> None:
        super().__init__()
        self.scores = torch.from_numpy(scores)

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.scores.expand(*input_ids.shape, -1))


@makes_table
def bounds(training: TwinTraining, bounds: Bounds, seed: int) -> pd.DataFrame:
    """The rows of all networks: twins with all weights, networks with few numbers, and the control. Twins that are
    missing are trained now.
    """
    parts = [all_weights(bounds, plan) for plan in plans(training, bounds, seed)]
    parts += [few_numbers(training, bounds, seed, dimension) for dimension in bounds.dimensions]
    return pd.concat([*parts, token_counts(training, bounds, seed)], ignore_index=True)


def jobs(notebook: str, training: TwinTraining, bounds: Bounds, seed: int) -> Iterator[Job]:
    """Each twin after notebook 05 has trained it; each network with few numbers; the control."""
    asked, texts = [("description_length", VERSION, bounds.model_dump())], [training.corpus]
    usual = twin_runs.plan(training, NEXT, seed)
    for plan in plans(training, bounds, seed):
        name, weights = twin_runs.run_name(training, NEXT, plan), twin_runs.weights(training, plan)
        key = key_of([("twins", twins.VERSION, plan), *asked], texts=texts)
        work = partial(all_weights, bounds, plan)
        yield Job("measure", notebook, "bound", name, weights, key, work, (f"05.grow.{name}",), twin=NEXT)
    weights, key = twin_runs.weights(training, usual), key_of([("twins", twins.VERSION, usual), *asked], texts=texts)
    for dimension in bounds.dimensions:
        work = partial(few_numbers, training, bounds, seed, dimension)
        yield Job("measure", notebook, "bound", f"subspace-{dimension}", weights, key | {"dimension": dimension}, work)
    yield Job("measure", notebook, "bound", "counts", 0, key, partial(token_counts, training, bounds, seed))
