import pandas as pd
import pytest
from score_changes import OPPONENTS, changes

from bitskept.studies.fine_tuning import verdicts
from bitskept.studies.fine_tuning.score_changes import differences


def checked(learned=True, **arms):
    """Rows of `checks.checks`: recoverability, a control that withholds the bits, and the other `arms`."""
    rows = {"recoverability": {"learned": learned, "lifted": True}, "continued": {}} | arms
    index = pd.MultiIndex.from_product([["m"], rows], names=["model", "arm"])
    return pd.DataFrame([{"learned": True, "lifted": False, "masked": False} | row for row in rows.values()], index)


def claimed(*outcomes, **facts):
    """Rows of `claims.claims`: (score, outcome, estimate, half of the interval) and what differs from the main dose."""
    usual = {"paper": "P1", "reading": "mean", "probe": "cosine", "train_sentences": 240, "model": "m",
             "unit": "rank correlation", "clusters": 300, "arm": "recoverability", "rate": float("nan")}  # fmt: skip
    rows = []
    for score, outcome, estimate, half in outcomes:
        ends = {"estimate": estimate, "low": estimate - half, "high": estimate + half, "detectable": 2.8 * half / 1.96}
        ends |= {"against": "before", "p": 0.01}
        row = usual | {"score": score, "outcome": outcome, "primary": not facts}
        rows.append(row | ends | facts)
    return pd.DataFrame(rows)


YES, NO, UNCLEAR = ("a", "yes", 0.3, 0.05), ("b", "no", -0.3, 0.05), ("c", "cannot tell", 0.0, 0.1)


CONTRASTS = differences(changes({"a": (0.3, 0.3), "b": (-0.3, 0.1), "c": (0.0, 0.0)}, OPPONENTS[:2]))
HEAD = "- **m**, recoverability at a rate of 0.1, against before and continued"
END = "  - Against before alone a score surely rises in a and falls in b.\n  - Controls that were not run: permuted."


def seen(number, least, most):
    return (
        f"  - In {number} scores a rise would probably have been seen (80 % of the time) from a size of "
        f"{least:.2f} to {most:.2f}, depending on the score: at best {least / 0.02:.1f} times the 0.02 that counts.\n"
    )


def verdict(*rows, contrasts=CONTRASTS, **arms):
    return verdicts.verdict(claimed(*rows), contrasts, checked(**arms))


def test_the_verdict_follows_the_outcomes():
    assert verdict(YES, NO, UNCLEAR) == (
        "**Understanding rises in 1 of 3 scores**, above before and every control. m, recoverability: 1 yes, 1 no, 1 "
        f"open.\n\n{HEAD}, 3 scores:\n  - yes: a.\n  - no: b.\n  - cannot tell: c.\n"
        f"{seen('3 of 3', 0.0714, 0.14)}{END}"
    )
    assert verdict(NO, UNCLEAR) == (
        "**No score is shown to rise** above before and every control. m, recoverability: 0 yes, 1 no, 1 open.\n\n"
        f"{HEAD}, 2 scores:\n  - no: b.\n  - cannot tell: c.\n{seen('2 of 2', 0.0714, 0.14)}{END}"
    )
    assert verdict(NO) == (
        "**No score rises** by 0.02 or more above before and every control. m, recoverability: 0 yes, 1 no, 0 "
        f"open.\n\n{HEAD}, 1 scores:\n  - no: b.\n{seen('1 of 1', 0.0714, 0.0714)}{END}"
    )


def test_what_would_have_been_seen_is_not_said_where_it_is_not_known():
    table = claimed(NO, UNCLEAR).assign(detectable=[float("nan"), float("nan")])
    assert "seen (" not in verdicts.verdict(table, CONTRASTS, checked())


def test_scores_with_no_room_for_a_rise_that_could_be_seen_are_named():
    table = claimed(NO, UNCLEAR).assign(detectable=[0.1, float("inf")])
    text = verdicts.verdict(table, CONTRASTS, checked())
    assert (
        f"{seen('1 of 2', 0.1, 0.1)}  - In c even a perfect score would probably go unnoticed: a *yes* was "
        "out of reach.\n"
    ) in text
    assert "seen (" not in verdicts.verdict(table.assign(detectable=float("inf")), CONTRASTS, checked())


def test_a_rise_that_counts_may_be_one_that_could_be_seen():
    text = verdicts.verdict(claimed(NO).assign(detectable=0.02), CONTRASTS, checked())
    assert "from a size of 0.02 to 0.02, depending on the score.\n" in text


