"""The optional metrics API: `external.metrics.k8s.io` out of what was decided a moment ago.

The leader alone serves, because it alone knows; `service` says how clients find it. A value that is not known
is an error and never a number, so that an HPA holds: see designs/0023.
"""
