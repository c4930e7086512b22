"""One pass over a model's states: streams, probes, the sweep."""
