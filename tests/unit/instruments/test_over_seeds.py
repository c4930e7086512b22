import pandas as pd

from bitskept.instruments.over_seeds import spread


def test_the_mean_over_seeds_lies_between_their_outermost_ends():
    rows = [("a", 0, 1.0, 0.5, 2.0), ("a", 1, 3.0, 2.5, 3.5), ("b", 0, 5.0, 4.0, 6.0)]
    table = spread(pd.DataFrame(rows, columns=["twin", "seed", "estimate", "low", "high"]), "twin")
    assert table.to_numpy().tolist() == [["a", 2.0, 0.5, 3.5], ["b", 5.0, 4.0, 6.0]]
