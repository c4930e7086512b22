import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics.built_in import by_architecture, by_pair, effects, paired_differences
from bitskept.theory.repeated_runs import mean_over_runs

BUILDS = [
    *((family, causal) for family in ("llama", "roberta", "roberta-prelayernorm") for causal in (True, False)),
    ("mamba2", True),
]
ERROR = 0.01


def untrained(kept, *, seeds=3, initials=(0.02, 0.1), probes=("centroid",), noise=0.0, error=ERROR, random=None):
    """Networks whose last layer, the sixth, keeps kept(family, causal, initial); no other layer keeps anything."""
    random = np.random.default_rng(0) if random is None else random
    rows = []
    for family, causal in BUILDS:
        for initial in initials:
            for seed in range(seeds):
                for probe in probes:
                    for layer in (0, 6):
                        value = kept(family, causal, initial) + noise * random.normal() if layer else 0.0
                        rows.append(
                            {"family": family, "causal": causal, "initial": initial, "seed": seed, "layer": layer,
                             "probe": probe, "unit": "share of H(X)",
                             "estimate": value, "low": value - 1.96 * error, "high": value + 1.96 * error}
                        )  # fmt: skip
    return pd.DataFrame(rows)


def additive(family, causal, initial):
    return 0.8 - 0.3 * causal + 0.1 * (family == "roberta-prelayernorm") - 2 * initial


def test_pairs_differ_in_one_ingredient_alone():
    differences = paired_differences(untrained(additive, seeds=1))
    names = differences.groupby("effect", sort=False)["pair"].apply(list).to_dict()
    assert names == {
        "mask": [f"{family}, initial {initial}" for family in ("llama", "roberta", "roberta-prelayernorm")
                 for initial in ("0.02", "0.1")],
        "norm": [f"{mask}, initial {initial}" for mask in ("causal", "both-sided") for initial in ("0.02", "0.1")],
        "scale": [f"{family}, {'causal' if causal else 'both-sided'}" for family, causal in BUILDS],
    }  # fmt: skip
    planted = {"mask": -0.3, "norm": 0.1, "scale": -0.16}
    for effect, rows in differences.groupby("effect"):
        assert rows["estimate"].tolist() == pytest.approx([planted[effect]] * len(rows))
        assert rows["error"].tolist() == pytest.approx([ERROR * 2**0.5] * len(rows), rel=1e-3)


def test_planted_effects_are_found_and_do_not_vary():
    found = effects(untrained(additive, noise=0.005)).set_index("effect")
    assert found["estimate"].tolist() == pytest.approx([-0.3, 0.1, -0.16], abs=0.01)
    assert found["pairs"].tolist() == [6, 4, 7]
    assert found["runs"].tolist() == [3, 3, 3]
    assert found["sure"].tolist() == ["less", "more", "less"]
    assert found["varies"].tolist() == ["", "", ""]
    # Seeds are the sample, and the error for want of items does not shrink with the number of pairs or seeds.
    assert (found["high"] - found["low"]).min() > 2 * 1.96 * ERROR * 2**0.5 * 0.99


def test_the_interval_takes_seeds_for_the_sample():
    table = untrained(additive, noise=0.1, error=0.0, seeds=4)
    differences = paired_differences(table)
    means = differences[differences["effect"] == "mask"].groupby("seed")["estimate"].mean().to_numpy()
    row = effects(table).set_index("effect").loc["mask"]
    assert row[["estimate", "low", "high", "p"]].tolist() == pytest.approx(mean_over_runs(means, 0.0), rel=1e-6)


def test_an_effect_that_changes_its_sign_is_seen():
    def crossed(family, causal, initial):
        return 0.5 + (0.2 if family == "llama" else -0.2) * causal

    table = untrained(crossed, noise=0.005)
    row = effects(table).set_index("effect").loc["mask"]
    assert row["varies"] == "sign"
    assert (row["smallest"], row["largest"]) == pytest.approx((-0.2, 0.2), abs=0.02)
    assert "roberta" in row["smallest_pair"]
    assert "llama" in row["largest_pair"]


def test_an_effect_that_changes_its_size_is_seen():
    def grows(family, causal, initial):
        return 0.5 - (0.3 if family == "llama" else 0.1) * causal

    table = untrained(grows, noise=0.005)
    found = effects(table).set_index("effect")
    assert found.loc["mask", "varies"] == "size"
    assert found.loc["norm", "varies"] == ""


@pytest.mark.parametrize(("seeds", "noise"), [(1, 0.0), (3, 0.02)])
def test_noise_has_no_effect_and_does_not_vary(seeds, noise):
    """Items err in their own way for each network, for all seeds alike."""
    random, sure, varies = np.random.default_rng(0), [], []
    for _ in range(10):
        quirks = {}

        def kept(*build, quirks=quirks):
            return quirks.setdefault(build, 0.02 * random.normal())

        found = effects(untrained(kept, seeds=seeds, noise=noise, error=0.02, random=random))
        sure += (found["sure"] != "").tolist()
        varies += (found["varies"] != "").tolist()
    assert np.mean(sure) < 0.1
    assert np.mean(varies) < 0.1


def test_seeds_that_not_all_pairs_have_are_left_out():
    table = untrained(additive, seeds=2)
    short = table[(table["seed"] == 0) | (table["family"] != "llama")]
    found = effects(short).set_index("effect")
    assert found["runs"].tolist() == [1, 2, 1]
    assert set(by_pair(paired_differences(short).query("effect == 'mask'"))["runs"]) == {1}


def test_each_probe_has_its_effects():
    found = effects(untrained(additive, noise=0.005, probes=("centroid", "ridge")))
    assert found[["effect", "probe"]].to_numpy().tolist() == [
        [effect, probe] for effect in ("mask", "norm", "scale") for probe in ("centroid", "ridge")
    ]


def test_one_pair_and_none():
    table = untrained(additive, initials=(0.02,))
    assert set(effects(table)["effect"]) == {"mask", "norm"}, "one initial scale has no effect"
    two = table[table["family"] == "llama"]
    row = effects(two).set_index("effect").loc["mask"]
    assert row[["pairs", "runs", "smallest_pair", "varies"]].tolist() == [1, 3, "llama, initial 0.02", ""]
    assert not len(effects(two[two["causal"]]))


def test_the_curves_of_a_build_are_means_over_seeds():
    table = by_architecture(untrained(additive, noise=0.1))
    rows = table[(table["family"] == "mamba2") & (table["initial"] == 0.1)]
    assert rows["layer"].tolist() == [0, 6]
    assert rows["estimate"].tolist() == pytest.approx([0, 0.3], abs=0.2)
