"""Notebook 05: what is learned, what is built in, and when does a model begin to forget? Its sections, and the
functions behind them:

1. Four twins: checkpoints.train, checkpoints.effort, checkpoints.learning, figures.learning 2. Every checkpoint through
the same measures: checkpoints.measure; bits_by_layer.retained, figures.retained, bits_by_layer.first_and_last;
late_forgetting.by_step, figures.forgetting, late_forgetting.differences 3. What is built in: built_in.untrained,
built_in.by_architecture, figures.untrained; built_in.paired_differences, built_in.effects 4. Fitting, then
compression?: phases.plane, figures.plane, phases.changes 5. How many directions?: phases.ranks, figures.ranks,
phases.changes 6. Larger networks, more text: sizes.size_and_data, figures.size_and_data 7. Which measure predicts what
a checkpoint can do?: predictors.within_runs, predictors.over_runs, figures.predictors 8. Does the claim hold?:
sentences.verdict

comparing_runs.py has the statistics that these share, and sentences.py one function for each conclusion.
"""
