"""Tells Prometheus where the operator's pods serve metrics."""

import json
from pathlib import Path

from localplane.paths import Layout


class ScrapeTarget:
    """The file_sd file of the operator and the metrics URL in the env file; written when they change."""

    def __init__(self, layout: Layout) -> None:
        self._file = layout.operator_targets / "runner.json"
        self._env = layout.env
        self._ports: tuple[int, ...] | None = None

    def set(self, ports: tuple[int, ...]) -> None:
        """Name the ports on which metrics are served now.

        The target has no labels of its own: the operator's series carry `namespace` themselves.
        """
        if ports == self._ports:
            return
        self._ports = ports
        targets = [f"127.0.0.1:{port}" for port in ports]
        _replace(self._file, json.dumps([{"targets": targets}] if targets else []))
        if ports and self._env.exists():
            self._write_url(f"http://{targets[-1]}/metrics")

    def _write_url(self, url: str) -> None:
        lines = self._env.read_text().splitlines()
        wanted = [
            f"GPUPOOL_METRICS_URL={url}" if line.startswith("GPUPOOL_METRICS_URL=") else line
            for line in lines
        ]
        if wanted != lines:
            _replace(self._env, "\n".join(wanted) + "\n")


def _replace(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(content)
    partial.replace(path)
