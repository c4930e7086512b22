"""Every sentence of notebook 07, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.inside import sentences
from bitskept.studies.inside.claims import PROMPT
from bitskept.studies.inside.section import InsideTransformer


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile, with a bank of four prompts."""
    found = InsideTransformer.read({"profile": "smoke"})
    return found.model_copy(update={"pairs": 3, "others": 3, "length": 2})


def answers(*gaps):
    sums = pd.DataFrame({"corpus": "c", "answer": range(len(gaps)), "mixture": -20.0, "elbo": -20.0 - np.array(gaps)})
    bits = pd.DataFrame({"corpus": "c", "tokens": [1, 2], "estimate": [0.5, 1.0], "n": 30})
    return pd.concat([sums, bits.assign(low=bits["estimate"] - 0.5, high=bits["estimate"] + 0.5)])


def test_answers_below_their_bound_are_counted(section):
    said = sentences.elbo(answers(0.05, 1.5, 0.0), section)
    assert "0 of 3 answers lie below the bound; the smallest gap is 0.000 bits, the largest 1.50. In 2 answers" in said
    assert "the first 2 tokens" in said
    assert "bits that single out its prompt: c 50% ([25%, 75%], 95 %, 30 answers)." in said
    assert "In 2 answers it is below a tenth of a bit (c 2 of 3). On average" in said
    two = pd.concat([answers(0.05, 1.5, 0.0).assign(corpus="d"), answers(1.5, 2.5)])
    assert "a tenth of a bit (d 2 of 3, c 0 of 2). On" in sentences.elbo(two, section)
    assert "1 of 2 answers lie below the bound" in sentences.elbo(answers(-0.05, 1.5), section)


@pytest.mark.parametrize(
    ("later", "control", "said"), [(3.0, -2.0, ", significantly more"), (1.5, 0.5, ", not significantly more")]
)
def test_what_two_halves_share_is_told_with_its_control(later, control, said):
    rows = [
        {"layer": layer, "critic": "cosine", "shuffled": shuffled, "estimate": value, "low": value - 0.4}
        for layer, shuffled, value in [(0, False, 1.0), (6, False, later), (0, True, -4.0), (6, True, control)]
    ]
    table = pd.DataFrame(rows).assign(high=lambda table: table["estimate"] + 0.4, ceiling=5.0, n=320)
    found = sentences.infonce(table)
    assert (
        f"share at least {later:.2f} ([{later - 0.4:.2f}, {later + 0.4:.2f}], 95 %, 10 blocks of pairs) bits" in found
    )
    assert f"layer 6 with the critic *cosine* proves this{said} than layer 0, which proves 1.00" in found
    assert ("texts no bound lies above 0" in found) == (control < 0)
    assert ("texts **1 bounds lie** above 0" in found) == (control > 0)
    few = table.assign(low=table["low"].where(~table["shuffled"]))
    assert "texts no bound has an interval." in sentences.infonce(few)


def test_a_bound_is_called_one():
    rows = [
        {"twin": "next token", "quantity": "bits_per_byte", "marginal": np.nan, "estimate": 2.0},
        {"twin": "next token", "quantity": "bits_per_byte", "marginal": np.nan, "estimate": 3.0},
        {"twin": "next token", "quantity": "context_gain", "marginal": "mixture", "estimate": 9.0},
        {"twin": "next token", "quantity": "context_gain", "marginal": "left_out", "estimate": 0.5},
        {"twin": "next token", "quantity": "context_gain", "marginal": "promptless", "estimate": 0.25},
        {"twin": "diffusion", "quantity": "bits_per_byte_bound", "marginal": np.nan, "estimate": 3.0},
    ]
    table = pd.DataFrame(rows)
    table = table.assign(low=table["estimate"] - 0.125, high=table["estimate"] + 0.25, n=40, step=8)
    table = pd.concat([table.assign(step=4, estimate=9.0), table])
    following, diffusion = sentences.architectures(table).split("\n")
    assert "**next token**: a byte costs 2.50 ([1.88, 3.25], 95 %, 40 sentences) bits; the prompt adds " in following
    assert "0.50 ([0.38, 0.75], 95 %, 40 answers) bits per token against" in following
    assert " and 0.25 [0.12, 0.50] against no prompt." in following
    assert diffusion == "- **diffusion**: a byte costs at most 3.00 ([2.88, 3.25], 95 %, 40 sentences) bits."


