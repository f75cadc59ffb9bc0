"""Inference engines as Prometheus shows them: names, questions, counters read as events, data states."""
