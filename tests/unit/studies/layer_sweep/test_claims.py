import pandas as pd
import pytest

from bitskept.instruments.claims import COLUMNS
from bitskept.studies.layer_sweep import claims, controls, verdicts

KINDS = {"a": "encoder", "b": "encoder", "c": "decoder"}
RISE, LOSE, ENHANCED, DISCARDED = claims.LAYERS.values()


@pytest.fixture(scope="module")
def table(trained, copies, masked):
    return claims.claims(trained, controls.differences(controls.random_copies(copies)), masked)


def test_the_primary_rows_are_two_contrasts_for_each_model_and_reading(table):
    assert list(table.columns) == [*COLUMNS, "layers"]
    main = table[claims.primary(table)]
    assert len(main) == 3 * 3 * 2
    assert set(main["probe"]) == {"centroid"}
    assert set(main["train_sentences"]) == {80}
    assert set(main["reading"]) == {"token", "window", "bag: mean"}


def test_each_row_says_how_many_layers_were_read(table):
    layers = table.groupby(["reading", "train_sentences", claims.about_layers(table)])["layers"].unique().map(list)
    assert layers["token", 80, True] == [5]
    assert layers["token", 40, True] == layers["bag: mean", 40, True] == [3]
    assert layers["token", 40, False] == [pd.NA]


@pytest.mark.parametrize("dtype", ["Int64", "Float64"])
def test_a_reading_with_fewer_layers_than_its_model_has_says_so(dtype):
    rows = [row(RISE, "no") | {"layers": 31}, row(RISE, "no", reading="window"), row("training protects", "yes")]
    table = pd.DataFrame(rows).assign(layers=pd.array([31, 5, None], dtype=dtype))
    assert claims.with_layers(table)["reading"].tolist() == ["token", "window (5 of 31 layers)", "token"]


def test_only_primary_rows_pay_for_their_number(trained, copies, masked):
    """With p = .01 one test is significant, and none of eighteen is."""
    random = controls.differences(controls.random_copies(copies))
    table = claims.claims(trained.assign(p=trained["p"].clip(lower=0.01)), random, masked)
    falls = table[table["claim"].isin([LOSE, DISCARDED])]
    assert set(falls.loc[claims.primary(falls), "outcome"]) == {"cannot tell"}
    assert set(falls.loc[~claims.primary(falls), "outcome"]) == {"yes"}


def test_a_fall_that_all_show_is_yes_and_a_rise_below_a_tenth_of_a_bit_is_no(table):
    main = table[claims.primary(table)]
    assert set(main.loc[main["claim"] == LOSE, "outcome"]) == {"yes"}
    assert set(main.loc[main["claim"] == RISE, "outcome"]) == {"no"}


def test_a_probe_that_reads_next_to_nothing_is_no_witness(trained, copies, masked):
    weak = (trained["probe"] == "ridge") & (trained["quantity"] == "usable")
    random = controls.differences(controls.random_copies(copies))
    table = claims.claims(trained.assign(estimate=trained["estimate"].mask(weak, 0.4)), random, masked)
    rows = table[claims.about_layers(table)]
    assert set(rows.loc[rows["probe"] == "ridge", "outcome"]) == {"not tested"}
    assert "not tested" not in set(rows.loc[rows["probe"] == "centroid", "outcome"])
    assert f"{(rows['probe'] == 'ridge').sum()} contrasts are not counted" in verdicts.robust(table)


def test_what_the_other_words_tell_is_no_claim(trained, copies, masked):
    random = controls.differences(controls.random_copies(copies))
    others = trained[trained["reading"] == "place"].assign(pooling="mean of the others")
    table = claims.claims(pd.concat([trained, others], ignore_index=True), random, masked)
    assert not table["reading"].str.contains("others", na=False).any()


def test_training_protects_a_token_only_from_copies_that_keep_less(table):
    rows = table[table["claim"].str.startswith(claims.PROTECTS) & (table["reading"] == "token")]
    outcomes = rows.set_index(["claim", "model"])["outcome"]
    assert outcomes[f"{claims.PROTECTS} (random)", "c"] == "yes"
    assert outcomes[f"{claims.PROTECTS} (random)", "a"] == "no"
    assert outcomes[f"{claims.PROTECTS} (random: both)", "c"] == "no"


