"""Every sentence of notebook 01, on tables small enough to check by hand."""

import pandas as pd
import pytest

from bitskept.studies.bounds import sentences
from bitskept.theory.channels import gaussian_mixture


def sandwich_table(truth=1.0):
    rows = {
        ("a state for each slot", 0.0): (1.0, truth, 2.0, 2.0),
        ("a state for each slot", 0.5): (0.5, 0.6, 0.7, 2.0),
        ("one pooled state", 0.0): (0.2, 0.75, 1.8, 2.0),
        ("one pooled state", 0.5): (0.0, 0.1, 0.2, 2.0),
    }
    names = ["lower", "information", "upper", "entropy"]
    return pd.DataFrame(
        [
            (encoder, lost, name, value)
            for (encoder, lost), values in rows.items()
            for name, value in zip(names, values, strict=True)
        ],
        columns=["encoder", "lost", "quantity", "estimate"],
    )


def region_table(equivocation=1.0):
    rows = [
        *(("equivocation", 0.5, 4, equivocation), ("equivocation", 1.0, 4, 0.0)),
        *(("Fano bound", 0.5, 10, 0.25), ("Fano bound", 0.5, 50_000, 0.44), ("Fano bound", 0.6, 10, 0.9)),
    ]
    return pd.DataFrame(rows, columns=["quantity", "named right", "alphabet", "estimate"])


def coverage_table(certificate=1.0, known=1.0):
    rows = [
        ("symmetric", 100, 0.2, "no limits", 0.5, 2.0, 2.0),
        ("symmetric", 100, 0.2, "H(X) known", known, 1.5, 2.0),
        ("symmetric", 100, 0.2, "same samples", 1.0, 0.75, 2.0),
        ("symmetric", 100, 0.2, "certificate", certificate, 1.0, 2.0),
        ("erasure", 100, 0.2, "no limits", 0.1, 2.0, 2.0),
        ("erasure", 100, 0.2, "H(X) known", 1.0, 1.5, 2.0),
        ("erasure", 100, 0.2, "same samples", 1.0, 0.0, 2.0),
        ("erasure", 100, 0.2, "certificate", 0.99, 0.5, 2.0),
    ]
    names = ["channel", "samples", "delta", "bound", "coverage", "bits", "truth"]
    fewer = [(row[0], 10, *row[2:5], row[5] / 2, 2.0) for row in rows]
    return pd.DataFrame([*fewer, *rows], columns=names)


def test_identity():
    terms = pd.DataFrame(
        {"one": [1.0, 0.0], "two": [1.0, 0.0], "their sum": [2.0, 1.25], "I(X;Z)": [2.0, 1.0]},
        index=["both kept", "do they agree?"],
    )
    text = sentences.identity(terms)
    assert "within 2e-01 bits" in text
    assert "it contains 0 bits about the single tokens and 1 about the sentence" in text


def test_sandwich():
    text = sentences.sandwich(sandwich_table())
    assert "in 100% of the cases" in text
    assert "10% to 80% of $H(X)$ apart, widest for one pooled state at a loss of 0%" in text
    assert "the slots keep 1.00 of 2.00 bits and the pooled state 0.75" in text
    assert "costs 0.25 bits" in text
    assert "in 75% of the cases" in sentences.sandwich(sandwich_table(truth=0.9))


def test_fano_region():
    text = sentences.fano_region(region_table())
    assert "Of 2 random channels, 100% lie" in text
    assert "50,000 equally likely types" in text
    assert "proves 44% of the bits; with 10 types it would prove 25%" in text
    assert "Of 2 random channels, 50% lie" in sentences.fano_region(region_table(0.9))
    assert "Of 2 random channels, 50% lie" in sentences.fano_region(region_table(1.8))


def test_ladder():
    bits = {"Fano": 1.0, "doubt spread evenly": 1.0, "doubt spread by frequency": 1.25, "the posterior": 2.0}
    text = sentences.ladder(bits | {"the truth": 2.0})
    assert "adds 0.25 bits to the 1.00, and knowing which line was used 0.75 more" in text
    assert "agree up to rounding" in text
    assert "agrees with the truth, 2.00, up to rounding." in text


