"""The figures of notebook 06, each drawn from its table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve, points
from bitskept.instruments import claims_figure
from bitskept.instruments.claims import CONTROL
from bitskept.instruments.training.twin_runs import COLOURS
from bitskept.studies.semantic.claims import RELEVANT
from bitskept.studies.semantic.human_answers import DIFFERENCE
from bitskept.studies.semantic.prompt_information import ANOTHER, CHANGE
from bitskept.studies.semantic.rate_distortion import closed_form, endless
from bitskept.studies.semantic.section import SemanticInformation

MARGINALS = {
    "mixture": ("C0", "mixture over prompts"),
    "left_out": ("C2", "mixture, own prompt left out"),
    "promptless": ("C1", "no prompt (proxy)"),
}
FLOW = {"S": "C0", "A": "C1", "M": "C3"}
WORDS = {"S": "S, bits so far", "A": "A, expected part of S", "M": "M = S - A"}
SOURCES = {"errors": "no memory, errors", "log-loss": "no memory, log-loss", "Markov": "Markov source, errors"}
POINTS = 40
"""About so many of the computed points of a curve are drawn, so that its closed form can be seen."""
BIN = 0.02
"""The width of a bar of rewards. The first is centred on 0."""
WIDE = (12, 4.8)


def density(table: pd.DataFrame, section: SemanticInformation) -> Figure:
    """How many bits the prompt directs into each token of an answer, and their sum so far, with its ceiling."""
    figure, (left, right) = _panels(2)
    for axes, column in ((left, "estimate"), (right, "S")):
        for name, rows in table.groupby("marginal", sort=False):
            colour, label = MARGINALS[name]
            axes.plot(rows["position"], rows[column], ".-", color=colour, label=label)
        axes.axhline(0, color="grey", linewidth=1)
        axes.set_xticks(rows["position"], rows["token"].str.strip(), rotation=60, ha="right", fontsize=11)
    left.set(title="each token", ylabel="bits a token")
    right.set(title="up to each token", ylabel="bits")
    right.axhline(np.log2(section.bank), color="black", linestyle=":", label="log2 of the bank")
    _legend(figure, right, ncols=4)
    return figure


def granger(table: pd.DataFrame) -> Figure:
    """What the prompt adds to a token, by corpus and marginal, with the ceiling of the mixture; and what the prompt of
    another answer gives.
    """
    corpora = list(table["corpus"].unique())
    figure = Figure(figsize=(10, 1.4 * len(corpora) + 1.9), layout="constrained")
    axes = figure.subplots()
    looks = MARGINALS | {ANOTHER: ("0.5", "control: another answer's prompt,\nagainst no prompt")}
    for shift, (name, (colour, label)) in zip((-0.27, -0.09, 0.09, 0.27), looks.items(), strict=True):
        rows = table[table["marginal"] == name]
        places = [corpora.index(corpus) + shift for corpus in rows["corpus"]]
        points(axes, rows, places, color=colour, label=label, fmt="D" if name == ANOTHER else "o")
        if name == "mixture":
            axes.plot(rows["ceiling"], places, "|", color="black", markersize=16, label="most the mixture can show")
    axes.axvline(0, color="grey", linewidth=1)
    axes.set(yticks=range(len(corpora)), yticklabels=corpora, xlabel="what the prompt adds (bits a token)")
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def context(table: pd.DataFrame) -> Figure:
    """What the prompt adds, by the number of its tokens that are read; one panel per corpus."""
    table = table[table["quantity"] != CHANGE]
    corpora, contexts = list(table["corpus"].unique()), sorted(table["context"].unique())
    figure, panels = _panels(len(corpora), figsize=(5.4 * len(corpora) + 1, 4.8), sharey=True)
    for axes, corpus in zip(panels, corpora, strict=True):
        for name, rows in table[table["corpus"] == corpus].groupby("marginal", sort=False):
            colour, label = MARGINALS[name]
            curve(axes, rows, "context", color=colour, marker="o", label=label)
        axes.axhline(0, color="grey", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_xticks(contexts, contexts)
        axes.set(title=corpus, xlabel="tokens of the prompt that are read")
    panels[0].set(ylabel="what the prompt adds (bits a token)", ylim=(min(0, table["low"].min()), None))
    _legend(figure, panels[0], ncols=3)
    return figure


def flow(table: pd.DataFrame) -> Figure:
    """S and its expected part A under the mixture; and M, the part due to chance, for single samples and on average."""
    mixture = table[table["marginal"] == "mixture"].assign(tokens=lambda rows: rows["position"] + 1)
    by_quantity = dict(list(mixture.groupby("quantity")))
    figure, (left, right) = _panels(2)
    for quantity in ("S", "A"):
        curve(left, by_quantity[quantity], "tokens", color=FLOW[quantity], marker=".", label=WORDS[quantity])
    samples = by_quantity["M of a sample"].groupby("sample")
    for _, rows in samples:
        right.plot(rows["tokens"], rows["estimate"], color="grey", alpha=0.35, linewidth=0.8)
    curve(right, by_quantity["M"], "tokens", color=FLOW["M"], label="mean of M, 95 %")
    right.axhline(0, color="black", linewidth=1)
    figure.suptitle(MARGINALS["mixture"][1])
    left.set(title="expected to rise", xlabel="tokens", ylabel="bits, mean over samples", ylim=(0, None))
    right.set(title=f"luck: M along {len(samples)} samples", xlabel="tokens", ylabel="bits")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def people(table: pd.DataFrame) -> Figure:
    """S, A and M along human answers and along the model's; and the difference of M, prompt by prompt. Above, under the
    mixture, as the verdict on M; below, with the own prompt left out, as the verdict on the second half.
    """
    table = table.assign(tokens=table["position"] + 1)
    figure = Figure(figsize=(15, 8), layout="constrained")
    panels = figure.subplots(2, 3, sharey="row")
    titles = {"people": "answers by people", "model": "the model's own", DIFFERENCE: "people less the model: M"}
    for axes_of_marginal, marginal in zip(panels, ("mixture", "left_out"), strict=True):
        for axes, (whose, title) in zip(axes_of_marginal, titles.items(), strict=True):
            for quantity, colour in FLOW.items() if whose != DIFFERENCE else [("M", FLOW["M"])]:
                rows = table[(table["whose"] == whose) & (table["quantity"] == quantity)]
                rows = rows[rows["marginal"] == marginal]
                curve(axes, rows, "tokens", color=colour, marker=".", label=WORDS[quantity])
            axes.axhline(0, color="black", linewidth=1)
            axes.set(title=title, xlabel="tokens")
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes_of_marginal[0].set_ylabel(f"{MARGINALS[marginal][1]}\nbits, mean over prompts, 95 %")
    _legend(figure, panels[0, 0], ncols=3)
    return figure


def rate_distortion(table: pd.DataFrame) -> Figure:
    """R(D) of three binary sources: as computed, and closed forms as thin lines."""
    figure, panels = _panels(3, figsize=(15, 4.8), sharey=True)
    for axes, (kind, curves) in zip(panels, table.groupby("kind", sort=False), strict=True):
        look, name = ("-", "n = {:.0f}") if kind == "Markov" else (".", "p = {:g}")
        for place, (of, rows) in enumerate(curves.groupby("of")):
            shown = rows.iloc[:: 1 if kind == "Markov" else 1 + len(rows) // POINTS]
            axes.plot(shown["distortion"], shown["rate"], look, color=f"C{place}", label=name.format(of))
            if kind != "Markov":
                reach = np.linspace(0, rows["distortion"].max(), 101)
                axes.plot(reach, closed_form(kind, of, reach), color=f"C{place}", linewidth=1.2)
        axes.set(title=SOURCES[kind], xlabel="log-loss D (bits)" if kind == "log-loss" else "share of errors D")
    flip = table.loc[table["kind"] == "errors", "of"].min()
    turn = np.linspace(0, 0.5, 101)
    panels[2].plot(turn, endless(flip, turn), "--", color="black", label="stationary")
    panels[0].set(ylabel="R(D) (bits a symbol)", ylim=(0, 1.03))
    for axes in panels:
        axes.legend()
    return figure


def naming(table: pd.DataFrame) -> Figure:
    """The bits that checkpoints of twins gather from the context, by step; and next to the share of tokens that they do
    not name, with the least rate of so few errors.
    """
    rate, seen = table[table["quantity"] == "rate"], table[table["quantity"] != "rate"]
    columns, by = {"estimate": "mean", "low": "min", "high": "max"}, ["twin", "quantity", "step"]
    mean = seen.groupby(by, sort=False).agg(columns).reset_index()
    figure, (left, right) = _panels(2, sharey=True)
    for twin, rows in mean.groupby("twin", sort=False):
        bits, error = (rows[rows["quantity"] == name].sort_values("step") for name in ("gathered", "error"))
        curve(left, bits, "step", color=COLOURS[twin], marker=".", label=twin)
        right.plot(error["estimate"], bits["estimate"], ".-", color=COLOURS[twin], label=twin)
        last = pd.concat([error.tail(1), bits.tail(1)])
        reach = np.array([last["estimate"] - last["low"], last["high"] - last["estimate"]])
        look = {"fmt": "*", "markersize": 16, "capsize": 3, "color": COLOURS[twin]}
        right.errorbar(*last["estimate"], xerr=reach[:, :1], yerr=reach[:, 1:], **look)
    right.plot(rate["error"], rate["estimate"], color="black", linewidth=1.2, label="least bits for so few errors")
    left.set_xscale("symlog", linthresh=1)
    left.set(title="along training", xlabel="step", ylabel="bits that the context saves, per token")
    right.set(title="after training (stars), in the plane of errors", xlabel="share of next tokens not named")
    right.set_ylim(min(0, mean.loc[mean["quantity"] == "gathered", "estimate"].min()) - 0.2, None)
    for axes in (left, right):
        axes.axhline(0, color="grey", linewidth=1)
    _legend(figure, right, ncols=3)
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """The primary rows of the table of claims; controls are named as such."""
    names = ("control: " + table["claim"]).where(table["paper"] == CONTROL, table["claim"])
    return claims_figure.draw(table.assign(claim=names)[table["primary"]], relevant=RELEVANT)


def reward(table: pd.DataFrame) -> Figure:
    """Mean rewards and their costs, for three ways to earn them; and the rewards of single samples."""
    ways = dict(list(table.groupby("way")))
    figure, (left, right) = _panels(2, width_ratios=(3, 2))
    left.plot(
        "rate", "reward", data=ways["cheapest"], color="black", linewidth=1.2, label="least rate, from these samples"
    )
    looks = {"reweighted": ("C0", "o", "reweighted, 95 %"), "best_of": ("C2", "s", "best of N (number), 95 %")}
    for way, (colour, marker, label) in looks.items():
        if (rows := ways.get(way)) is None:  # too few samples to reweight
            continue
        band = [rows["reward"] - rows["reward_low"], rows["reward_high"] - rows["reward"]]
        left.errorbar(rows["rate"], rows["reward"], yerr=band, fmt=marker, color=colour, capsize=3, label=label)
    bound = {"color": "C3", "markersize": 9, "zorder": 3, "label": "best of N, at its bound"}
    left.plot("rate", "reward", "x", data=ways["bound"], **bound)
    for _, row in ways["best_of"].iterrows():
        place = (row["rate"], row["reward"])
        left.annotate(f"{row['at']:.0f}", place, (8, -14), textcoords="offset points", fontsize=11)
    left.set(xlabel="rate (bits)", ylabel="mean reward (share of words)", title="rate and reward")
    _legend(figure, left, ncols=4)
    rewards = ways["sample"]["reward"]
    right.hist(rewards, bins=np.arange(-BIN / 2, rewards.max() + 1.5 * BIN, BIN), color="C0")
    right.set(xlabel="reward of a continuation", ylabel="samples", title="what the model says by itself")
    return figure


def _panels(number: int, figsize: tuple[float, float] = WIDE, **options: object) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=figsize, layout="constrained")
    return figure, list(figure.subplots(1, number, squeeze=False, **options)[0])


def _legend(figure: Figure, axes: Axes, ncols: int) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=ncols)