def test_a_rule_that_was_not_learned_is_not_tested_rather_than_no(table):
    rows = table[table["claim"].str.startswith(claims.AFTER_MASKING)].reset_index(drop=True)
    assert rows["outcome"].tolist() == ["yes", "not tested"]
    assert "(to be tested: more steps" in rows["claim"][1]
    assert rows["train_sentences"].tolist() == [40, 40]


def test_encoders_and_decoders_are_compared_and_not_tested(table):
    rows = table[table["claim"].str.startswith(claims.KEEPS)]
    assert set(rows["outcome"]) == {"not tested"}
    assert set(rows["train_sentences"]) == {40, 80}
    row = rows[(rows["reading"] == "token") & (rows["probe"] == "centroid") & (rows["train_sentences"] == 80)].iloc[0]
    assert row["estimate"] == pytest.approx((0.92 + 0.80) / 2 - 0.60)
    assert row["clusters"] == 3


def paired(trained, number, flipped=0):
    """So many pairs, in which the encoder keeps a little more; in the first `flipped` ones it is the decoder."""
    parts = []
    for place in range(number):
        for kind, model in (("encoder", "a"), ("decoder", "c")):
            name = kind if place >= flipped else {"encoder": "decoder", "decoder": "encoder"}[kind]
            part = trained[trained["model"] == model].assign(model=f"ettin-{name}-{place}", kind=name)
            parts.append(part.assign(estimate=part["estimate"] + (0.01 * place if model == "a" else 0)))
    return pd.concat(parts)


@pytest.mark.parametrize(("number", "flipped", "outcome"), [(6, 0, "yes"), (6, 3, "cannot tell"), (5, 0, None)])
def test_six_pairs_that_agree_decide_whether_encoders_keep_more(trained, masked, number, flipped, outcome):
    table = claims.claims(paired(trained, number, flipped), pd.DataFrame(), masked)
    rows = table[(table["claim"] == f"in pairs, {claims.KEEPS}") & (table["reading"] == "token")]
    rows = rows[(rows["probe"] == "centroid") & (rows["train_sentences"] == 80)]
    assert rows["outcome"].tolist() == ([outcome] if outcome else [])
    if outcome == "yes":
        assert rows["estimate"].iloc[0] == pytest.approx(0.92 - 0.60 + 0.025)
        assert rows["clusters"].iloc[0] == 6


def test_a_place_asks_another_question_of_the_bag(table):
    others = claims.settings(table)
    places = others["reading"].str.startswith("place")
    assert set(others.loc[places, "kind"]) == {"bag"}
    assert not others.loc[places, "same"].any()
    assert set(others.loc[others["same"], "reading"]) == set(claims.PRIMARY)
    assert set(others["kind"]) == {"token", "window", "bag"}
    bag = others[others["same"] & others["kind"].eq("bag")]
    halves = bag.groupby("half")["claim"].unique().map(set).to_dict()
    assert halves == {"enhanced": {RISE, ENHANCED}, "discarded": {LOSE, DISCARDED}}, "also between any two layers"
    assert others["reading"].str.startswith("place").any()
    assert len(others) + claims.primary(table).sum() == table["claim"].isin(claims.LAYERS.values()).sum()


def row(claim, outcome, model="a", reading="token", probe="centroid", sentences=80, estimate=0.5):
    return {"paper": "P1", "claim": claim, "reading": reading, "probe": probe, "train_sentences": sentences,
            "model": model, "outcome": outcome, "estimate": estimate, "low": 0.1, "high": 0.9, "unit": "bits",
            "clusters": 50, "detectable": 0.3, "primary": probe == "centroid" and sentences == 80,
            "layers": 5 if sentences == 80 else 3}  # fmt: skip


def words(*rows):
    return verdicts.claim(pd.DataFrame(list(rows)), KINDS)


def test_both_halves_must_hold_in_one_model():
    text = words(
        row(RISE, "yes"), row(LOSE, "yes"), row(RISE, "yes", "b"), row(LOSE, "no", "b"), row(RISE, "cannot tell", "c"),
        row(LOSE, "yes", "c"),
    )  # fmt: skip
    assert text.splitlines()[0] == (
        "- **token**: enhanced: yes for a, b; cannot tell for c (a difference of 0.30 bits would have been seen). "
        "Discarded: yes for a, c; no for b (certain, and smaller than 0.1: 0.50 bits in b). Both: **a**. Bits lost "
        "per token: decoders 0.50, encoders 0.50, so encoders lose bits as well."
    )
    assert "- **window**: enhanced: not measured. Discarded: not measured. Both: **no model**." in text


