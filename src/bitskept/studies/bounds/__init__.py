"""Notebook 01: what an error rate says about information. Its sections, and the functions behind them:

1. A sentence is not the sum of its tokens: theory.bounds.sandwich
2. The sandwich: toy_language.Language, sandwich.by_loss, figures.sandwich; sandwich.by_source,
   figures.sandwich_by_source
3. Fano: from errors to bits: fano.region, figures.fano_region
4. Fano is the crudest cross-entropy bound: fano.two_lines, fano.predictions, live.channel
5. A better probe proves more, and none proves too much: probes.proofs, figures.probes
6. Finite samples: the certificate: certificate.coverage, figures.coverage
7. Where the bits of the certificate go: plug_in.taken_off, figures.plug_in
8. Intervals over few sentences: interval_coverage.coverage, figures.interval_coverage
9. What can fall at all: random_network.RandomNetwork, usable_information.curves, figures.usable_information
10. Does the claim hold?: sentences.verdict

Random numbers come from random_numbers.draw, or are drawn where a table is stored; sentences.py has one function for
each conclusion.
"""
