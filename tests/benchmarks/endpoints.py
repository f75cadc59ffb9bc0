"""A thousand InferenceSLOs: questions and samples of a look, what it costs, and what is written meanwhile.

Every endpoint is a Deployment of two pods on fake nodes; each pod is a target of its own. This process serves
their pages: as many bytes as an engine's, with counters that grow.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from typing_extensions import override

from benchmarks.results import Figure
from benchmarks.rig import Rig, real, summary
from benchmarks.steady import QUERIES, questions_per_reading
from benchmarks.things import API, GROUP, create_all, namespace
from localplane.kube import Kube
from localplane.nodes import create_nodes, node_manifest
from localplane.processes import wait_until
from localplane.progress import say, step
from support.gpupods import pod_spec

ENDPOINTS: Final = 1_000
NAMESPACES: Final = 50
REPLICAS: Final = 2
NAME: Final = "endpoints"
SECONDS: Final = 120.0
READY_SECONDS: Final = 600.0
RATE: Final = 3.0
"""Requests a second of each pod."""
SAMPLES: Final = "gpupool_prometheus_samples_total"
BOUNDS: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40)
HISTOGRAMS: Final = (
    "vllm:time_to_first_token_seconds",
    "vllm:inter_token_latency_seconds",
    "vllm:e2e_request_latency_seconds",
    "vllm:request_queue_time_seconds",
)


def endpoints(rig: Rig, kube: Kube, size: float) -> list[Figure]:
    """Build them, and watch a while."""
    count = max(10, round(ENDPOINTS * size))
    with step(f"{count:,} endpoints") as progress, _pages() as port:
        _build(rig, kube, count, port)
        if not wait_until(lambda: _known(kube) == count, READY_SECONDS, every=2.0):
            raise TimeoutError(
                f"{_known(kube)} of {count} endpoints are measured after {READY_SECONDS:.0f} s"
            )
        progress.result = "measured"
        return _watch(rig, count)


def _build(rig: Rig, kube: Kube, count: int, port: int) -> None:
    teams = [namespace(kube, f"serve-{number}") for number in range(NAMESPACES)]
    nodes = [node_manifest(f"{NAME}-{n}", 8, labels={GROUP: NAME}) for n in range(count * REPLICAS // 8 + 1)]
    create_nodes(kube, nodes)
    where = [(teams[n % NAMESPACES], f"chat-{n}") for n in range(count)]
    create_all(kube, [_deployment(team, name) for team, name in where])
    create_all(kube, [_promise(team, name) for team, name in where])
    wait_until(lambda: _pods(kube) == count * REPLICAS, READY_SECONDS, every=2.0)
    pods = kube.list("/api/v1/pods", labels=f"app={NAME}")
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {
                "job": "engines",
                "namespace": pod["metadata"]["namespace"],
                "pod": pod["metadata"]["name"],
                "instance": pod["metadata"]["name"],
            },
        }
        for pod in pods
    ]
    (rig.cluster.layout.targets / "endpoints.json").write_text(json.dumps(targets))


def _watch(rig: Rig, count: int) -> list[Figure]:
    """Two minutes of looks."""
    asked = max(questions_per_reading(rig), default=0)
    before = [rig.metric(name) for name in (QUERIES, SAMPLES)]
    _, position = rig.writes()
    cpu, began = rig.cpu(), time.monotonic()
    time.sleep(SECONDS)
    lasted = time.monotonic() - began
    writes, _ = rig.writes(position)
    say(f"  writes: {summary(writes)}")
    questions, samples = (rig.metric(n) - b for n, b in zip((QUERIES, SAMPLES), before, strict=True))
    part = f"{count:,} endpoints of {REPLICAS} pods"
    each = samples / max(1.0, questions)
    return [
        Figure(part, "questions of a look at all of them", asked, "queries"),
        Figure(part, "samples of a question, mean", each, "samples"),
        Figure(
            part, "samples of a look, per endpoint", samples / max(1.0, questions) * asked / count, "samples"
        ),
        Figure(part, "statuses written, a second", real(writes) / lasted, "1/s"),
        Figure(part, "CPU", 100 * (rig.cpu() - cpu) / lasted, "% of a core"),
        Figure(part, "RSS of the operator", rig.rss(), "MB"),
    ]


def _known(kube: Kube) -> int:
    return sum("attainment" in s.get("status", {}) for s in kube.list(f"/apis/{API}/inferenceslos"))


def _pods(kube: Kube) -> int:
    pods = kube.list("/api/v1/pods", labels=f"app={NAME}")
    return sum(pod["status"].get("phase") == "Running" for pod in pods)


def _deployment(team: str, name: str) -> dict[str, Any]:
    labels = {"app": NAME, "endpoint": name}
    spec = pod_spec(1, nodeSelector={GROUP: NAME})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": team},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _promise(team: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "InferenceSLO",
        "metadata": {"name": name, "namespace": team},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objectives": [
                {"sli": "ttft", "threshold": "500ms", "percent": 99},
                {"sli": "itl", "threshold": "100ms", "percent": 95},
                {"sli": "e2e", "threshold": "10s", "percent": 95},
            ],
        },
    }


class _Page(BaseHTTPRequestHandler):
    """The same page for every pod: what it counts grows with the time."""

    protocol_version = "HTTP/1.1"
    began = time.time()

    def do_GET(self) -> None:
        body = _text(RATE * (time.time() - self.began)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: there are a hundred a second."""


def _text(total: float) -> str:
    lines = [
        'vllm:num_requests_running{model_name="chat",engine="0"} 3',
        'vllm:num_requests_waiting{model_name="chat",engine="0"} 0',
        f'vllm:generation_tokens_total{{model_name="chat",engine="0"}} {250 * total:.0f}',
    ]
    for name in HISTOGRAMS:
        for n, bound in enumerate(BOUNDS, 1):
            lines.append(f'{name}_bucket{{model_name="chat",engine="0",le="{bound}"}} {total * n / 20:.0f}')
        lines.append(f'{name}_bucket{{model_name="chat",engine="0",le="+Inf"}} {total:.0f}')
        lines.append(f'{name}_count{{model_name="chat",engine="0"}} {total:.0f}')
    return "\n".join(lines) + "\n"


@contextmanager
def _pages() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
