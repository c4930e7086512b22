"""Notebook 02: how many bits about each token does every layer keep? Its sections, and the functions behind them:

1. The measurement: instruments.probes.sweep.measure, bits_by_layer.retained, figures.retained
2. Which bound?: bits_by_layer.bounds, figures.bounds
3. Which probe?: bits_by_layer.probes, figures.probes
4. Controls: controls.random_copies, controls.differences, figures.random
5. First enhanced, then discarded?: forgetting.forgetting, forgetting.seen_by_both, figures.forgetting
6. Which tokens are forgotten?: which_tokens.by_group, figures.tokens
7. Does the kind of text matter?: which_tokens.domains, figures.domains
8. One vector for the whole sentence: one_vector.sentence, figures.sentence
9. What is certain?: the rows "certificate" of instruments.probes.sweep.measure
10. Does the claim hold?: sentences.claim

sentences.py has one function for each conclusion.
"""
