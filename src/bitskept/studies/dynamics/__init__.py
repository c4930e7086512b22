"""Notebook 05: what is learned, what is built in, and when does a model begin to forget? Its sections, and the
functions behind them:

1. A language with a truth: language_arms.arms, language_arms.measures (language_runs, language_measures,
   language_probes), language_tables, language_effects, language_claims.claims, language_figures, language_sentences,
   language_effect_sentences
2. Four twins: checkpoints.train, checkpoints.effort, checkpoints.learning, figures.learning
3. Every checkpoint through the same measures: checkpoints.measure; bits_by_layer.retained, figures.retained,
   bits_by_layer.first_and_last; late_forgetting.by_step, figures.forgetting, late_forgetting.differences
4. What is built in: built_in.untrained, built_in.by_architecture, figures.untrained; built_in.paired_differences,
   built_in.effects
5. Fitting, then compression?: phases.plane, figures.plane, phases.changes
6. How many directions?: phases.ranks, figures.ranks, phases.changes
7. Larger networks, more text: sizes.size_and_data, figures.size_and_data
8. Which measure predicts what a checkpoint can do?: predictors.within_runs, predictors.over_runs, figures.predictors
9. Does the claim hold?: sentences.verdict, language_sentences.verdict

comparing_runs.py has the statistics that these share, and sentences.py one function for each conclusion about twins.
"""
