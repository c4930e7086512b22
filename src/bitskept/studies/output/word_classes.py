"""Do words' classes emerge in a network that is trained to predict the next word? (Surendra et al. 2023, arXiv
2302.07588: states that precede a word cluster by the class of that word.)

No text with tags is at hand, so the classes are lists of common words that standard grammars give one usual class
(parameters). What is measured is how well the class of a word follows from its states when *other* words define the
classes: a class is the mean of the states of its words, a state belongs to the class whose mean is nearest, and every
word is held out, in turn, from the means by which its own states are judged. So a network that knows a word only by
heart gives nothing away. The states, every feature brought to mean 0 and variance 1, are taken

- `before`: at the token before the word. They predict it, and know nothing of it.
- `at`: at the last token of the word itself.

The control has the classes shuffled over the words. Beside the share named right stands the paper's own statistic, the
generalised discrimination value (Schilling et al. 2021): over features of variance 1/4, the mean distance within
classes less that between classes, divided by the root of the number of features. It is 0 where classes do not differ
and -1 where they are points far apart.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from pydantic import Field, NonNegativeInt, PositiveInt
from scipy.spatial.distance import cdist

from bitskept.base.params import Strict
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.probes.token_groups import spans
from bitskept.instruments.states import cut_as_planned, encode, resolve_layers, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

READINGS = ("before", "at")
COLUMNS = [*MODEL, "corpus", "layer", "reading", "word", "class", "uses", "right", "shuffled", "discrimination"]
FOLDS = 5
"""Parts of each class; the words of one are held out at a time."""
WORD = re.compile(r"[\w'’-]+")
LEAST_PLACE = 2
"""Words before this token of a text are left out: the state of a first token is unlike all others in many decoders."""


class WordClasses(Strict):
    """Which words are measured."""

    classes: dict[str, list[str]] = Field(min_length=2)  # the words of each class, in lower case
    sentences: PositiveInt  # of the corpus, among which those with such words are chosen
    most: PositiveInt  # uses of a word
    least: PositiveInt  # uses that a word needs
    layers: PositiveInt  # of the model, evenly spaced; a twin's are all measured
    longest: int = Field(ge=3)  # tokens of a sentence; longer ones are cut
    shuffles: PositiveInt  # of the classes, for the control
    random_seeds: list[NonNegativeInt] = Field(min_length=1)  # of the model's random copies


@dataclass(frozen=True)
class Plan:
    """Uses of the words of these `classes` in the first `sentences` of a corpus in the order drawn by `seed`, cut to
    `longest` tokens: sentences are taken in turn while they use a word that has fewer than `most` uses so far. Words
    with fewer than `least` are left out. `layers` as in `states.resolve_layers`. Classes are shuffled `shuffles` times.
    """

    corpus: str
    classes: Mapping[str, Sequence[str]]
    sentences: int
    most: int = 10
    least: int = 3
    layers: int | None = None
    longest: int = 64
    shuffles: int = 20
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        at_least(self, sentences=1, most=1, least=1, layers=1, longest=3, shuffles=1)
        if len(self.classes) < 2:
            raise ValueError(f"it takes two classes to tell words apart, not {len(self.classes)}")
        words = Counter(word for words in self.classes.values() for word in words)
        if twice := [word for word, times in words.items() if times > 1]:
            raise ValueError(f"the word {twice[0]!r} is in a class twice, or in two")


@dataclass(frozen=True)
class Use:
    """A word in a text: the place of the text among those chosen, and of the word's first and last token in it."""

    text: int
    word: str
    first: int
    last: int


