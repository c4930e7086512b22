"""Tokens a second: the bare forward pass, the pass whose states are reduced on the device, and the whole sweep.

    python benchmarks/tokens_per_second.py         on a GPU where there is one, in bfloat16 and float32

Without a GPU it says so and takes the CPU: float32, and bfloat16 where the CPU has AMX, without which it is slower.
Reduced: every layer's states go into the sufficient statistics of the probes on the device that they are on, and no
state leaves it. The sweep is all of it: tokenising, training, validation and test pass, ridge and centroid, tables with
intervals. The share is the bare forward pass's of the time.
"""

import time
import warnings
from typing import Any

import numpy as np
import record
import torch
from sweep import PLAN, bare_forward

from bitskept.instruments.probes.closed_form import Moments
from bitskept.instruments.probes.readings import token_reading
from bitskept.instruments.probes.sweep import Plan, split, sweep
from bitskept.instruments.states import encode, stream
from bitskept.sources import corpora, models


def dtypes() -> tuple[list[str], str]:
    """The dtypes that are worth measuring here, and why."""
    if torch.cuda.is_available():
        return ["bfloat16", "float32"], f"on {torch.cuda.get_device_name()}"
    if torch.cpu.get_capabilities().get("amx_bf16"):
        return ["float32", "bfloat16"], "no GPU here; the CPU has AMX"
    return ["float32"], "no GPU here, and the CPU has no AMX: float32 only"


def synchronize(model: models.LanguageModel) -> None:
    """Wait for the device, which may go on working after a call returns."""
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def reduced(model: models.LanguageModel, texts: list[str], plan: Plan) -> float:
    """Seconds of one pass over all sentences that keeps only counts, sums and second moments."""
    encoding = encode(model, texts, longest=plan.longest)
    sentences = np.concatenate(split(encoding, plan))
    reading = token_reading(encoding, len(model.embeddings), range(model.layers + 1), types=plan.types)
    started = time.perf_counter()
    moments = Moments(model.layers + 1, reading.types, model.width, model.device)
    for batch in stream(model, encoding, sentences):
        view = reading.view(batch)
        moments.update(view.states, view.types)
    synchronize(model)
    return time.perf_counter() - started


def rates(
    model: models.LanguageModel, texts: list[str], domains: list[str], plan: Plan, repeats: int
) -> dict[str, Any]:
    """Tokens a second: the fastest of several repeats, taken in turn, after a first one that does not count."""
    encoding = encode(model, texts, longest=plan.longest)
    sentences = np.concatenate(split(encoding, plan))
    tokens = sum(int(encoding.measured[sentence].sum()) for sentence in sentences)
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def whole() -> float:
        started = time.perf_counter()
        sweep(model, texts, domains, plan)
        synchronize(model)
        return time.perf_counter() - started

    timed = {
        "bare": lambda: bare_forward(model, encoding, sentences),
        "reduced": lambda: reduced(model, texts, plan),
        "sweep": whole,
    }
    taken = [{name: each() for name, each in timed.items()} for _ in range(repeats + 1)][1:]
    seconds = {name: min(each[name] for each in taken) for name in timed}
    numbers: dict[str, Any] = {
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "tokens": tokens,
    }
    for name, value in seconds.items():
        numbers[name] = {
            "tokens_per_second": round(tokens / value),
            "seconds": round(value, 2),
            "share_of_bare": round(seconds["bare"] / value, 3),
        }
    if model.device.type == "cuda":
        numbers["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    return numbers


def show(numbers: dict[str, Any]) -> None:
    for name in ("bare", "reduced", "sweep"):
        row = numbers[name]
        share = f"{row['share_of_bare']:9.0%}"
        print(f"{numbers['dtype']:10} {name:9}{row['tokens_per_second']:12,}{row['seconds']:9.2f}{share}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--model", default="minilm-l6")
    parser.add_argument(
        "--sentences", type=int, help="default: 1,000 on a CPU, 20,000 on a GPU; quick: a tenth of these"
    )
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # about sentences that were cut
    chosen, why = dtypes()
    sentences = options.sentences or (20_000 if torch.cuda.is_available() else 1_000) // (10 if options.quick else 1)
    parts = {"validation": sentences // 20, "test": sentences // 10}
    plan = Plan(PLAN.corpus, train=sentences - sum(parts.values()), shuffled=False, side_layers=2, **parts)
    text = corpora.load(plan.corpus, sentences=sentences)
    print(f"{options.model}, {sentences:,} sentences, {torch.get_num_threads()} threads; {why}")
    print(f"{'':20}{'tokens/s':>12}{'seconds':>9}{'share':>9}")
    results = []
    for dtype in chosen:
        model = models.load(options.model, dtype=dtype)
        results.append(rates(model, list(text["text"]), list(text["domain"]), plan, options.repeats))
        show(results[-1])
    record.append("tokens_per_second", options, results)


if __name__ == "__main__":
    main()
