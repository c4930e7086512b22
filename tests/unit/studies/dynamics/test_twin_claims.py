"""What the last layers keep at each moment, and outcomes of the claims on real text, from made-up runs: each changes
when the numbers do.
"""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.training.twin_runs import BERT, MASK, NEXT
from bitskept.studies.dynamics import figures, last_layer_sentences
from bitskept.studies.dynamics.checkpoints import GAIN, VISIBLE
from bitskept.studies.dynamics.comparing_runs import BEFORE
from bitskept.studies.dynamics.last_layers import BELOW, BITS, EQUAL, FORGOTTEN, LARGEST, by_run
from bitskept.studies.dynamics.run_claims import EARLY, KEEPS, NAMED
from bitskept.studies.dynamics.twin_claims import (
    FITS,
    KEPT_ALONE,
    LATE,
    UNLEARNED,
    UNTURNED,
    WHERE,
    all_claims,
    claims,
)

LEAST = 2.0
NO_CURVE = pd.DataFrame(columns=["twin", "quantity", "phase", "estimate", "low", "high", "p", "runs"])
NOISE = (0.01, -0.01, 0.0)


def twin(name, kept, *, first=8.0, gain=3.0, late=0.5, noise=NOISE, half=0.02):
    """Runs of a twin, one per number in `noise`, at two steps: gains 0 and `gain`, bits kept `first` and `kept`; the
    layer below the last keeps 9.
    """
    rows = []
    for seed, own in enumerate(noise):
        run = {"twin": name, "seed": seed, "size": 64, "amount": 100}
        for step, learned, bits in ((0, 0.0, first), (4, gain, kept + own)):
            rows.append(run | {"step": step, "quantity": GAIN, "estimate": learned})
            for reading, text in (("token", 60), ("token", 30), *([(VISIBLE, 60)] if name != NEXT else [])):
                read = run | {"step": step, "reading": reading, "train_sentences": text}
                for probe in ("centroid", "ridge"):
                    rows.append(read | {"probe": probe, "quantity": BITS, "layer": 2, "estimate": bits})
                    rows.append(read | {"probe": probe, "quantity": BITS, "layer": 1, "estimate": 9.0 + own})
                    rows.append(read | {"probe": probe, "quantity": "late_forgetting", "estimate": late + own})
    table = pd.DataFrame(rows).assign(unit="bits per token")
    table["low"], table["high"] = table["estimate"] - half, table["estimate"] + half
    return table.astype({"layer": "Int64", "train_sentences": "Int64"})


def weighed(*twins, fitting=NO_CURVE, least=LEAST):
    return claims(by_run(pd.concat(twins, ignore_index=True), least), fitting)


def primary(table):
    """Outcome by claim and pair."""
    rows = table[table["primary"]]
    return {(row["claim"], row["model"].removesuffix(WHERE)): row["outcome"] for row in rows.to_dict("records")}


@pytest.mark.parametrize(
    ("kept", "noise", "outcome"),
    [
        (7.0, NOISE, "yes"),
        (6.0, NOISE, "no"),
        (5.0, NOISE, "no"),
        (6.5, (2.0, -2.0, 0.0), "cannot tell"),
        (7.0, (0.0,), "cannot tell"),  # one seed says nothing of others
    ],
)
def test_what_one_twin_keeps_more_than_another(kept, noise, outcome):
    found = weighed(twin(BERT, kept, noise=noise), twin(NEXT, 6.0))
    assert primary(found)[KEEPS, f"{BERT} − {NEXT}"] == outcome
    row = found[found["primary"] & (found["claim"] == KEEPS)].iloc[0]
    assert row["estimate"] == pytest.approx(kept - 6 + np.mean(noise) - np.mean(NOISE[: len(noise)]))
    assert row["clusters"] == len(noise)
    assert np.isnan(row["low"]) == (len(noise) == 1)


