"""What is said about the spread, on tables small enough to check by hand."""

import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.output import spread_sentences as sentences
from bitskept.studies.output.spread import ENTROPY, SAMPLES, SPREAD, STATES, SURPRISAL
from bitskept.studies.output.spread_areas import ALL, CHANCE, MEAN_ENTROPY, PLAIN, SAME
from bitskept.theory.intervals import ONE_SIDED


def table(area=0.7, more=0.0, right=0.6, error=0.02):
    """Every spread has this area, and so much more than the plain entropies."""
    rows = [
        {"measure": name, "pairs": pairs, "against": against, "layer": 30 if name == STATES else None}
        | {"estimate": more if against != CHANCE else 0.65 if name in PLAIN else area}
        for pairs in (ALL, SAME)
        for against in (CHANCE, *PLAIN)
        for name in [*PLAIN, *SPREAD]
        if name != against
    ]
    found = pd.DataFrame(rows).assign(model="m", n=100, right=right, error=error, null_low=0.41, null_high=0.6, p=0.3)
    found["layer"] = found["layer"].astype("Int64")
    surely = (found["against"] == CHANCE) & (found["estimate"] > 0.55)
    found.loc[surely | (found["estimate"].between(0.05, 0.3)), "p"] = 1e-6
    return found.assign(low=found["estimate"] - 2 * error, high=found["estimate"] + 2 * error)


def test_enough_right_and_wrong_answers():
    said = sentences.answered(table())
    assert "m answers 60% of 100 questions right, so there are enough of both" in said
    assert "lie between 0.41 and 0.60, around the .5 of chance" in said


@pytest.mark.parametrize("right", [0.1, 0.9])
def test_too_few_of_either(right):
    assert "**too few**" in sentences.answered(table(right=right))
    assert sentences.verdict(table(right=right)) == "Nothing follows about the spread."
    found = outcomes.table(sentences.claims(table(right=right)), relevant=sentences.RELEVANT)
    assert set(found["outcome"]) == {"not tested"}
    assert found["claim"].str.endswith("(to be tested: a model that answers 20% to 80% of the questions right)").all()


def test_a_spread_that_tells_more():
    said = sentences.verdict(table(more=0.1))
    assert f"areas are: {ENTROPY} 0.65 [0.61, 0.69], {MEAN_ENTROPY} 0.65 [0.61, 0.69], {SURPRISAL} 0.65" in said
    assert f"tells wrong answers** in {len(SPREAD)} of {len(SPREAD)} measures: {STATES} 0.70 [0.66, 0.74]" in said
    assert f"**Against one plain entropy**: {STATES} (+0.10)" in said
    assert "(+0.10) more." in said
    assert "cannot tell" not in said


def test_a_spread_that_tells_less():
    said = sentences.verdict(table(area=0.5, more=-0.1))
    assert f"in 0 of {len(SPREAD)} measures" in said
    assert "(-0.10) less." in said


def test_a_measure_without_spread_may_have_the_largest_area():
    said = sentences.verdict(table()).splitlines()[-1]
    assert said.startswith(
        f"- **The largest area** is that of {STATES} (0.70) over all questions, and of {STATES} (0.70)"
    )
    surprised = table(area=0.6)
    surprised.loc[surprised["measure"].eq(SURPRISAL) & surprised["pairs"].eq(SAME), "estimate"] = 0.8
    assert sentences.verdict(surprised).endswith(f"and of {SURPRISAL} (0.80) among those of a kind.")


def test_a_difference_that_could_be_either():
    said = sentences.verdict(table(more=0.01))
    for line in ("- **Against the surprisal of the answer**: for", "kind**, against the surprisal of the answer: for"):
        assert f"{line} {STATES} (+0.01)" in said
    assert f"**Against the mean entropy of the same passes**: for {STATES} (+0.01)" in said
    assert f"we cannot tell (a difference of {0.02 * ONE_SIDED:.2f} would have been seen)." in said


