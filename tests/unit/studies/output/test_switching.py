"""The distributions of a twin's tokens against the whole model, and every sentence and claim about switches."""

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments import claims as outcomes
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import corpora, models
from bitskept.studies.output import switching
from bitskept.studies.output import switching_sentences as sentences
from bitskept.studies.output.section import OutputUncertainty, jobs
from bitskept.studies.output.switch_curve import ENTROPY, GAIN, ONE, ORACLE, SAVED, SAVED_EQUAL, SURPRISAL

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = ["the whale swims in the sea", "a captain and the whale", "whales swim"]


def test_bits_and_entropies_are_those_of_the_whole_model(home, tmp_path):
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 270), 64)
    whole = network(Build(width=16, depth=1, heads=2, initial=0.5), tokenizer, causal=True, seed=0)
    for part in (whole, tokenizer):
        part.save_pretrained(home / "models" / "causal")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    of = switching.Plan(str(path), sentences=3, longest=9)
    table = switching.measure("causal", of, progress=False)
    text = corpora.load(str(path), seed=0)["text"][1]
    ids = torch.tensor([models.load("causal").tokenize([text])["input_ids"][0][:9]])
    with torch.no_grad():
        laws = whole.eval()(ids).logits[0].double().log_softmax(-1) / np.log(2)
    rows = table[table["text"] == 1]
    number = len(rows)  # the tokenizer puts a special token at the end, which is not scored
    assert rows["position"].tolist() == list(range(1, number + 1))
    bits = [-laws[place, token] for place, token in enumerate(ids[0, 1 : number + 1])]
    assert rows["bits"].to_numpy() == pytest.approx(np.array(bits), abs=1e-4)
    entropies = -(laws.exp2() * laws).sum(1)[:number]
    assert rows["entropy"].to_numpy() == pytest.approx(entropies.numpy(), abs=1e-4)


@pytest.fixture(scope="module")
def section():
    return OutputUncertainty.read({"profile": "smoke"})


def test_the_twins_differ_in_width_alone_and_their_job_waits_for_both(section):
    small, large = switching.runs(section.training, section.switching, 0)
    assert [small.build.width, large.build.width] == section.switching.widths
    assert small.schedule == large.schedule
    job = next(job for job in jobs(section) if job.measurement == "switching")
    assert set(job.needs) == {"05.grow.next-token-0", "05.grow.next-token-0-width96"}


def test_more_text_than_was_held_out_is_refused(section):
    more = section.switching.model_copy(update={"test_sentences": 10**6})
    with pytest.raises(ValueError, match=r"training\.held_out must be at least 1000030"):
        switching.plan(section.training, more)


def checks(gathered=3.0, better=0.4):
    rows = [(48, "gathered", gathered), (96, "gathered", gathered + 0.4), (96, "larger", better)]
    table = pd.DataFrame(rows, columns=["width", "quantity", "estimate"])
    return table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1, n=50, unit="bits per token")


def advantages(entropy=0.03, equal=0.03, one=0.03, reach=0.005):
    values = {
        (ENTROPY, SAVED): entropy, (ENTROPY, SAVED_EQUAL): equal, (ONE, SAVED_EQUAL): one, (ORACLE, SAVED): 0.3,
        (f"{ENTROPY} − {SURPRISAL}", SAVED): 0.02,
    }  # fmt: skip
    rows = [
        {"policy": policy, "quantity": quantity, "estimate": value, "low": value - reach, "high": value + reach}
        for (policy, quantity), value in values.items()
    ]
    table = pd.DataFrame(rows).assign(window=4.0, level=0.8, share=0.79, n=50, detectable=0.01, chosen=True)
    table = table.assign(p=np.where(table["low"] > 0, 0.001, 0.9))
    best = table[table["policy"] != ORACLE].assign(window=1.0, chosen=False)
    return pd.concat([table, best.assign(estimate=best["estimate"] + 0.01, high=best["high"] + 0.01)])


def curve(gains=(0.1, 0.6, 0.4, 0.5), windows=(0.03, 0.01)):
    rows = [{"quantity": GAIN, "level": place, "estimate": gain} for place, gain in enumerate(gains)]
    for (policy, quantity), more in (((ENTROPY, SAVED), 0), ((ONE, SAVED_EQUAL), 0.001)):
        for window, saved in zip((1.0, 4.0), windows, strict=True):
            known = {"quantity": quantity, "policy": policy, "window": window, "chosen": window == 4}
            rows += [known | {"level": level, "estimate": saved + more - level} for level in (0, 0.01)]
    return pd.DataFrame(rows).assign(
        low=lambda rows: rows["estimate"] - 0.01, high=lambda rows: rows["estimate"] + 0.01
    )


def switched(table, of_checks=None, of_curve=None, **changes):
    """What is said of these advantages, with some columns of the table of claims replaced."""
    known = checks() if of_checks is None else of_checks
    weighed = outcomes.table(sentences.claims(known, table), relevant=sentences.RELEVANT).assign(**changes)
    return sentences.switching(known, curve() if of_curve is None else of_curve, table, weighed)


def test_what_is_saved_and_why():
    said = switched(advantages())
    assert "the large twin saves 0.400 ([0.300, 0.500], 95 %, 50 texts) bits" in said
    assert "saves at most 0.030 [0.025, 0.035] bits against a random switch with the same share (79% of the" in said
    assert said.count("With the window that validation texts choose (mean of 4), a switch by the small twin's") == 1
    assert "oracle saves at most 0.300 bits more than chance, so entropy finds 10% of what" in said
    assert "it loses 0.010 [0.005, 0.015] bits at its best threshold against" in switched(advantages(equal=-0.01))