def test_what_a_correction_for_the_number_of_scores_would_turn_is_named():
    rows = [("a", "no", -0.1, 0.079), ("b", "no", -0.3, 0.05), ("c", "cannot tell", 0.0, 0.1)]
    corrected = (
        "With intervals corrected for the number of scores (as wide as the strictest of Holm's steps asks for), "
    )
    before = differences(changes({"a": (-0.1,), "b": (-0.3,), "c": (0.0,)}, ("before",)))
    assert "corrected" not in verdict(*rows, contrasts=before)
    wide = [("a", "no", -0.1, 0.099), *rows[1:]]  # ends at .019 when corrected for three
    assert "corrected" not in verdict(*wide[:1], contrasts=before)
    table = claimed(("a", "no", -0.3, 0.27), *rows[1:])
    assert f"{corrected}*cannot tell* instead of *no*: a.\n" in verdicts.verdict(table, before, checked())


def test_the_verdict_names_the_opponents():
    both = differences(changes({"a": (0.3, 0.3, 0.3)}))
    text = verdict(YES, contrasts=both, permuted={})
    assert "against before, continued and permuted, 1 scores:\n  - yes: a.\n" in text
    assert text.endswith("falls in none."), "both learned, and one withholds the bits"
    alone = verdict(YES, contrasts=both[both["against"] == "before"], permuted={})
    assert "against before, 1 scores:" in alone


NONE_WITHHELD = "No control withheld the bits about the tokens: the last layer keeps more after each of them too."


