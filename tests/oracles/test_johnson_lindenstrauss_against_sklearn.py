import pytest
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from bitskept.theory.johnson_lindenstrauss import dasgupta_gupta


@pytest.mark.parametrize("points", [2, 17, 500, 10**6])
@pytest.mark.parametrize("eps", [0.05, 0.1, 0.5, 0.99])
def test_the_theorem_s_dimension_is_that_of_sklearn_which_rounds_down(points, eps):
    assert dasgupta_gupta(points, eps) == johnson_lindenstrauss_min_dim(points, eps=eps) + 1
