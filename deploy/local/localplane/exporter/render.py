"""Prometheus text format, written directly: samples need explicit timestamps, and speed."""

from collections.abc import Sequence
from typing import Any, Final

from localplane.exporter.families import EXTRAS, FAMILIES
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
    return "".join(parts + _extras([reading for reading in readings if reading.shown.engine]))


def _extras(readings: Sequence[Reading]) -> list[str]:
    """Series that are off by default, where some pod asks for them."""
    parts: list[str] = []
    for family in EXTRAS:
        lines = [
            f"{name}{_with(reading.labels, labels)} {value}{reading.timestamp}\n"
            for reading in readings
            for name, labels, value in (reading.shown.engine.extras if reading.shown.engine else ())
            if name == family.name
        ]
        if lines:
            parts += [f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.type}\n", *lines]
    return parts


def _with(labels: str, more: str) -> str:
    return f"{labels[:-1]},{more}}}" if more else labels


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