@pytest.mark.parametrize(
    ("early", "end", "said"),
    [
        (
            3.0,
            3.5,
            "Another twin got there by step 2 of 16, and since step 4 this one has moved by -0.75 bits: it has ",
        ),
        (3.5, 3.5, "**hardly begun to learn**, and its cost says little about its kind."),
        (3.6, 3.5, None),
        (3.0, 1.5, None),
    ],
)
def test_a_twin_that_another_one_passes_early_has_hardly_begun(early, end, said):
    costs = {"next token": (5.0, early, 2.5, 2.0), "diffusion": (5.0, 4.5, end + 0.75, end)}
    rows = [
        {"twin": twin, "seed": seed, "step": step, "estimate": cost + shift}
        for twin, values in costs.items()
        for step, cost in zip((0, 2, 4, 16), values, strict=True)
        for seed, shift in ((0, -0.1), (1, 0.1))
    ]
    table = pd.DataFrame(rows).assign(quantity="bits_per_byte", marginal=np.nan, low=1.0, high=9.0, n=40)
    following, diffusion = sentences.architectures(table).split("\n")
    assert "hardly" not in following or end < 2
    assert said in diffusion if said else "hardly" not in diffusion


def distortions(worst, types=1000, width=1000, random=0.5):
    rows = [("max_distortion", 8, 2.0), ("max_distortion", 32, worst), ("median_distortion", 8, 0.1)]
    table = pd.DataFrame(rows, columns=["quantity", "dimension", "estimate"])
    both = pd.concat([table.assign(points="embeddings"), table.assign(points="random points", estimate=random)])
    low, high = both["estimate"] - 0.1, both["estimate"] + 0.1
    return both.assign(n=1225, types=types, width=width, low=low, high=high)


def test_a_dimension_is_enough_or_none_is(section):
    few = section.model_copy(update={"points": 50, "distortion": 0.5})
    said = sentences.dimension(distortions(0.5), few)
    assert "worst of 1,225 pairs is reached first at 32 dimensions; by the formulas 126 and 188 are enough" in said
    assert "all 1,000 types 222 and 332 would be; the model has 1000" in said
    assert "reached at none of the dimensions tried" in sentences.dimension(distortions(0.51), few)


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (2_000, "of the pairs of all types: 256 dimensions would do for all of them."),
        (4_000, "expected to distort 0.00046 of these pairs by more than 0.5, whichever points they are of, and 3 of"),
        (4_000, "so an outcome for 50 points holds for **this number of points**. From 2,310 points on, at least"),
        (50_000, "and 469 of the pairs of all types: they would need more dimensions, so"),
    ],
)
def test_the_number_of_points_may_decide_about_dimensions(section, types, said):
    """Both tails of the chi-squared law of 256 degrees beyond 0.5 hold 3.75e-7."""
    table = distortions(0.5, types=types).replace({"dimension": {32: 256}})
    assert said in sentences.dimension(table, section.model_copy(update={"points": 50, "distortion": 0.5}))


@pytest.mark.parametrize(
    ("width", "said"), [(333, "promises a map into fewer dimensions than"), (332, "promises nothing below")]
)
def test_the_lemma_is_compared_with_the_width(section, width, said):
    few = section.model_copy(update={"points": 50, "distortion": 0.5})
    assert f"the lemma **{said}** the model's width" in sentences.dimension(distortions(0.5, width=width), few)


