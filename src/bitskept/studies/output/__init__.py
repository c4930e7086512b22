"""Notebook 08: what is an entropy at the output of a model good for? Its sections, and the functions behind them:

- attention entropy: attention.py, attention_runs.py
- words' classes: word_classes.py, class_checkpoints.py

sentences.py, attention_sentences.py and word_classes_sentences.py have one function for each conclusion.
"""
