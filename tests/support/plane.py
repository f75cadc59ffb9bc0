"""Helpers of the tests that use the real control plane: pods for the runner, waits, Prometheus answers."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.reaper import guard
from localplane.runner.settings import LABEL, NAMESPACE
from localplane.state import Options

Json: TypeAlias = dict[str, Any]
Found = TypeVar("Found")

IMAGE = "gpupool:test"
WAIT_SECONDS = 30.0
FAST_HPA = Options(controller_manager_args=("--horizontal-pod-autoscaler-sync-period=1s",))
"""A plane whose HPA controller looks every second: `temporary_cluster(FAST_HPA)`."""


@contextmanager
def temporary_cluster(options: Options | None = None) -> Iterator[Cluster]:
    """A cluster in a directory of its own that is gone when the block ends, or this process dies."""
    directory = Path(tempfile.mkdtemp(prefix="gpupool-plane-"))
    kind = os.environ.get("GPUPOOL_TEST_CLUSTER", "local") == "kind"
    guard(directory)
    cluster = Cluster(directory, options=options or Options(kind=kind))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)


def eventually(
    ask: Callable[[], Found | None], what: str | Callable[[], str], seconds: float = WAIT_SECONDS
) -> Found:
    """Poll until an answer is truthy and return it; fails with the last answer and `what` was awaited.

    Where `what` is to tell how things stand, it is a function, called when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {text}; last answer: {answer!r}")
        time.sleep(0.1)


def prometheus(plane: Cluster, query: str) -> list[tuple[Json, float]]:
    """Labels and value of each series an instant query finds."""
    url = f"{plane.prometheus_url}/api/v1/query"
    answer = httpx.get(url, params={"query": query}, trust_env=False).raise_for_status().json()
    return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


def python_container(script: str, **fields: Any) -> Json:
    """A container of the chart's image that runs a Python script given as text."""
    return {"name": "main", "image": IMAGE, "command": [sys.executable, "-c", script], **fields}


def runner_pod_spec(container: Json, **fields: Any) -> Json:
    """A pod spec that only the runner's node takes."""
    return {
        "nodeSelector": {LABEL: "true"},
        "tolerations": [{"key": LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}],
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
        **fields,
    }


def runner_pod(name: str, container: Json, **fields: Any) -> Json:
    """A pod in the release's namespace."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": runner_pod_spec(container, **fields),
    }


def runner_deployment(name: str, container: Json) -> Json:
    """A Deployment of one pod in the release's namespace."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": runner_pod_spec(container)},
        },
    }


def pods_of(kube: Kube, app: str) -> list[Json]:
    """Pods of a Deployment made by `runner_deployment`."""
    return kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labels=f"app={app}")


def condition(pod: Json, kind: str) -> str:
    """Status of one condition of an object, or "" where it has none."""
    rows = pod.get("status", {}).get("conditions", [])
    return next((str(row["status"]) for row in rows if row["type"] == kind), "")


def main_status(pod: Json) -> Json:
    """Status of the first container, or an empty dict."""
    rows: list[Json] = pod.get("status", {}).get("containerStatuses", [])
    return rows[0] if rows else {}


def serving_script(extra: str = "", page: str = "gpupool_test_value 42\n") -> str:
    """A script that answers 200 on GPUPOOL_HEALTH_PORT and metrics on GPUPOOL_METRICS_PORT, where set."""
    return f"""
import http.server, os, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write({page.encode()!r})
    def log_message(self, *arguments):
        pass
{extra}
names = ("GPUPOOL_METRICS_PORT", "GPUPOOL_HEALTH_PORT")
ports = [int(os.environ[name]) for name in names if name in os.environ]
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in ports]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""