def distances(near, random=5.0):
    rows = [
        *(("layer", 0, 15, 0.9), ("layer", 0, 30, 0.6), ("layer", 15, 30, near)),
        *(("other texts", 0, None, 0.2), ("other texts", 15, None, 0.4), ("other texts", 30, None, 0.3)),
        *(("permuted", 0, None, 0.0), ("permuted", 15, None, 0.0625), ("random points", None, None, 0.01)),
        *(("random points", 0, None, random), ("random points", 15, None, 5.0), ("random points", 30, None, 5.0)),
    ]
    table = pd.DataFrame(rows, columns=["against", "layer", "other", "estimate"]).astype({"layer": "Int64"})
    table = table.astype({"other": "Int64"}).assign(quantity="gromov_wasserstein", model="m")
    table = pd.concat([table, table.assign(quantity="lower_bound", estimate=7.0)])
    return table.assign(low=table["estimate"] - 0.05, high=table["estimate"] + 0.05)


def test_layers_are_compared_with_two_samples_of_one():
    not_all, all_of_them = (sentences.geometry(distances(near)) for near in (0.45, 0.55))
    assert "Layers 0 and 15 are farthest apart, by 0.90 [0.85, 0.95] of a mean distance" in not_all
    assert "itself under other sentences by 0.30 on average, and from random points by 5.00" in not_all
    assert "2 of 3 pairs of layers are farther apart than either is from itself" in not_all
    assert "Of the others, the sample **cannot tell**" in not_all
    assert "finds at most 0.062, which" in not_all
    assert "3 of 3 pairs may be farther apart than the larger anchor by 0.1, which is what counts" in not_all
    assert "2 of 3 pairs may be farther apart than" in sentences.geometry(distances(0.42))
    assert "3 of 3 pairs of layers are farther apart" in all_of_them
    assert "cannot tell" not in all_of_them


@pytest.mark.parametrize(
    ("random", "said"),
    [
        (5.0, "3 of 3 pairs are closer than either is to random points. Only such pairs are known"),
        (0.8, "2 of 3 pairs are closer than either is to random points. Only such pairs are known"),
    ],
)
def test_layers_are_compared_with_random_points(random, said):
    assert said in sentences.geometry(distances(0.5, random))


def test_layers_as_far_apart_as_random_points_show_no_likeness():
    table = distances(0.5, 0.5)
    table.loc[table["against"] == "random points", ["low", "high"]] = 0.1
    assert "0 of 3 pairs are closer than either is to random points. So no two layers" in sentences.geometry(table)


def energies(keys, values):
    shares = {("full", "keys"): keys, ("short", "keys"): 0.6, ("full", "values"): values, ("full", "zero"): 0.5}
    known = {"weights": "trained", "layer": None, "head": None, "quantity": "lowered", "n": 24, "queries": 200}
    rows = [
        known | {"form": form, "step": step, "estimate": share, "low": share - 0.05, "high": share + 0.05}
        for (form, step), share in shares.items()
    ]
    rows += [row | {"layer": 1, "estimate": 0.0} for row in rows] + [row | {"quantity": "drop"} for row in rows]
    return pd.DataFrame(rows)


def test_a_theorem_that_fails_is_called_a_mistake():
    lines = sentences.energy(energies(1.0, 0.9)).split("\n")
    assert lines[0] == "- Of 200 steps of attention over keys none raise E, as the theorem requires."
    assert lines[1].startswith(
        "- Trained weights: the first term falls as well for 60% ([55%, 65%], 95 %, 24 sentences) of"
    )
    broken = sentences.energy(energies(0.99, 0.9))
    assert "2 raise E, **which a theorem forbids: the program is wrong**" in broken


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (0.9, ", significantly more often than"),
        (0.55, ", neither significantly more nor significantly less often (the intervals are not paired) than"),
        (0.1, ", significantly less often than"),
    ],
)
def test_a_head_beats_the_control_if_their_intervals_are_apart(values, said):
    found = sentences.energy(energies(1.0, values))
    assert f"{values:.0%} [{values - 0.05:.0%}, {values + 0.05:.0%}]{said} setting the query to 0" in found


@pytest.mark.parametrize(("values", "said"), [(0.9, "significantly less"), (1.0, "no more")])
def test_where_the_control_lowers_all_queries_the_comparison_is_paired(values, said):
    table = energies(1.0, values)
    table.loc[table["step"] == "zero", ["estimate", "low", "high"]] = [1.0, 0.85, 1.0]
    table["high"] = table["high"].clip(upper=1)
    assert f", query by query {said} often than setting the query to 0 does: 100% [85%, 100%]" in sentences.energy(
        table
    )


