"""Notebook 08: what is an entropy at the output of a model good for? Its sections, and the functions behind them:

1. From the distribution to the text: theory.decoding; decoding.measure, decoding_tables.along, figures.decoding_along;
   decoding_tables.by_decoder, figures.decoders
2. Telling who wrote it: theory.error_exponents; detection.scores, detection_errors.summary, figures.detection
3. Information capacity: capacity.costs, capacity_tables.summary, figures.capacity
4. Does attention collapse?: attention.by_layer, figures.attention_spread; attention_runs.curves, figures.attention_runs
5. A memory beside the model: retrieval.measure, retrieval_tables.gains, figures.retrieval; retrieval_tables.along,
   figures.retrieval_drift
6. A switch between two models: switching.pair, switch_curve.curve, figures.switching
7. The spread of answers: spread.measure, spread_areas.areas, figures.spread
8. Words' classes: word_classes.measure, class_checkpoints.by_layer, figures.word_classes
9. Do the claims hold?: claims.claims, figures.claims

Each section has its sentences and the rows of its claims in a module NAME_sentences.py (of detection, the claims are in
detection_claims.py).
"""