@pytest.mark.parametrize(("sure", "verb"), [(0.5, "less"), (1.5, "more")])
def test_probes(sure, verb):
    rows = [
        *(("Fano", "any", 1, 1.0), ("Fano", "any", 16, 2.0)),
        *(("cross-entropy", "as sure as the truth", size, bits) for size, bits in ((1, sure), (16, 2.5))),
        *(("cross-entropy", "allows for its own error", size, bits) for size, bits in ((1, 1.25), (16, 2.4))),
    ]
    table = pd.DataFrame(rows, columns=["bound", "probe", "training", "estimate"])
    text = sentences.probes(table, gaussian_mixture(4, 2, 0.01))
    assert "The truth is 2.000 ± 0.0000 bits; the largest of 6 bounds is 2.500" in text
    assert "With 16 samples per class, Fano proves 2.00 bits and the cross-entropy 2.50" in text
    assert f"prove **{verb} than its guesses alone**: {sure:.2f} against 1.00 bits" in text
    assert "reaches 1.25" in text


def test_coverage():
    text = sentences.coverage(coverage_table(), 100)
    assert "**0 of 12 shares" in text
    assert "of 100 repetitions; the lowest share of the certificate is 0.990" in text
    assert "only 50% of the time" in text
    assert "holds 100.0% of the time, where 80% were promised" in text
    assert "With 100 samples and δ = 0.2 the certificate proves from 25% (erasure) to 50% (symmetric)" in text
    assert "With 10 samples, taking $H(X)$ from all sentences" in text
    assert "most for erasure: from 0.00 to 0.25 bits" in text
    # Three standard errors of 100 repetitions at 0.2 are 0.12.
    assert "**0 of 12 shares" in sentences.coverage(coverage_table(known=0.69), 100)
    assert "**2 of 12 shares" in sentences.coverage(coverage_table(known=0.67), 100)


def intervals_table(high=0.96, none=True):
    rows = [
        ("normal values", 8, "bootstrap percentiles", 0.88, 0.86, 0.9, 100),
        ("normal values", 8, "intervals of this project", 0.95, 0.93, 0.97, 100),
        ("lognormal surprisal", 8, "bootstrap percentiles", 0.62, 0.6, 0.64, 100),
        ("lognormal surprisal", 20, "intervals of this project", 0.875, 0.85, high, 100),
        *[("lognormal surprisal", 8, "intervals of this project", None, None, None, 0)] * none,
    ]
    return pd.DataFrame(rows, columns=["data", "clusters", "method", "coverage", "low", "high", "n"])


def test_interval_coverage():
    text = sentences.interval_coverage(intervals_table())
    assert "62% contain the truth in the worst case (lognormal surprisal, 8 sentences)" in text
    assert "87.5% or more do (least for lognormal surprisal, 20 sentences). None covers significantly less" in text
    assert text.endswith("there is no interval (lognormal surprisal: none up to 8 sentences).")
    assert sentences.interval_coverage(intervals_table(none=False)).endswith("there is no interval.")
    single = intervals_table().replace({"clusters": 8}, 1)
    assert sentences.interval_coverage(single).endswith("(lognormal surprisal: none up to 1 sentence).")


@pytest.mark.parametrize(("high", "short"), [(0.91, False), (0.9, False), (0.89, True)])
def test_interval_coverage_says_where_too_few_are_covered(high, short):
    text = sentences.interval_coverage(intervals_table(high))
    assert ("**Too few are covered** for lognormal surprisal with 20 sentences." in text) == short
    assert ("None covers" in text) != short


