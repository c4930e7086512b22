import json

import pytest

from bitskept.instruments.effective_rank import Plan, measure
from bitskept.instruments.job import measuring
from bitskept.sources.random_weights import Weights


@pytest.mark.usefixtures("home")
def test_random_copies_of_another_scale_are_another_job_and_a_seed_alone_is_the_configured_one(tmp_path):
    (tmp_path / "corpus.txt").write_text("the cat sat.", "utf-8")
    measurements = [(measure, Plan(str(tmp_path / "corpus.txt"), sentences=4, ranks=(1, 8), groups=2))]
    one, other, seed = (
        measuring("02_layer_sweep", "random", "smollm2-135m", measurements, (), weights=weights).key
        for weights in ([0, Weights(0, "both")], [0, Weights(0, "residual")], [0])
    )
    assert json.dumps(one) != json.dumps(other)
    assert seed["weights"] == [0]
    assert one | {"weights": None} == seed | {"weights": None}