@pytest.mark.parametrize("wrong", [{"gathered": 0.9}, {"better": 0.05}])
def test_twins_that_have_not_learned_weigh_nothing(wrong):
    said = switched(advantages(), checks(**wrong))
    assert said.startswith("**This run cannot weigh the claim.**")
    assert "enough to matter" not in said
    rows = list(sentences.claims(checks(**wrong), advantages()))
    assert [row["claim"].endswith(sentences.TO_TEST) for row in rows] == [True] * 8 + [False] * 3
    assert not sentences.passed(checks(**wrong))


@pytest.mark.parametrize(
    ("value", "reach", "said"),
    [
        (0.03, 0.005, "**enough to matter** (at least 0.02 bits)"),
        (0.015, 0.01, "**cannot tell** whether that matters (0.02 bits would, 0.012 would be seen)"),
        (0.01, 0.005, "**too little to matter** (0.02 bits would)"),
        (0.0, 0.005, "**no more than chance**"),
        (-0.01, 0.005, "**less than chance**"),
    ],
)
def test_each_verdict_is_that_of_the_table(value, reach, said):
    table = advantages(entropy=value, equal=value, one=value, reach=reach)
    assert switched(table, detectable=0.012).count(said) == 3
    assert switched(table, outcome="cannot tell").count("**cannot tell** whether that matters") == 3


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((0.4, 0.6, 0.4), "0.40 [0.39, 0.41] in the highest. **Entropy says how hard a token is, not which twin"),
        ((0.1, 0.3, 0.6), "more than anywhere else. **It helps most where the small one is least certain.**"),
        ((0.1, 0.6, 0.4), "but up to 0.60 in tenths between them. Only the easiest tokens are worth sparing it."),
    ],
)
def test_each_reason(gains, said):
    assert said in switched(advantages(), of_curve=curve(gains))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.03, "the answer is **yes** as well."),
        (0.014, "the answer is **yes**: **it depends on the window**."),
        (0.0, "the answer is **no** as well."),
    ],
)
def test_the_window_may_decide(value, said):
    text = switched(advantages(entropy=value, one=value))
    start = "At the best threshold of each window it is"
    assert f"{start} 0.030 (one token), 0.010 (mean of 4). With the best of all windows (one token), {said}" in text
    assert f"{start} 0.031 (one token), 0.011 (mean of 4). With the best of all windows (one token), {said}" in text


def test_claims_in_their_form():
    table = outcomes.table(sentences.claims(checks(), advantages()), relevant=sentences.RELEVANT, sides=2)
    assert table["outcome"].tolist() == ["yes"] * 11
    assert table["primary"].tolist() == [True] * 3 + [False] * 8
    less = outcomes.table(sentences.claims(checks(), advantages(equal=0.0)), relevant=sentences.RELEVANT, sides=2)
    assert less["outcome"].tolist()[:3] == ["yes", "no", "yes"]
    assert less["probe"].iloc[0] == "best of all thresholds with the window of validation: 79%, mean of 4"
    assert less["probe"].iloc[4] == "best of all: 79%, one token"
    few = checks().assign(low=np.nan, high=np.nan)
    assert next(sentences.claims(few, advantages()))["claim"].endswith(sentences.TO_TEST)


@pytest.fixture
def two_models(home, tmp_path, monkeypatch, section):
    """Two tiny models in place of the twins, and the parameters to measure them by."""
    words = np.random.default_rng(0).choice(["the", "whale", "sea", "swims", "a", "captain"], (60, 8))
    texts = [f"{place} {' '.join(row)}" for place, row in enumerate(words)]
    tokenizer = byte_pairs.ready(byte_pairs.learn(texts, 280), 64)
    for seed, name in enumerate(("small", "large")):
        whole = network(Build(width=16, depth=1, heads=2, initial=0.1), tokenizer, causal=True, seed=seed)
        for part in (whole, tokenizer):
            part.save_pretrained(home / "models" / name)
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(texts), "utf-8")
    monkeypatch.setattr(switching, "trained", lambda *_: ["small", "large"])
    values = {"corpus": str(path), "held_out": 40, "test_sentences": 25, "sentences": 10}
    sizes = {"validation_sentences": 15, "test_sentences": 25}
    return section.training.model_copy(update=values), section.switching.model_copy(update=sizes), 0


def test_both_models_read_the_same_tokens(two_models):
    both = switching.pair(*two_models)
    assert both.test["text"].unique().tolist() == list(range(25))
    assert both.validation["text"].unique().tolist() == list(range(25, 40))
    assert both.ratio == pytest.approx((24 * 48**2 + 512 * 48) / (24 * 96**2 + 512 * 96))
    of = switching.plan(*two_models[:2])
    large = switching.measure("large", of, progress=False)
    assert both.test["large_bits"].tolist() == large.loc[large["text"] < 25, "bits"].tolist()
    table = switching.checks(*two_models)
    assert table["quantity"].tolist() == ["gathered", "gathered", "larger"]
    saved = (both.test["small_bits"] - both.test["large_bits"]).mean()
    assert table["estimate"].iloc[2] == pytest.approx(saved)
