"""The pages of the engines: one a pod, one of the nodes, one of the gateway; and how they are found."""

import json
from collections.abc import Callable
from typing import Any, Final

from localplane.engines.annotations import Data, Expose
from localplane.engines.dialects.triton import FIRST_RESPONSE
from localplane.engines.families import Frame, page
from localplane.engines.fleet import EngineFleet
from localplane.engines.gpu import activity
from localplane.engines.host import cadvisor
from localplane.engines.objects import EnginePod
from localplane.engines.pod import BLOCK, Pod
from localplane.errors import PlaneError
from localplane.exporter.render import CONTENT_TYPE
from localplane.exporter.signals import Activity

ROOT: Final = "/engines"
JSON_TYPE: Final = "application/json"
METRICS_PATH: Final = "__metrics_path__"


class SilentError(PlaneError):
    """The page of a pod that does not answer."""


class EnginePages:
    """What the exporter's server answers below /engines.

    Args:
        fleet: the engines.
        address: host and port of the server, as Prometheus reaches it.
        now: unix time.
    """

    def __init__(self, fleet: EngineFleet, address: str, now: Callable[[], float]) -> None:
        self.fleet = fleet
        self._address = address
        self._now = now
        self._frozen: dict[str, str] = {}

    def answer(self, path: str) -> tuple[str, str] | None:
        """Content type and text of a page; None where there is none.

        Raises:
            SilentError: The pod's page is to be silent.
        """
        match path.removeprefix(ROOT).strip("/").split("/"):
            case ["targets"]:
                return JSON_TYPE, json.dumps(self.targets())
            case ["state"]:
                return JSON_TYPE, json.dumps(self.state(), indent=1)
            case ["cadvisor", "metrics"]:
                return CONTENT_TYPE, self.nodes()
            case ["gateway", "metrics"]:
                return CONTENT_TYPE, self.gateway()
            case [namespace, name, "metrics"]:
                text = self.engine(namespace, name)
                return None if text is None else (CONTENT_TYPE, text)
            case _:
                return None

    def targets(self) -> list[dict[str, Any]]:
        """Target groups for http_sd_configs: each pod that runs, as a PodMonitor would name it."""
        pods = self.fleet.running()
        groups = [(self._pod_labels(pod), f"{ROOT}/{pod.key}/metrics") for pod in pods]
        if pods:
            groups.append(
                ({"job": "kubelet", "metrics_path": "/metrics/cadvisor"}, f"{ROOT}/cadvisor/metrics")
            )
        if self.fleet.workloads:
            groups.append(({"job": "gateway"}, f"{ROOT}/gateway/metrics"))
        return [
            {"targets": [self._address], "labels": {**labels, METRICS_PATH: path}} for labels, path in groups
        ]

    def engine(self, namespace: str, name: str) -> str | None:
        """The page of one pod; None where it has none.

        Raises:
            SilentError: It is to be silent.
        """
        fact = self.fleet.named(namespace, name)
        with self.fleet.lock:
            pod = self.fleet.find(fact.uid) if fact else None
            if pod is None:
                return None
            if pod.settings.data is Data.SILENT:
                raise SilentError(f"{pod.fact.key} does not answer")
            if pod.settings.data is Data.FROZEN:
                if pod.fact.uid not in self._frozen:
                    self._frozen[pod.fact.uid] = page(self._frame(pod, f" {int(self._now() * 1000)}"))
                return self._frozen[pod.fact.uid]
            self._frozen.pop(pod.fact.uid, None)
            return page(self._frame(pod))

    def nodes(self) -> str:
        """What the nodes say of all engine pods."""
        with self.fleet.lock:
            self.fleet.all()
            return cadvisor((pod, self.fleet.hosts[pod.uid]) for pod in self.fleet.running())

    def gateway(self) -> str:
        """What the gateway before the engines has seen: also of workloads that have no pods now."""
        name = "fake_gateway_requests_total"
        lines = [f"# HELP {name} Requests by workload.\n# TYPE {name} counter\n"]
        with self.fleet.lock:
            for workload in self.fleet.all():
                namespace, _, own = workload.key.partition("/")
                taken = workload.arrived - workload.lost - workload.held_back
                for code, count in (("200", taken), ("503", workload.lost)):
                    labels = f'namespace="{namespace}",workload="{own}",code="{code}"'
                    lines.append(f"{name}{{{labels}}} {count}\n")
        return "".join(lines)

    def state(self) -> dict[str, Any]:
        """How things stand, for people and tests."""
        with self.fleet.lock:
            return {
                "workloads": {
                    workload.key: {
                        "load": workload.load.trace or workload.load.rate,
                        "arrived": workload.arrived,
                        "lost": workload.lost,
                        "held_back": workload.held_back,
                        "time": workload.time,
                        "pods": {pod.fact.name: _pod_state(pod) for pod in workload.pods.values()},
                    }
                    for workload in self.fleet.all()
                },
                "bad": sorted(self.fleet.bad.values()),
            }

    def gpus(self, uid: str) -> Activity | None:
        """What the GPUs of a pod do; None for one without an engine."""
        with self.fleet.lock:
            pod = self.fleet.find(uid)
            return activity(pod, self.fleet.speed) if pod else None

    def _pod_labels(self, pod: EnginePod) -> dict[str, str]:
        return {
            "job": self.fleet.job(pod),
            "namespace": pod.namespace,
            "pod": pod.name,
            "container": pod.container,
            "endpoint": "http",
            "instance": pod.address,
        }

    def _frame(self, pod: Pod, stamp: str = "") -> Frame:
        data, expose = pod.settings.data, pod.settings.expose
        return Frame(
            dialect=pod.dialect,
            names={
                "model": pod.settings.model.partition("/")[0],
                "blocks": str(pod.replica.speed.kv_tokens // BLOCK),
            },
            numbers=pod.numbers(),
            histograms=pod.book.histograms,
            nan=data is Data.NAN,
            no_histograms=data is Data.NO_HISTOGRAMS,
            stamp=stamp,
            skipped=frozenset() if Expose.FIRST_RESPONSE in expose else frozenset({FIRST_RESPONSE}),
        )


def _pod_state(pod: Pod) -> dict[str, Any]:
    return {
        "ready": pod.fact.ready,
        "running": pod.replica.running,
        "waiting": pod.waiting,
        "served": pod.book.totals["done"],
        "fault": pod.settings.fault,
        "engine": pod.settings.engine,
    }
