"""The conclusions of notebook 00 in words, computed from its tables."""

import pandas as pd

from bitskept.base.words import quote

EVEN_ODDS = 1.0
"""Bits of surprise at a token that the probe gave the probability 1/2."""
CERTAIN = 0.1
"""Bits of surprise below which a token counts as certain."""


def one_sentence(sentence: pd.DataFrame) -> str:
    """Which token is lost first and which most, and which are still certain at the last layer."""
    ordered = sentence.sort_values(["layer", "surprisal"], ascending=[True, False])
    doubtful = ordered[ordered["surprisal"] > EVEN_ODDS]
    last = ordered["layer"].max()
    top = ordered[ordered["layer"] == last]
    most, certain = top.iloc[0], top[top["surprisal"] < CERTAIN]["token"]
    first = "No token drops below even odds (one bit) at any layer."
    if len(doubtful):
        first = "The first token to drop below even odds (one bit) is “{token}”, at layer {layer}."
        first = first.format(**doubtful.iloc[0])
    names = ": " + " ".join(f"`{token}`" for token in certain.unique()) if len(certain) else ""
    often = "once" if most["seen"] == 1 else f"{most['seen']} times"
    return (
        f"{first} At layer {last}, the last one, **“{most['token']}” is lost most**: it leaves {most['surprisal']:.1f} "
        f"of the {most['without_state']:.1f} bits open that it takes to name it without a state. (It occurs "
        f"{often} in the training sentences.) There the probe guesses {(~top['correct']).sum()} of "
        f"{len(top)} tokens wrong, and {len(certain)} are nearly certain (below {CERTAIN} bits){names}. Over the whole "
        f"sentence the layer leaves {top['surprisal'].sum():.1f} of {top['without_state'].sum():.1f} bits open."
    )


def average(layers: pd.DataFrame, without_state: float) -> str:
    """What the first, the middle and the last layer leave open on average; `without_state` is the mean surprisal of a
    guess by frequency, in bits.
    """
    first, middle, last = (layers.iloc[place] for place in (0, len(layers) // 2, -1))
    steps = layers.set_index("layer")["estimate"].diff().dropna()
    step = "It never rises from one of these layers to the next."
    if steps.max() > 0:
        step = f"The largest rise is {steps.max():.2f} bits, up to layer {steps.idxmax()}."
    share = 1 - last["estimate"] / without_state
    top = "At the top the probe does no better than a guess by frequency."
    if share > 0:
        top = f"So at the top the probe finds {share:.0%} of the bits that a guess by frequency leaves open."
    return (
        f"Without a state, naming a token takes {without_state:.1f} bits on average. Layer {first['layer']:.0f} leaves "
        f"{quote(first, '.2f', 'sentences')} of them open, layer {middle['layer']:.0f} {quote(middle, '.2f')}, "
        f"and layer {last['layer']:.0f} **{quote(last, '.2f')}**, where {last['wrong']:.0%} of the tokens are guessed "
        f"wrong. {step} {top}"
    )
