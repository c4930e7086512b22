"""The figures of notebook 08, each drawn from its table."""

import pandas as pd
from matplotlib.figure import Figure

from bitskept.studies.output import claims_figures
from bitskept.studies.output.attention_figures import attention_runs as attention_runs
from bitskept.studies.output.attention_figures import attention_spread as attention_spread
from bitskept.studies.output.capacity_figures import capacity as capacity
from bitskept.studies.output.claims import RELEVANT
from bitskept.studies.output.decoding_figures import decoders as decoders
from bitskept.studies.output.decoding_figures import decoding_along as decoding_along
from bitskept.studies.output.detection_figures import detection as detection
from bitskept.studies.output.retrieval_figures import retrieval as retrieval
from bitskept.studies.output.retrieval_figures import retrieval_drift as retrieval_drift
from bitskept.studies.output.spread_figures import spread as spread
from bitskept.studies.output.switching_figures import switching as switching
from bitskept.studies.output.word_classes_figures import word_classes as word_classes


def claims(table: pd.DataFrame) -> Figure:
    """The primary claims of all sections with their intervals, in multiples of the least effect that counts."""
    return claims_figures.draw(table[table["primary"]], relevant=RELEVANT)
