"""The rules of inference: error budgets, what limits an endpoint, how many replicas it needs."""
