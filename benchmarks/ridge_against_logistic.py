"""Closed-form probes of all layers against scikit-learn's logistic regression layer by layer: time, and bits proved.

    python benchmarks/ridge_against_logistic.py            32 and 64 types, on minilm-l6 (some minutes on two cores)

All read the same tokens from the same states of the same sentences. These are kept in memory for logistic regression;
ridge and centroid need one pass and keep none. Each chooses between two penalties and a temperature on the same
validation sentences, and proves as many bits as its test sentences allow, with a 95 % interval over sentences. The
alphabet is the most frequent types and one for all others: logistic regression takes time in proportion to the types.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import record
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bitskept.instruments.probes.bounds_by_layer import Outcome, bound_rows
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import LinearProbe, Moments, ridge
from bitskept.instruments.probes.law import FINE, Prior, Probe
from bitskept.instruments.probes.readings import Reading, View, token_reading
from bitskept.instruments.probes.sweep import Plan, split
from bitskept.instruments.states import Encoding, encode, stream
from bitskept.sources import corpora, models

PENALTIES = (0.01, 1.0)  # inverse strengths, scikit-learn's C, on standardised states; its default is 1
STEPS = 100  # at most, of L-BFGS
NEVER = -1e4  # the score of a type that training never saw
BOUNDS = ("cross_entropy_bound", "fano_bound")


@dataclass(frozen=True)
class Logistic(Probe):
    """A regression for each layer, whose scores become probabilities as those of other probes do."""

    fitted: list[Pipeline]
    prior: Prior
    temperatures: list[float]

    def scores(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        for state, regression in zip(states, self.fitted, strict=True):
            yield decide(regression, state, len(self.prior.log))


def decide(fitted: Pipeline, state: torch.Tensor, types: int) -> torch.Tensor:
    """The scores [token, type] of one layer."""
    scores = torch.full((len(state), types), NEVER)
    scores[:, fitted.classes_] = torch.from_numpy(fitted.decision_function(state.float().cpu().numpy())).float()
    return scores


def logistic(train: View, validation: View, types: int) -> Logistic:
    """Fit the layers one after the other, each with the penalty of least validation cross-entropy."""
    counts = torch.bincount(train.types, minlength=types).float()
    prior = Prior.estimate(counts, len(validation.types), in_scores=True)
    fitted, temperatures = [], []
    for state, held in zip(train.states, validation.states, strict=True):
        tried = []
        for penalty in PENALTIES:
            regression = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=STEPS))
            regression.fit(state.float().cpu().numpy(), train.types.cpu().numpy())
            scores = decide(regression, held, types)
            tried.append((*prior.temper(scores, validation.types, 1.0, FINE), regression))
        _, temperature, regression = min(tried, key=lambda candidate: candidate[0])
        fitted.append(regression)
        temperatures.append(temperature)
    return Logistic(fitted, prior, temperatures)


def closed_form(
    fit: Callable[..., LinearProbe], model: models.LanguageModel, reading: Reading, train: View, validation: View
) -> LinearProbe:
    """Ridge or centroid, from statistics that are added up in one pass over the training states."""
    moments = Moments(len(train.states), reading.types, model.width, model.device)
    for start in range(0, len(train.types), 2048):
        moments.update(train.states[:, start : start + 2048], train.types[start : start + 2048])
    return fit(moments, reading.embeddings(model.embeddings.detach().float()), validation.states, validation.types)


def collect(model: models.LanguageModel, encoding: Encoding, reading: Reading, sentences: np.ndarray) -> View:
    """The states of some sentences, all of them in memory."""
    views = [reading.view(batch) for batch in stream(model, encoding, sentences)]
    return View(*(torch.cat(parts, dim=1 if place == 0 else 0) for place, parts in enumerate(zip(*views, strict=True))))


def compare(model: models.LanguageModel, texts: list[str], plan: Plan) -> dict[str, Any]:
    """Seconds of each probe (fit and score, all layers) and the bits it proves by layer, with low and high."""
    encoding = encode(model, texts, longest=plan.longest)
    parts = split(encoding, plan)
    reading = token_reading(encoding, len(model.embeddings), range(model.layers + 1), types=plan.types)
    started = time.perf_counter()
    test, validation, train = (collect(model, encoding, reading, part) for part in parts)
    numbers = {
        "types": reading.types,
        "training_tokens": len(train.types),
        "test_tokens": len(test.types),
        "pass_seconds": round(time.perf_counter() - started, 2),
        "probes": {},
    }
    counts = np.bincount(reading.items(encoding, [*np.concatenate(parts)]), minlength=reading.types)
    fits = {
        "ridge": lambda: closed_form(ridge, model, reading, train, validation),
        "centroid": lambda: closed_form(centroid, model, reading, train, validation),
        "logistic": lambda: logistic(train, validation, reading.types),
    }
    for name, fit in fits.items():
        started, working = time.perf_counter(), time.process_time()
        probe = fit()
        outcome = Outcome.of_batch(reading.layers, test, probe.score(test.states, test.types))
        seconds = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - working}
        shares = probe.prior.log.double().exp().cpu().numpy()
        rows = list(bound_rows(outcome, counts, prior=shares, seed=plan.seed))
        numbers["entropy"] = round(rows[0]["estimate"], 3)
        numbers["probes"][name] = {clock: float(f"{value:.4g}") for clock, value in seconds.items()}
        for bound in BOUNDS:
            ends = [[row[end] for end in ("estimate", "low", "high")] for row in rows if row["quantity"] == bound]
            numbers["probes"][name][bound] = np.round(ends, 3).tolist()
    return numbers


def show(numbers: dict[str, Any]) -> None:
    """Print what each probe proves by cross-entropy, layer by layer; then means over the layers, and seconds."""
    probes = numbers["probes"]
    tokens = f"{numbers['training_tokens']:,} tokens to train on, {numbers['test_tokens']:,} to test"
    print(f"\n{numbers['types']} types, {tokens}, H(X) = {numbers['entropy']:.2f} bits; bits proved by cross-entropy")
    print(f"{'layer':8}" + "".join(f"{name:>22}" for name in probes))
    for layer, proved in enumerate(zip(*(probe[BOUNDS[0]] for probe in probes.values()), strict=True)):
        print(f"{layer:<8}" + "".join(f"{value:8.2f} [{low:5.2f}, {high:5.2f}]" for value, low, high in proved))
    for words, bound in zip(("mean", "by Fano"), BOUNDS, strict=True):
        means = [np.mean([value for value, _, _ in probe[bound]]) for probe in probes.values()]
        print(f"{words:8}" + "".join(f"{mean:8.2f}{'':14}" for mean in means))
    for words, name in (("seconds", "seconds"), ("CPU s", "cpu_seconds")):
        print(f"{words:8}" + "".join(f"{probe[name]:8.1f}{'':14}" for probe in probes.values()))
    ratio = probes["logistic"]["seconds"] / probes["ridge"]["seconds"]
    print(
        f"logistic: {ratio:.0f} times the seconds of ridge; the pass through the model: {numbers['pass_seconds']:.1f} s"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--model", default="minilm-l6")
    parser.add_argument("--types", type=int, nargs="+", help="sizes of the alphabet (default: 32 64, quick: 16)")
    parser.add_argument("--sentences", type=int, help="for training (default: 300, quick: 100)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # about L-BFGS that stopped early, and sentences that were cut
    train = options.sentences or (100 if options.quick else 300)
    sizes = options.types or ([16] if options.quick else [32, 64])
    plans = [Plan("mixed", train=train, validation=60, test=120, types=types) for types in sizes]
    model = models.load(options.model)
    texts = list(corpora.load("mixed", sentences=train + 180)["text"])
    print(f"{options.model}, {model.dtype}, {model.device}, {torch.get_num_threads()} threads, {train} sentences")
    results = []
    for plan in plans:
        results.append(compare(model, texts, plan))
        show(results[-1])
    record.append("ridge_against_logistic", options, results)


if __name__ == "__main__":
    main()
