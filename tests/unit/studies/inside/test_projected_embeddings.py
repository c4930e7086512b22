import numpy as np
import pandas as pd
import pytest

from bitskept.sources import models
from bitskept.studies.inside import projected_embeddings
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import johnson_lindenstrauss


@pytest.fixture
def section(tiny, tmp_path, home):
    """Parameters with a tiny decoder on disk."""
    made = tiny("llama")
    for part in (made.network, made.tokenizer):
        part.save_pretrained(tmp_path / "decoder")
    asked = {"model": str(tmp_path / "decoder"), "points": 20, "dimensions": [4, 8], "projections": 3, "seed": 5}
    return InsideTransformer.read({"profile": "smoke"}).model_copy(update=asked)


def test_it_is_the_table_of_the_embeddings_that_are_drawn(section, monkeypatch):
    found = projected_embeddings.distortions(section)
    vectors = models.load(section.model).embeddings.detach().numpy()
    chosen = np.random.default_rng(5).choice(len(vectors), size=20, replace=False)
    wanted = johnson_lindenstrauss.table(vectors[chosen], [4, 8], seeds=range(3))
    drawn = found[found["points"] == "embeddings"]
    pd.testing.assert_frame_equal(drawn.drop(columns=["types", "width", "points"]), pd.DataFrame(wanted))
    assert found[["types", "width"]].drop_duplicates().to_numpy().tolist() == [list(vectors.shape)]
    monkeypatch.setattr(models, "load", None)
    pd.testing.assert_frame_equal(projected_embeddings.distortions(section), found)


def test_more_points_than_types_are_refused(section):
    with pytest.raises(ValueError, match="larger sample than population"):
        projected_embeddings.distortions(section.model_copy(update={"points": 1_000_000}))


def test_random_points_are_the_control(section):
    found = projected_embeddings.distortions(section.model_copy(update={"dimensions": [16, 512], "projections": 20}))
    control = found[(found["points"] == "random points") & (found["quantity"] == "median_distortion")]
    expected = [0.674 * (2 / dimension) ** 0.5 for dimension in (16, 512)]  # the median of |N(0, 2/k)|, for any points
    assert control["estimate"].to_numpy() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("dimension", "distortion"), [(4, 0.9), (8, 0.5), (32, 0.5)])
def test_the_share_of_pairs_beyond_a_distortion_is_that_of_any_points(dimension, distortion):
    points = np.random.default_rng(0).lognormal(size=(12, 50))
    found = johnson_lindenstrauss.distortions(points, [dimension], seeds=range(400))[dimension]
    share = projected_embeddings.share_beyond(dimension, distortion)
    assert (found > distortion).mean() == pytest.approx(share, abs=0.03)


def test_half_of_the_width_is_the_most_that_counts():
    rows = pd.DataFrame({"dimension": [8, 50, 51, 50], "width": 100, "estimate": [3.0, 2.0, 1.0, 9.0]})
    rows["quantity"] = ["max_distortion"] * 3 + ["median_distortion"]
    assert projected_embeddings.at_half(rows)["estimate"] == 2.0
