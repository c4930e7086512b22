"""The information of states about labels of whole texts: the domain of a sentence, and the answer that people
preferred.
"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.base.words import quote
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck import by_layer, preference
from bitskept.studies.bottleneck.section import IbCorrelations, preference_plan

ANSWERS = {
    preference.INFORMATION: "of people",
    preference.BEYOND: "of people, beyond length",
    preference.EXCHANGED: "exchanged at random",
    preference.LONGER: "of the longer answer",
}
"""What preference information and its controls are about."""


def preferred(section: IbCorrelations) -> tuple[pd.DataFrame | None, str]:
    """Preference information of all models, with the `depth` of each layer, as `over_draws` of the anchors; None, and
    the reason, where the pairs of answers are not available.
    """
    plan, terms = preference_plan(section), section.accept_terms
    try:
        tables = [preference.measure(model, plan, accept_terms=terms) for model in section.models]
    except SourceError as error:
        return None, f"Preference information is left out: {error}."
    return by_layer.with_depth(over_draws(pd.concat(tables))), ""


def over_draws(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the draws of the anchors (`by_layer.over_draws`); of p-values the largest, which is valid as well."""
    largest = table.groupby(["model", "quantity", "layer"], dropna=False)["estimate"].transform("max")
    values = table["estimate"].mask(table["quantity"].str.endswith("_p"), largest)
    return by_layer.over_draws(table.assign(estimate=values), "clusters")


@makes_table
def labels(compressed: pd.DataFrame, preferred: pd.DataFrame | None, section: IbCorrelations) -> pd.DataFrame:
    """Domain information and, where it was measured, preference information with its controls: of each layer and,
    without a layer, as a mean over all but the embedding; which answer is longer as this mean only. `clusters` is how
    many sentences, or prompts, an interval is over.
    Measured by `instruments.soft_entropy.compression.measure` and `studies.bottleneck.preference.measure`.
    """
    domain = compressed[compressed["anchor_seed"] == section.anchor_seeds[0]]
    domain = domain[domain["quantity"].str.startswith("domain_information")]
    tables = [domain.assign(clusters=domain["sentences"])]
    if preferred is not None:
        by_layer = ~preferred["quantity"].str.startswith(preference.LONGER) | preferred["layer"].isna()
        tables.append(preferred[preferred["quantity"].str.startswith("preference_") & by_layer])
    return pd.concat(tables)


def preferences(labels: pd.DataFrame) -> pd.DataFrame:
    """Preference information and its controls in words, by model: the mean over all layers but the embedding, above its
    floor, with its interval, its p-value and the number of prompts; no row where it was not measured.
    """
    means = labels[labels["layer"].isna()].set_index(["model", "quantity"])
    rows = []
    for model in means.index.unique("model"):
        for quantity, name in ANSWERS.items():
            if (model, f"{quantity}_p") in means.index:
                row = means.loc[(model, f"{quantity}_corrected")]
                facts = {"model": model, "labels": name, "bits per token": quote(row, "z.4f")}
                chance = means.loc[(model, f"{quantity}_p"), "estimate"]
                rows.append(facts | {"p": f"{chance:.3f}", "prompts": int(row["clusters"])})
    return pd.DataFrame(rows, columns=["model", "labels", "bits per token", "p", "prompts"]).set_index(
        ["model", "labels"]
    )
