import numpy as np
import pandas as pd
import pytest

from bitskept.measure import embedding_table
from bitskept.sources import models
from bitskept.theory import johnson_lindenstrauss


@pytest.fixture
def model(tiny, tmp_path, home):
    """A tiny decoder on disk."""
    made = tiny("llama")
    for part in (made.network, made.tokenizer):
        part.save_pretrained(tmp_path / "decoder")
    return str(tmp_path / "decoder")


def test_it_is_the_table_of_the_embeddings_that_are_drawn(model, monkeypatch):
    found = embedding_table.squeezed(model, 20, [4, 8], projections=3, seed=5)
    vectors = models.load(model).embeddings.detach().numpy()
    chosen = np.random.default_rng(5).choice(len(vectors), size=20, replace=False)
    wanted = johnson_lindenstrauss.table(vectors[chosen], [4, 8], seeds=range(3))
    pd.testing.assert_frame_equal(found.drop(columns=["types", "width"]), pd.DataFrame(wanted._asdict()))
    assert found[["types", "width"]].drop_duplicates().to_numpy().tolist() == [list(vectors.shape)]
    monkeypatch.setattr(models, "load", None)
    pd.testing.assert_frame_equal(embedding_table.squeezed(model, 20, [4, 8], projections=3, seed=5), found)


def test_more_points_than_types_are_refused(model):
    with pytest.raises(ValueError, match=r"points must be at most .* but is 1,000,000"):
        embedding_table.squeezed(model, 1_000_000, [4], projections=2)
