"""Install the operator's chart with real helm, and wait until what it installs answers."""

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from localplane import podholds
from localplane.cluster import Cluster
from localplane.errors import PlaneError, ReleaseError
from localplane.kube import Kube, KubeError
from localplane.parts import OPERATOR
from localplane.paths import CHART
from localplane.progress import Step, say, step
from localplane.runner.podspec import Json
from localplane.runner.settings import LABEL, NAMESPACE

NAME: Final = "gpupool"
OWN_JOB: Final = "gpupool"
"""Under which the plane's Prometheus scrapes the operator."""
HELM_SECONDS: Final = 120.0
AVAILABLE_SECONDS: Final = 240.0
PROBE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2
TAIL_LINES: Final = 15

BROAD_USER: Final = "system:serviceaccount:kube-system:generic-garbage-collector"
"""May patch every object by RBAC and is no cluster admin: what stops it is a policy."""


def install(cluster: Cluster, values: Mapping[str, Any] | None = None, *, quiet: bool = False) -> None:
    """Install or upgrade the chart, wait for the operator, and see the policies deny.

    Args:
        cluster: A cluster that is up.
        values: Chart values beside those that place the pods and name Prometheus.
        quiet: Say nothing.

    Raises:
        ReleaseError: Helm failed, the operator did not become available, or the policies do not answer.
    """
    with step("operator's chart", quiet=quiet) as progress:
        progress.detail = "helm upgrade --install"
        _helm_install(cluster, values or {})
        progress.result = "installed"
    if OPERATOR in cluster.state().holds:
        say(f"  the operator is held down; `make start PART={OPERATOR}` brings it back")
        return
    with step("operator", quiet=quiet) as progress, cluster.kube() as kube:
        _wait(lambda: _available(kube, progress), AVAILABLE_SECONDS, lambda: _why_unavailable(cluster, kube))
        progress.result = "available"
    with step("policies", quiet=quiet) as progress, cluster.kube() as kube:
        progress.detail = "waiting for a denial (dry run)"
        progress.result = _probe_policies(kube)


def uninstall(cluster: Cluster) -> None:
    """Remove the release with helm, hooks included.

    Raises:
        ReleaseError: Helm failed.
    """
    _helm(cluster, ["uninstall", NAME, "--namespace", NAMESPACE, "--wait"])


def chart_values(cluster: Cluster) -> dict[str, Any]:
    """The values that bring the chart's pods to the runner and Prometheus to the operator."""
    toleration = {"key": LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    return {
        "nodeSelector": {LABEL: "true"},
        "tolerations": [toleration],
        "prometheus": {"url": cluster.prometheus_url, "ownJobs": [OWN_JOB]},
    }


def _helm_install(cluster: Cluster, values: Mapping[str, Any]) -> None:
    file = cluster.layout.private / "release-values.yaml"
    file.write_text(yaml.safe_dump({**chart_values(cluster), **values}, sort_keys=False))
    arguments = ["upgrade", "--install", NAME, str(CHART), "--namespace", NAMESPACE, "--create-namespace"]
    # What a person set with their own `helm upgrade --set` outlives the next `make up`.
    _helm(cluster, [*arguments, "--reset-then-reuse-values", "--values", str(file)])


def _helm(cluster: Cluster, arguments: list[str]) -> None:
    home = cluster.layout.private / "helm"
    environment = {
        "PATH": str(cluster.layout.bin),
        "HOME": str(home),
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "KUBECONFIG": str(cluster.kubeconfig),
    }
    command = [str(cluster.program("helm")), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=HELM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"helm {arguments[0]} did not end within {HELM_SECONDS:.0f} s") from error
    if done.returncode:
        raise ReleaseError(f"helm {arguments[0]} failed:\n{done.stderr.strip() or done.stdout.strip()}")


def _available(kube: Kube, progress: Step) -> bool:
    pods = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods")
    progress.detail = f"waiting for Available; {'; '.join(_describe(pod) for pod in pods) or 'no pods yet'}"
    deployments = kube.list(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
    return bool(deployments) and all(_is_available(item) for item in deployments) and _is_led(kube, pods)


def _is_available(deployment: Json) -> bool:
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return False
    replicas = deployment["spec"].get("replicas", 1)
    counts = (status.get(f"{kind}eplicas", 0) for kind in ("r", "updatedR", "availableR"))
    return all(count == replicas for count in counts)


def _is_led(kube: Kube, pods: list[Json]) -> bool:
    """Whether one of the pods leads and none is on its way out: an old leader decides by old settings."""
    here = {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    return len(here) == len(pods) and podholds.leader(kube) in here


def _why_unavailable(cluster: Cluster, kube: Kube) -> str:
    lines = [f"the operator is not available after {AVAILABLE_SECONDS:.0f} s"]
    for pod in kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods"):
        lines.append(f"  {_describe(pod)}")
        lines += [f"  {line}" for log in _logs(cluster, pod) for line in _tail(log)]
    return "\n".join(lines)


def _describe(pod: Json) -> str:
    rows = pod.get("status", {}).get("containerStatuses", [])
    states = [f"{_state(row)}, {row['restartCount']} restarts" for row in rows]
    return f"pod {pod['metadata']['name']}: {', '.join(states) or 'not started'}"


def _state(row: Json) -> str:
    state: Json = row.get("state", {})
    reasons = [detail["reason"] for detail in state.values() if "reason" in detail]
    return str(reasons[0]) if reasons else ("ready" if row["ready"] else f"{' '.join(state)}, not ready")


def _logs(cluster: Cluster, pod: Json) -> list[Path]:
    return sorted((cluster.layout.logs / "pods").glob(f"{pod['metadata']['name']}_*.log"))


def _tail(log: Path) -> list[str]:
    return [f"{log}:", *log.read_text(errors="replace").splitlines()[-TAIL_LINES:]]


def _probe_policies(kube: Kube) -> str:
    guards = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    if not kube.exists(f"{guards}/{NAME}-namespace-guard"):
        return "switched off by values"
    with kube.impersonating(BROAD_USER, ["system:serviceaccounts"]) as broad:
        _wait(
            lambda: _denies(broad), PROBE_SECONDS, lambda: "the chart's policies do not deny what they should"
        )
    return "deny, probed by dry run"


def _denies(broad: Kube) -> bool:
    label = {"metadata": {"labels": {"gpupool.dev/pool": "probe"}}}
    try:
        broad.patch(f"/api/v1/namespaces/{NAMESPACE}", label, dry_run=True)
    except KubeError as error:
        return "ValidatingAdmissionPolicy" in error.message
    return False


def _wait(condition: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not _try(condition):
        if time.monotonic() >= deadline:
            raise ReleaseError(why())
        time.sleep(POLL_SECONDS)


def _try(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (httpx.HTTPError, PlaneError):
        return False
