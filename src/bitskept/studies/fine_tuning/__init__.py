"""Notebook 03: does a model understand more once its last layer can name its own tokens? Its sections, and the
functions behind them:

1. The objective, and two that look alike
2. What will be tested: section.at_main_dose, runs.tune
3. Does it learn to name?: runs.learning, figures.learning
4. How much does each layer keep, before and after?: bits_by_layer.layers, figures.layers
5. And does it understand more?: task_scores.scores, figures.scores; score_changes.differences, figures.differences;
   task_scores.poolings, figures.poolings
6. How much training does it take?: doses.doses, figures.doses
7. Or is it enough to read another layer?: best_layers.best_layers
8. Does the claim hold?: checks.checks, sentences.manipulation; claims.claims, figures.claims; sentences.verdict,
   sentences.flips, sentences.cause

sentences.py has one function for each conclusion.
"""
