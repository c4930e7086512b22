"""Does the certificate keep its promise? The experiment is repeated on channels whose information is known."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.studies.bounds.toy_language import Language
from bitskept.theory import bounds, channels, information
from bitskept.theory.channels import Channel, DiscreteChannel

BLOCK = 2**18
"""Samples drawn at once: limits the memory to some tens of megabytes."""
COLUMNS = ["channel", "samples", "delta", "bound", "coverage", "bits", "truth"]


def known_channels(section: TheoryBounds) -> list[Channel]:
    """The channels on which the certificate is tested, among them a token of the toy language under both encoders."""
    words, length, middle = section.words, section.length, section.length // 2
    return [
        channels.symmetric(8, 0.1),
        channels.erasure(8, 0.3),
        channels.z_channel(0.2),
        channels.noisy_zipf(section.vocabulary, 0.1),
        channels.gaussian_mixture(8, 4, section.deviation, section.seed),
        *(Language(words, length, 0.5, 0.2, pooled).token(middle) for pooled in (False, True)),
    ]


@makes_table
def coverage(section: TheoryBounds) -> pd.DataFrame:
    """The share of repetitions in which each bound stayed below the truth, read from the store or computed and stored.
    Measured by `studies.bounds.certificate.count`.
    """
    tested = known_channels(section)
    names = "repetitions", "sample_sizes", "deltas", "corpus_sentences", "seed"
    options = {name: getattr(section, name) for name in names}
    truths = [[channel.name, channel.alphabet, round(float(channel.mutual_information), 9)] for channel in tested]
    key = options | {"tasks": truths}
    table = store.stored("certificate_coverage", 2, key, lambda: count(tested, **options))
    return table.assign(quantity="coverage")


def count(
    tested: Sequence[Channel],
    sample_sizes: Sequence[int],
    deltas: Sequence[float],
    repetitions: int,
    seed: int,
    corpus_sentences: int,
) -> pd.DataFrame:
    """Repeat the experiment for each channel and number of independent samples: one row per delta and bound.

    `bound` is "no limits" (the estimates themselves in Fano's bound), "H(X) known" (all of delta spent on the error
    rate), "same samples" (the certificate with the entropy of the samples on which errors were counted) or
    "certificate" (with that of the `corpus_sentences`, the samples among them, as it needs no model); `coverage` is the
    share of repetitions in which it was at most the truth, `bits` its mean and `truth` the channel's I(X;Z), in bits.
    All deltas share their draws. ValueError as `bounds.certificate`.
    """
    rng, rows = np.random.default_rng(seed), []
    for channel, samples in product(tested, sample_sizes):
        errors, counts = trials(channel, samples, repetitions, rng)
        every = counts + rng.multinomial(max(0, corpus_sentences - samples), law(channel), repetitions)
        truth = float(channel.mutual_information)
        estimate = bounds.fano(information.plug_in(counts), errors / samples, channel.alphabet)
        for delta in deltas:
            # Beyond 1 - 1/|A| a limit on the error says nothing: see `bounds.certificate`.
            limit = np.minimum(bounds.error_limit(errors, samples, delta), 1 - 1 / channel.alphabet)
            values = {
                "no limits": estimate,
                "H(X) known": bounds.fano(channel.entropy, limit, channel.alphabet),
                "same samples": bounds.certificate(errors, samples, channel.alphabet, counts, delta),
                "certificate": bounds.certificate(errors, samples, channel.alphabet, every, delta),
            }
            for bound, bits in values.items():
                held = float((bits <= truth).mean())
                rows.append((channel.name, samples, delta, bound, held, float(bits.mean()), truth))
    return pd.DataFrame(rows, columns=COLUMNS)


def law(channel: Channel) -> Float[np.ndarray, " token"]:
    """How probable each token is."""
    if isinstance(channel, DiscreteChannel):
        return channel.joint.sum(1) / channel.joint.sum()
    return np.full(channel.alphabet, 1 / channel.alphabet)


def trials(
    channel: Channel, samples: int, repetitions: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " {repetitions}"], Int[np.ndarray, "{repetitions} token"]]:
    """Repeat an experiment of `samples` independent pairs: the errors of the best predictor, and how often each token
    occurred.
    """
    if isinstance(channel, DiscreteChannel):
        # Only two things are counted: the token that was sent, and whether the guess was right. So 2|A| cells are
        # drawn at once.
        guessed = np.bincount(channel.joint.argmax(0), weights=channel.joint.max(0), minlength=channel.alphabet)
        cells = np.stack([guessed, np.maximum(0, channel.joint.sum(1) - guessed)])
        drawn = rng.multinomial(samples, cells.ravel() / cells.sum(), repetitions)
        right, wrong = drawn[:, : channel.alphabet], drawn[:, channel.alphabet :]
        return wrong.sum(1), right + wrong
    errors, counts = np.empty(repetitions, int), np.empty((repetitions, channel.alphabet), int)
    step = max(1, BLOCK // samples)
    for start in range(0, repetitions, step):
        rows = min(step, repetitions - start)
        states, tokens = channel.draw(rows * samples, rng)
        cells = tokens.reshape(rows, samples) + channel.alphabet * np.arange(rows)[:, None]
        errors[start : start + rows] = (channel.guess(states) != tokens).reshape(rows, samples).sum(1)
        counts[start : start + rows] = np.bincount(cells.ravel(), minlength=rows * channel.alphabet).reshape(rows, -1)
    return errors, counts