def test_a_verdict_on_fewer_layers_than_all_says_how_many_were_read():
    window = [row(name, "no", model, reading="window") | {"layers": 5} for model in "ac" for name in (RISE, LOSE)]
    all_layers = row(RISE, "no", "c") | {"layers": 31}
    lines = words(all_layers, row(RISE, "no", "a"), *window).splitlines()
    assert lines[1].startswith("- **window**")
    assert lines[1].endswith(" Layers read: 5 of 31 in c.")
    assert "Layers read" not in lines[0]


def test_a_loss_of_decoders_alone_is_no_reason_to_say_that_it_is_no_mark_of_theirs():
    encoders = (row(LOSE, "no", "a", estimate=0.01), row(LOSE, "no", "b", estimate=0.02))
    text = words(*encoders, row(LOSE, "yes", "c", estimate=0.7))
    assert "Bits lost per token: decoders 0.70, encoders 0.01 to 0.02." in text
    assert "Bits lost" not in words(row(LOSE, "no", "a"), row(LOSE, "yes", "b"))


def test_what_the_bag_loses_in_late_layers_alone_stands_beside_what_it_loses_from_its_inner_layer_on():
    bag = {"reading": "bag: mean"}
    falls = [row(DISCARDED, "yes", model, estimate=1.0, **bag) for model in "ac"]
    late = [
        row(LOSE, "yes", model, estimate=part, **bag) | {"primary": False} for model, part in (("a", 0.6), ("c", 0.3))
    ]
    text = words(*falls, *late)
    assert "Bits lost per token: decoders 1.00, encoders 1.00, so encoders lose bits as well. In late layers alone: " \
        "decoders 0.30, encoders 0.60." in text  # fmt: skip
    assert "In late layers alone" not in words(*falls)


def test_outcomes_of_other_vectors_that_less_text_does_not_confirm_are_named():
    rows = [row(RISE, "no")]
    for model, few, many in (("a", "yes", "yes"), ("b", "cannot tell", "yes"), ("c", "no", "no")):
        place = row(RISE, many, model, reading="place 1: mean") | {"primary": False}
        rows += [place, place | {"outcome": few, "train_sentences": 40}]
    last = verdicts.robust(pd.DataFrame(rows)).splitlines()[-1]
    assert last == (
        "With less text, and mostly fewer layers, 2 of 3 outcomes are the same. A *yes* with all text alone: place 1: "
        f"mean of b ({RISE})."
    )


def test_the_first_place_is_told_apart_from_the_primary_contrasts():
    def place(claim, outcome, model, sentences=80):
        return row(claim, outcome, model, reading="place 1: mean", sentences=sentences) | {"primary": False}

    rows = [place(ENHANCED, "yes", "a"), place(DISCARDED, "yes", "a"), place(ENHANCED, "yes", "b"),
            place(DISCARDED, "no", "b"), place(DISCARDED, "yes", "b", sentences=40)]  # fmt: skip
    start = "- **the first place**, which was not among the primary contrasts: both halves in"
    fewer = [place(ENHANCED, "yes", "a", 40), place(DISCARDED, "yes", "a", 40)]
    assert f"{start} a (80 sentences)." in words(row(RISE, "no"), *rows)
    assert f"{start} a (40, 80 sentences)." in words(row(RISE, "no"), *rows, *fewer)
    assert f"{start} no model." in words(row(RISE, "no"), *rows[2:])
    assert "the first place" not in words(row(RISE, "no"))


def test_the_bag_between_any_two_layers_is_told_apart_from_the_primary_contrasts():
    def bag(outcome, model, low, sentences=80):
        rise = row(RISE, outcome, model, reading="bag: mean", sentences=sentences)
        return rise | {"primary": False, "low": low}

    rows = [
        bag("no", "a", -0.1),
        bag("cannot tell", "b", -0.1),
        bag("cannot tell", "c", 0.01),
        bag("yes", "a", 0.2, 40),
    ]
    text = words(row(ENHANCED, "no", reading="bag: mean"), *rows)
    seen = "(a difference of 0.30 bits would have been seen)"
    start = "- **bag: mean, between any two layers** (not among the primary contrasts): enhanced: no for a; cannot tell"
    certain = " A rise is certain, but not that it reaches 0.1: +0.50 [+0.01, +0.90] bits in c.\n"
    assert f"{start} for b {seen}, c {seen}.{certain}" in text
    assert f"{start} for b {seen}.\n" in words(row(ENHANCED, "no", reading="bag: mean"), *rows[:2])
    place = [bag("yes", "a", 0.2) | {"reading": reading} for reading in ("place 2: mean", "place 2: last")]
    told = [line for line in words(row(RISE, "no"), *place).splitlines() if "any two layers" in line]
    assert len(told) == 1
    assert told[0].startswith("- **place 2: mean, between any two layers**")
    assert told[0].endswith("enhanced: yes for a.")
    assert "any two layers" not in words(row(RISE, "no"))


