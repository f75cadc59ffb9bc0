"""Hold down, and bring back, the part `operator`: the local processes of the release's pods.

The runner carries a hold out, because it alone must not restart what it ends. Where the runner is dead or
held down itself, its pods' processes are signalled from here.
"""

import signal
import time
from typing import Final

import httpx

from localplane.errors import PartError, PlaneError
from localplane.kube import Kube
from localplane.paths import Layout
from localplane.processes import Process, marked, wait_until
from localplane.runner.podspec import Json
from localplane.runner.settings import NAMESPACE, NODE

STOP_SECONDS: Final = 45.0
"""Longer than the grace period of the operator's pod."""

DIRECT_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0


def hold(layout: Layout, signal_name: str, number: signal.Signals, *, runner_alive: bool) -> None:
    """Freeze (STOP) or end (TERM, KILL) the processes, and keep them so.

    Raises:
        TimeoutError: They would not end.
    """
    layout.operator_hold.write_text(signal_name)
    if not runner_alive:
        _signal(layout, number)
    if wait_until(lambda: _effective(layout, number), STOP_SECONDS if runner_alive else DIRECT_SECONDS):
        return
    _signal(layout, signal.SIGSTOP if number == signal.SIGSTOP else signal.SIGKILL)
    if not wait_until(lambda: _effective(layout, number), DIRECT_SECONDS):
        raise TimeoutError("the operator's processes do not end")


def release(layout: Layout) -> None:
    """Let the processes run again."""
    layout.operator_hold.unlink(missing_ok=True)
    _signal(layout, signal.SIGCONT)


def processes_of(layout: Layout, pod: str) -> list[Process]:
    """The live processes of one pod."""
    return [p for p in marked(layout.root, pods_only=True) if p.variable("HOSTNAME") == pod]


def hold_pod(layout: Layout, pod: str, signal_name: str) -> None:
    """Freeze (STOP) or end (KILL) one pod's processes at once, and keep them so until `release_pod`."""
    layout.pod_hold(pod).write_text(signal_name)
    for process in processes_of(layout, pod):
        process.signal(signal.Signals[f"SIG{signal_name}"])


def release_pod(layout: Layout, pod: str) -> None:
    """Let one pod's processes run again."""
    layout.pod_hold(pod).unlink(missing_ok=True)
    for process in processes_of(layout, pod):
        process.signal(signal.SIGCONT)


def leader(kube: Kube) -> str:
    """Name of the pod that leads, as the Lease says it; empty where none does."""
    lease = kube.find(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gpupool")
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "").rpartition("_")[0]


def wait_ready(layout: Layout) -> None:
    """Wait until every pod of the release that should run is Ready.

    Raises:
        PartError: One did not become Ready; the message says what it reports.
    """
    deadline = time.monotonic() + READY_SECONDS
    with Kube.from_kubeconfig(layout.kubeconfig) as kube:
        while waiting := _not_ready(kube):
            if time.monotonic() >= deadline:
                raise PartError(
                    f"not ready after {READY_SECONDS:.0f} s: {'; '.join(waiting)}; logs: {layout.logs}/pods"
                )
            time.sleep(0.2)


def _not_ready(kube: Kube) -> list[str]:
    try:
        pods = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", fields=f"spec.nodeName={NODE}")
    except (httpx.HTTPError, PlaneError) as error:
        return [f"the API server does not answer ({error})"]
    return [_describe(pod) for pod in pods if not _settled(pod)]


def _settled(pod: Json) -> bool:
    status = pod.get("status", {})
    ready = any(row["type"] == "Ready" and row["status"] == "True" for row in status.get("conditions", []))
    return ready or status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]


def _describe(pod: Json) -> str:
    states = [row.get("state", {}) for row in pod.get("status", {}).get("containerStatuses", [])]
    return f"{pod['metadata']['name']} {pod.get('status', {}).get('phase', '')} {states}"


def _effective(layout: Layout, number: signal.Signals) -> bool:
    return all(number == signal.SIGSTOP and process.frozen for process in marked(layout.root, pods_only=True))


def _signal(layout: Layout, number: signal.Signals) -> None:
    for process in marked(layout.root, pods_only=True):
        process.signal(number)
