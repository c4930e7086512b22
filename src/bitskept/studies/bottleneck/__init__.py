"""Notebook 04: what does a language model compress away, and how much of the answer is missing data? Its sections, and
the functions behind them:

What will be tested stands first: claims.planned.

1. The estimator in a picture: estimator.circle, figures.circle
2. A check on known data: known_data.known, known_data.on_noise, figures.known
3. Against exact values: exact_information.against_exact, exact_information.exactness, figures.exactness
4. The floor of real states: by_layer.compressed, by_layer.floor, figures.floor, live.states_of_a_label
5. By layer: by_layer.layers, figures.layers; by_layer.optimality, figures.optimality
6. How far from the bound?: codes.codes, bound.distances; bigram_curve.bigram_curve, by_layer.plane, figures.plane;
   documents.documents, figures.documents
7. The main finding: amount_of_text.stability, amount_of_text.agreement, figures.stability; amount_of_text.by_sentences,
   figures.by_sentences
8. Labels of whole texts: text_labels.labels, figures.labels; text_labels.preferences
9. Does it go with what a network can do?: over_runs.runs, over_runs.with_points, figures.runs;
   floor_alone.floor_alone, figures.floor_alone; correlations.correlations, figures.correlations
10. Does the claim hold?: claims.claims, figures.claims, verdict_sentences.verdicts

sentences.py and comparison_sentences.py have one function for each conclusion. figures.py passes on the figures of
comparison_figures.py.
"""
