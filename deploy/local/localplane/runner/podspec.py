"""What the runner reads from a Pod, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

IMAGE_ENTRYPOINT: Final = ("gpupool",)
"""What the chart's image runs where the pod gives no command (deploy/ has the image recipe)."""

DEFAULT_GRACE: Final = 30


@dataclass(frozen=True, slots=True)
class Probe:
    """An httpGet probe."""

    path: str
    port: str
    """Number or name of a container port."""

    period: float = 10.0
    timeout: float = 1.0
    initial_delay: float = 0.0
    failures: int = 3
    successes: int = 1


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container, as the pod declares it."""

    name: str
    image: str
    argv: tuple[str, ...]
    env: tuple[Json, ...]
    mounts: tuple[Json, ...]
    ports: Mapping[str, int]
    """Named container ports."""

    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """One pod, as far as the runner cares."""

    namespace: str
    name: str
    uid: str
    service_account: str
    restart_policy: str
    grace: float
    """Seconds between TERM and KILL."""

    containers: tuple[ContainerSpec, ...]
    init_containers: tuple[ContainerSpec, ...]
    volumes: tuple[Json, ...]
    manifest: Json
    """The Pod itself, for fieldRef."""


def parse_pod(pod: Json) -> PodSpec:
    """Read a Pod object of the API (already validated and defaulted by the server)."""
    metadata, spec = pod["metadata"], pod["spec"]
    return PodSpec(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        service_account=spec.get("serviceAccountName", "default"),
        restart_policy=spec.get("restartPolicy", "Always"),
        grace=float(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE)),
        containers=tuple(_container(item) for item in spec["containers"]),
        init_containers=tuple(_container(item) for item in spec.get("initContainers", ())),
        volumes=tuple(spec.get("volumes", ())),
        manifest=pod,
    )


def _container(item: Json) -> ContainerSpec:
    return ContainerSpec(
        name=item["name"],
        image=item["image"],
        argv=(*(item.get("command") or IMAGE_ENTRYPOINT), *item.get("args", ())),
        env=tuple(item.get("env", ())),
        mounts=tuple(item.get("volumeMounts", ())),
        ports={port["name"]: port["containerPort"] for port in item.get("ports", ()) if "name" in port},
        readiness=_probe(item.get("readinessProbe")),
        liveness=_probe(item.get("livenessProbe")),
        startup=_probe(item.get("startupProbe")),
        working_dir=item.get("workingDir", ""),
    )


def _probe(item: Json | None) -> Probe | None:
    if item is None or "httpGet" not in item:
        return None
    return Probe(
        path=item["httpGet"].get("path", "/"),
        port=str(item["httpGet"]["port"]),
        period=item.get("periodSeconds", 10),
        timeout=item.get("timeoutSeconds", 1),
        initial_delay=item.get("initialDelaySeconds", 0),
        failures=item.get("failureThreshold", 3),
        successes=item.get("successThreshold", 1),
    )
