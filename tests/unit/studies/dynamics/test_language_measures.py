"""What is measured on a language with a truth, on states whose content is known, and in a small run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.probes.readings import View
from bitskept.instruments.training.builds import Build
from bitskept.studies.dynamics import language_measures, language_runs
from bitskept.studies.dynamics.language_measures import CLEAN, CORRUPTED, cluster_rows
from bitskept.studies.dynamics.language_probes import Truth, probe_rows
from bitskept.studies.dynamics.language_runs import Language, Plan, Sizes
from bitskept.theory.corruption import Corruption

pytestmark = pytest.mark.usefixtures("one_thread")
LANGUAGE = Language(classes=4, synonyms=2, concentration=0.5, seed=1)
LAW = LANGUAGE.law
SIZES = Sizes(train=40, validation=10, test=24, smaller=(20,), loss=40, optimum=40, anchors=8, clusters=8)
PLAN = Plan(LANGUAGE, Corruption(0.3, 0.1, 0.1), Build("llama", 16, 2, 2, 24), SIZES, length=8, steps=1, batch=4)


def views(content, parts=(120, 30, 60), length=16):
    """States [1 layer] of three samples of sentences, as `content` makes them of the tokens."""
    random = np.random.default_rng(0)
    for sentences in parts:
        tokens = torch.from_numpy(LAW.sample(sentences, length, random)).flatten()
        noise = 0.01 * torch.from_numpy(random.standard_normal((len(tokens), 8))).float()
        owners = torch.arange(sentences).repeat_interleave(length)
        yield View((content(tokens) + noise)[None], tokens, owners)


def one_hot(values):
    return torch.nn.functional.one_hot(values, 8).float()


def read(content):
    rows = pd.DataFrame(probe_rows(*views(content), torch.eye(8), Truth(LAW, LAW.entropy)))
    return rows[rows["probe"] == "centroid"].set_index("quantity")


def test_states_that_hold_the_token_give_all_bits_of_class_and_synonym():
    found = read(one_hot)["estimate"]
    assert found["named"] == found["class_named"] == 1
    assert found["class_bits"] == pytest.approx(LAW.class_entropy, abs=0.01)
    assert found["synonym_bits"] == pytest.approx(LAW.synonym_bits, abs=0.01)


def test_states_that_hold_the_class_alone_give_nothing_of_the_synonym():
    found = read(lambda tokens: one_hot(tokens // 2))["estimate"]
    assert found["class_named"] == 1
    assert found["named"] == pytest.approx(0.5, abs=0.06)
    assert found["class_bits"] == pytest.approx(LAW.class_entropy, abs=0.01)
    assert found["synonym_bits"] == pytest.approx(0, abs=0.02)


def test_states_that_hold_the_synonym_alone_give_nothing_of_the_class():
    found = read(lambda tokens: one_hot(tokens % 2))["estimate"]
    assert found["class_bits"] == pytest.approx(0, abs=0.05)
    assert found["synonym_bits"] == pytest.approx(LAW.synonym_bits, abs=0.05)


def test_bits_of_class_and_synonym_add_up_and_intervals_hold_the_estimates():
    rows = read(lambda tokens: one_hot(tokens // 2) + 0.02 * one_hot(tokens))
    found = rows["estimate"]
    assert found["kept"] == pytest.approx(found["class_bits"] + found["synonym_bits"])
    assert 0.02 < found["synonym_bits"] < 0.98
    for quantity in ("kept", "synonym_bits", "bits"):
        assert rows.loc[quantity, "low"] < found[quantity] < rows.loc[quantity, "high"]
    assert found["bits"] == pytest.approx(found["kept"], abs=0.15)  # H(X) is estimated from the sample
    assert rows["exact"].dropna().to_dict() == {
        "kept": LAW.entropy,
        "class_bits": LAW.class_entropy,
        "synonym_bits": LAW.synonym_bits,
        "bits": LAW.entropy,
    }


def test_tokens_that_a_state_cannot_hold_have_no_bits_of_class_and_synonym():
    rows = pd.DataFrame(probe_rows(*views(one_hot), torch.eye(8), Truth(LAW, 1.0, whole=False)))
    assert {"kept", "class_bits", "synonym_bits"}.isdisjoint(rows["quantity"])
    assert (rows.loc[rows["quantity"] == "bits", "exact"] == 1.0).all()


def test_clusters_of_states_that_hold_the_token_tell_all_of_it_and_permuted_tokens_little():
    train, *_ = views(one_hot)
    rows = pd.DataFrame(cluster_rows(train, 8, 8, 0)).set_index("quantity")["estimate"]
    shares = np.bincount(train.types, minlength=8) / len(train.types)
    whole = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert rows["cluster_information"] == pytest.approx(whole, abs=0.35)  # k-means may put two tokens in one cluster
    assert rows["cluster_floor"] < 0.1


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A causal run and one under BERT's rule."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(tmp_path_factory.mktemp("home")))
        causal = replace(PLAN, corruption=None, causal=True)
        yield (
            {plan.causal: language_runs.run(plan) for plan in (PLAN, causal)},
            {plan.causal: language_runs.optimum(plan).bits for plan in (PLAN, causal)},
        )


@pytest.mark.parametrize("causal", [False, True])
def test_a_run_is_measured_in_all_ways(tables, causal):
    table, least = tables[0][causal], tables[1][causal]
    assert list(table) == language_measures.COLUMNS
    assert not table.duplicated([*language_measures.COLUMNS[:7]]).any()
    first, last = (table[table["step"] == step] for step in (0, 1))
    assert set(first["reading"].dropna()) == {"token", "wanted"}
    assert set(last["reading"].dropna()) == {"token", "window", "wanted"}
    assert set(last.loc[last["reading"] == "token", "train_sentences"]) == {40, 20}
    assert set(last.loc[last["reading"] == "wanted", "text"]) == {CLEAN if causal else CORRUPTED}
    assert (((last["reading"] == "token") & (last["text"] == CORRUPTED)).any()) == (not causal)
    wanted = table[(table["reading"] == "wanted") & (table["quantity"] == "bits")]
    assert wanted["exact"].tolist() == pytest.approx([LAW.entropy - least] * len(wanted))
    losses = table[table["quantity"].isin(["loss", "gap"])].pivot(index="step", columns="quantity", values="estimate")
    assert (losses["loss"] - losses["gap"]).tolist() == pytest.approx([least] * 2)


def test_only_a_state_that_has_seen_the_next_token_may_tell_all_of_it(tables):
    for causal, table in tables[0].items():
        soft = table[table["quantity"] == "expressivity"].groupby("layer")["exact"].first()
        later = LAW.next_information if causal else LAW.entropy
        assert soft.tolist() == pytest.approx([LAW.next_information, later, later])
        complexity = table.loc[table["quantity"] == "complexity_corrected", "exact"]
        assert (complexity == LAW.entropy).all()


def test_a_causal_state_may_tell_of_the_next_token_what_all_tokens_before_it_do(home):
    delayed = replace(LANGUAGE, lag=2)
    table = language_runs.run(replace(PLAN, language=delayed, corruption=None, causal=True, followed=False))
    soft = table[table["quantity"] == "expressivity"].groupby("layer")["exact"].first()
    # The synonym of the first token that is predicted has nothing before it that decides it.
    later = LAW.next_information + 6 / 7 * delayed.law.synonym_information
    assert soft.tolist() == pytest.approx([LAW.next_information, later, later])
