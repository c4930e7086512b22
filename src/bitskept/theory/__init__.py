"""What can be computed exactly: information, bounds on it, channels whose information is known, intervals.

NumPy and SciPy only.
"""
