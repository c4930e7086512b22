"""Notebook 05: what is learned, what is built in, and when does a model begin to forget? Its sections, and the
functions behind them:

1. A language with a truth: language_arms.arms, language_arms.measures (language_runs, language_measures,
   language_probes), language_tables, language_effects, language_claims.claims (by run_claims), language_figures,
   language_sentences, language_effect_sentences
2. Twins on real text: checkpoints.train, checkpoints.effort, checkpoints.measure; gains.learning, figures.learning,
   gains.learned
3. What do the layers keep?: bits_by_layer.retained, figures.retained; gains.kept_and_learned, figures.kept_and_learned,
   gains.at_equal_gain, gains.summary; late_forgetting.by_step, figures.forgetting; last_layers.by_run,
   figures.last_layers
4. What is built in: built_in.untrained, built_in.by_architecture, figures.untrained; built_in.paired_differences,
   built_in.effects
5. Fitting, then compression?: phases.plane, figures.plane, phases.by_quantity
6. How many directions?: phases.ranks, figures.ranks, phases.changes
7. Larger networks, more text: sizes.size_and_data, figures.size_and_data
8. Which measure goes with what a network can do?: between_runs.run_measures, figures.run_measures,
   between_runs.beside_guessing, between_runs.correlations
9. Does the claim hold?: twin_claims.claims, twin_claims.all_claims, figures.claims

comparing_runs.py has the statistics that these share; sentences.py, last_layer_sentences.py and claim_sentences.py have
a function for each conclusion about twins and about the claims.
"""
