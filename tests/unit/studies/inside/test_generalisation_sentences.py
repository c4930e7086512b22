"""Every sentence about bounds, on tables small enough to check by hand."""

import pandas as pd
import pytest

from bitskept.studies.inside import generalisation_sentences as sentences
from bitskept.studies.inside.generalisation import ALL, COUNTS, FEW, Bounds


def network(
    kind, numbers, bound, loss=6.0, longest=500.0, code=1000.0, sentences=10, coded_held_out=6.1, gap=0.2, reach=0.1
):
    """The rows of one network, as `generalisation.bounds` has them."""
    facts = {"kind": kind, "width": 8, "sentences": sentences, "numbers": numbers, "levels": 3, "alpha": 0.1}
    values = {"training": loss - 1, "held_out": loss - 1 + gap, "gap": gap, "coded_training": loss, "bound": bound}
    values |= {
        "coded_held_out": coded_held_out,
        "uniform": 9.0,
        "code": code,
        "longest_code": longest,
        "tokens": 4000.0,
    }
    rows = [facts | {"quantity": name, "estimate": value, "n": 30} for name, value in values.items()]
    table = pd.DataFrame(rows)
    known = table["quantity"].isin(["training", "held_out", "gap"])
    return table.assign(
        low=(table["estimate"] - reach).where(known),
        high=(table["estimate"] + reach).where(known),
        unit="bits per token",
    )


@pytest.mark.parametrize(
    ("gap", "reach", "said"),
    [
        (0.2, 0.1, "The gap is 0.20 [0.10, 0.30], which is above 0."),
        (-0.2, 0.1, "which is below 0."),
        (0.05, 0.1, "whose sign this sample cannot tell."),
        (0.2, float("nan"), "The gap is 0.20 (no interval), too few rows for an interval."),
    ],
)
def test_the_gap_has_a_sign_or_none(gap, reach, said):
    found = sentences.gaps(network(ALL, 500, 10.0, gap=gap, reach=reach))
    assert found.startswith("- **Width 8, 10 sentences** (4,000 tokens): 5.00")
    assert said in found


def test_both_sides_of_the_gap_say_how_many_rows_they_have():
    table = network(ALL, 500, 10.0)
    table.loc[table["quantity"] == "training", "n"] = 20
    found = sentences.gaps(table)
    assert "5.00 ([4.90, 5.10], 95 %, 20 rows) bits per token on text of training" in found
    assert "5.20 ([5.10, 5.30], 95 %, 30 rows) on other text" in found


def test_bounds_above_the_uniform_law_are_called_vacuous():
    table = pd.concat([network(ALL, 500, 10.0), network(ALL, 500, 12.0, sentences=4)])
    found = sentences.all_weights(table)
    assert "0 of 2 bounds are below the 9.00 bits of the uniform distribution. The lowest, 10.00 bits" in found
    assert "1,000 bits, 2.00 for each of 500 weights, which adds 4.00 bits per token to the 6.00" in found
    assert (
        "all of these bounds are **vacuous**. At the same loss, the code would have to be shorter than 500 bits"
        in found
    )
    assert "(1.00 a weight), or the text 2.0 times as long" in found


def test_bounds_below_the_uniform_law_say_something():
    one = pd.concat([network(ALL, 500, 8.0), network(ALL, 500, 12.0, sentences=4)])
    assert "So this bound says something; the others are **vacuous**." in sentences.all_weights(one)
    assert "vacuous" not in sentences.all_weights(network(ALL, 500, 8.0))
    two = pd.concat([one, network(ALL, 500, 8.5, sentences=3)])
    assert "2 of 3 bounds are below" in sentences.all_weights(two)
    assert "So 2 bounds say something; the others are **vacuous**." in sentences.all_weights(two)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (6.0, "with so few tokens, even a network that needs no code"),
        (9.5, "since the rounded network costs more than"),
    ],
)
def test_no_code_may_be_short_enough(loss, said):
    assert said in sentences.all_weights(network(ALL, 500, 12.0, loss=loss, longest=-3.0))


def few(bounds, control, loss=6.0):
    parts = [network(FEW, 10**place, bound, loss=8.0 - place) for place, bound in enumerate(bounds, 1)]
    return pd.concat([*parts, network(COUNTS, 512, control, loss=loss)])


