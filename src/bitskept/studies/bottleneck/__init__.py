"""Notebook 04: what does a language model compress away, and how much of the answer is missing data? Its sections, and
the functions behind them:

1. The estimator in a picture: estimator.circle, figures.circle
2. A check on known data: known_data.known, known_data.on_noise, figures.known
3. The floor of real states: by_layer.compressed, by_layer.floor, figures.floor, live.states_of_a_label
4. By layer: by_layer.layers, figures.layers; by_layer.optimality, figures.optimality
5. The information plane: bigram_curve.bigram_curve, by_layer.plane, figures.plane
6. The main finding: amount_of_text.stability, amount_of_text.agreement, figures.stability; amount_of_text.by_sentences,
   figures.by_sentences; amount_of_text.estimable, amount_of_text.needed, figures.estimable
7. Which width carries the information?: by_width.by_width, by_width.shares, figures.widths
8. How much does the instrument matter?: sensitivity.by_instrument, figures.sensitivity
9. Labels of whole texts: text_labels.labels, figures.labels
10. Does it go with what models can do?: correlations.with_scores, correlations.correlations, figures.correlations
11. Does the claim hold?: sentences.findings

sentences.py has one function for each conclusion.
"""