@pytest.mark.parametrize(
    ("trained", "copies", "says"),
    [
        ("yes", ("no", "no"), "copies: no in 2. So at these scales the rise is not built in."),
        ("yes", ("no", "cannot tell"), "copies: no in 1, cannot tell in 1. So whether a rise is learned is open."),
        ("no", ("no", "no"), "copies: no in 2. So whether a rise is learned is open."),
        ("no", ("no", "yes"), "copies: yes in 1, no in 1. So a rise here takes no training."),
        ("yes", ("yes",), "copies: yes in 1. So a rise here takes no training, and whether the trained model's is "),
    ],
)
def test_a_rise_at_the_first_place_is_compared_with_that_of_random_copies(trained, copies, says):
    def rise(outcome, **facts):
        low, high, p = {"yes": (0.2, 0.6, 0.001), "no": (-0.2, 0.05, 0.6), "cannot tell": (-0.2, 0.6, 0.6)}[outcome]
        return {"model": "a", "reading": "place", "position": 0, "quantity": "peak_rise", "estimate": (low + high) / 2,
                "low": low, "high": high, "p": p, "train_sentences": 40, "shuffled": False} | facts  # fmt: skip

    drawn = [rise(found, weights="random", seed=seed) for seed, found in enumerate(copies)]
    rows = [rise(trained, weights="trained"), *drawn]
    others = [
        rise("yes", weights="random", seed=0, position=1),
        rise("yes", weights="random", seed=0, quantity="peak_fall"),
    ]
    text = verdicts.first_place(pd.DataFrame([*rows, *others]))
    seeds = "2 seeds" if len(copies) == 2 else "1 seed"
    assert f"with 40 sentences, in the trained model and in copies (*random* with {seeds}):\n\n" in text
    assert f"- **a**: trained: {trained} (" in text
    assert says in text


def test_other_claims_follow_with_their_setting():
    text = words(row(RISE, "no"), row("training protects the token (random)", "yes"))
    assert "- Training protects the token (random) (token, centroid, 80 sentences): yes for a." in text


@pytest.mark.parametrize(
    ("other", "sign"), [(-0.2, "positive in 1 of 2 settings"), (0.2, "positive in 2 of 2 settings")]
)
def test_the_difference_between_kinds_is_given_over_all_settings(other, sign):
    compared = [row(claims.KEEPS, "not tested", estimate=value, sentences=size)
                for value, size in ((0.1, 80), (other, 40))]  # fmt: skip
    text = words(row(RISE, "no"), *compared)
    assert "**not tested**: the unit is the model, and 50 models" in text
    assert sign in text


def test_models_of_one_kind_leave_nothing_to_compare():
    assert words(row(RISE, "no")).endswith("**not tested**, as all models are of one kind.")


def test_settings_that_say_otherwise_are_named():
    same = [row(RISE, "no"), row(LOSE, "yes")]
    table = pd.DataFrame(
        [
            *same,
            row(RISE, "yes", probe="ridge"),
            row(RISE, "cannot tell", sentences=40),
            row(LOSE, "yes", probe="ridge"),
        ]
    )
    lines = verdicts.robust(table).splitlines()
    assert lines[0] == (
        "Primary outcomes that are the same in every other setting measured: token 1 of 2. In 1 of the 3 other "
        "settings fewer layers were read than for the primary outcome; there, a rise or a fall between other layers "
        "would not show."
    )
    others = "yes: token, ridge, 80 sentences; cannot tell: token, centroid, 40 sentences"
    assert f"| {RISE} | token | a | no, 5 | 0 of 1 with 5 layers, 0 of 1 with 3 layers | {others} |" in lines
    assert f"| {LOSE} | token | a | yes, 5 | 1 of 1 with 5 layers | none |" in lines
    equal = verdicts.robust(pd.DataFrame([*same, row(RISE, "no", probe="ridge")]))
    assert equal.startswith("Primary outcomes that are the same in every other setting measured: token 2 of 2.\n")


