"""Notebook 02: how many bits about each token does every layer keep? Its sections, and the functions behind them:

1. What is measured, and 2. What will be tested: claims.PRIMARY
3. The measurement: instruments.probes.sweep.measure, bits_by_layer.retained, figures.retained
4. Three readings: bits_by_layer.readings, figures.readings
5. One vector for the whole sentence: one_vector.sentence, one_vector.places, figures.sentence, figures.places
6. How much training text?: learning.learning, figures.learning, live.layers
7. The same tokens?: tokenizers.table, units.words, figures.words
8. Controls: controls.random_copies, controls.differences, figures.random; masked_training, figures.masked_training
9. First enhanced, then discarded?: forgetting.forgetting, figures.forgetting
10. Which bound, which probe?: bits_by_layer.bounds, bits_by_layer.probes, figures.bounds, figures.probes
11. Which tokens, which texts?: which_tokens.by_group, figures.tokens
12. What is certain?: the rows "certificate" of instruments.probes.sweep.measure
13. Does the claim hold?: claims.claims, figures.claims, verdicts, caveats

sentences.py, masked_sentences.py, verdicts.py and caveats.py have one function for each conclusion.
"""
