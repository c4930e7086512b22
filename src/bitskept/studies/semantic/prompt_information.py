"""How many bits prompts direct into the tokens of answers: along one answer, on average, and by length of context."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import information_density
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic.section import SemanticInformation, context_plans


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
    """Granger's question: the mean density per token, by corpus and marginal. Measured by
    `instruments.likelihood.information_density.measure`, computed by `gains` in the same module.
    """
    return information_density.gains(tokens, seed=section.seed)


@makes_table
def gains_by_context(section: SemanticInformation) -> pd.DataFrame:
    """The same where only the last tokens of each prompt are read, by the number of these tokens (`context`). Measured
    by `instruments.likelihood.information_density.measure`, computed by `gains` in the same module.
    """
    options = {"accept_terms": section.accept_terms}
    tokens = information_density.measure_all(section.model, context_plans(section), **options)
    return information_density.gains(tokens, seed=section.seed)
