"""Closed-form probes of all layers against scikit-learn's logistic regression layer by layer: time, and bits proved.

    python benchmarks/ridge_against_logistic.py            32 and 64 types, on minilm-l6 (some minutes on two cores)

All read the same tokens from the same states of the same sentences, which are kept in memory for logistic regression
only; ridge and centroid need one pass and keep none. Each chooses between two penalties and a temperature on the same
validation sentences, and proves the bits that its test sentences allow, with a 95 % interval over sentences. The
alphabet is the most frequent types, all others being one: logistic regression takes time in proportion to the types.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import record
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bitskept.measure import probes
from bitskept.measure.estimates import Outcome, bound_rows
from bitskept.measure.readings import Reading, View, token_reading
from bitskept.measure.states import Encoding, encode, stream
from bitskept.measure.sweep import Plan, split
from bitskept.sources import corpora, models

PENALTIES = (0.01, 1.0)  # inverse strengths, scikit-learn's C, on standardised states; its default is 1
STEPS = 100  # at most, of L-BFGS
NEVER = -1e4  # the score of a type that training never saw
BOUNDS = ("cross_entropy_bound", "fano_bound")


@dataclass(frozen=True)
class Logistic:
    """A regression for each layer, with the law that its scores give as for the closed forms: `probes.Prior`."""

    fitted: list[Pipeline]
    prior: probes.Prior
    settings: list[dict[str, float]]

    def score(self, states: torch.Tensor, types: torch.Tensor) -> probes.Scores:
        """Guess and surprisal (bits) for every layer and token."""
        correct, surprisal = [], []
        for state, one, chosen in zip(states, self.fitted, self.settings, strict=True):
            scores = decide(one, state, len(self.prior.log))
            correct.append(scores.argmax(1) == types)
            surprisal.append(self.prior.surprisal(scores, types, chosen["temperature"], holds_prior=True))
        return probes.Scores(torch.stack(correct), torch.stack(surprisal))


def decide(fitted: Pipeline, state: torch.Tensor, types: int) -> torch.Tensor:
    """The scores [token, type] of one layer."""
    scores = torch.full((len(state), types), NEVER)
    scores[:, fitted.classes_] = torch.from_numpy(fitted.decision_function(state.float().cpu().numpy())).float()
    return scores


def logistic(train: View, validation: View, types: int) -> Logistic:
    """Fit the layers one after the other, each with the penalty of least validation cross-entropy."""
    prior = probes.Prior.estimate(torch.bincount(train.types, minlength=types).float(), len(validation.types))
    fitted, settings = [], []
    for state, held in zip(train.states, validation.states, strict=True):
        tried = []
        for penalty in PENALTIES:
            one = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=STEPS))
            one.fit(state.float().cpu().numpy(), train.types.cpu().numpy())
            scores = decide(one, held, types)
            found = prior.temper(scores, validation.types, 1.0, holds_prior=True, factor=probes.FINE)
            tried.append((*found, penalty, one))
        _, temperature, penalty, one = min(tried, key=lambda each: each[0])
        fitted.append(one)
        settings.append({"C": penalty, "temperature": temperature, "steps": int(one[-1].n_iter_.max())})
    return Logistic(fitted, prior, settings)


def closed_form(
    fit: Callable[..., probes.LinearProbe], model: models.LanguageModel, reading: Reading, train: View, validation: View
) -> probes.LinearProbe:
    """Ridge or centroid, from statistics that one pass over the training states adds up."""
    moments = probes.Moments(len(train.states), reading.types, model.width, model.device)
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
        "ridge": lambda: closed_form(probes.ridge, model, reading, train, validation),
        "centroid": lambda: closed_form(probes.centroid, model, reading, train, validation),
        "logistic": lambda: logistic(train, validation, reading.types),
    }
    for name, fit in fits.items():
        started, working = time.perf_counter(), time.process_time()
        probe = fit()
        outcome = Outcome(reading.layers)
        outcome.add(test, probe.score(test.states, test.types))
        seconds = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - working}
        rows = list(bound_rows(outcome, counts, seed=plan.seed))
        numbers["entropy"] = round(rows[0]["estimate"], 3)
        numbers["probes"][name] = {**_rounded([seconds])[0], "settings": _rounded(probe.settings)}
        for bound in BOUNDS:
            ends = [[row[end] for end in ("estimate", "low", "high")] for row in rows if row["quantity"] == bound]
            numbers["probes"][name][bound] = np.round(ends, 3).tolist()
    return numbers


def _rounded(settings: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: float(f"{value:.4g}") for name, value in one.items()} for one in settings]


def show(numbers: dict[str, Any]) -> None:
    """A line a layer, of what each probe proves by cross-entropy; means over the layers, and seconds, below."""
    found = numbers["probes"]
    tokens = f"{numbers['training_tokens']:,} tokens to train on, {numbers['test_tokens']:,} to test"
    print(f"\n{numbers['types']} types, {tokens}, H(X) = {numbers['entropy']:.2f} bits; bits proved by cross-entropy")
    print(f"{'layer':8}" + "".join(f"{name:>22}" for name in found))
    for layer, proved in enumerate(zip(*(one[BOUNDS[0]] for one in found.values()), strict=True)):
        print(f"{layer:<8}" + "".join(f"{value:8.2f} [{low:5.2f}, {high:5.2f}]" for value, low, high in proved))
    for words, bound in zip(("mean", "by Fano"), BOUNDS, strict=True):
        means = [np.mean([value for value, _, _ in one[bound]]) for one in found.values()]
        print(f"{words:8}" + "".join(f"{mean:8.2f}{'':14}" for mean in means))
    for words, name in (("seconds", "seconds"), ("CPU s", "cpu_seconds")):
        print(f"{words:8}" + "".join(f"{one[name]:8.1f}{'':14}" for one in found.values()))
    ratio = found["logistic"]["seconds"] / found["ridge"]["seconds"]
    print(
        f"logistic: {ratio:.0f} times the seconds of ridge; the pass through the model: {numbers['pass_seconds']:.1f} s"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--model", default="minilm-l6")
    parser.add_argument("--types", type=int, nargs="+", help="sizes of the alphabet (default: 32 64, quick: 16)")
    parser.add_argument("--sentences", type=int, help="for training (default: 300, quick: 100)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # that L-BFGS stopped early is recorded; that sentences were cut is no matter
    train = options.sentences or (100 if options.quick else 300)
    sizes = options.types or ([16] if options.quick else [32, 64])
    plans = [Plan("mixed", train=train, validation=60, test=120, types=types) for types in sizes]
    model = models.load(options.model)
    texts = list(corpora.load("mixed", sentences=train + 180)["text"])
    print(f"{options.model}, {model.dtype}, {model.device}, {torch.get_num_threads()} threads, {train} sentences")
    found = []
    for plan in plans:
        found.append(compare(model, texts, plan))
        show(found[-1])
    record.append("ridge_against_logistic", options, found)


if __name__ == "__main__":
    main()
