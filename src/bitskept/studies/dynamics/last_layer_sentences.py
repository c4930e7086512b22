"""What the last layers of twins keep and forget, in Markdown."""

from collections.abc import Collection
from itertools import permutations

import pandas as pd

from bitskept.base.words import quote
from bitskept.studies.dynamics.gains import NO_VERDICT
from bitskept.studies.dynamics.last_layers import BITS, COMPARED, EQUAL, LARGEST


def kept(table: pd.DataFrame, without_verdict: Collection[str]) -> str:
    """What the last layer of each twin keeps before its first step and after its last, and at which layer above the
    embeddings most is kept then, by probe (`bits_by_layer.retained`).
    """
    lines = []
    for twin, rows in table.groupby("twin", sort=False):
        said = []
        for probe, curves in rows.groupby("probe", sort=False):
            last = curves[curves["layer"] == curves["layer"].max()].sort_values("step")
            start, end = last.iloc[0], last.iloc[-1]
            layers = curves[(curves["step"] == end["step"]) & (curves["layer"] > 0)]
            best = layers.loc[layers["estimate"].idxmax()]
            top = f"layer {best['layer']}, {quote(best, '.2f')}"
            most = "the last layer" if best["layer"] == end["layer"] else top
            said.append(f"by the {probe} {quote(start, '.2f')} and {quote(end, '.2f')}, most at {most}")
        lines.append(f"- **{twin}**{_mark(twin, without_verdict)}: {'; '.join(said)}.")
    head = (
        "Share of $H(X)$ that the last layer keeps before the first step and after the last, and the layer above the "
    )
    return "\n".join([f"{head}embeddings that keeps most then:", "", *lines])


def order(by_run: pd.DataFrame, twins: Collection[str], relevant: float) -> str:
    """The order of the main `twins` by what the last layers of runs that have learned keep on average, after the last
    step and at equal gains, by probe (`last_layers.by_run`); and whether two of them change places, by `relevant` bits
    or more at both.
    """
    rows = by_run[by_run["twin"].isin(twins) & by_run["learned"] & (by_run["quantity"] == BITS)]
    rows = rows[rows["train_sentences"] == rows["train_sentences"].max()]
    lines = []
    for probe, part in rows.groupby("probe", sort=False):
        wheres = ["", EQUAL, LARGEST]
        kept = [part[part["reading"] == f"token{where}"].groupby("twin")["estimate"].mean() for where in wheres]
        said = [f"{COMPARED[where]} {_ranked(bits)}" for where, bits in zip(wheres, kept, strict=True) if len(bits) > 1]
        if len(said) > 1:
            turned = any(
                one[a] - one[b] >= relevant and other[b] - other[a] >= relevant
                for one, other in permutations(kept, 2)
                for a, b in permutations(one.index.intersection(other.index), 2)
            )
            same = f"no two change places by {relevant} bits or more"
            verdict = "**the order depends on when they are compared**" if turned else same
            lines.append(f"- By the {probe}, {verdict}: {'; '.join(said)} bits.")
    return "\n".join(lines) or "Fewer than two of the main twins have learned, so there is no order."


def _ranked(bits: pd.Series) -> str:
    return " > ".join(f"*{twin}* {kept:.2f}" for twin, kept in bits.sort_values(ascending=False).items())


def forgetting(table: pd.DataFrame, without_verdict: Collection[str]) -> str:
    """How much the last layers of each twin forget after the last step, and after which step most, by probe
    (`late_forgetting.by_step`).
    """
    lines = []
    for twin, rows in table.groupby("twin", sort=False):
        said = []
        for probe, curve in rows[rows["step"] > 0].groupby("probe", sort=False):
            end, most = curve.loc[curve["step"].idxmax()], curve.loc[curve["estimate"].idxmax()]
            when = "" if most["step"] == end["step"] else f" (most: {most['estimate']:.2f}, at step {most['step']:,})"
            said.append(f"{quote(end, 'z.2f')} by the {probe}{when}")
        lines.append(f"- **{twin}**{_mark(twin, without_verdict)}: {'; '.join(said)}.")
    return "\n".join(["Bits per token that are forgotten late, after the last step:", "", *lines])


def _mark(twin: str, without_verdict: Collection[str]) -> str:
    return f" ({NO_VERDICT})" if twin in without_verdict else ""