def test_the_bag_between_any_two_layers_counts_among_the_settings_of_its_half():
    bag = [row(ENHANCED, "no", reading="bag: mean"), row(DISCARDED, "yes", reading="bag: mean")]
    pair = [row(claim, "cannot tell", reading="bag: mean") | {"primary": False} for claim in (RISE, LOSE)]
    lines = verdicts.robust(pd.DataFrame([*bag, *pair])).splitlines()
    assert lines[0].endswith(": bag 0 of 2."), "no other vector of the sentence was measured"
    setting = "cannot tell: bag: mean, centroid, 80 sentences"
    assert f"| {ENHANCED} | bag | a | no, 5 | 0 of 1 with 5 layers | {setting}, between any two layers |" in lines
    assert f"| {DISCARDED} | bag | a | yes, 5 | 0 of 1 with 5 layers | {setting}, late layers alone |" in lines


def test_other_poolings_and_places_ask_another_question():
    bag = [row(ENHANCED, "no", reading="bag: mean", model=model) for model in "ab"]
    last = [row(ENHANCED, "yes", reading="bag: last", model=model) | {"primary": False} for model in "ab"]
    fewer = row(ENHANCED, "yes", reading="place 1: mean", sentences=40)
    lines = verdicts.robust(pd.DataFrame([*bag, *last, fewer])).splitlines()
    start = ": bag 2 of 2. For the bag the count holds for the mean of the states; other ways to make one vector, and"
    assert f"{start} places, are left out of it. The opposite is found from *bag: last* (enhanced: yes" in lines[0]
    assert lines[0].endswith(" yes for a, b).")
    assert f"| {ENHANCED} | bag: last | yes for a, b |" in lines
    assert not any("place 1" in line for line in lines), "told with all text only"


def test_a_primary_outcome_that_cannot_be_told_is_not_confirmed_by_one_that_can():
    table = pd.DataFrame(
        [row(RISE, "cannot tell"), row(RISE, "yes", probe="ridge"), row(RISE, "cannot tell", sentences=40)]
    )
    lines = verdicts.robust(table).splitlines()
    assert ": token 0 of 1. " in lines[0]
    counts = "0 of 1 with 5 layers, 1 of 1 with 3 layers"
    assert lines[-1] == f"| {RISE} | token | a | cannot tell, 5 | {counts} | yes: token, ridge, 80 sentences |"


def test_both_halves_that_another_vector_turns_are_named():
    bag = [row(ENHANCED, "no", reading="bag: mean"), row(DISCARDED, "yes", reading="bag: mean"), row(RISE, "yes")]
    other = [row(claim, outcome, reading="bag: last") for claim, outcome in ((ENHANCED, "yes"), (DISCARDED, "no"))]
    pair = [row(claim, "yes", reading="place 2: mean") for claim in (RISE, LOSE)]
    unsure = row(ENHANCED, "cannot tell", reading="place 3: mean")
    table = pd.DataFrame([*bag, *[part | {"primary": False} for part in (*other, *pair, unsure)]])
    assert (
        verdicts.robust(table)
        .splitlines()[0]
        .endswith(
            " The opposite is found from *bag: last* (enhanced: yes for a; discarded: no for a), *place 2: mean* "
            "(enhanced, between any two layers: yes for a)."
        )
    )
    same = pd.DataFrame([*bag, unsure | {"primary": False}])
    assert verdicts.robust(same).splitlines()[0].endswith(" None of them says the opposite.")


def test_a_yes_whose_interval_holds_0_is_said_to_be_one_sided():
    table = pd.DataFrame([row(LOSE, "yes") | {"low": -0.02}, row(RISE, "yes"), row(RISE, "no", "b") | {"low": -1.0}])
    assert verdicts.robust(table).splitlines()[-1] == (
        "A *yes* is one-sided (p < .05), so its 95 % interval, which is two-sided, may hold 0: token, centroid, "
        "80 sentences, a, then discarded: late layers lose bits, +0.50 [-0.02, +0.90]."
    )
    assert "one-sided" not in verdicts.robust(table[1:])
