"""How many bits prompts direct into the tokens of answers: along one answer, on average, and by length of context."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import information_density
from bitskept.instruments.likelihood.information_density import DENSITIES, MARGINALS
from bitskept.studies.semantic.section import SemanticInformation, context_plans

BEYOND_ANOTHER, ANOTHER = "beyond another prompt", "another prompt"
"""A control in the place of a marginal: the own prompt less the next one of the bank, and that one less no prompt."""
CHANGE = "change"


@makes_table
def along_answer(tokens: pd.DataFrame, section: SemanticInformation) -> pd.DataFrame:
    """The density of each token of the answer that is shown (`estimate`) and their sum so far (`S`), by marginal, in
    bits. Measured by `instruments.likelihood.information_density.measure`.
    """
    shown = tokens[(tokens["corpus"] == section.shown_corpus) & (tokens["answer"] == section.shown)]
    columns = [f"density_{name}" for name in MARGINALS]
    table = shown.melt(["answer", "position", "token"], columns, "marginal", "estimate")
    table["marginal"] = table["marginal"].str.removeprefix("density_")
    return table.assign(S=table.groupby("marginal")["estimate"].cumsum())


@makes_table
def gains(tokens: pd.DataFrame, section: SemanticInformation) -> pd.DataFrame:
    """Granger's question: the mean density per token, by corpus and marginal, with the most that a mixture over the
    bank can show (`ceiling`). Two rows per corpus are a control: what an answer's own prompt tells more than the next
    prompt of its bank (`BEYOND_ANOTHER`), and what that one tells against no prompt (`ANOTHER`). Measured by
    `instruments.likelihood.information_density.measure`, computed by `gains` in the same module.
    """
    usual = information_density.gains(tokens, seed=section.seed)
    given = tokens["given_another"]
    others = {BEYOND_ANOTHER: tokens["given_prompt"] - given, ANOTHER: given - tokens["promptless"]}
    parts = [usual]
    for name, density in others.items():
        control = information_density.gains(tokens.assign(density_mixture=density), seed=section.seed)
        parts.append(control[control["marginal"] == "mixture"].assign(marginal=name))
    table = pd.concat(parts, ignore_index=True)
    by_corpus = tokens.groupby("corpus")
    ceilings = np.log2(section.bank) * by_corpus["answer"].nunique() / by_corpus.size()
    return table.assign(ceiling=table["corpus"].map(ceilings).where(table["marginal"] == "mixture"))


@makes_table
def gains_by_context(section: SemanticInformation) -> pd.DataFrame:
    """The same where only the last tokens of each prompt are read, by the number of these tokens (`context`); and what
    the longest context adds to each shorter one (quantity `CHANGE`, the shorter one as `since`), answer by answer.
    Measured by `instruments.likelihood.information_density.measure`, computed by `gains` in the same module.
    """
    options = {"accept_terms": section.accept_terms}
    tokens = information_density.measure_all(section.model, context_plans(section), **options)
    return pd.concat([information_density.gains(tokens, seed=section.seed), changes(tokens, seed=section.seed)])


def changes(tokens: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """What the longest context adds to the mean density per token over each shorter one, in the columns of `gains`."""
    longest, parts = tokens["context"].max(), []
    place = ["corpus", "answer", "position"]
    most = tokens[tokens["context"] == longest].set_index(place)
    for since, rows in tokens[tokens["context"] < longest].groupby("context"):
        less = rows.set_index(place)
        more = most.loc[less.index].assign(**(most.loc[less.index, DENSITIES] - less[DENSITIES])).reset_index()
        parts.append(information_density.gains(more, seed=seed).assign(quantity=CHANGE, since=since))
    return pd.concat(parts, ignore_index=True)
