"""Continuations by decoders, and the tables that are made of them."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.base.publishing import read_table
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import models
from bitskept.studies.output import decoding_figures, decoding_tables
from bitskept.studies.output.decoders import ANCESTRAL, MIROSTAT, NUCLEUS, PEOPLE, TOP_H, TOP_K, TYPICAL, decoder
from bitskept.studies.output.decoding import COLUMNS, Decoding, Plan, continued, long_texts, measure, plan, usual
from bitskept.theory import decoding as exact
from bitskept.theory.information import entropy

WORDS = "abcdefgh"
TEXTS = [" ".join(WORDS[(place + step * (1 + place % 3)) % 8] * 2 for step in range(12 + place)) for place in range(8)]
SETTINGS = {TOP_K: 5.0, NUCLEUS: 0.8, TYPICAL: 0.8, TOP_H: 0.4, MIROSTAT: 3.0}
NUMBERS = {"prompts": 4, "prompt_tokens": 4, "length": 6}
PARAMETERS = Decoding(
    corpus="any", prompts=24, prompt_tokens=4, length=8, top_k=[5, 50], nucleus=[0.9, 0.5], typical=[0.9, 0.2],
    top_h=[0.4], mirostat=[3.0, 2.0],
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(home, tmp_path):
    """A plan for a tiny decoder."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 120)
    for part in (network(Build(width=16, depth=1, heads=2, initial=0.3), tokenizer, causal=True, seed=0), tokenizer):
        part.save_pretrained(home / "models" / "causal")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    return Plan(str(path), tuple(SETTINGS.items()), **NUMBERS, dtype="float32")


def laws(number=30, tokens=300):
    rng = np.random.default_rng(0)
    return np.stack([rng.dirichlet(np.full(tokens, rng.choice([0.1, 0.5, 2.0]))) for _ in range(number)])


def test_mirostat_on_a_batch_is_mirostat_on_each_text():
    first, second = laws(), laws()[::-1]
    batch, single = decoder(MIROSTAT, 2.5), [exact.Mirostat(2.5) for _ in first]
    told = np.linspace(0, 8, len(first))
    for step in (first, second):
        kept = torch.isfinite(batch.cut(torch.from_numpy(np.log(np.maximum(step, 1e-300))))).numpy()
        assert kept.tolist() == [mirostat.keeps(law).tolist() for mirostat, law in zip(single, step, strict=True)]
        batch.told(torch.from_numpy(told))
        for mirostat, surprisal in zip(single, told, strict=True):
            mirostat.told(surprisal)


def test_every_decoder_continues_every_text(small):
    table = measure("causal", small, progress=False)
    assert list(table) == COLUMNS
    arms = table[["decoder", "setting"]].drop_duplicates()
    assert dict(zip(arms["decoder"], arms["setting"], strict=True)) == pytest.approx(
        {PEOPLE: np.nan, ANCESTRAL: np.nan} | SETTINGS, nan_ok=True
    )
    assert len(table) == 7 * 4 * 6
    assert (table["kept_entropy"] <= np.log2(table["kept"]) + 1e-5).all()
    assert (table.loc[table["decoder"] == TOP_K, "kept"] == 5).all()
    whole = table[table["decoder"].isin([PEOPLE, ANCESTRAL])]
    assert whole["kept_entropy"].to_numpy() == pytest.approx(whole["entropy"].to_numpy(), abs=1e-4)
    pd.testing.assert_frame_equal(measure("causal", small, progress=False), table)


def test_peoples_tokens_are_those_of_the_text(small):
    table = measure("causal", small, progress=False)
    model = models.load("causal")
    ids = long_texts(model, small)
    rows = table[table["decoder"] == PEOPLE].pivot(index="text", columns="position", values="id")
    assert rows.to_numpy().tolist() == ids[:, -6:].tolist()
    assert ids.shape == (4, 11)  # a start token in front
    bits = table[table["decoder"] == PEOPLE].pivot(index="text", columns="position", values="surprisal").to_numpy()
    for text in range(4):
        [known] = answers.log2_probabilities(model, heads.head(model), ids[text, :-6], [ids[text, -6:]])
        assert bits[text] == pytest.approx(-known, abs=1e-4)


@pytest.mark.parametrize("cached", [True, False])
def test_bits_are_those_of_the_law(small, cached, monkeypatch):
    monkeypatch.setattr(answers, "continues", lambda model: cached)
    model = models.load("causal")
    head, ids = heads.head(model), torch.from_numpy(long_texts(model, small)[:, :5])
    written, decoders = torch.zeros((4, 3), dtype=torch.long), [decoder(ANCESTRAL, np.nan), decoder(NUCLEUS, 0.8)]
    people, values = continued(model, head, ids, written, decoders, 0)
    assert people["id"].tolist() == written.tolist()
    whole = torch.cat([ids, torch.from_numpy(values["id"])], dim=1)
    states, _ = answers.advance(model, whole, cached=False)
    with torch.inference_mode():
        law = head(states[0, -2:-1]).softmax(-1)[0].double().numpy()
    law /= law.sum()
    drawn = int(values["id"][0, -1])
    kept = exact.nucleus(law, 0.8)
    assert kept[drawn]
    assert values["surprisal"][0, -1] == pytest.approx(exact.surprisals(law)[drawn], abs=1e-4)
    assert values["entropy"][0, -1] == pytest.approx(entropy(law), abs=1e-4)
    distance = (law * np.abs(exact.surprisals(law) - entropy(law))).sum()
    assert values["expected_distance"][0, -1] == pytest.approx(distance, abs=1e-4)
    assert values["kept"][0, -1] == kept.sum()
    assert values["kept_entropy"][0, -1] == pytest.approx(entropy(exact.restricted(law, kept)), abs=1e-4)


