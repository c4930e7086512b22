import pytest

from bitskept.studies.bounds.section import TheoryBounds


@pytest.fixture(scope="module")
def section():
    return TheoryBounds(
        profile="test",
        seed=0,
        words=2,
        length=3,
        losses=[0.0, 0.5, 1.0],
        fano_alphabets=[2, 4],
        vocabulary=50,
        deviation=0.3,
        training=[1, 64],
        repetitions=200,
        sample_sizes=[200, 1000],
        deltas=[0.05, 0.2],
        corpus_sentences=3000,
        clusters=[1, 8, 20],
        data_sets=50,
        networks=8,
        network_layers=4,
        network_training=[10, 300],
    )
