"""Where endpoints stand: short words for tests of decisions that look at InferenceSLOs."""

from __future__ import annotations

from typing import Any

from gpupool.model.diagnosis import Confidence, Evidence, Help
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Status
from gpupool.model.standing import Kept, Limit, Standing
from gpupool.model.steering import Target
from support.builders import DAY, GPU, MINUTE, NOW

RICH = Kept("ttft", 99.0, 99.9, 90.0, coverage=100.0)
SPENT = Kept("ttft", 99.0, 95.0, -400.0, spending=True, coverage=100.0)


def deployment(name: str = "chat") -> ObjectRef:
    """Its reference."""
    return ObjectRef("apps/v1", "Deployment", name)


def a_workload(name: str = "chat", replicas: int = 4, gpus: int = 1, **more: Any) -> Target:
    """A Deployment whose pods are labelled app=name."""
    namespace = more.pop("namespace", "vision")
    more.setdefault("labels", {"app": name})
    more.setdefault("existing", replicas)
    more.setdefault("surge", "1")
    counts = more.pop("counts", {GPU: gpus})
    return Target(Key(namespace, name), deployment(name), replicas, gpus=counts, **more)


def a_standing(name: str = "chat", **more: Any) -> Standing:
    """An endpoint of four replicas that keeps its objective with head-room, judged a minute ago."""
    namespace = more.pop("namespace", "vision")
    plain: dict[str, Any] = {
        "created": NOW - 5 * DAY,
        "target": deployment(name),
        "looked": NOW - MINUTE,
        "window": 28 * 86_400.0,
        "current": True,
        "ready": 4,
        "state": "OK",
        "met": Status.TRUE,
        "healthy": Status.TRUE,
        "objectives": (RICH,),
        "limit": Limit("None", Confidence.HIGH),
        "workload": a_workload(name, namespace=namespace),
    }
    return Standing(key=Key(namespace, name), **(plain | more))


def missed(cause: str, helps: Help, confidence: Confidence = Confidence.HIGH, **more: Any) -> Standing:
    """An endpoint that misses its objective for a cause."""
    limit = Limit(
        cause, confidence, helps, (Evidence("requests waiting", 12.0, "> 1"),), "Do something else."
    )
    plain: dict[str, Any] = {
        "met": Status.FALSE,
        "healthy": Status.FALSE,
        "healthy_because": "ttft burns its budget 9.0 times as fast as it may.",
        "objectives": (SPENT,),
        "limit": limit,
    }
    return a_standing(**(plain | more))