def test_sampled_surprisals_have_the_entropy_as_their_mean(small):
    """And lie as far from it as expected; both fail for a decoder that cuts."""
    model = models.load("causal")
    ids = torch.from_numpy(long_texts(model, small)[:1, :5]).expand(3000, -1)
    names, off = [ANCESTRAL, ANCESTRAL, TOP_K], {}
    decoders = [decoder(name, 20.0) for name in names]
    parts = continued(model, heads.head(model), ids, ids[:, :1], decoders, 0)
    for name, values in zip(names[1:], parts[1:], strict=True):
        excess = (values["surprisal"] - values["entropy"])[:, 0]
        errors = [excess, np.abs(excess) - values["expected_distance"][:, 0]]
        off[name] = [abs(error.mean()) / (error.std() / np.sqrt(len(error))) for error in errors]
    assert max(off[ANCESTRAL]) < 4
    assert off[TOP_K][0] > 8


def test_what_cannot_be_continued_is_said_so(small):
    model = models.load("causal")
    with pytest.raises(ValueError, match="texts have 91 tokens or more, and 4 are needed"):
        long_texts(model, replace(small, length=86))
    with pytest.raises(ValueError, match="that causal takes: take fewer"):
        long_texts(model, replace(small, length=10**6))
    with pytest.raises(ValueError, match="must be at least"):
        replace(small, length=0)


def test_the_first_setting_is_the_usual_one():
    assert usual(PARAMETERS) == {TOP_K: 5, NUCLEUS: 0.9, TYPICAL: 0.9, TOP_H: 0.4, MIROSTAT: 3}
    made = plan(PARAMETERS, seed=3, dtype="float32")
    assert made.decoders[:3] == ((TOP_K, 5.0), (TOP_K, 50.0), (NUCLEUS, 0.9))
    assert (made.prompts, made.length, made.seed) == (24, 8, 3)


# ---- tables ----

MEANS = {
    (PEOPLE, None): 4.0, (ANCESTRAL, None): 5.0, (TOP_K, 5.0): 2.5, (TOP_K, 50.0): 3.0, (NUCLEUS, 0.9): 3.2,
    (NUCLEUS, 0.5): 2.0, (TYPICAL, 0.9): 3.6, (TYPICAL, 0.2): 1.5, (TOP_H, 0.4): 2.6, (MIROSTAT, 3.0): 3.0,
    (MIROSTAT, 2.0): 2.0,
}  # fmt: skip
"""The mean surprisal of each decoder."""


@pytest.fixture(scope="module")
def tokens():
    """Texts of 16 tokens; those of a nucleus of .5 have only one token."""
    rng, parts = np.random.default_rng(0), []
    stray = {MIROSTAT: 0.05}
    for (name, setting), mean in MEANS.items():
        for text in range(24):
            bits = mean + stray.get(name, 0.5) * rng.standard_normal() + 0.2 * rng.standard_normal(16)
            table = pd.DataFrame({"position": range(16), "id": range(16), "surprisal": bits})
            if (name, setting) == (NUCLEUS, 0.5):
                table["id"] = 0
            parts.append(
                table.assign(decoder=name, setting=setting or np.nan, text=text, entropy=4.0, kept_entropy=2.0)
            )
    return pd.concat(parts).assign(expected_distance=1.0)


def test_repeated_sequences_are_counted():
    assert decoding_tables.repeated([1, 2, 3, 4, 5]) == 0
    assert decoding_tables.repeated([1, 1, 1, 1, 1, 1]) == pytest.approx(2 / 3)


def test_means_by_decoder_have_intervals_over_texts(tokens):
    table = decoding_tables.by_decoder(tokens, seed=0).set_index(["decoder", "setting", "quantity"])
    for (name, setting), mean in MEANS.items():
        row = table.loc[(name, np.nan if setting is None else setting, "surprisal")]
        assert row["estimate"] == pytest.approx(mean, abs=0.5)
        assert row["low"] < row["estimate"] < row["high"]
        assert row["n"] == 24
    assert table.loc[(NUCLEUS, 0.5, "repeated"), "estimate"] == pytest.approx(12 / 13)
    assert table.loc[(NUCLEUS, 0.9, "repeated"), "estimate"] == 0
    assert 0 < table.loc[(NUCLEUS, 0.9, "repeated"), "high"] < 0.15
    assert table.loc[(MIROSTAT, 3.0, "astray"), "estimate"] == 0
    assert table.loc[(TOP_H, 0.4, "bounded"), "estimate"] == 0  # 2 bits are more than .4 of 4
    assert "bounded" not in table.loc[NUCLEUS].index.get_level_values("quantity")


