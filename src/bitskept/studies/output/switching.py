"""Two twins of one tokenizer, and switches between them: bits of text against computation.

Entropy Adaptive Decoding (Simonds 2025, arXiv 2502.06833) generates with a small model, and with a large one where
the rolling entropy is above a threshold. Here the text is given (teacher forcing), so quality is the cost of people's
text in bits. A token is counted as two operations a weight, a product and a sum, without attention over the context,
and a model is taken to know the text that it did not read: in use the large one has to read the tokens that it was
spared before it can predict the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from bitskept.base.publishing import makes_table
from bitskept.instruments.embeddings import with_special_tokens
from bitskept.instruments.job import Job, key_of
from bitskept.instruments.likelihood import heads, next_token, surprisal
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, measurement
from bitskept.instruments.states import Encoding, cut_as_planned, encode, stream
from bitskept.instruments.training import twin_measures, twin_runs, twins
from bitskept.instruments.training.twin_runs import NEXT, TwinTraining
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.output.switch_curve import UNIT, Pair
from bitskept.studies.output.switches import Switching
from bitskept.theory.intervals import ratio_interval


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, cut to `longest` tokens."""

    corpus: str
    sentences: int
    longest: int
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        at_least(self, sentences=1, longest=2)


@measurement("token_laws", 1, logged=False)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row for each scored token, in order: `text` and `position` (from 0), its `bits` (-log2 p) and the `entropy`
    of its distribution in bits. A token is scored if another precedes it. ValueError for an encoder.
    """
    require_decoder(model)
    head = heads.head(model)
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    with cut_as_planned():
        encoding = encode(model, texts, longest=plan.longest)
    scored = [mask & (np.arange(len(mask)) > 0) for mask in encoding.measured]
    whole = with_special_tokens(Encoding(encoding.ids, scored, 0))
    parts = []
    with torch.inference_mode():
        for batch in stream(model, whole, range(len(whole)), layers=(model.layers,)):
            owners = batch.sentences.cpu().numpy()
            places = np.flatnonzero(np.concatenate([scored[text] for text in pd.unique(owners)]))
            for part in np.array_split(places, -(-len(places) // surprisal.CHUNK) or 1):
                laws = head(batch.states[0][part - 1]).float().log_softmax(-1).cpu().double() / np.log(2)
                bits = -laws.gather(1, batch.tokens[part].cpu()[:, None])[:, 0].numpy()
                facts = {"text": owners[part], "position": batch.positions[part].cpu().numpy()}
                entropy = -torch.special.xlogy(laws.exp2(), laws.exp2()).sum(1).numpy() / np.log(2)
                parts.append(pd.DataFrame(facts | {"bits": bits, "entropy": entropy}))
    return pd.concat(parts).sort_values(["text", "position"], ignore_index=True)


def runs(training: TwinTraining, switching: Switching, seed: int) -> list[twins.Plan]:
    """The training of the small and of the large twin."""
    return [twin_runs.plan(training, NEXT, seed, size=width) for width in switching.widths]


def trained(training: TwinTraining, switching: Switching, seed: int) -> list[str]:
    """The two twins, trained now if they are missing, as ids of models."""
    return twin_runs.trained(training, [(NEXT, run) for run in runs(training, switching, seed)])


def plan(training: TwinTraining, switching: Switching) -> Plan:
    """Held-out text. ValueError if there is not enough of it."""
    needed = switching.validation_sentences + switching.test_sentences
    if needed > training.held_out:
        raise ValueError(f"training.held_out must be at least {needed}, but is {training.held_out}")
    return Plan(training.corpus, needed, training.longest, training.seed)


def pair(training: TwinTraining, switching: Switching, seed: int) -> Pair:
    """The tokens of both twins."""
    names, of = trained(training, switching, seed), plan(training, switching)
    small, large = (measure(name, of, progress=False) for name in names)
    tokens = small[["text"]].assign(
        **{f"{name}_{column}": table[column] for name, table in (("small", small), ("large", large))
           for column in ("bits", "entropy")}
    )  # fmt: skip
    is_test = tokens["text"] < switching.test_sentences
    small_weights, large_weights = (twin_runs.weights(training, run) for run in runs(training, switching, seed))
    return Pair(tokens[is_test], tokens[~is_test], small_weights / large_weights)


@makes_table
def checks(training: TwinTraining, switching: Switching, seed: int) -> pd.DataFrame:
    """What must hold: the twins save bits of what tokens cost by their frequency (`gathered`, by width), and the large
    twin saves bits of what they cost the small one (`larger`). Columns width, quantity, estimate, low, high, unit, n.
    """
    rows = []
    for width, id in zip(switching.widths, trained(training, switching, seed), strict=True):
        with cut_as_planned():
            table = next_token.measure(id, twin_measures.next_plan(training), progress=False)
        row = table[table["quantity"] == "gathered"].iloc[0]
        rows.append({"width": width, "quantity": "gathered"} | row[["estimate", "low", "high", "n"]].to_dict())
    test = pair(training, switching, seed).test
    sums = test.groupby("text").agg(n=("small_bits", "size"), small=("small_bits", "sum"), large=("large_bits", "sum"))
    saved, sizes = (sums["small"] - sums["large"]).to_numpy(), sums["n"].to_numpy(float)
    low, high = ratio_interval(saved, sizes, seed=seed)
    rows.append({"width": switching.widths[1], "quantity": "larger", "estimate": saved.sum() / sizes.sum()})
    rows[-1] |= {"low": low, "high": high, "n": len(sums)}
    return pd.DataFrame(rows).assign(unit=UNIT)


def jobs(notebook: str, training: TwinTraining, switching: Switching, seed: int) -> Iterator[Job]:
    """The tokens of both twins, after notebook 05 has trained them."""
    both = runs(training, switching, seed)
    parts = [*(("twins", twins.VERSION, run) for run in both), measure.asks(plan(training, switching))]
    parts.append(next_token.measure.asks(twin_measures.next_plan(training)))
    key = key_of(parts, texts=[training.corpus])
    names = [twin_runs.run_name(training, NEXT, run) for run in both]
    weights = sum(twin_runs.weights(training, run) for run in both)

    def work() -> None:
        checks(training, switching, seed)

    needs = tuple(f"05.grow.{name}" for name in names)
    yield Job("measure", notebook, "switching", names[1], weights, key, work, needs, twin=NEXT)
