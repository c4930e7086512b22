import dit
import numpy as np
import pytest
from dit.multivariate import coinformation, total_correlation
from dit.shannon import conditional_entropy, entropy, mutual_information

from bitskept.theory import information


@pytest.fixture(params=range(20))
def law(request):
    """A random law of three variables, with zeros."""
    rng = np.random.default_rng(request.param)
    shape = tuple(rng.integers(2, 5, size=3))
    weights = rng.exponential(size=shape) ** 3 * (rng.random(shape) < 0.7)
    return weights / weights.sum()


def test_all_quantities_agree(law):
    outcomes = [cell for cell in np.ndindex(law.shape) if law[cell] > 0]
    oracle = dit.Distribution(outcomes, [law[cell] for cell in outcomes])
    pairs = [
        (information.entropy(law), entropy(oracle)),
        (information.entropy(law, (0, 2)), entropy(oracle, [0, 2])),
        (information.conditional_entropy(law, (0, 1), 2), conditional_entropy(oracle, [0, 1], [2])),
        (information.mutual_information(law, (0, 1), 2), mutual_information(oracle, [0, 1], [2])),
        (information.mutual_information(law, 0, 2, given=1), coinformation(oracle, [[0], [2]], [1])),
        (information.total_correlation(law), total_correlation(oracle)),
        (information.total_correlation(law, (0, 1)), total_correlation(oracle, [[0], [1]])),
        (information.conditional_total_correlation(law, (0, 1), 2), total_correlation(oracle, [[0], [1]], [2])),
    ]
    ours, theirs = np.array(pairs).T
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
