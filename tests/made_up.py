"""Made-up texts and laws."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays


def sentences(words, shortest, longest, number, seed=0):
    """Different sentences of a few words."""
    rng, result = np.random.default_rng(seed), {}
    while len(result) < number:
        result[" ".join(rng.choice(words, size=rng.integers(shortest, longest + 1)))] = None
    return list(result)


def laws(min_dims=2, max_dims=2, min_side=1, max_side=4, least=1e-9):
    """Joint laws with many zeros, no other weight below `least`, and (with a side of 1) variables of one value."""
    shapes = array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)
    weights = shapes.flatmap(lambda shape: arrays(float, shape, elements=st.just(0.0) | st.floats(least, 1)))
    return weights.filter(lambda w: w.sum() > 0).map(lambda w: w / w.sum())
