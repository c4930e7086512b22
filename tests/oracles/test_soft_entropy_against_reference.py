"""Soft entropy against the package that it stays comparable with: the same anchors, states and labels in float32."""

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.soft_entropy.accumulator import SoftEntropy
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.labels import ABSENT, Labels, k_grams
from bitskept.instruments.states import encode, stream

package = pytest.importorskip("soft_entropy", reason="pip install --no-deps --group reference")
pytestmark = [
    pytest.mark.skipif(torch.accelerator.is_available(), reason="the package draws its anchors on the accelerator"),
    pytest.mark.usefixtures("one_thread"),
]
NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}


@pytest.mark.parametrize(("number", "dim", "seed"), [(100, 576, 0), (10, 16, 3), (7, 5, 1)])
def test_the_draw_of_anchors_is_that_of_the_package(number, dim, seed):
    theirs = package.SoftEntropyAccumulator(dim, n_bins=number, seed=seed, backend="torch")
    ours = Anchors.draw(number, dim, seed=seed, calibration="reference")
    assert torch.equal(ours.points, theirs.w)
    assert ours.temperature == pytest.approx(theirs.temp, rel=1e-9)


@pytest.mark.parametrize(("number", "dim"), [(100, 64), (10, 768), (1000, 16)])
def test_every_entropy_and_information_agrees(number, dim):
    rng, layers, places = np.random.default_rng(0), 3, 700
    weights = 1 / np.arange(1, 401)
    sets = {
        "frequent": rng.choice(20, places), "rare": rng.choice(400, places, p=weights / weights.sum()),
        "unique": np.arange(places), "one": np.zeros(places, int),
    }  # fmt: skip
    directions = rng.standard_normal((20, dim))
    states = rng.standard_normal((layers, places, dim)) + 2 * directions[sets["frequent"]]
    states = torch.tensor(states * np.array([0.01, 1, 50])[:, None, None], dtype=torch.float32)

    anchors = Anchors.draw(number, dim, seed=2, calibration="reference")
    ours = SoftEntropy(anchors, Labels.build(sets, np.arange(places) // 7, rows=places, seed=0), layers)
    ours.open(np.arange(places))
    theirs = [package.SoftEntropyAccumulator(dim, n_bins=number, seed=2, backend="torch") for _ in range(layers)]
    for batch in np.array_split(np.arange(places), 5):
        ours.add(anchors.assign(states[:, batch]), batch)
        for accumulator, own in zip(theirs, states, strict=True):
            accumulator.update(own[batch], {name: labels[batch] for name, labels in sets.items()})

    result = ours.evaluate()
    for layer, accumulator in enumerate(theirs):
        assert result.entropy.value[layer] / np.log2(number) == pytest.approx(accumulator.entropy(), abs=1e-5)
        for name, information in accumulator.mutual_information().items():
            own = result.sets[name].raw.value[layer] / np.log2(number)
            assert own == pytest.approx(information, abs=1e-5), (layer, name)
    assert theirs[1].mutual_information()["rare"] > 0.1


@pytest.fixture
def inferrer(tiny, tmp_path):
    """The package's whole programme on the tiny llama, read from a folder, on a data set that is never opened."""
    model = tiny("llama")
    whole = transformers.LlamaForCausalLM(model.network.config)
    whole.model.load_state_dict(model.network.state_dict())
    whole.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)

    def build(widths):
        options = {"label_types": [NAMES[width] for width in widths], "n_bins": 10, "max_length": model.longest}
        return package.LLMInferrer(str(tmp_path), "no data set", **options)

    return build


@pytest.mark.parametrize("widths", [(1,), (2,), (1, 2, 3)])
def test_widths_sides_and_places_are_those_of_the_package(tiny, inferrer, widths):
    model = tiny("llama")
    texts = [
        "the cat sat. it",
        "it 42",
        "!",
        "the cat the cat the 42 cat",
        "ab",
        "the the the cat cat",
        "it sat, it sat",
    ]
    theirs = inferrer(widths)
    for start in range(0, len(texts), 4):
        theirs._process_batch(texts[start : start + 4])

    encoding = encode(model, texts)
    sets, sentences = k_grams(encoding, widths)
    labels = Labels.build(sets, sentences, rows=1000, seed=0)
    starts = np.searchsorted(sentences, np.arange(len(texts)))
    anchors = Anchors.draw(10, model.width, seed=0, calibration="reference")
    ours = SoftEntropy(anchors, labels, model.layers + 1)
    ours.open(np.arange(len(sentences)))
    for batch in stream(model, encoding, range(len(texts))):
        ours.add(anchors.assign(batch.states), starts[batch.sentences.numpy()] + batch.positions.numpy())
    result = ours.evaluate()

    for layer, accumulator in enumerate(theirs.accs):
        assert accumulator._n_samples == result.places
        assert result.entropy.value[layer] / np.log2(10) == pytest.approx(accumulator.entropy(), abs=1e-5)
        information = accumulator.mutual_information()
        for width in widths:
            for side in ("input", "output"):
                name, code = f"{side} {width}", f"{side}_{NAMES[width]}"
                counts = np.unique(sets[name][sets[name] != ABSENT], return_counts=True)[1]
                assert sorted(counts) == sorted(accumulator._label_n_samples[code].values())
                own = result.sets[name].raw.value[layer] / np.log2(10)
                assert own == pytest.approx(information[code], abs=1e-5), (layer, name)
