"""The figures of notebook 08, each drawn from its table."""
