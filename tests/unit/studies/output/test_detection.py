"""Errors, claims and sentences about who wrote a text, on scores whose distributions are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.instruments import claims as outcomes
from bitskept.studies.output import detection_sentences as sentences
from bitskept.studies.output import figures
from bitskept.studies.output.detection import HIDDEN, NAMES, OWN, PEOPLE, TEXT, TOKENS, jobs, writing_plans
from bitskept.studies.output.detection_claims import (
    ABOVE_SIZE,
    FALLS,
    FOUND,
    HALVINGS,
    HELPS,
    RELEVANT,
    SAVED,
    SIZE,
    TOLD,
    claims,
    fall,
)
from bitskept.studies.output.detection_errors import (
    ALARM,
    CONSTANT,
    LESS_ENTROPY,
    MISS,
    PLAIN,
    Z,
    concentration,
    errors,
    rejected,
    summary,
)
from bitskept.studies.output.section import OutputUncertainty
from bitskept.theory.error_exponents import Errors

LENGTHS = (10, 20, 40)


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile."""
    return OutputUncertainty.read({"profile": "smoke"})


def texts(writer, drift, number=200, *, seed=0, spread=1.0, topic=1.0, reading=TEXT, evaluator="m"):
    """Texts whose surprisals less entropies are normal around `drift`, with a variance that the distributions know;
    their entropies differ from text to text by `topic`.
    """
    random = np.random.default_rng(seed)
    entropy = 4 + topic * random.standard_normal((number, 1)) + np.zeros(LENGTHS[-1])
    surprisal = entropy + drift + spread * random.standard_normal(entropy.shape)
    rows = []
    for length in LENGTHS:
        sums = [values[:, :length].sum(1) for values in (surprisal, entropy)]
        rows.append(pd.DataFrame({"text": range(number), "length": length, "surprisal": sums[0], "entropy": sums[1]}))
    table = pd.concat(rows).assign(varentropy=lambda rows: rows["length"].astype(float))
    return table.assign(evaluator=evaluator, writer=writer, reading=reading)


@pytest.fixture(scope="module")
def scores():
    """A model, another writer that is half a bit off, people who are not, and the model with other readings."""
    parts = [
        texts(OWN, 0.0, seed=1),
        texts("a twin", 0.5, seed=2),
        texts(PEOPLE, 0.0, seed=3),
        texts(OWN, 0.0, seed=1, reading=TOKENS),
        texts(OWN, 0.4, seed=1, reading=HIDDEN),
    ]
    return pd.concat(parts, ignore_index=True).sort_values(["evaluator", "reading", "writer", "text", "length"])


@pytest.fixture(scope="module")
def table(scores):
    return summary(scores, 0.05, replicates=200, seed=0)


@pytest.fixture(scope="module")
def claimed(scores):
    rows = pd.DataFrame(claims(scores, 0.05, replicates=200, seed=0))
    return outcomes.table(rows, relevant=RELEVANT)


def test_z_has_its_size_and_the_power_that_theory_gives(scores):
    found = errors(scores, 0.05)
    z = found[(found["test"] == Z) & (found["reading"] == TEXT)].set_index(["writer", "length"])["estimate"]
    for length in LENGTHS:
        assert z[OWN, length] == pytest.approx(0.05, abs=0.04)
        power = norm.sf(norm.isf(0.025) - 0.5 * length**0.5) + norm.sf(norm.isf(0.025) + 0.5 * length**0.5)
        assert 1 - z["a twin", length] == pytest.approx(power, abs=0.1)


def test_thresholds_come_from_the_other_half_of_the_texts():
    own = texts(OWN, 0.0, 4).query("length == 10")
    strange = own.assign(surprisal=np.where(own["text"] == 0, 1e4, own["surprisal"]))
    assert rejected(strange, strange, LESS_ENTROPY, 0.05)[0]  # by texts 1 and 3, however far it is itself
    assert not rejected(strange, strange, LESS_ENTROPY, 0.05)[1]  # by texts 0 and 2, of which one is far


def test_the_constant_is_half_of_the_mean(scores):
    found = errors(scores, 0.05).query("writer == 'a twin' and length == 40")
    found = found[found["test"] == CONSTANT]
    rates = found.set_index("error")["estimate"]
    assert rates[MISS] == pytest.approx(norm.cdf(-0.25 * 40**0.5), abs=0.05)
    assert rates[ALARM] == pytest.approx(2 * norm.cdf(-0.25 * 40**0.5), abs=0.08)


def test_an_entropy_that_differs_between_texts_hides_a_writer_from_perplexity_alone(claimed):
    row = claimed[(claimed["claim"] == HELPS) & claimed["model"].str.startswith("a twin")].iloc[0]
    assert row["outcome"] == "yes"
    assert row["estimate"] > 0.3


