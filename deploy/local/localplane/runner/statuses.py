"""The PodStatus a kubelet would write, made from what a pod's containers do (pure)."""

from datetime import UTC, datetime
from typing import Final, TypeAlias

from localplane.runner.container import Container, Ended
from localplane.runner.pod import PodRun
from localplane.runner.podspec import Json

Conditions: TypeAlias = dict[str, tuple[str, str]]
"""Condition type to status and time of the last transition."""

OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")


def pod_status(run: PodRun, conditions: Conditions, others: list[Json], now: float) -> Json:
    """Status of a pod.

    Args:
        run: The pod.
        conditions: Last transitions by type; brought up to date here.
        others: Conditions of other writers, kept as they are.
        now: Wall clock, in seconds.

    Returns:
        A complete status, without podIP: an EndpointSlice cannot hold a loopback address, and the
        controller that makes them would complain for ever.
    """
    containers = run.containers
    ready = bool(containers) and all(container.ready for container in containers)
    truths = {
        "PodReadyToStartContainers": run.problem is None,
        "Initialized": run.initialized,
        "ContainersReady": ready,
        "Ready": ready,
    }
    return {
        "phase": phase(run),
        "hostIP": "127.0.0.1",
        "startTime": conditions.setdefault("start", ("", stamp(now)))[1],
        "conditions": [*others, *_conditions(truths, conditions, now)],
        "initContainerStatuses": [container_status(c, run) for c in run.init_containers],
        "containerStatuses": [container_status(c, run) for c in containers],
    }


def phase(run: PodRun) -> str:
    """Pending, Running, Succeeded or Failed, as a kubelet would say it."""
    if any(c.finished and c.last is not None and c.last.exit_code for c in run.init_containers):
        return "Failed"
    if run.containers and all(container.finished and container.last for container in run.containers):
        codes = [container.last.exit_code for container in run.containers if container.last]
        return "Failed" if any(codes) else "Succeeded"
    begun = any(container.running or container.last for container in run.containers)
    return "Running" if begun else "Pending"


def container_status(container: Container, run: PodRun) -> Json:
    """One entry of containerStatuses."""
    state: Json
    if container.running:
        state = {"running": {"startedAt": stamp(container.began)}}
    elif container.waiting or container.last is None:
        state = {"waiting": _waiting(container, run)}
    else:
        state = {"terminated": _terminated(container.last)}
    status = {
        "name": container.spec.name,
        "image": container.spec.image,
        "imageID": container.spec.image,
        "ready": container.ready,
        "started": container.started,
        "restartCount": container.restarts,
        "state": state,
        "lastState": {},
    }
    if container.last is not None and "terminated" not in state:
        status["lastState"] = {"terminated": _terminated(container.last)}
    if container.pid is not None:
        status["containerID"] = f"process://{container.pid}"
    return status


def stamp(moment: float) -> str:
    """A Kubernetes time (seconds, UTC)."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _waiting(container: Container, run: PodRun) -> Json:
    if run.problem is not None:
        return {"reason": run.problem.reason, "message": run.problem.message}
    if container.last is not None:
        return {
            "reason": "CrashLoopBackOff",
            "message": f"the last run ended with {container.last.exit_code}",
        }
    return {"reason": "ContainerCreating" if run.initialized else "PodInitializing"}


def _terminated(ended: Ended) -> Json:
    return {
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "startedAt": stamp(ended.began),
        "finishedAt": stamp(ended.ended),
    }


def _conditions(truths: dict[str, bool], conditions: Conditions, now: float) -> list[Json]:
    rows = []
    for kind, truth in truths.items():
        value = "True" if truth else "False"
        if conditions.get(kind, ("", ""))[0] != value:
            conditions[kind] = (value, stamp(now))
        row = {"type": kind, "status": value, "lastTransitionTime": conditions[kind][1]}
        if not truth and kind in ("Ready", "ContainersReady"):
            row["reason"] = "ContainersNotReady"
        rows.append(row)
    return rows