@pytest.mark.parametrize(
    ("continued", "permuted", "end"),
    [
        (
            {}, {"learned": False},
            "Controls that hardly learned their target, so that they stand for the steps and the text alone: permuted.",
        ),
        (
            {"learned": False}, {"learned": False, "lifted": True},
            "Controls that hardly learned their target, so that they stand for the steps and the text alone: "
            "continued.\n  - Controls that hardly learned their target, but whose last layer keeps more than before: "
            "permuted.",
        ),
        ({}, {"learned": pd.NA},
         "Controls of which it cannot be told whether they learned their target: permuted."),
        ({"lifted": True}, {"lifted": True}, NONE_WITHHELD),
        (
            {"lifted": True, "masked": True}, {"lifted": True},
            f"{NONE_WITHHELD}\n  - The arm *mask only*, in which every target is hidden, would be such a control.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_controls_cannot_stand_for(continued, permuted, end):
    both = differences(changes({"a": (0.3, 0.3, 0.3)}))
    assert verdict(YES, contrasts=both, continued=continued, permuted=permuted).endswith(f"falls in none.\n  - {end}")


def test_a_model_without_controls_has_only_missing_ones():
    alone = checked().drop(index=("m", "continued"))
    assert verdicts.verdict(claimed(YES), CONTRASTS, alone).endswith("Controls that were not run: continued, permuted.")


def test_no_verdict_rests_on_a_row_at_the_border():
    for row in (("a", "yes", 0.03, 0.01), ("a", "no", -0.05, 0.06)):
        text = verdict(row, NO)
        assert text.startswith("**No score is shown to rise** above before and every control. m, recoverability: 0 yes")
        assert "recoverability: 0 yes, 1 no, 1 open." in text
        assert (
            "\n  - no: b.\n  - too near the border (by less than 0.02, or 0.04 against a model that was tuned as well, "
            "so another processor might decide otherwise, and no verdict rests on them): a.\n"
        ) in text
    assert "border" not in verdict(YES, NO)


def test_the_border_is_twice_as_wide_where_the_opponent_was_tuned():
    row = ("a", "no", -0.11, 0.1)  # its interval ends .03 below the border
    before, control = (differences(changes({"a": rises}, OPPONENTS[:2])) for rises in ((-0.11, 0.0), (0.0, -0.11)))
    assert "border" not in verdict(row, contrasts=before)
    assert "no verdict rests on them): a." in verdict(row, contrasts=control)


def test_nothing_follows_from_a_model_that_did_not_learn():
    assert verdict(YES, learned=False) == (
        "\n\n- **m**, recoverability at a rate of 0.1: **nothing follows**, as the model hardly learned what it was "
        "tuned for."
    )


def told(estimate, half, *more, settings, faced="before", yes=False):
    """The estimate of a row with its interval, unit and clusters, what it faces and of how many settings it is one; the
    p of a "yes" as it is and as it would be.
    """
    ends = f"[{estimate - half:+.3f}, {estimate + half:+.3f}] rank correlation, 300 clusters"
    text = ", ".join([f"{estimate:+.3f} {ends}", *more])
    p = f": p is 0.010, and {settings * 0.01:.2f} if it were" if yes else ""
    which = f"It is one of {settings} settings of this score, and not corrected for their number{p}."
    return f"{text}. It faces {faced}. {which}"


def flips(table, changes):
    main = changes[(changes["pooling"] == "mean") & (changes["rate"] == 0.1)]
    return verdicts.flips(table, differences(main), changes, reached())


def reached(**learned):
    """Rows of `checks.targets` at a rate of 0.05, by arm."""
    index = pd.MultiIndex.from_product([["m"], learned, [0.05]], names=["model", "arm", "rate"])
    return pd.DataFrame({"learned": pd.array([*learned.values()], "boolean")}, index)


def elsewhere(*changed, pooling="last"):
    """Rows of `score_changes.changes` under the mean and another pooling: (task, change against before)."""
    tables = [
        changes({task: (change,)}, ("before",)).assign(pooling=pooling, low=0.1, high=0.3) for task, change in changed
    ]
    return pd.concat([changes({"a": (0.3,)}, ("before",)).assign(low=0.2, high=0.4), *tables])


def test_other_doses_and_poolings_that_turn_an_outcome_are_named():
    main, under_mean = claimed(YES, NO, UNCLEAR), elsewhere()
    assert flips(main, under_mean) == "No other dose and pooling was measured."
    turned = [
        claimed(("a", "no", -0.1, 0.05), ("b", "yes", 0.2, 0.05), ("c", "no", -0.3, 0.1), reading="last"),
        claimed(("c", "no", -0.3, 0.1), reading="first"),
        claimed(("a", "cannot tell", 0.1, 0.2), ("c", "yes", 0.3, 0.1), train_sentences=32),
        claimed(("a", "yes", 0.3, 0.05), rate=0.05),
    ]
    assert flips(pd.concat([main, *turned], ignore_index=True), under_mean) == (
        "Of 7 rows at other doses or under other poolings, 1 have the outcome of their main row: *last* 0 of 3, "
        "*first* 0 of 1, other doses 1 of 3. At other doses, only a, c was scored.\n\n"
        "- **m**, recoverability, yes → no under *last*: a.\n"
        "- **m**, recoverability, no → yes under *last*: b.\n"
        "- **m**, recoverability, cannot tell → no under *last*: c; under *first*: c.\n"
        "- **m**, recoverability, yes → cannot tell after 32 sentences: a.\n"
        "- **m**, recoverability, cannot tell → yes after 32 sentences: c.\n"
        f"- **m**, recoverability, a, no under *last*: {told(-0.1, 0.05, settings=4)}\n"
        f"- **m**, recoverability, b, yes under *last*: {told(0.2, 0.05, settings=2, yes=True)}\n"
        f"- **m**, recoverability, a, cannot tell after 32 sentences: {told(0.1, 0.2, settings=4)}\n"
        f"- **m**, recoverability, c, yes after 32 sentences: {told(0.3, 0.1, settings=4, yes=True)}"
    )
    fewer = claimed(UNCLEAR, train_sentences=32).assign(model="n")
    poolings = pd.concat([claimed(("b", "yes", 0.3, 0.05), reading="last"), fewer])
    text = flips(pd.concat([main, poolings], ignore_index=True), under_mean)
    assert "No other dose was scored." in text
    rate = claimed(("b", "yes", 0.3, 0.29), rate=0.05)
    both = differences(changes({"a": (0.3, 0.3)}, ("before", "continued")))
    other = pd.concat([under_mean, changes({"b": (0.3,)}, ("before",)).assign(rate=0.05)])
    text = verdicts.flips(pd.concat([main, rate], ignore_index=True), both, other, reached())
    near = told(0.3, 0.29, "closer than 0.04 to the border", settings=2, faced="before, but not continued", yes=True)
    assert f"b, yes after 240 sentences at a rate of 0.05: {near}" in text


def test_rows_whose_main_row_is_too_near_the_border_are_not_compared():
    main = claimed(("a", "no", -0.05, 0.06), NO)
    last = claimed(("a", "cannot tell", 0.0, 0.1), NO, reading="last")
    first = claimed(("a", "yes", 0.3, 0.05), reading="first")
    assert flips(pd.concat([main, last, first], ignore_index=True), elsewhere()) == (
        "Of 1 rows at other doses or under other poolings, 1 have the outcome of their main row: *last* 1 of 1. No "
        "other dose was scored. Another 2 are not compared, as their main row is too near the border.\n\n"
        f"- **m**, recoverability, a, yes under *first*: {told(0.3, 0.05, settings=3, yes=True)}"
    )
    alone = flips(pd.concat([main, first], ignore_index=True), elsewhere())
    assert "Of 0 rows at other doses or under other poolings, 0 have the outcome of their main row. No" in alone


def test_a_sure_rise_against_before_alone_under_another_pooling_is_named():
    table = pd.concat([claimed(NO, UNCLEAR), claimed(NO, UNCLEAR, reading="last"),
                       claimed(NO, train_sentences=32)], ignore_index=True)  # fmt: skip
    text = flips(table, elsewhere(("b", 0.2), ("c", 0.05)))
    assert text.endswith(
        "\n- **m**, recoverability, b, under *last*: a sure rise against before alone, by +0.200 [+0.100, +0.300]. "
        "Against the controls too, the smallest rise is -0.300 [-0.350, -0.250]."
    )
    assert text.count("before alone") == 1
    assert "before alone" not in flips(table, elsewhere(("b", -0.2)))


def test_what_the_other_settings_do_not_show_is_said():
    main = claimed(YES, NO)
    near = claimed(("b", "no", -0.06, 0.05), reading="last").assign(against="continued")
    doses = claimed(("b", "no", 0.005, 0.01), ("a", "yes", 0.3, 0.05), train_sentences=32)
    table = pd.concat([main, near, doses], ignore_index=True)
    text = flips(table, elsewhere())
    assert "Of the 3 *yes* and *no* among all of them, 2 lie near the border, which counts for main rows." in text
    assert (
        "At 1 of the doses that agree, the smallest rise is within 0.02 of 0: the score had hardly moved yet."
    ) in text
    assert "Not defined" not in text
    far = flips(pd.concat([main, claimed(NO, reading="last")], ignore_index=True), elsewhere())
    assert "near the border" not in far
    assert "hardly moved" not in far
    undefined = elsewhere(("lee", 0.1), ("sick", 0.1), pooling="first")
    undefined["estimate"] = undefined["estimate"].mask(undefined["pooling"] == "first")
    assert "Not defined for m under *first*: lee, sick." in flips(table, undefined)


@pytest.mark.parametrize(
    ("learned", "said"),
    [(True, "continued; *continued* learned its target there. It"), (False, "continued. It"), (pd.NA, "continued. It")],
)
def test_a_yes_elsewhere_says_whether_its_controls_learned_there(learned, said):
    table = pd.concat([claimed(UNCLEAR), claimed(("c", "yes", 0.3, 0.05), rate=0.05)], ignore_index=True)
    both = changes({"c": (0.3, 0.3)}, OPPONENTS[:2])
    every = pd.concat([both, both.assign(rate=0.05)])
    text = verdicts.flips(table, differences(both), every, reached(continued=learned))
    assert f"It faces before and {said} is one of 2 settings" in text


CENTROID = "**m**: by the centroid alone, the last layers with right names and with permuted ones"


@pytest.mark.parametrize(
    ("named", "learned", "kept", "end"),
    [
        (0.3, pd.NA, (0.78, 0.5), f": m.\n- {CENTROID} would keep about the same."),
        (0.3, pd.NA, (0.7, 0.58), f": m.\n- {CENTROID} would not keep about the same."),
        (0.3, True, (0.78, 0.58), ": none."),
        (0.05, pd.NA, (0.7, 0.5), ": none."),
    ],
)  # fmt: skip
def test_what_the_first_rules_would_say_of_the_permuted_arm(named, learned, kept, end):
    table = checked(permuted={"learned": learned}).assign(named_before=0.0, named=named, centroid=0.8, ridge=0.6)
    table.loc[("m", "permuted"), ["centroid", "ridge"]] = kept
    assert verdicts.earlier_rules(claimed(NO), CONTRASTS, table) == (
        "By the rules of the first runs:\n\n- Scores that would count with a border of 0.02 for all: none.\n"
        f"- *Permuted* would have learned its target, which now cannot be told{end}"
    )


def test_what_the_first_border_would_count_is_named():
    rows = claimed(("a", "yes", 0.09, 0.045), ("b", "no", -0.11, 0.1), ("c", "no", -0.05, 0.06))
    control = differences(changes({"a": (0.2, 0.09), "b": (0.0, -0.11), "c": (0.0, -0.05)}, OPPONENTS[:2]))
    text = verdicts.earlier_rules(rows, control, checked().assign(named=0.0, named_before=0.0))
    assert "a border of 0.02 for all: a of m (yes), b of m (no).\n" in text
