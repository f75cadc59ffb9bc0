"""Reads: reflected objects and Prometheus samples become one frozen snapshot."""
