"""Measured use: what a Prometheus-compatible store says about the GPUs of a pool's pods."""
