"""Notebook 03: does a model understand more once its last layer can name its own tokens? Its sections, and the
functions behind them:

1. The objective, and two that look alike: runs.tune
2. Does it learn to name?: runs.learning, figures.learning
3. How much does each layer keep, before and after?: bits_by_layer.layers, figures.layers
4. And does it understand more?: task_scores.scores, figures.scores; score_changes.differences, figures.differences;
   task_scores.poolings, figures.poolings
5. Without any training: layers_before_tuning.untrained, layers_before_tuning.rank_correlations, figures.untrained
6. Does the claim hold?: score_changes.verdicts, sentences.claim, sentences.cause

sentences.py has one function for each conclusion.
"""