def test_each_claim_has_its_pair():
    found = weighed(twin(BERT, 6.5), twin(MASK, 5.0), twin(NEXT, 6.0, late=0.9), twin(KEPT_ALONE, 5.5))
    assert primary(found) == {
        (KEEPS, f"{BERT} − {NEXT}"): "yes",
        (EARLY, f"{BERT} − {NEXT}"): "no",
        (KEEPS, f"{MASK} − {NEXT}"): "no",
        (NAMED, f"{BERT} − {MASK}"): "yes",
        (NAMED, f"{KEPT_ALONE} − {MASK}"): "yes",
        (LATE, f"{NEXT} − {BERT}"): "yes",
        (LATE, f"{NEXT} − {MASK}"): "yes",
    }
    assert set(found.loc[found["claim"].isin([NAMED, EARLY]), "paper"]) == {"control"}
    other = weighed(twin(BERT, 6.5), twin(MASK, 6.5), twin(NEXT, 6.0, late=0.5), twin(KEPT_ALONE, 6.5))
    assert [*primary(other).values()] == ["yes", "yes", "no", "no", "no", "no", "no"]


def test_a_twin_that_is_not_there_has_no_row():
    assert set(primary(weighed(twin(BERT, 6.5), twin(MASK, 5.0)))) == {(NAMED, f"{BERT} − {MASK}")}


def test_a_twin_that_has_not_learned_is_not_tested():
    every = weighed(twin(BERT, 7.0), twin(NEXT, 6.0, gain=1.0))
    assert set(every.loc[every["claim"] == EARLY, "outcome"]) == {"no"}  # before the first step nobody has
    found = every[every["claim"] != EARLY]
    assert set(found["outcome"]) == {"not tested"}
    assert found["claim"].str.endswith(UNLEARNED).all()
    assert found["estimate"].isna().all()
    assert set(primary(weighed(twin(BERT, 7.0), twin(NEXT, 6.0, gain=1.0), least=0.9)).values()) == {"yes", "no"}


def test_only_the_seeds_that_have_learned_in_both_count():
    bert, following = twin(BERT, 7.0), twin(NEXT, 6.0)
    weak = (following["seed"] == 2) & (following["quantity"] == GAIN)
    following.loc[weak, ["estimate", "low", "high"]] = 1.0
    found = weighed(bert, following)
    assert found[found["primary"]].set_index("claim")["clusters"].to_dict() == {KEEPS: 2, EARLY: 3, LATE: 2}


def test_primary_are_clean_tokens_by_the_centroid_with_all_text_and_a_reading_of_one_twin_is_no_pair():
    found = weighed(twin(BERT, 7.0), twin(NEXT, 6.0), twin(MASK, 5.0))
    main = found[found["primary"]]
    assert set(map(tuple, main[["reading", "probe", "train_sentences"]].to_numpy())) == {
        (f"token{moment}", "centroid", 60) for moment in ("", BEFORE)
    }
    visible = found[found["reading"] == VISIBLE]
    assert set(visible["model"]) == {f"{BERT} − {MASK}{WHERE}"}
    assert not visible["primary"].any()


def test_at_equal_gain_twins_are_compared_where_their_gain_was_the_least_and_the_largest_of_all():
    """Both fall from 8 bits on a straight line; at a gain of 2 they have come 2/4 and 2/2.5 of the way, and at one of
    2.5 a twin has come to its end.
    """
    found = weighed(twin(BERT, 7.0, gain=4.0), twin(NEXT, 6.0, gain=2.5))
    for moment, more in ((EQUAL, (8 - 0.5 * 1) - (8 - 0.8 * 2)), (LARGEST, (8 - 0.625 * 1) - 6)):
        rows = found[(found["reading"] == f"token{moment}") & (found["claim"] == KEEPS)]
        assert len(rows) == 4  # probes and amounts of text
        assert rows["estimate"].astype(float).to_numpy() == pytest.approx(more)
        assert set(rows["outcome"]) == {"yes"}
        assert not rows["primary"].any()
    assert {LATE} < set(found.loc[found["reading"] == f"token{EQUAL}", "claim"])


def test_a_difference_before_the_first_step_is_a_claim_of_its_own():
    found = weighed(twin(BERT, 7.0, first=8.5), twin(NEXT, 6.0))
    early = found[found["claim"] == EARLY]
    assert set(early["reading"]) == {f"token{BEFORE}"}
    assert early["estimate"].astype(float).to_numpy() == pytest.approx(0.5)
    assert primary(found)[EARLY, f"{BERT} − {NEXT}"] == "yes"
    assert not found.loc[found["claim"] == KEEPS, "reading"].str.endswith(BEFORE).any()