@pytest.mark.parametrize(
    ("bounds", "control", "said"),
    [
        ((8.5, 8.0, 9.5), 8.2, "2 of 3 bounds are **not vacuous** (with 10, 100 numbers). The lowest is 8.00 bits"),
        ((8.5, 8.0, 9.5), 8.2, "8.20 bits with a code of 1,000: above the network's, whose guarantee is the better"),
        ((8.5, 8.0, 9.5), 8.2, "the control costs at least 3.80 bits, so the bound **does not show** that"),
        ((8.5, 8.0, 9.5), 7.9, ": not above the network's, so the network was not worth its code. By"),
        ((10.0, 9.8, 9.5), 8.0, "none of 3 bounds is below the uniform distribution: **all are vacuous**"),
        ((10.0, 9.8, 9.5), 8.0, "costs 4.20.) At the same loss, the code would have to be shorter"),
        ((8.5, 8.0, 9.5), 8.2, "it costs 6.10 bits per token, so the bound is 1.90 above this. (As trained, it costs"),
        (
            (8.5, 8.0, 9.5),
            8.2,
            "With 10, 100, 1,000 numbers the loss is 7.00, 6.00, 5.00 bits, and the code adds 1.50, ",
        ),
        ((8.5, 8.0, 9.5), 8.2, "2.00, 4.50; the best number lies inside this range."),
        ((8.5, 9.0, 9.5), 8.2, "the best number lies at an end of this range"),
    ],
)
def test_few_numbers_are_weighed_against_the_control(bounds, control, said):
    assert said in sentences.few_numbers(few(bounds, control))


def test_what_networks_cost_on_other_text_is_compared_with_their_bounds():
    fine, broken = network(ALL, 500, 10.0), network(ALL, 500, 6.05, sentences=4)
    assert "None of 1 networks costs more on other text" in sentences.held_out(fine)
    assert "1 of 2 networks cost more on other text" in sentences.held_out(pd.concat([fine, broken]))


def test_a_bound_below_the_least_that_the_control_costs_shows_that_context_is_used():
    found = sentences.few_numbers(few((8.5, 8.0, 9.5), 8.6, loss=8.5))
    assert "the control costs at least 8.40 bits, so the bound **shows** that the network has learned more" in found


def test_a_network_that_training_has_left_behind_one_with_fewer_numbers_is_named():
    assert "not trained" not in sentences.few_numbers(few((8.5, 8.0, 9.5), 8.6))
    parts = [network(FEW, 10, 8.5, loss=7.0), network(FEW, 100, 9.5, loss=7.5), network(COUNTS, 512, 9.0)]
    found = sentences.few_numbers(pd.concat(parts))
    assert "the network with 100 numbers costs more on its training text than one with fewer (6.50 against" in found
    assert "6.00 bits): it was **not trained to its end**" in found


def test_a_network_that_has_learned_no_more_than_frequencies_is_named():
    """The control costs 5.00 bits on its training text."""
    parts = [network(FEW, 100, 8.5, loss=5.5), network(FEW, 10, 9.0, loss=6.2), network(FEW, 5, 9.5, loss=6.0)]
    found = sentences.few_numbers(pd.concat([*parts, network(COUNTS, 512, 8.25)]))
    assert "With 5, 10 numbers training has **not learned more than how frequent tokens are**: 5.00, 5.20 bits" in found
    assert "on its text, where the control costs 5.00 (as written down 6.00, 6.20 and 6.00). So section 7" in found
    assert found.endswith("gives no verdict there: the bound is 9.50, 9.00 bits, and the control's 8.25.")
    assert "how frequent tokens are**" not in sentences.few_numbers(pd.concat([parts[0], network(COUNTS, 512, 8.25)]))


def test_choices_at_an_end_of_what_was_tried_are_counted():
    table = pd.concat([network(FEW, 10, 8.5), network(FEW, 100, 8.0).assign(levels=5, alpha=0.2)])
    tried = Bounds.model_construct(levels=[3, 5, 9], smoothings=[0.1, 0.2, 0.5])
    assert sentences.choices(table, tried).startswith(
        "For 1 of 2 networks the best number of levels is the least or most that was tried, for 1 the best α"
    )