def test_a_control_that_leaves_no_room_is_said_so():
    near = energies(1.0, 0.9)
    near.loc[near["step"] == "zero", ["estimate", "low", "high"]] = [0.96, 0.95, 0.97]
    assert "so near to all that **no head could be above it" in sentences.energy(near)
    assert "no head" not in sentences.energy(energies(1.0, 0.9))


def learnt(*shares):
    rows = [
        {"load": load, "estimate": share, "low": share - 0.1, "high": share + 0.1, "expected": 0.55, "n": 60}
        for load, share in enumerate(shares, 1)
    ]
    return pd.DataFrame(rows).assign(quantity="learnt", scale="perceptron", dimension=30)


def held(scale="b"):
    table = pd.DataFrame({"dimension": [4, 8, 12], "estimate": [10.0, 160.0, np.nan], "low": [9.0, 150.0, 2000.0]})
    return table.assign(
        high=[11.0, np.nan, np.nan], expected=[10.0, 40.0, 160.0], quantity="capacity", scale=scale, n=20
    )


NO_LAW = pd.DataFrame(columns=["scale", "law", "worse", "p", "n"])


def test_a_capacity_that_was_not_reached_is_said_so():
    said = sentences.memory(pd.concat([held(), learnt(1.0, 0.5)]), NO_LAW).split("\n")[0]
    assert "10 [9.0, 11.0] patterns at d = 4 and 160 [150, more] patterns at d = 8 (95 %, 20 draws); more than" in said
    assert "was tried at d = 12. " in said
    assert "1.00 to 4.00 times what is expected. With fewer than three dimensions" in said
    first = held()[:1]
    none = sentences.memory(pd.concat([first.assign(low=np.nan, high=np.nan), learnt(1.0, 0.5)]), NO_LAW)
    assert none.startswith("- b: 10 (no interval) patterns at d = 4 (95 %, 20 draws). With fewer")
    alone = sentences.memory(pd.concat([first, learnt(1.0, 0.5)]), NO_LAW)
    assert alone.startswith("- b: 10 [9.0, 11.0] patterns at d = 4 (95 %, 20 draws). With fewer")


@pytest.mark.parametrize(
    ("worse", "p", "said", "unsaid"),
    [
        ((0.0, 20.0, 30.0), 0.5, "**exp(d)** fits best to 5 values of d; exp(√d) and a power of d are more", "cannot"),
        ((0.0, 5.0, 30.0), 0.5, "the sample **cannot tell** it from exp(√d); a power of d is more than", "Even"),
        ((4.0, 5.0, 0.0), 0.5, "to 5 values of d, but the sample **cannot tell** it from exp(d) or", ";"),
        ((0.0, 20.0, 30.0), 0.001, "misses the points by more than their errors (p = 0.001)", "cannot"),
    ],
)  # fmt: skip
def test_laws_of_growth_are_told_apart_or_not(worse, p, said, unsaid):
    fits = pd.DataFrame({"scale": "b", "law": ["exp(d)", "exp(√d)", "a power of d"], "worse": worse, "p": p, "n": 5})
    found = sentences.memory(pd.concat([held()[:1], learnt(1.0, 0.5)]), fits).split("\n")[0]
    assert said in found
    assert unsaid not in found.partition("Of the laws")[2]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            (1.0, 0.5, 0.1),
            "50% ([40%, 60%], 95 %, 60 labellings) at 2.0 points per weight and 10% ([0%, 20%], 95 %, 60 labellings) "
            "at 3.0 points per weight. Cover's ",
        ),
        (
            (0.6, 0.6),
            "is 60% ([50%, 70%], 95 %, 60 labellings) at 2.0 points per weight. Cover's count lies in 2 of the 2 inter",
        ),
        (
            (0.4,),
            "is 40% ([30%, 50%], 95 %, 60 labellings) at 1.0 points per weight. Cover's count lies in 0 of the 1 inter",
        ),
        ((0.7,), "Cover's count lies in 0 of the 1 intervals"),
    ],
)
def test_a_perceptron_loses_half_between_two_loads(shares, said):
    assert said in sentences.memory(learnt(*shares), NO_LAW).split("\n")[-1]