def fitting(
    rise, fall, *, name=BERT, error=0.05, p=(0.001, 0.001), quantity="complexity_corrected", runs=3, turned=True
):
    """The changes of a twin's complexity in each phase, with the sign of the curve."""
    sides = (("first fall", -0.5, 0.001), ("fitting", rise, p[0]), ("compression", -fall, p[1]))
    rows = [
        {"twin": name, "quantity": quantity, "phase": phase, "estimate": change, "runs": runs, "p": one,
         "from_step": 8 if phase == "compression" else 0, "to_step": 16 if turned else 8, "seen": turned,
         "low": change - 1.96 * error * (change != 0), "high": change + 1.96 * error * (change != 0)}
        for phase, change, one in sides
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("rise", "fall", "others", "outcome", "estimate"),
    [
        (2.0, 1.0, {}, "yes", 1.0),
        (1.0, 2.0, {}, "yes", 1.0),
        (2.0, 1.0, {"p": (0.001, 0.2)}, "cannot tell", 1.0),
        (2.0, 1.0, {"p": (0.2, 0.001)}, "cannot tell", 1.0),  # the larger p, whichever side it is of
        (0.0, 2.0, {"p": (1.0, 0.001)}, "no", 0.0),  # a phase that takes no steps
        (2.0, -1.0, {}, "no", -1.0),
        (2.0, 1.0, {"p": (np.nan, 0.001)}, "cannot tell", 1.0),  # nothing is known of one side
        (2.0, 1.0, {"p": (0.001, np.nan)}, "cannot tell", 1.0),
        (2.0, 0.05, {"error": 1.0, "p": (0.04, 0.9)}, "cannot tell", 0.05),
    ],
)
def test_of_fitting_and_compression_the_smaller_counts(rise, fall, others, outcome, estimate):
    found = weighed(twin(BERT, 7.0), fitting=fitting(rise, fall, **others))
    [row] = found.to_dict("records")
    assert (row["claim"], row["model"], row["paper"]) == (FITS, BERT + WHERE, "P2")
    assert row["outcome"] == outcome
    assert row["estimate"] == pytest.approx(estimate)
    assert row["low"] <= row["estimate"] <= row["high"]
    assert row["clusters"] == 3


def test_phases_of_a_twin_that_has_not_learned_are_not_tested_and_complexity_as_it_is_read_is_not_primary():
    plain = fitting(2.0, 1.0, quantity="complexity")
    found = weighed(twin(BERT, 7.0), fitting=pd.concat([fitting(2.0, 1.0), plain]))
    assert found["primary"].tolist() == [True, False]
    assert found["reading"].tolist() == ["complexity corrected", "complexity"]
    [row] = weighed(twin(BERT, 7.0, gain=1.0), fitting=fitting(2.0, 1.0)).to_dict("records")
    assert (row["outcome"], row["claim"]) == ("not tested", f"{FITS} {UNLEARNED}")


def test_a_curve_that_has_not_turned_says_nothing_of_a_fall():
    for runs in (1, 3):
        unturned = fitting(2.0, 0.01, p=(0.001, 0.6), runs=runs, turned=False)
        [row] = weighed(twin(BERT, 7.0), fitting=unturned).to_dict("records")
        assert (row["outcome"], row["claim"]) == ("not tested", f"{FITS} {UNTURNED}")
    [row] = weighed(twin(BERT, 7.0), fitting=fitting(2.0, 0.0, p=(0.001, 0.9))).to_dict("records")
    assert row["outcome"] == "no"


def test_phases_of_a_single_run_have_no_interval():
    [row] = weighed(twin(BERT, 7.0), fitting=fitting(2.0, 1.0, runs=1)).to_dict("records")
    assert (row["outcome"], row["estimate"], row["clusters"]) == ("cannot tell", 1.0, 1)
    assert np.isnan([row["low"], row["high"], row["detectable"]]).all()


