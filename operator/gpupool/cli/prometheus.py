"""Where Prometheus is, by the settings of an install."""

from __future__ import annotations

from pathlib import Path

from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.runtime.settings import Settings


def endpoint(settings: Settings) -> Endpoint:
    """The endpoint that the settings name, with its secrets unwrapped."""
    return Endpoint(
        url=settings.prometheus_url.strip(),
        folder=Path(settings.prometheus_credentials) if settings.prometheus_credentials else None,
        insecure=settings.prometheus_insecure,
        headers={name: value.get_secret_value() for name, value in settings.prometheus_headers.items()},
    )
