"""Tells Prometheus where the operator's pods serve metrics."""

import json
from pathlib import Path

from localplane.paths import Layout


class ScrapeTarget:
    """The file_sd file of the operator; written when it changes."""

    def __init__(self, layout: Layout) -> None:
        self._file = layout.operator_targets / "runner.json"
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


def _replace(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(content)
    partial.replace(path)
