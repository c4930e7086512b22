"""Notebook 08: what is an entropy at the output of a model good for? Its sections, and the functions behind them:

- From the law to the text: decoding.measure, decoding_tables.along, decoding_tables.by_decoder,
  figures.decoding_along, figures.decoders

sentences.py has one function for each conclusion.
"""