def test_the_spread_of_own_texts_is_that_of_theory(scores):
    found = concentration(scores, replicates=200, seed=0).query("writer == @OWN and reading == @TEXT")
    wide = found.set_index(["length", "quantity"])["estimate"]
    for length in LENGTHS:
        assert wide[length, "spread by theory"] == pytest.approx(length**-0.5)
        assert wide[length, "spread"] == pytest.approx(length**-0.5, rel=0.15)
        assert wide[length, "mean"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((2**-1.0, 2**-2.0, 2**-4.0), 1.0),  # exponential: twice as many halvings in the second doubling
        ((2**-1.0, 2**-2.0, 2**-3.0), 0.0),  # a power of the length
        ((2**-1.0, 2**-2.0, 2**-2.0), -1.0),  # a floor
        ((2**-4.0, 2**-2.0, 2**-1.5), -0.25),  # errors that rise less and less: a bend of 1.5, but no fall
    ],
)
def test_the_fall_of_known_curves(shares, expected):
    number = 4096
    wrong = np.stack([np.arange(number) < share * number for share in shares])
    found = fall(wrong, LENGTHS, replicates=200, seed=0)
    assert found["estimate"] == pytest.approx(expected, abs=0.01)
    assert found["low"] < expected < found["high"]
    assert (found["p"] < 0.01) == (expected > 0)


def test_a_fall_has_no_p_without_an_interval():
    found = fall(np.zeros((3, 50), dtype=bool), LENGTHS, replicates=50, seed=0)
    assert np.isnan(found["low"])
    assert np.isnan(found["p"])


def test_every_claim_is_weighed(claimed):
    by = claimed.set_index(["claim", "model", "reading"])["outcome"]
    assert by[f"{TOLD} (40 tokens)", "a twin tested by m", TEXT] == "yes"
    assert by[f"{TOLD} (40 tokens)", "people tested by m", TEXT] == "no"
    assert by[SIZE, "m", HIDDEN] == "yes"
    assert by[SIZE, "m", TEXT] in ("no", "cannot tell")
    assert set(claimed["unit"]) == {ABOVE_SIZE, FOUND, SAVED, HALVINGS}


def test_errors_that_do_not_fall_are_no_less_of_a_test():
    slow = pd.concat([texts(OWN, 0.0, 400, seed=1), texts("a twin", 0.1, 400, seed=2)], ignore_index=True)
    rows = outcomes.table(pd.DataFrame(claims(slow, 0.05, replicates=100, seed=0)), relevant=RELEVANT)
    assert (rows.loc[rows["claim"] == FALLS, "outcome"] == "no").all()
    said = sentences.falls(summary(slow, 0.05, replicates=100, seed=0), rows)
    misses = next(line for line in said.splitlines() if "| misses |" in line)
    assert "| no: -0." in misses
    assert misses.endswith("halvings; they did not fall |")


def test_texts_by_others(table, claimed):
    said = sentences.of_others(table, claimed, 0.05)
    assert said.startswith("Texts of 40 tokens by others, and a test of size 5%:\n\n| tested by | texts by |")
    row = next(line for line in said.splitlines() if line.startswith("| m | a twin |"))
    assert row.startswith("| m | a twin | 200 | 0.5")
    assert "| found already |" in row
    assert row.count("|") == said.splitlines()[2].count("|") == 10
    assert "| none is enough if T is 0 |" in said


def test_a_length_is_named_where_one_would_help(table, claimed):
    weak = table.copy()
    found = (weak["test"] == Z) & (weak["writer"] == "a twin")
    weak.loc[found, ["estimate", "low", "high"]] = 0.7, 0.6, 0.8
    assert "| 30% [20%, 40%] | about 30 |" in sentences.of_others(weak, claimed, 0.05)


def test_the_length_is_that_at_which_a_normal_test_finds_four_in_five():
    rows = {"mean": (0.2, 0.1, 0.3), "spread": (0.3, 0.2, 0.4), "spread by theory": (0.1, 0.1, 0.1)}
    wide = pd.DataFrame(rows, index=["estimate", "low", "high"]).T.assign(length=40)
    length = float(sentences._needed(wide, {"estimate": 0.1}, 0.05).removeprefix("about "))
    shrunk = (length / 40) ** -0.5
    assert norm.sf((norm.isf(0.025) * 0.1 * shrunk - 0.2) / (0.3 * shrunk)) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("outcome", "ends", "said"),
    [
        ("yes", (0.1, 0.3), "| **yes**: 20% [10%, 30%] fewer are missed |"),
        ("no", (-0.3, -0.1), "| no (10% would count): 20% [10%, 30%] more are missed |"),
        ("cannot tell", (-0.1, 0.3), "| cannot tell: 20% [-10%, 30%] fewer |"),
        ("cannot tell", (np.nan, np.nan), "| cannot tell |"),
    ],
)
def test_whether_the_entropy_helps(table, claimed, outcome, ends, said):
    row = (claimed["claim"] == HELPS) & (claimed["model"] == "a twin tested by m")
    changed = claimed.copy()
    columns = ["outcome", "estimate", "low", "high"]
    changed.loc[row, columns] = outcome, 0.2 if sum(ends) > 0 or np.isnan(ends[0]) else -0.2, *ends
    errors = (table["writer"] == "a twin") & (table["length"] == 40)
    known = table.assign(estimate=table["estimate"].mask(errors & (table["test"] == PLAIN), 0.9))
    known["estimate"] = known["estimate"].mask(errors & (table["test"] == LESS_ENTROPY), 0.7)
    assert f"| 90% | 70% {said}" in sentences.of_others(known, changed, 0.05)


