"""The live cell of notebook 01: a token of a Zipf vocabulary over a noisy channel."""

from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from bitskept.studies.bounds.fano import predictions
from bitskept.theory import bounds
from bitskept.theory.channels import noisy_zipf

ALPHABETS = (2, 5, 10, 50, 100, 500)
NOISE = tuple(round(step / 20, 2) for step in range(21))


def proved() -> pd.DataFrame:
    """H(X), I(X;Z) and two of its lower bounds in bits, for a channel that replaces a token by a fresh draw with a
    probability: the `noise`. Computed by `theory.channels.noisy_zipf` and `theory.bounds`.
    """
    rows = []
    for alphabet, chance in product(ALPHABETS, NOISE):
        channel = noisy_zipf(alphabet, chance)
        by_frequency = bounds.cross_entropy(channel.joint, predictions(channel)["doubt spread by frequency"])
        values = {
            "H(X)": channel.entropy,
            "the truth, I(X;Z)": channel.mutual_information,
            "doubt spread by frequency": bounds.cross_entropy_bound(channel.entropy, by_frequency),
            "Fano": bounds.fano(channel.entropy, channel.bayes_error, alphabet),
        }
        facts = {"alphabet": alphabet, "noise": chance}
        rows += [facts | {"quantity": name, "estimate": float(bits)} for name, bits in values.items()]
    return pd.DataFrame(rows).assign(unit="bits")


def channel(table: pd.DataFrame, noise: float, alphabet: int) -> Figure:
    """What arrives of a token of a Zipf vocabulary and what is proved of it, over the noise of the channel; dots mark
    the noise that was chosen.

    `table` is that of `proved`.
    """
    bits = table[table["alphabet"] == alphabet].pivot(index="noise", columns="quantity", values="estimate")
    looks = {"H(X)": ("grey", ":"), "the truth, I(X;Z)": ("black", "-")}
    looks |= {"doubt spread by frequency": ("C1", "--"), "Fano": ("C0", "-")}
    figure = Figure(figsize=(9, 4.4))
    axes = figure.subplots()
    for quantity, (color, line) in looks.items():
        value = bits.loc[noise, quantity]
        axes.plot(bits.index, bits[quantity], line, color=color, label=f"{quantity}: {value:.2f} bits")
        axes.plot(noise, value, "o", color=color)
    axes.axvline(noise, color="grey", linewidth=1)
    axes.set(xlabel="noise: the chance of a fresh draw", ylabel="bits", xlim=(-0.02, 1.02), ylim=(0, None))
    axes.set_title(f"A token out of {alphabet:,} over a channel with noise {noise:g}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