def weighed(*outcomes):
    facts = {"paper": "P3", "claim": "c", "model": "m", "primary": True, "unit": "bits", "detectable": 0.5}
    facts |= {"estimate": 0.1, "low": 0.0, "high": 0.9}
    return pd.DataFrame([facts | {"outcome": found} for found in outcomes])


@pytest.mark.parametrize(
    ("gap", "keys", "said"),
    [
        (0.0, 1.0, "What must hold does hold: 0 of 1 answers lie below their ELBO, and 0 of 200 steps"),
        (-0.1, 1.0, "**What must hold does not hold, so the program is wrong**: 1 of 1 answers"),
        (0.0, 0.99, "**What must hold does not hold, so the program is wrong**: 0 of 1 answers"),
    ],
)
def test_the_verdict_says_whether_theorems_hold(gap, keys, said):
    assert said in sentences.verdict(answers(gap), energies(keys, 0.9), weighed("yes"))


def test_the_verdict_counts_what_was_tested():
    said = sentences.verdict(answers(0.0), energies(1.0, 0.9), weighed("yes", "not tested"))
    assert "- c: **yes for m**" in said
    assert "\n1 primary row of the table could not be tested." in said
    control = weighed("no").assign(paper="control", claim="x")
    said = sentences.verdict(answers(0.0), energies(1.0, 0.9), pd.concat([weighed("cannot tell"), control]))
    assert "- c: **cannot tell for m (a difference of 0.50 bits would have been seen)**" in said
    assert "- x" not in said
    assert "\n0 primary rows of the table could not be tested." in said
    random = weighed("not tested").assign(primary=False)
    said = sentences.verdict(answers(0.0), energies(1.0, 0.9), pd.concat([weighed("not tested"), random]))
    assert "\n1 primary row of the table could not be tested." in said


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("yes", "against *no prompt* in place of other prompts the outcome is **yes for m**. But any prompt may give"),
        ("no", "the outcome is **no for m**."),
        ("cannot tell", None),
    ],
)
def test_the_verdict_says_whether_the_comparison_decides_about_prompts(other, said):
    main, rest = weighed("cannot tell").assign(claim=PROMPT), weighed(other).assign(claim=PROMPT, primary=False)
    found = sentences.verdict(answers(0.0), energies(1.0, 0.9), pd.concat([main, rest]))
    assert said in found if said else "no prompt" not in found
    assert "no prompt" not in sentences.verdict(answers(0.0), energies(1.0, 0.9), weighed("yes"))


def test_the_verdict_names_controls_that_say_yes():
    control = weighed("yes").assign(paper="control", claim="x", model="random points")
    said = sentences.verdict(answers(0.0), energies(1.0, 0.9), pd.concat([weighed("yes"), control]))
    assert "\nA control says yes too: x (random points). So the same claim about a model says little" in said
    assert "A control" not in sentences.verdict(answers(0.0), energies(1.0, 0.9), weighed("yes"))


@pytest.mark.parametrize(
    ("types", "width", "said"),
    [
        (1000, 333, "for all types, the lemma promises that from a distortion of 0.50."),
        (1000, 100, "for all types, no distortion below 1 would let the lemma promise that."),
    ],
)
def test_the_least_distortion_of_the_lemma_is_told(section, types, width, said):
    few = section.model_copy(update={"points": 50, "distortion": 0.5})
    assert said in sentences.dimension(distortions(0.5, types=types, width=width), few)


@pytest.mark.parametrize(("random", "said"), [(0.5, "**nothing about embeddings**"), (0.8, "**the structure of")])
def test_embeddings_are_compared_with_random_points(section, random, said):
    found = sentences.dimension(distortions(0.5, random=random), section)
    assert f"by 0.50 [0.40, 0.60], that of as many random points by {random:.2f}" in found
    assert said in found