def test_the_twins_of_a_claim_share_its_correction():
    """Two twins, each with p = .03: together none is significant."""
    one = fitting(2.0, 1.0, p=(0.03, 0.03))
    assert weighed(twin(BERT, 7.0), fitting=one)["outcome"].tolist() == ["yes"]
    both = weighed(twin(BERT, 7.0), twin(KEPT_ALONE, 7.0), fitting=pd.concat([one, one.assign(twin=KEPT_ALONE)]))
    assert both["outcome"].tolist() == ["cannot tell"] * 2


def test_both_tables_of_claims_make_one():
    here = weighed(twin(BERT, 7.0), twin(NEXT, 6.0))
    both = all_claims(here.assign(model="a (language)"), here)
    assert len(both) == 2 * len(here)
    assert both.attrs["made by"].endswith("all_claims")


# ---- what they are weighed on ----

TWINS = (BERT, NEXT)


def made_up(*, least=2.0, gain=2.5, kept=6.0):
    return by_run(pd.concat([twin(BERT, 7.0, gain=4.0), twin(NEXT, kept, gain=gain)], ignore_index=True), least)


def test_every_moment_is_read_at_its_own_layer_and_step():
    table = made_up()
    rows = table[(table["twin"] == NEXT) & (table["seed"] == 2) & (table["probe"] == "ridge")]
    rows = rows[rows["train_sentences"] == 60].set_index(["quantity", "reading"])["estimate"]
    for moment, bits in {"": 6, BELOW: 9, EQUAL: 8 - 0.8 * 2, LARGEST: 6, BEFORE: 8}.items():
        assert rows[BITS, f"token{moment}"] == pytest.approx(bits)
        assert (FORGOTTEN, f"token{moment}") in rows.index or moment == BELOW
    assert table["learned"].all()
    assert not table.duplicated(["twin", "seed", "reading", "probe", "train_sentences", "quantity"]).any()


def test_where_no_run_has_learned_there_is_no_largest_gain():
    table = made_up(least=9.0)
    assert not table["learned"].any()
    assert set(table["reading"]) & {f"token{EQUAL}", f"token{LARGEST}"} == set()
    none = "Fewer than two of the main twins have learned, so there is no order."
    assert last_layer_sentences.order(table, TWINS, 0.1) == none


def test_the_order_of_the_twins():
    said = last_layer_sentences.order(made_up(), TWINS, 0.1).splitlines()
    assert said[0] == (
        "- By the centroid, no two change places by 0.1 bits or more: after the last step *BERT's rule* 7.00 > *next "
        "token* 6.00; at equal gain *BERT's rule* 7.50 > *next token* 6.40; at the largest equal gain *BERT's rule* "
        "7.38 > *next token* 6.00 bits."
    )
    assert len(said) == 2
    assert last_layer_sentences.order(made_up(), [NEXT], 0.1).startswith("Fewer than two")
    for kept, verdict in (
        (8.0, "**the order depends on when they are compared**"),
        (7.55, "no two change places by 0.1"),
    ):
        turned = made_up()
        turned.loc[(turned["twin"] == NEXT) & (turned["reading"] == f"token{EQUAL}"), "estimate"] = kept
        for line in last_layer_sentences.order(turned, TWINS, 0.1).splitlines():
            assert f"{verdict}" in line
            assert f"at equal gain *next token* {kept:.2f} > *BERT's rule* 7.50" in line
    gone = made_up()
    gone = gone[(gone["twin"] == BERT) | (gone["reading"] == "token")]  # nothing to compare the order with
    assert last_layer_sentences.order(gone, TWINS, 0.1).startswith("Fewer than two")


def test_the_figure_has_a_point_for_each_run():
    table = made_up()
    table.loc[(table["twin"] == NEXT) & (table["seed"] == 0), "learned"] = False
    figure = figures.last_layers(table)
    assert len(figure.axes) == 2 * 5
    assert [len(axes.collections) for axes in figure.axes] == [2] * 10
    first = figure.axes[0].collections[1]
    assert first.get_offsets()[:, 0].tolist() == pytest.approx([6.01, 5.99, 6.0])
    assert first.get_facecolors()[:, :3].tolist()[0] == [1, 1, 1]