def test_plug_in():
    named = {"bias of the plug-in": (0.5, 0.25), "deviation": (1.0, 0.125), "customary deviation": (1.5, 0.25)}
    rows = [
        (size, name, bits, None) for name, both in named.items() for size, bits in zip((10, 2000), both, strict=True)
    ]
    table = pd.DataFrame([*rows, (10, "plug-in", 3.0, 2.0)], columns=["samples", "quantity", "estimate", "low"])
    draws = pd.DataFrame(
        [("Miller-Madow", 0.9), ("Miller-Madow", 0.95), ("Miller-Madow", 0.8), ("plug-in", 2.0)],
        columns=["estimate of H(X)", "estimate"],
    )
    text = sentences.plug_in(table, draws, 2)
    assert "With 10 samples the plug-in estimate misses 0.50 of 0.92 bits and the deviation takes another 1.00" in text
    assert "with 2,000 it is 0.25 and 0.12" in text
    assert "at least 1.5 times" in text
    assert "in 33% of the draws" in text


def test_verdict():
    held = sandwich_table(), region_table(), coverage_table(), 100
    assert "Both claims hold" in sentences.verdict(*held)
    # A bound that is not the certificate may fail without a word here.
    assert "Both claims hold" in sentences.verdict(*held[:2], coverage_table(known=0.5), 100)


@pytest.mark.parametrize(
    ("broken", "name"),
    [(0, "the sandwich."), (1, "Fano's bound."), (2, "the certificate.")],
)
def test_verdict_names_what_failed(broken, name):
    held = [sandwich_table(), region_table(), coverage_table()]
    held[broken] = [sandwich_table(0.5), region_table(2.0), coverage_table(certificate=0.5)][broken]
    text = sentences.verdict(*held, 100)
    assert f"What failed: {name}" in text
    assert "Both claims" not in text


def usable_table(*, closest=0.2, much=(3.98, 3.97, 3.99), little=(1.0, 0.9, 1.1), ridge=(2.0, 1.9, 2.1)):
    rows = [
        *((None, layer, None, "closest", closest + layer, None, None) for layer in (0, 1)),
        ("centroid", 0, 5, "usable", 3.5, 3.4, 3.6),
        ("centroid", 1, 5, "usable", *little),
        ("centroid", 1, 2000, "usable", *much),
        ("ridge", 1, 2000, "usable", *ridge),
        ("centroid", 1, 5, "recovered", 0.25, 0.2, 0.3),
        ("centroid", 1, 2000, "recovered", 0.99, 0.98, 1.0),
    ]
    names = ["probe", "layer", "train_sentences", "quantity", "estimate", "low", "high"]
    return pd.DataFrame(rows, columns=names).assign(n=8, entropy=4.0)


def test_usable_information():
    text = sentences.usable_information(usable_table())
    assert "the closest two lie 20% of the mean distance of two states apart" in text
    assert "**each layer holds all of the 4.00 bits.** With 5 sentences to learn from" in text
    assert "can use 1.00 ([0.90, 1.10], 95 %, 8 networks) of them in the last layer and names 25%" in text
    assert "in layer 0 it can use 3.50. With 2,000 sentences it can use 3.98 [3.97, 3.99]" in text
    assert "which is all of it within 0.1 bits, and names 99%. **What looked forgotten was there" in text
    assert "can use 2.00 [1.90, 2.10] with 2,000 sentences: **the family of predictors decides" in text


def test_usable_information_that_the_probes_do_not_show():
    text = sentences.usable_information(usable_table(much=(1.2, 1.0, 1.4), ridge=(1.1, 0.9, 1.3)))
    assert "which is not all of it within 0.1 bits" in text
    assert "The intervals overlap, so more text may not have helped." in text
    assert "the intervals of the two families overlap, so they may not differ" in text
    assert "**the family" in sentences.usable_information(usable_table(much=(1.2, 1.0, 1.4)))
    text = sentences.usable_information(usable_table(much=(1.2, float("nan"), float("nan"))))
    assert "Whether the text makes the difference cannot be told from 8 networks." in text
    assert "whether the two families differ cannot be told from 8 networks." in text


@pytest.mark.parametrize("closest", [0.0, float("nan")])
def test_usable_information_where_tokens_share_a_state(closest):
    text = sentences.usable_information(usable_table(closest=closest))
    assert "**Two different tokens share a state**" in text
    assert "holds all" not in text