@pytest.fixture(scope="module")
def own(table):
    """What is said of the model's own texts, with some numbers of the table replaced."""

    def say(types=512, reading=TEXT, **changes):
        changed = table.copy()
        for name, ends in changes.items():
            rows = (changed["writer"] == OWN) & (changed["reading"] == reading)
            named = changed["quantity"].eq(name) | ((name == "alarm") & changed["error"].eq(ALARM))
            changed.loc[rows & named, ["low", "high"]] = ends
        return sentences.own_texts(changed, 0.05, types)

    return say


def test_what_is_said_of_own_texts(own):
    said = own()
    assert said.startswith("- **m** on its own texts: T is ")
    assert "as its distributions say (0.16). The test rejects" in said
    assert "of them, where 5% are wanted," in said
    assert "where the opening is not known: not knowing what came before looks like another writer**." in said
    assert "off 0" not in said
    assert "too little" not in said


@pytest.mark.parametrize(
    ("ends", "said"), [((0.3, 0.4), ", not as its distributions"), ((np.nan, np.nan), ", beside what its")]
)
def test_a_spread_that_is_not_that_of_theory(own, ends, said):
    assert said in own(spread=ends)


@pytest.mark.parametrize("ends", [(0.01, 0.02), (-0.02, -0.01)])
def test_own_texts_that_are_off_0(own, ends):
    assert ", **off 0**: a text may have other tokens than were drawn; of those T is " in own(mean=ends)


def test_an_unknown_opening_may_not_matter(own):
    assert "looks like another writer" not in own(reading=HIDDEN, alarm=(0.01, 0.5))
    assert own(reading=HIDDEN, alarm=(0.01, 0.5)).endswith("where the opening is not known.")


def test_a_model_that_has_learned_too_little(own):
    assert own(types=16).endswith(" of 4.0 bits.")


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [("cannot tell", "halvings, where 1.5 would have been seen |"), ("yes", "halvings |"), ("no", "halvings |")],
)
def test_how_errors_fall(table, claimed, outcome, ending):
    rows = claimed["claim"].eq(FALLS)
    changed = claimed.assign(outcome=claimed["outcome"].mask(rows, outcome))
    changed.loc[rows, "detectable"] = 1.5
    said = sentences.falls(table, changed)
    assert "| tested by | against | errors | at 10 tokens | at 20 tokens | at 40 tokens | exponentially? |" in said
    assert "by 0.25 halvings or more?" in said
    line = next(line for line in said.splitlines() if "| a twin | false alarms" in line)
    assert f"| {outcome}: " in line
    assert line.endswith(ending)
    changed.loc[rows, ["low", "high"]] = np.nan
    assert "(no interval) halvings |" in sentences.falls(table, changed)


def test_the_verdict_names_every_claim(claimed):
    said = sentences.detection_verdict(claimed)
    assert (
        "**Four in five texts of others are found** at this length: yes for a twin tested by m; no for people" in said
    )
    for words in ("**False alarms go well beyond the size**", "**Errors fall exp", "**Subtracting the entropy helps**"):
        assert words in said


def test_a_known_source():
    exact = pd.DataFrame({"false_alarm": [0.5, 0.25], "miss": [0.5, 0.125]}, index=[10, 20])
    said = sentences.known_source(exact, Errors(0.11, 0.22))
    assert "false alarms by 0.100 bits per symbol, where theory has 0.110" in said
    assert "misses by 0.200 bits per symbol, where theory has 0.220" in said


def test_the_figure_draws_from_its_table(table, section):
    assert rendered(drawn(figures.detection, table, section), "detection", ["png"])["png"]


def test_all_writers_fit_into_a_twin(section):
    for profile in ("smoke", "laptop", "paper"):
        read = OutputUncertainty.read({"profile": profile})
        model, twin = writing_plans(read.detection, read.training, seed=0, dtype="float32")
        assert 1 + twin.opening + twin.length <= read.training.longest
        assert model.words >= model.opening + max(model.lengths)


def test_its_job_comes_after_those_of_its_twins(section):
    [job] = jobs(
        "08_x", section.detection, section.training, "smollm2-135m", twin_seed=0, seed=0, dtype="auto", terms=[]
    )
    assert job.name == "08.detection.smollm2-135m"
    assert job.needs == ("05.grow.next-token-0", "05.grow.next-token-0-width96")
    assert NAMES == ["evaluator", "writer", "reading"]