def test_some_more_some_open():
    mixed = table(more=0.01)
    rows = (mixed["measure"] == SAMPLES) & (mixed["against"] == ENTROPY) & (mixed["pairs"] == SAME)
    mixed.loc[rows, ["estimate", "low"]] = 0.2, 0.1
    said = next(line for line in sentences.verdict(mixed).splitlines() if "one kind**, against one plain" in line)
    assert said.startswith(
        f"- **Among questions of one kind**, against one plain entropy: {SAMPLES} (+0.20) more; for "
    )


def test_without_intervals_nothing_would_have_been_seen():
    few = table().assign(low=float("nan"), high=float("nan"), error=float("nan"))
    assert "we cannot tell (no interval)." in sentences.verdict(few)


def layered(estimates, same, right=0.5):
    rows = pd.DataFrame({"layer": 2 * list(range(0, 10 * len(estimates), 10)), "estimate": estimates + same})
    rows["pairs"] = [ALL] * len(estimates) + [SAME] * len(same)
    rows = rows.assign(measure=STATES, against=CHANCE, right=right)
    return rows.assign(low=rows["estimate"] - 0.05, high=rows["estimate"] + 0.05)


def test_the_layer_may_decide_the_sign():
    said = sentences.layers(layered([0.4, 0.52, 0.7], [0.5, 0.5, 0.7]))
    assert "goes from 0.40 [0.35, 0.45] (layer 0) to 0.70 [0.65, 0.75] (layer 20)." in said
    assert "above .5 in 1 of 3 layers and below in 1, so the layer decides the sign." in said
    assert said.endswith("Among questions of one kind it lies above .5 in 1 of 3.")


def test_states_may_tell_no_more_than_the_kind():
    said = sentences.layers(layered([0.6, 0.7], [0.5, 0.5]))
    assert "above .5 in 2 of 2 layers. Among" in said
    assert said.endswith("above .5 in 0 of 2: it may tell nothing but the kind of question.")
    assert sentences.layers(layered([0.5, 0.5], [0.5, 0.5])).endswith("above .5 in 0 of 2.")


def test_a_layer_whose_states_are_the_same_within_a_kind_does_not_count():
    rows = layered([0.6, 0.7], [0.5, 0.7])
    rows.loc[rows["estimate"] == 0.5, ["low", "high"]] = float("nan")
    said = sentences.layers(rows)
    assert said.endswith("above .5 in 1 of 1, without the layers whose states are the same for all of a kind.")


def test_wordings_may_differ_in_how_hard_they_are():
    rows = [(0, 0, "paris", True), (0, 1, "paris", True), (1, 0, "rome", True), (1, 1, "the", False)]
    measured = pd.DataFrame(rows, columns=["fact", "wording", "answer", "right"]).assign(quantity=ENTROPY)
    said = sentences.wordings(pd.concat([measured, measured.assign(quantity=SURPRISAL, answer="x", right=False)]))
    assert said.startswith("By wording, from 50% to 100% of the answers are right, and 50% of the questions get one")
    assert "some wordings are harder, so the spread is about them too" in said
    assert said.endswith("judged by the first wording alone, with 100% right; no other wording was tried for that.")
    alike = sentences.wordings(measured.assign(right=True))
    assert "in all wordings: no wording is much harder than another. Which answers" in alike


def test_layers_without_enough_answers():
    assert sentences.layers(layered([0.6], [0.5], right=0.99)) == "Nothing follows about its layers."


def test_claims_are_weighed():
    found = outcomes.table(sentences.claims(table(more=0.1)), relevant=sentences.RELEVANT)
    assert set(found["outcome"]) == {"yes"}
    assert found["primary"].sum() == 8
    assert set(found.loc[found["primary"], "paper"]) == set(sentences.PAPERS.values())
    assert (found.loc[found["claim"] == sentences.TELLS, "estimate"].round(6) == 0.2).all()
    open_ = outcomes.table(sentences.claims(table(more=0.01)), relevant=sentences.RELEVANT)
    for claim in sentences.TELLS_MORE.values():
        assert set(open_.loc[open_["claim"] == claim, "outcome"]) == {"cannot tell"}
    assert SURPRISAL not in " ".join(open_["reading"])
    less = outcomes.table(sentences.claims(table(area=0.5, more=-0.1)), relevant=sentences.RELEVANT)
    assert set(less["outcome"]) == {"no"}
