"""The information of states about labels of whole texts: the domain of a sentence, and the answer that people
preferred.
"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck import preference
from bitskept.studies.bottleneck.by_layer import with_depth
from bitskept.studies.bottleneck.section import IbCorrelations, preference_plan


def preferred(section: IbCorrelations) -> tuple[pd.DataFrame | None, str]:
    """Preference information of all models, with the `depth` of each layer; None, and the reason, where the pairs of
    answers are not available.
    """
    plan, terms = preference_plan(section), section.accept_terms
    try:
        tables = [preference.measure(model, plan, accept_terms=terms) for model in section.models]
    except SourceError as error:
        return None, f"Preference information is left out: {error}."
    return with_depth(pd.concat(tables)), ""


@makes_table
def labels(compressed: pd.DataFrame, preferred: pd.DataFrame | None, section: IbCorrelations) -> pd.DataFrame:
    """Domain information and, where it was measured, preference information with its controls, of each layer. Measured
    by `instruments.soft_entropy.compression.measure` and `studies.bottleneck.preference.measure`.
    """
    domain = compressed[compressed["anchor_seed"] == section.anchor_seeds[0]]
    tables = [domain[domain["quantity"].str.startswith("domain_information")]]
    if preferred is not None:
        tables.append(preferred[preferred["quantity"].str.startswith("preference_")])
    table = pd.concat(tables)
    return table[table["layer"].notna()]
