"""The figures of notebook 08, each drawn from its table."""

from bitskept.studies.output.spread_figures import spread as spread
