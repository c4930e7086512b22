import numpy as np
import pytest

from bitskept import params
from bitskept.measure.information_density import MARGINALS, Plan
from bitskept.measure.next_token import QUANTITIES
from bitskept.training import prompted

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*sentences are longer than"),
]


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    """Small twins on a text of a few words."""
    folder, random = tmp_path_factory.mktemp("prompted"), np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=10 + place % 5)) + "." for place in range(150)]
    (folder / "text.txt").write_text("\n".join(texts), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(folder / "home"))
        yield params.TrainingDynamics(
            profile="smoke", twins=["causal", "diffusion"], seeds=[0], width=48, depth=1, steps=2, batch=4, rate=0.01,
            weight_decay=0.0, hidden=0.3, corpus=str(folder / "text.txt"), sentences=40, longest=64, vocabulary=300,
            varied=[], varied_seeds=[], other_widths=[], other_sentences=[], varied_in_full=False, initials=[0.02, 0.2],
            train_sentences=30, validation_sentences=8, test_sentences=12, soft_sentences=40, anchors=8, widths=[1],
            draws=2, tasks=["stsb"], data_tasks=[], items=10, seed=0, dtype="float32",
        )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(section):
    return prompted.checkpoints(section, ["causal", "diffusion"], [0], progress=False)


def test_each_twin_has_its_checkpoints(checkpoints):
    assert list(checkpoints) == ["twin", "seed", "step", "id"]
    assert checkpoints.groupby("twin", sort=False)["step"].agg(list).to_dict() == {
        "causal": [0, 1, 2],
        "diffusion": [0, 1, 2],
    }


def test_costs_are_exact_or_bounds(section, checkpoints):
    found = prompted.costs(section, checkpoints, progress=False)
    assert found.groupby("twin")["quantity"].unique().map(list).to_dict() == {
        "causal": ["bits_per_byte"],
        "diffusion": ["bits_per_byte_bound"],
    }
    assert found[["seed", "step"]].to_numpy().tolist() == checkpoints[["seed", "step"]].to_numpy().tolist()


def test_causal_twins_gather_and_are_prompted(section, checkpoints):
    causal = checkpoints[checkpoints["twin"] == "causal"]
    told = prompted.next_tokens(section, causal, progress=False)
    assert told.groupby("step")["quantity"].agg(list).tolist() == [list(QUANTITIES)] * 3
    wide = told.pivot_table(index="step", columns="quantity", values="estimate")
    assert (wide["frequency_entropy"] - wide["cross_entropy"]).to_numpy() == pytest.approx(wide["gathered"].to_numpy())
    plan = Plan(section.corpus, 4, others=2, context=8, length=4)
    gains = prompted.gains(causal, plan, replicates=20, progress=False)
    assert gains.groupby("step")["marginal"].agg(list).tolist() == [list(MARGINALS)] * 3
    assert set(gains["seed"]) == {0}
