"""Builders of pods with a simulated engine, and a rig of engines on a clock of the test's own."""

from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from localplane.engines.annotations import PREFIX, settings
from localplane.engines.fleet import EngineFleet
from localplane.engines.objects import engine_pod
from localplane.engines.pages import EnginePages
from localplane.engines.workload import Workload
from localplane.exporter.traces import TraceClock, TraceLibrary
from support.gpupods import pod_spec

START = 1_000_000.0
"""Unix time at which a rig begins, and the engines' second 0."""


def said(**given: Any) -> dict[str, str]:
    """Annotations: `said(load=8, cache_hit=0.5)`; the engine is vLLM unless given."""
    names = {"engine": "vllm", **given}
    return {f"{PREFIX}{name.replace('_', '-')}": str(value) for name, value in names.items()}


def live_engine(
    name: str,
    *,
    workload: str = "chat",
    revision: str = "r1",
    ready: bool = True,
    phase: str = "Running",
    created: str = "2026-01-01T00:00:00Z",
    cpus: str = "8",
    **given: Any,
) -> dict[str, Any]:
    """A pod of a Deployment as the API server shows it, with an engine."""
    spec = pod_spec(1, nodeName="gpu-1")
    spec["containers"][0]["resources"]["limits"] |= {"cpu": cpus} if cpus else {}
    owner = {"kind": "ReplicaSet", "name": f"{workload}-{revision}", "controller": True}
    return {
        "metadata": {
            "namespace": "team",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": created,
            "labels": {"pod-template-hash": revision},
            "annotations": said(**given),
            "ownerReferences": [owner],
        },
        "spec": spec,
        "status": {
            "phase": phase,
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
            ],
        },
    }


def workload(pods: int = 2, name: str = "chat", **given: Any) -> Workload:
    """A workload of so many Ready pods at second 0, without a cluster."""
    made = Workload(f"team/{name}", 0.0, lambda _trace, _time: 0.0)
    for number in range(pods):
        fact = engine_pod(live_engine(f"{name}-{number}", workload=name, **given))
        assert fact is not None
        made.put(fact, settings(fact.annotations))
    return made


class Rig:
    """Engines on a clock of the test's own, as the exporter serves them."""

    def __init__(self, *pods: dict[str, Any], traces: TraceLibrary | None = None, speed: float = 1.0) -> None:
        self.now = START
        self.replay = TraceClock(START, speed)
        self.traces = traces or TraceLibrary(None)
        self.fleet = EngineFleet(lambda: self.replay, lambda: self.traces, lambda: self.now)
        self.pages = EnginePages(self.fleet, "127.0.0.1:9", lambda: self.now)
        self.fleet.replace_pods(pods)

    def run(self, seconds: float, every: float = 1.0) -> None:
        """Let the world's time pass, scraped at a pace."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + every)
            self.fleet.all()

    def text(self, name: str) -> str:
        """The page of a pod."""
        found = self.pages.answer(f"/engines/team/{name}/metrics")
        assert found is not None, f"{name} has no page"
        return found[1]

    def families(self, name: str) -> dict[str, Metric]:
        """The page of a pod, parsed, by family."""
        return {family.name: family for family in text_string_to_metric_families(self.text(name))}

    def value(self, name: str, sample: str, **labels: str) -> float:
        """The sum of a pod's samples that have these labels; the parser adds `_total` to every counter."""
        return sum(
            found.value
            for family in self.families(name).values()
            for found in family.samples
            if found.name in {sample, f"{sample}_total"} and labels.items() <= found.labels.items()
        )
