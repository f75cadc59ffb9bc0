"""Finding an object among rendered manifests."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class RefusedError(Exception):
    """Helm refused the values or the chart."""


def of_kind(manifests: list[Json], kind: str) -> list[Json]:
    """The manifests of a kind."""
    return [m for m in manifests if m["kind"] == kind]


def only(manifests: list[Json], kind: str, name: str = "") -> Json:
    """The one manifest of a kind (and name)."""
    (found,) = [m for m in of_kind(manifests, kind) if name in {"", m["metadata"]["name"]}]
    return found


def container(workload: Json) -> Json:
    """The one container of a Deployment or Job."""
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(workload: Json) -> dict[str, Any]:
    """Variables of a workload's container: their value, or the path of the field they come from."""
    return {
        e["name"]: e["value"] if "value" in e else e["valueFrom"]["fieldRef"]["fieldPath"]
        for e in container(workload)["env"]
    }
