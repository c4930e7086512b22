"""What can be known exactly: information, bounds on it, channels whose truth is known, intervals.

NumPy and SciPy only.
"""
