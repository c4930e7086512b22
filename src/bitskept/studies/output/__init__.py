"""Notebook 08: what is an entropy at the output of a model good for? Its sections, and the functions behind them:

sentences.py has one function for each conclusion.
"""
