"""Prometheus text format, written directly: samples need explicit timestamps, and speed."""

from collections.abc import Sequence
from typing import Any, Final

from localplane.exporter.families import FAMILIES
from localplane.exporter.fleet import Reading
from localplane.exporter.labels import gpu_uuid

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def render(readings: Sequence[Reading]) -> str:
    """All readings, family by family as the format wants it."""
    parts: list[str] = []
    for index, family in enumerate(FAMILIES):
        name = family.name
        parts.append(f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n")
        parts += [
            f"{name}{reading.labels} {reading.values[index]}{reading.timestamp}\n"
            for reading in readings
            if reading.values[index]
        ]
    return "".join(parts)


def debug_state(readings: Sequence[Reading]) -> dict[str, Any]:
    """What each pod's GPUs export now, for people and tests.

    Returns:
        `pods` by namespace/name, each with its use and its exported GPUs; `idle` counts the GPUs
        exported without a pod.
    """
    pods: dict[str, Any] = {}
    for reading in readings:
        if (pod := reading.holder) is None:
            continue
        entry = pods.setdefault(
            f"{pod.namespace}/{pod.name}", {"uid": pod.uid, "node": pod.node, "use": pod.use, "gpus": []}
        )
        entry["gpus"].append(
            {
                "gpu": reading.device.index,
                "resource": reading.device.resource,
                "uuid": gpu_uuid(pod.node, str(reading.device.index)),
                "percent": reading.shown.percent,
                "frozen": reading.shown.frozen,
            }
        )
    return {"pods": pods, "idle": sum(reading.holder is None for reading in readings)}
