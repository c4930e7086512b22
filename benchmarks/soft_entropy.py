"""What soft entropy costs: beside the reference package, beside the bare forward pass, and in memory.

    python benchmarks/soft_entropy.py              time, on smollm2-135m (the reference takes some ten minutes)
    python benchmarks/soft_entropy.py --quick      the same with 50 sentences, once (some minutes)
    python benchmarks/soft_entropy.py --memory     peak memory beyond the model at 2,000 and at 20,000 sentences

Time, in one process on the same sentences, cut at 64 tokens: soft-entropy 0.1.5 (`LLMInferrer`, widths 1 to 3, all
layers), ours with the same widths, ours with widths 1 to 4, and the bare forward pass. Ours has floors, corrected
values and intervals as well; the reference has none.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import record
import torch
from sweep import bare_forward

from bitskept.instruments.soft_entropy.compression import TOKEN_BUDGET, Plan, compress
from bitskept.instruments.states import encode
from bitskept.sources import corpora, models

CORPUS, LONGEST = "speeches", 64


def reference(folder: Path, texts: list[str]) -> float:
    """Seconds that `LLMInferrer` takes for these texts, the loading of the model left out."""
    # This script has the same name as the package.
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    from soft_entropy.llm import LLMInferrer

    with tempfile.TemporaryDirectory() as data:
        Path(data, "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        inferrer = LLMInferrer(str(folder), data, ["unigram", "bigram", "trigram"], max_length=LONGEST)
        started = time.perf_counter()
        inferrer.run(n_examples=len(texts), batch_size=4)
        return time.perf_counter() - started


def ours(model: models.LanguageModel, texts: list[str], widths: tuple[int, ...]) -> float:
    """Seconds of the whole table of one set of anchors."""
    plan = Plan(CORPUS, (len(texts),), widths=widths, longest=LONGEST)
    started = time.perf_counter()
    compress(model, texts, [CORPUS] * len(texts), plan)
    return time.perf_counter() - started


def compare(model_id: str, sentences: int, repeats: int, with_reference: bool) -> dict[str, Any]:
    """Print seconds and ratios, the repeats of ours and of the bare pass taken in turn; the numbers."""
    model = models.load(model_id)
    texts = list(corpora.load(CORPUS, sentences=sentences)["text"])
    encoding = encode(model, texts, longest=LONGEST)
    tokens = sum(map(len, encoding.ids))
    print(f"{model_id}, {model.dtype}, {torch.get_num_threads()} threads, {sentences} sentences, {tokens:,} tokens")
    print(f"{'bare s':>8} {'1-3 s':>8} {'1-4 s':>8} {'own share':>10}")
    results = []
    for _ in range(repeats):
        bare = bare_forward(model, encoding, range(len(encoding)), TOKEN_BUDGET)
        three, four = (ours(model, texts, widths) for widths in ((1, 2, 3), (1, 2, 3, 4)))
        print(f"{bare:8.1f} {three:8.1f} {four:8.1f} {four / bare - 1:10.0%}", flush=True)
        seconds = {"bare_seconds": bare, "widths_1_to_3_seconds": three, "widths_1_to_4_seconds": four}
        results.append({"own_share": four / bare - 1} | seconds)
    results = [{name: round(value, 3) for name, value in result.items()} for result in results]
    median = sorted(results, key=lambda result: result["own_share"])[len(results) // 2]
    print(f"median own share {median['own_share']:.0%} of the bare forward pass (at most 30% is asked for)")
    numbers = {"model": model_id, "tokens": tokens, "median_own_share": median["own_share"], "repeats": results}
    if with_reference:
        seconds = reference(models.fetch(model_id), texts)
        times = seconds / median["widths_1_to_3_seconds"]
        print(f"reference {seconds:.1f} s: {times:.1f} times ours (at least 15 is asked for)")
        numbers |= {"reference_seconds": round(seconds, 2), "reference_against_ours": round(times, 2)}
    return numbers


def peak_memory(model_id: str, sentences: int) -> None:
    """Print the peak resident memory, in MB, beyond that with the text and the model in memory.

    Weights are read from the file when they are first used, those of the embedding table token by token: so all are
    read, and one sentence is passed, before.
    """
    text = corpora.load("mixed", sentences=sentences)
    model = models.load(model_id)
    for weight in model.network.parameters():
        weight.sum()
    bare_forward(model, encode(model, text["text"][:1], longest=LONGEST), [0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    compress(model, text["text"], text["domain"], Plan("mixed", (sentences,), longest=LONGEST))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--repeats", type=int, help="default: 2, quick: 1")
    parser.add_argument("--without-reference", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sentences", type=int, help="default: 500 for time (quick: 50), 2,000 and 20,000 for memory")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # about sentences that were cut
    if options.child:
        peak_memory(options.model, options.sentences)
    elif options.memory:
        results = []
        several = (200, 2_000) if options.quick else (2_000, 20_000)
        for sentences in [options.sentences] if options.sentences else several:
            arguments = ("--child", "--model", options.model, "--sentences", str(sentences))
            peak = record.in_child(__file__, *arguments)
            print(f"{options.model}: {sentences:6,} sentences: {peak:,} MB beyond the model", flush=True)
            results.append({"model": options.model, "sentences": sentences, "mb_beyond_the_model": peak})
        record.append("soft_entropy --memory", options, results)
    else:
        sentences, repeats = options.sentences or (50 if options.quick else 500), options.repeats or 2 - options.quick
        numbers = compare(options.model, sentences, repeats, not options.without_reference)
        record.append("soft_entropy", options, numbers)


if __name__ == "__main__":
    main()
