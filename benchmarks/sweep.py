"""What the layer sweep costs beside the bare forward pass, and whether its memory grows with the text.

    python benchmarks/sweep.py                time, on smollm2-135m (about ten minutes on two quiet cores)
    python benchmarks/sweep.py --quick        the same on minilm-l6 and a quarter of the sentences (a minute)
    python benchmarks/sweep.py --memory       peak memory at 2,000 and at 20,000 sentences, on minilm-l6

Time: the sweep (training, validation and test pass, all layers, ridge and centroid, tables) divided by the bare forward
pass over the same tokens at the same dtype, without hidden states, both in this process, taken in turn.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import record
import torch

from bitskept.instruments.probes.sweep import Plan, split, sweep
from bitskept.instruments.states import TOKEN_BUDGET, Encoding, batches, encode
from bitskept.sources import corpora, models

PLAN = Plan("mixed", train=700, validation=100, test=250, shuffled=False, side_layers=2)
"""No controls, learning curve, windows or sentence vectors: the ratio is that of one measurement of one model."""
TARGETS = "at most 1.6 is asked for in bfloat16 on a CPU with AMX, 1.4 in float32"


@torch.inference_mode()
def bare_forward(
    model: models.LanguageModel, encoding: Encoding, sentences: Sequence[int], budget: int = TOKEN_BUDGET
) -> float:
    """Seconds of the plain forward pass over these sentences, in the batches in which they are streamed."""
    started = time.perf_counter()
    for group in batches([len(encoding.ids[sentence]) for sentence in sentences], budget):
        rows = [torch.from_numpy(encoding.ids[sentences[index]]) for index in group]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.pad_token_id)
        lengths = torch.tensor([len(row) for row in rows])
        attention = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        options = {"use_cache": False} if model.kind == "decoder" else {}
        model.network(input_ids=ids.to(model.device), attention_mask=attention.to(model.device), **options)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - started


def time_ratio(model_id: str, dtype: str, repeats: int, plan: Plan) -> dict[str, Any]:
    """Print seconds of both and their ratio, pair by pair; the numbers."""
    model = models.load(model_id, dtype=dtype)
    text = corpora.load(plan.corpus, sentences=plan.train + plan.validation + plan.test)
    encoding = encode(model, text["text"], longest=plan.longest)
    sentences = [int(sentence) for part in split(encoding, plan) for sentence in part]
    tokens = sum(int(kept.sum()) for kept in encoding.measured)
    print(f"{model_id}, {model.dtype}, {model.device}, {torch.get_num_threads()} threads, {tokens:,} tokens")
    print(f"{'bare s':>8} {'sweep s':>8} {'ratio':>6}")
    results = []
    for _ in range(repeats):
        bare = bare_forward(model, encoding, sentences)
        started = time.perf_counter()
        sweep(model, text["text"], text["domain"], plan)
        whole = time.perf_counter() - started
        results.append(
            {"bare_seconds": round(bare, 2), "sweep_seconds": round(whole, 2), "ratio": round(whole / bare, 3)}
        )
        print(f"{bare:8.1f} {whole:8.1f} {whole / bare:6.2f}", flush=True)
    median = sorted(result["ratio"] for result in results)[len(results) // 2]
    print(f"median ratio {median:.2f} ({TARGETS})")
    where = {"dtype": str(model.dtype).removeprefix("torch."), "device": model.device.type}
    return {"model": model_id, **where, "tokens": tokens, "median_ratio": median, "repeats": results}


def peak_memory(model_id: str, sentences: int) -> None:
    """Print the peak resident memory, in MB, of one sweep over so many sentences with an alphabet of 4,096 types."""
    plan = replace(PLAN, train=sentences * 9 // 10 - 100, validation=100, test=sentences // 10, types=4096)
    text = corpora.load(plan.corpus, sentences=sentences)
    model = models.load(model_id)
    sweep(model, text["text"], text["domain"], plan)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--model", help="default: smollm2-135m for time, minilm-l6 for memory and when quick")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sentences", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # about sentences that were cut
    if options.sentences:
        peak_memory(options.model, options.sentences)
    elif options.memory:
        model, results = options.model or "minilm-l6", []
        for sentences in (1_000, 4_000) if options.quick else (2_000, 20_000):
            peak = record.in_child(__file__, "--memory", "--model", model, "--sentences", str(sentences))
            print(f"{model}: {sentences:6,} sentences: peak {peak:,} MB", flush=True)
            results.append({"model": model, "sentences": sentences, "peak_mb": peak})
        record.append("sweep --memory", options, results)
    else:
        plan = replace(PLAN, train=175, validation=25, test=62) if options.quick else PLAN
        model = options.model or ("minilm-l6" if options.quick else "smollm2-135m")
        record.append("sweep", options, time_ratio(model, options.dtype, options.repeats, plan))


if __name__ == "__main__":
    main()
