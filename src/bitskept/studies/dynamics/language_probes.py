"""What probes read of a token at each layer: how many bits, and which: those of its class or those of its synonym."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bitskept.instruments.probes.bounds_by_layer import BITS, SHARE, Outcome, bound_rows, by_sentence
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments, ridge
from bitskept.instruments.probes.law import Probe
from bitskept.instruments.probes.readings import View
from bitskept.theory import bounds
from bitskept.theory.intervals import ratio_interval, share_interval
from bitskept.theory.synonyms import SynonymLanguage

AT_ONCE = 4096
"""States whose products are summed in float32."""


@dataclass(frozen=True)
class Truth:
    """The language, and the most that a state can tell of the token that is read from it, in bits.

    `whole` says that a state may hold its token whole, so that the bits of class and synonym have their own limits.
    """

    law: SynonymLanguage
    information: float
    whole: bool = True


@dataclass(frozen=True)
class Scored:
    """A probe's results on some items: whether token and class were named, and their surprisal in bits.

    The law of the class is the sum of the probe's law over its synonyms.
    """

    named: Bool[Tensor, "layer item"]
    class_named: Bool[Tensor, "layer item"]
    surprisal: Float[Tensor, "layer item"]
    class_surprisal: Float[Tensor, "layer item"]

    @classmethod
    def of(cls, probe: Probe, view: View, synonyms: int) -> "Scored":
        """The results of a probe on these items."""
        items = len(view.types)
        members = (view.types // synonyms * synonyms)[:, None] + torch.arange(synonyms)
        scores = probe.score(view.states, members.flatten(), torch.arange(items).repeat_interleave(synonyms))
        named, surprisal = (part.view(-1, items, synonyms) for part in (scores.correct, scores.surprisal))
        own = torch.arange(items), view.types % synonyms
        by_class = -torch.logsumexp(-surprisal * np.log(2), dim=2) / np.log(2)
        return cls(named[:, *own], named.any(2), surprisal[:, *own], by_class)

    def outcome(self, view: View) -> Outcome:
        """The results about the token, for `bound_rows`."""
        parts = self.named.numpy(), self.surprisal.double().numpy(), view.types.numpy(), view.sentences.numpy()
        return Outcome(tuple(range(len(self.named))), *parts)


def probe_rows(
    train: View, validation: View, test: View, embeddings: Float[Tensor, "type feature"], truth: Truth
) -> Iterator[dict[str, Any]]:
    """What ridge and centroid read at each layer. `exact` is the true value that an estimate must not exceed.

    Quantities: `named` and `class_named`, shares of the items; `bits`, the better of Fano's and the cross-entropy bound
    by the validation items, with H(X) estimated from the sample as on real text; `kept`, the cross-entropy bound with
    the true entropy, and its two parts, `class_bits` and `synonym_bits`: I(C;Z) >= H(C) - E[-log2 q(C|Z)] and
    I(S;Z|C) >= H(S|C) - E[-log2 q(X|Z) + log2 q(C|Z)], whose estimates may be negative; `late_forgetting`
    (`layer_contrasts`). 95 % intervals over test sentences, `n` of them.
    """
    types = truth.law.types
    moments = Moments(len(train.states), types, train.states.shape[2])
    for start in range(0, len(train.types), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        moments.update(train.states[:, part], train.types[part])
    held = validation.states, validation.types
    probes = {"ridge": ridge(moments, embeddings, *held), "centroid": centroid(moments, embeddings, *held)}
    counts = torch.bincount(torch.cat([view.types for view in (train, validation, test)]), minlength=types).numpy()
    for name, probe in probes.items():
        chosen_on, tested = (Scored.of(probe, view, truth.law.synonyms) for view in (validation, test))
        rows = list(bound_rows(tested.outcome(test), counts, prior=probe.prior.shares, seed=0))
        better = _better(chosen_on, truth.law)
        for row in [*_split(tested, test, truth), *_chosen(rows, better, truth)]:
            yield {"probe": name} | row


def _better(scored: Scored, law: SynonymLanguage) -> list[str]:
    """The name of the better bound at each layer."""
    fano = bounds.fano(law.entropy, 1 - scored.named.double().mean(1).numpy(), law.types)
    other = bounds.cross_entropy_bound(law.entropy, scored.surprisal.double().mean(1).numpy())
    return np.where(fano > other, "fano_bound", "cross_entropy_bound").tolist()


def _chosen(rows: list[dict[str, Any]], better: list[str], truth: Truth) -> Iterator[dict[str, Any]]:
    for row in rows:
        if "layer" in row and row["quantity"] == better[row["layer"]] and row.get("other") is None:
            yield _without_tokens(row) | {"quantity": "bits", "exact": truth.information}
        elif row["quantity"] == "late_forgetting":
            yield _without_tokens(row) | {"layer": None}


def _without_tokens(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("layer", "quantity", "estimate", "low", "high", "unit", "n") if name in row}


def _split(scored: Scored, view: View, truth: Truth) -> Iterator[dict[str, Any]]:
    sentences = view.sentences.numpy()
    sizes = by_sentence(np.ones(len(sentences)), sentences)
    law, sample = truth.law, {"n": len(sizes)}
    for quantity, right in (("named", scored.named), ("class_named", scored.class_named)):
        sums = by_sentence(right.double().numpy(), sentences)
        facts = {"quantity": quantity, "unit": SHARE} | sample
        yield from _by_layer(sums.sum(1) / sizes.sum(), share_interval(sums, sizes), facts)
    if not truth.whole:
        return
    token, by_class = (part.double().numpy() for part in (scored.surprisal, scored.class_surprisal))
    for quantity, cost, exact in (
        ("kept", token, law.entropy),
        ("class_bits", by_class, law.class_entropy),
        ("synonym_bits", token - by_class, law.synonym_bits),
    ):
        sums = exact * sizes - by_sentence(cost, sentences)
        facts = {"quantity": quantity, "unit": BITS, "exact": exact} | sample
        yield from _by_layer(sums.sum(1) / sizes.sum(), ratio_interval(sums, sizes, seed=0), facts)


def _by_layer(estimates: np.ndarray, ends: Any, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for layer, (estimate, low, high) in enumerate(zip(estimates, *ends, strict=True)):
        yield facts | {"layer": layer, "estimate": estimate, "low": low, "high": high}