def test_blocks_of_neighbouring_tokens(tokens):
    table = decoding_tables.along(tokens, PARAMETERS, seed=0)
    assert set(table["decoder"]) == {PEOPLE, ANCESTRAL, *SETTINGS}
    assert len(table) == 7 * 2 * 2
    assert sorted(set(table["position"])) == [4.5, 12.5]  # tokens 1 to 8, and 9 to 16
    row = table[(table["decoder"] == NUCLEUS) & (table["quantity"] == "surprisal")].iloc[1]
    part = tokens[(tokens["decoder"] == NUCLEUS) & (tokens["setting"] == 0.9) & (tokens["position"] >= 8)]
    assert row["estimate"] == pytest.approx(part["surprisal"].mean())


def test_contrasts_are_above_0_where_the_claim_holds(tokens):
    table = decoding_tables.contrasts(tokens, PARAMETERS, seed=0)
    by = table.set_index(["quantity", "decoder", "setting", "other"]).sort_index()
    means = {
        arm: rows["surprisal"].mean() for arm, rows in tokens.fillna({"setting": 0}).groupby(["decoder", "setting"])
    }
    people = means[PEOPLE, 0]
    nearer = by.loc[("nearer", TYPICAL, 0.9, NUCLEUS), "estimate"]
    assert nearer == pytest.approx(abs(means[NUCLEUS, 0.9] - people) - abs(means[TYPICAL, 0.9] - people))
    against_top_k = by.loc[("nearer", TYPICAL, 0.9, TOP_K), "estimate"]
    assert against_top_k == pytest.approx(abs(means[TOP_K, 5] - people) - abs(means[TYPICAL, 0.9] - people))
    assert ("nearer", TYPICAL, 0.2, NUCLEUS) not in by.index  # no nucleus of this probability
    lower, upper = means[NUCLEUS, 0.5], means[NUCLEUS, 0.9]
    [fewer] = table.loc[(table["quantity"] == "fewer") & (table["decoder"] == TOP_H), "estimate"]
    assert fewer == pytest.approx(12 / 13 * (upper - means[TOP_H, 0.4]) / (upper - lower))
    row = table[(table["quantity"] == "fewer") & (table["decoder"] == TOP_H)].iloc[0]
    assert row["level"] == pytest.approx(fewer)  # Top-H repeats nothing here
    [typical] = table.loc[(table["quantity"] == "fewer") & (table["decoder"] == TYPICAL), "estimate"]
    assert typical == pytest.approx(0)  # that of .2 has less surprisal than any nucleus
    fewer_by = table[table["quantity"] == "fewer"].set_index("decoder")
    assert fewer_by["left_out"].to_dict() == {TYPICAL: "0.2", TOP_H: ""}
    assert fewer_by["used"].to_dict() == {TYPICAL: "0.9", TOP_H: "0.4"}
    steadier = table[table["quantity"] == "steadier"].set_index("setting")
    assert steadier["other_setting"].to_dict() == {2.0: 5.0, 3.0: 50.0}
    assert (steadier["low"] > 0).all()
    assert (steadier["p"] < 1e-3).all()
    [slack] = table.loc[table["quantity"] == "slack", "estimate"]
    assert slack == pytest.approx(-0.4)


def test_few_texts_and_no_common_surprisals_give_no_interval(tokens):
    few = tokens[tokens["text"] < 5]
    table = decoding_tables.contrasts(few, PARAMETERS, seed=0)
    assert table[["low", "high", "p", "detectable"]].isna().all(axis=None)
    apart = tokens.assign(surprisal=tokens["surprisal"] - 20 * (tokens["decoder"] == TOP_H))
    table = decoding_tables.contrasts(apart, PARAMETERS, seed=0)
    assert table.loc[(table["quantity"] == "fewer") & (table["decoder"] == TOP_H), "estimate"].isna().all()


def test_figures_show_every_decoder(tokens):
    """Also where texts are too few for intervals, and after a round trip through CSV."""
    for part in (tokens, tokens[tokens["text"] < 5]):
        course = decoding_tables.along(part, PARAMETERS, seed=0)
        panels = decoding_figures.decoding_along(course).axes
        titles = [axes.get_title() for axes in panels]
        assert titles[:3] == [PEOPLE, ANCESTRAL, "top-k, k = 5"]
        means = decoding_tables.by_decoder(part, seed=0)
        figure = decoding_figures.decoders(read_table(BytesIO(means.to_csv(index=False).encode())))
        left, right = figure.axes
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [PEOPLE, ANCESTRAL, *SETTINGS]
        assert len(left.lines) == 7
        assert right.get_xlabel() == "target τ (bits a token)"
