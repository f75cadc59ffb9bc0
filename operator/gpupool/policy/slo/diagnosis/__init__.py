"""What limits an endpoint: rules in an order, each with its evidence, and a table of all thresholds.

Naming a wrong cause is worse than `Unknown`: a rule speaks only where two signals agree.
"""
