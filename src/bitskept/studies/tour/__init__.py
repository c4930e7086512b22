"""Notebook 00: one model and one sentence. Its sections, and the functions behind them:

- The idea: ask the state for its token: token_surprisals.measure
- One sentence: averages.by_layer, averages.one_and_all, figures.tour
- What the numbers say: sentences.one_sentence, live.tokens, sentences.average
"""
