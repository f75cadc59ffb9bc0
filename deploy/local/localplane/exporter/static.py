"""A second exporter that serves exactly the series of a JSON file: for tests that need one that lies.

The file is read again at every scrape. It is a list of series:
`{"name": "DCGM_FI_DEV_GPU_UTIL", "labels": {"pod": "x"}, "value": 90, "timestamp": 1700000000.0}`;
`timestamp` (unix seconds) and `type` (default gauge) may be left out.
"""

import json
from pathlib import Path
from typing import Any

from localplane.errors import PlaneError
from localplane.exporter.labels import render_labels


class StaticFileError(PlaneError):
    """The file cannot be read as a list of series; the text says what is wrong."""


def render_file(path: Path) -> str:
    """The file's series in Prometheus text format.

    Raises:
        StaticFileError: The file is missing, is not JSON, or a series lacks a field.
    """
    try:
        series = json.loads(path.read_text())
        families: dict[str, list[Any]] = {}
        for one in series:
            families.setdefault(one["name"], []).append(one)
        return "".join(_family(name, members) for name, members in families.items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StaticFileError(f"{path} is no list of series (name, labels, value): {error!r}") from error


def _family(name: str, members: list[Any]) -> str:
    return f"# TYPE {name} {members[0].get('type', 'gauge')}\n" + "".join(map(_line, members))


def _line(one: Any) -> str:
    stamp = f" {int(one['timestamp'] * 1000)}" if "timestamp" in one else ""
    labels = render_labels({key: str(value) for key, value in one.get("labels", {}).items()})
    return f"{one['name']}{labels} {float(one['value'])!r}{stamp}\n"
