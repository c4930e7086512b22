"""All measures of a network that trains on a language with a truth, each beside the value that it must not exceed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from bitskept.instruments.probes.bounds_by_layer import BITS, by_sentence
from bitskept.instruments.probes.readings import View, with_neighbours
from bitskept.instruments.soft_entropy.accumulator import SoftEntropy
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.compression import tidy_rows
from bitskept.instruments.soft_entropy.labels import Labels
from bitskept.instruments.training.masking import LEFT_OUT
from bitskept.studies.dynamics import language_runs
from bitskept.studies.dynamics.language_probes import Truth, probe_rows
from bitskept.theory.information import mutual_information
from bitskept.theory.intervals import ratio_interval

CLEAN, CORRUPTED = "clean", "corrupted"
COLUMNS = [
    *("step", "text", "reading", "probe", "train_sentences", "layer"),
    *("quantity", "estimate", "low", "high", "unit", "n", "exact"),
]
SOFT = ("complexity", "complexity_corrected", "expressivity", "expressivity_corrected")
Row = dict[str, Any]


class Measures:
    """The measures of one run, on sentences that it is not trained on, the same for all runs on a language.

    Readings: a token from its own state (`token`), from that and those beside it (`window`), the tokens that the
    objective asks for from the states that have to predict them (`wanted`), on clean text or on text corrupted as in
    training; there, `token` is read at places where the right token is shown.
    """

    def __init__(self, plan: language_runs.Plan) -> None:
        self.plan, self.law, sizes = plan, plan.language.law, plan.sizes
        random = np.random.default_rng([plan.language.seed, 0, 1])
        ends = np.cumsum([sizes.train, sizes.validation, sizes.test])
        self.tokens = language_runs.draw(plan, int(ends[-1]), random)
        self.parts = slice(0, ends[0]), slice(ends[0], ends[1]), slice(ends[1], ends[2])
        self.shown, self.wanted = language_runs.task(plan, self.tokens, random)
        self.further = language_runs.task(plan, language_runs.draw(plan, sizes.loss, random), random)
        self.optimum = language_runs.optimum(plan)

    def rows(self, learner: language_runs.Learner, step: int) -> Iterator[Row]:
        """The measures after a step. At the last one the loss is taken on further sentences, and there are also the
        window, the corrupted text, the learning curve of the probes and clusters of states.
        """
        for row in self._rows(learner, step == self.plan.steps):
            yield {"step": step, "text": CLEAN} | row

    def _rows(self, learner: language_runs.Learner, last: bool) -> Iterator[Row]:
        table = learner.network.get_input_embeddings().weight.detach()[: self.law.types].clone()
        everywhere, wanted = torch.ones_like(self.tokens, dtype=torch.bool), self.wanted != LEFT_OUT
        truth = Truth(self.law, self.law.entropy)
        clean = learner.states(self.tokens)
        views = [_view(clean, self.tokens, everywhere, part) for part in self.parts]
        yield from self._probed("token", views, table, truth)
        yield from self._soft(clean[:, self.parts[2]], self.tokens[self.parts[2]])
        shown = clean if self.plan.corruption is None else learner.states(self.shown)
        if last:
            yield from self._losses(learner, learner.states(self.further[0])[-1], self.further[1])
        else:
            yield from self._losses(learner, shown[-1], self.wanted)
        asked = Truth(self.law, self.law.entropy - self.optimum.bits, whole=False)
        asking = [_view(shown, self.wanted, wanted, part) for part in self.parts]
        text = CLEAN if self.plan.corruption is None else CORRUPTED
        yield from ({"text": text} | row for row in self._probed("wanted", asking, table, asked))
        if not last:
            return
        for fewer in self.plan.sizes.smaller:
            part = _view(clean, self.tokens, everywhere, slice(0, fewer))
            yield from self._probed("token", [part, *views[1:]], table, truth)
        missing = views[0].states.mean(1)
        windows = [view._replace(states=with_neighbours(view.states, view.sentences, missing)) for view in views]
        yield from self._probed("window", windows, table, truth)
        if self.plan.corruption is not None:
            right = self.shown == self.tokens
            visible = [_view(shown, self.tokens, right, part) for part in self.parts]
            yield from ({"text": CORRUPTED} | row for row in self._probed("token", visible, table, truth))
        yield from cluster_rows(views[0], self.law.types, self.plan.sizes.clusters, self.plan.seed)

    def _losses(
        self, learner: language_runs.Learner, states: Float[Tensor, "sentence token dim"], wanted: Tensor
    ) -> Iterator[Row]:
        """The cost of each token that the objective asks for, and its gap to the least cost."""
        with torch.inference_mode():
            costs = learner.surprisal(states, wanted).double().numpy() / np.log(2)
        sentences = (wanted != LEFT_OUT).nonzero()[:, 0].numpy()
        sums = by_sentence(costs, sentences)
        sizes = by_sentence(np.ones(len(sentences)), sentences)
        loss, (low, high) = sums.sum() / sizes.sum(), ratio_interval(sums, sizes, seed=0)
        facts, (least, error) = {"unit": BITS, "n": len(sizes)}, self.optimum
        yield facts | {"quantity": "loss", "estimate": loss, "low": low, "high": high, "exact": least}
        below, above = (np.hypot(end - loss, 1.96 * error) for end in (low, high))
        gap = loss - least
        yield facts | {"quantity": "gap", "estimate": gap, "low": gap - below, "high": gap + above}

    def _probed(self, reading: str, views: list[View], table: Tensor, truth: Truth) -> Iterator[Row]:
        facts = {"reading": reading, "train_sentences": len(views[0].sentences.unique())}
        for row in probe_rows(*views, table, truth):
            yield facts | row

    def _soft(self, states: language_runs.States, tokens: language_runs.Sentences) -> Iterator[Row]:
        """Soft information about a token and the one after it. A state at layer 0 can tell no more of the latter than
        the token does, and that of a causal network no more than all tokens up to it do.
        """
        layers, (sentences, length) = len(states), tokens.shape
        owners = np.repeat(np.arange(sentences), length)
        after = np.full((sentences, length), -1)
        after[:, :-1] = tokens[:, 1:].numpy()
        before = np.where(after < 0, -1, tokens.numpy())
        sets = {"input 1": before.ravel(), "output 1": after.ravel()}
        labels = Labels.build(sets, owners, rows=2 * self.law.types, seed=0)
        soft = SoftEntropy(Anchors.draw(self.plan.sizes.anchors, states.shape[3], seed=0), labels, layers)
        places = np.arange(len(owners))
        soft.open(places)
        for some in np.array_split(places, max(1, len(places) // 512)):
            soft.add(soft.anchors.assign(states.flatten(1, 2)[:, some]), some)
        from_left = self.law.entropy - self.law.next_token_optimum(length)
        for row in tidy_rows(soft.evaluate(), [1]):
            if row["quantity"] in SOFT and row["layer"] is not None:
                above = from_left if self.plan.causal else self.law.entropy
                told = above if row["layer"] else self.law.next_information
                exact = self.law.entropy if row["quantity"].startswith("complexity") else told
                yield {name: row[name] for name in COLUMNS if name in row} | {"exact": exact, "n": sentences}


def cluster_rows(view: View, types: int, clusters: int, seed: int) -> Iterator[Row]:
    """The information of clusters of states about their tokens (Voita, Sennrich and Titov 2019, arXiv 1909.01380):
    k-means on all states of a layer, and the plug-in mutual information of cluster and token. `cluster_floor` is the
    same with the tokens permuted: what so many clusters and tokens give by chance.
    """
    tokens = view.types.numpy()
    permuted = np.random.default_rng(seed).permutation(tokens)
    facts = {"reading": "token", "probe": "clusters", "unit": BITS, "n": len(view.sentences.unique())}
    facts |= {"train_sentences": facts["n"]}
    for layer, states in enumerate(view.states.numpy()):
        fit = MiniBatchKMeans(min(clusters, len(states)), random_state=seed, n_init=1)
        cluster = fit.fit_predict(states)
        for quantity, labels in (("cluster_information", tokens), ("cluster_floor", permuted)):
            joint = np.zeros((types, cluster.max() + 1))
            np.add.at(joint, (labels, cluster), 1 / len(tokens))
            yield facts | {"layer": layer, "quantity": quantity, "estimate": mutual_information(joint, 0, 1)}


def _view(
    states: language_runs.States,
    targets: Int[Tensor, "sentence token"],
    chosen: Bool[Tensor, "sentence token"],
    part: slice,
) -> View:
    """The chosen places of a part of the sentences."""
    places = chosen[part]
    return View(states[:, part][:, places], targets[part][places], places.nonzero()[:, 0])