@measurement("word_classes", 1)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per layer, reading and word. Columns: `COLUMNS`; `uses` counts those measured, `right` is the share of
    them that are nearest to the word's class, `shuffled` that in the control, and `discrimination` the generalised
    discrimination value of the whole layer and reading.

    ValueError if fewer than two classes have two words with enough uses.
    """
    texts = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]
    chosen = [texts[place] for place in choose(texts, plan)]
    with cut_as_planned():
        encoding = encode(model, chosen, longest=plan.longest)
    measured = enough(list(uses(chosen, spans(model, chosen, plan.longest), plan)), plan)
    classes = {word: name for name, words in plan.classes.items() for word in words}
    words = sorted({use.word for use in measured})
    names = sorted({classes[word] for word in words})
    if len(names) < 2:
        raise ValueError(f"{len(chosen)} texts have too few uses of words of two classes: take more sentences")
    of_use = np.array([words.index(use.word) for use in measured])
    of_word = np.array([names.index(classes[word]) for word in words])
    layers = resolve_layers(model, plan.layers)
    states = _states(model, encoding, measured, layers, label(model) if progress else None)
    rows = []
    for reading, of_reading in zip(READINGS, states, strict=True):
        for layer, vectors in zip(layers, of_reading, strict=True):
            scaled = standardised(vectors)
            right = named_right(scaled, of_use, of_word, seed=plan.seed)
            control = _control(scaled, of_use, of_word, plan)
            facts = {"layer": layer, "reading": reading, "discrimination": discrimination(scaled, of_word[of_use])}
            for place, word in enumerate(words):
                by_word = {"word": word, "class": classes[word], "uses": int((of_use == place).sum())}
                rows.append(facts | by_word | {"right": right[place], "shuffled": control[place]})
    return to_table(model, rows, COLUMNS, corpus=plan.corpus)


def choose(texts: Sequence[str], plan: Plan) -> list[int]:
    """The places of the texts that use a word with fewer than `plan.most` uses in those before."""
    wanted, counts = {word for words in plan.classes.values() for word in words}, Counter[str]()
    chosen = []
    for place, text in enumerate(texts):
        used = [word for word in (match.group().lower() for match in WORD.finditer(text)) if word in wanted]
        if any(counts[word] < plan.most for word in used):
            counts.update(used)
            chosen.append(place)
    return chosen


def uses(texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], plan: Plan) -> Iterator[Use]:
    """The uses of the words in texts whose tokens cover these characters, whole words only, without those that start
    before token `LEAST_PLACE`.
    """
    wanted = {word for words in plan.classes.values() for word in words}
    for place, (text, tokens) in enumerate(zip(texts, spans, strict=True)):
        starts = {start: token for token, (start, end) in enumerate(tokens) if end > start}
        ends = {end: token for token, (start, end) in enumerate(tokens) if end > start}
        for match in WORD.finditer(text):
            word, first, last = match.group().lower(), starts.get(match.start()), ends.get(match.end())
            if word in wanted and first is not None and last is not None and first >= LEAST_PLACE:
                yield Use(place, word, first, last)


def enough(measured: Sequence[Use], plan: Plan) -> list[Use]:
    """The first `plan.most` uses of each word that has `plan.least`, of the classes with at least two such words."""
    by_word: dict[str, list[Use]] = {}
    for use in measured:
        by_word.setdefault(use.word, []).append(use)
    kept = {word: listed[: plan.most] for word, listed in by_word.items() if len(listed) >= plan.least}
    known = [[word for word in words if word in kept] for words in plan.classes.values()]
    return [use for words in known if len(words) > 1 for word in words for use in kept[word]]


def _states(
    model: LanguageModel, encoding: Any, measured: Sequence[Use], layers: tuple[int, ...], progress: str | None
) -> list[Float[np.ndarray, "layer use dim"]]:
    """The states before and at each use."""
    texts = sorted({use.text for use in measured})
    taken: dict[tuple[int, int], np.ndarray] = {}
    wanted = {(use.text, place) for use in measured for place in (use.first - 1, use.last)}
    for batch in stream(model, encoding, texts, layers=layers, progress=progress):
        states = batch.states.float().cpu().numpy()
        for token, key in enumerate(zip(batch.sentences.tolist(), batch.positions.tolist(), strict=True)):
            if key in wanted:
                taken[key] = states[:, token].copy()
    before = np.stack([taken[use.text, use.first - 1] for use in measured], axis=1)
    return [before, np.stack([taken[use.text, use.last] for use in measured], axis=1)]


def standardised(states: Float[np.ndarray, "use dim"]) -> Float[np.ndarray, "use _dim"]:
    """The states with mean 0 and variance 1 in every feature, without features that do not vary."""
    exact = states.astype(float)
    centred, spread = exact - exact.mean(0), exact.std(0)
    varies = spread > 1e-9 * (1 + np.abs(states).max())
    return centred[:, varies] / spread[varies]


def named_right(
    states: Float[np.ndarray, "use dim"],
    of_use: Int[np.ndarray, " use"],
    of_word: Int[np.ndarray, " word"],
    *,
    seed: int,
) -> Float[np.ndarray, " word"]:
    """For each word the share of its uses that are nearest to the mean of its class, from other words alone.

    `of_use` is the word of each use and `of_word` the class of each word. The words of each class are dealt at random
    into `FOLDS` parts; the mean of a class is that of its words' means, over the words of the other parts. So all
    classes lose about as many words as that of a held-out word, and shuffled classes are named right by chance.
    """
    random, words, classes = np.random.default_rng(seed), len(of_word), of_word.max() + 1
    fold = np.empty(words, int)
    for name in range(classes):
        members = random.permutation(np.flatnonzero(of_word == name))
        fold[members] = (np.arange(len(members)) + random.integers(FOLDS)) % FOLDS
    belongs = np.eye(words)[of_use]
    counts = belongs.sum(0)
    means = (belongs.T @ states) / counts[:, None]
    right = np.zeros(len(states))
    for part in np.unique(fold):
        taught = np.eye(classes)[of_word] * (fold != part)[:, None]
        judged = fold[of_use] == part
        centres = (taught.T @ means) / np.maximum(taught.sum(0), 1)[:, None]
        # |state - centre|² without |state|², which is the same for all classes.
        distances = (centres**2).sum(1) - 2 * states[judged] @ centres.T
        distances[:, taught.sum(0) == 0] = np.inf
        right[judged] = distances.argmin(1) == of_word[of_use[judged]]
    return (right @ belongs) / counts


def _control(
    states: Float[np.ndarray, "use dim"], of_use: Int[np.ndarray, " use"], of_word: Int[np.ndarray, " word"], plan: Plan
) -> Float[np.ndarray, " word"]:
    """The mean of `named_right` over classes shuffled over the words."""
    random = np.random.default_rng([plan.seed, 1])
    drawn = [
        named_right(states, of_use, random.permutation(of_word), seed=plan.seed + 1 + draw)
        for draw in range(plan.shuffles)
    ]
    return np.mean(drawn, axis=0)


def discrimination(states: Float[np.ndarray, "use dim"], class_of_use: Int[np.ndarray, " use"]) -> float:
    """The generalised discrimination value of standardised states, which are halved: the mean distance within a class,
    averaged over classes, less that between two, averaged over pairs of classes; all of it over √dim.
    """
    groups = [states[class_of_use == name] / 2 for name in np.unique(class_of_use)]
    within = [cdist(group, group).sum() / (len(group) * (len(group) - 1)) for group in groups if len(group) > 1]
    between = [cdist(*pair).mean() for pair in combinations(groups, 2)]
    return float((np.mean(within) - np.mean(between)) / np.sqrt(states.shape[1]))
