"""A thousand InferenceSLOs: questions and samples of a look, what it costs, and what is written meanwhile.

Every endpoint is a Deployment of two pods on fake nodes; each pod is a target of its own. This process serves
their pages: as many bytes as an engine's, with counters that grow.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
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
FEW: Final = 10
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
    """Build a few of them and count the questions, then all, and watch a while."""
    count = max(10, round(ENDPOINTS * size))
    few = min(FEW, count)
    with _pages() as port:
        with step(f"{few} endpoints") as progress:
            _namespaces(kube)
            _nodes(kube, count)
            _build(rig, kube, range(few), port)
            fewer = _Asked.of(rig, SECONDS / 2)
            progress.result = f"questions a look: {fewer.looks}"
        with step(f"{count:,} endpoints") as progress:
            _build(rig, kube, range(few, count), port)
            progress.result = "measured"
        return _watch(rig, count, (few, fewer))


def _namespaces(kube: Kube) -> None:
    for number in range(NAMESPACES):
        namespace(kube, _team(number))


def _team(number: int) -> str:
    return f"serve-{number % NAMESPACES}"


def _nodes(kube: Kube, count: int) -> None:
    names = (f"{NAME}-{n}" for n in range(count * REPLICAS // 8 + 1))
    create_nodes(kube, [node_manifest(name, 8, labels={GROUP: NAME}) for name in names])


def _build(rig: Rig, kube: Kube, numbers: range, port: int) -> None:
    """Make these endpoints beside those that are there, and wait until all are measured."""
    where = [(_team(n), f"chat-{n}") for n in numbers]
    create_all(kube, [_deployment(team, name) for team, name in where])
    create_all(kube, [_promise(team, name) for team, name in where])
    wait_until(lambda: _pods(kube) == numbers.stop * REPLICAS, READY_SECONDS, every=2.0)
    _targets(rig, kube, port)
    if not wait_until(lambda: _known(kube) == numbers.stop, READY_SECONDS, every=2.0):
        raise TimeoutError(
            f"{_known(kube)} of {numbers.stop} endpoints are measured after {READY_SECONDS:.0f} s"
        )


def _targets(rig: Rig, kube: Kube, port: int) -> None:
    """Every pod is a target of its own."""
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
        for pod in kube.list("/api/v1/pods", labels=f"app={NAME}")
    ]
    (rig.cluster.layout.targets / "endpoints.json").write_text(json.dumps(targets))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions to Prometheus: of each of a few looks, and a minute; and the samples of one."""

    looks: list[int]
    a_minute: float
    samples: float

    @classmethod
    def of(cls, rig: Rig, seconds: float) -> "_Asked":
        """Watch for so long, after a few looks that are told apart by the pauses between them."""
        looks = questions_per_reading(rig)
        before, began = [rig.metric(name) for name in (QUERIES, SAMPLES)], time.monotonic()
        time.sleep(seconds)
        grown = [rig.metric(n) - b for n, b in zip((QUERIES, SAMPLES), before, strict=True)]
        return cls(looks, 60 * grown[0] / (time.monotonic() - began), grown[1] / max(1.0, grown[0]))

    @property
    def look(self) -> float:
        """Of the middle one: the first after something new read the hour before as well."""
        return median(self.looks) if self.looks else 0.0


def _watch(rig: Rig, count: int, before_all: tuple[int, _Asked]) -> list[Figure]:
    """Two minutes of looks; before them so many endpoints asked so many questions."""
    few, fewer = before_all
    _, position = rig.writes()
    cpu, began = rig.cpu(), time.monotonic()
    asked = _Asked.of(rig, SECONDS)
    lasted = time.monotonic() - began
    writes, _ = rig.writes(position)
    say(f"  questions a look: {asked.looks}; writes: {summary(writes)}")
    part = f"{count:,} endpoints of {REPLICAS} pods"
    against = f"{few} endpoints"
    return [
        Figure(part, "questions of a look at all of them", asked.look, "queries", fewer.look, against),
        Figure(part, "questions a minute", asked.a_minute, "queries", fewer.a_minute, against),
        Figure(part, "samples of a question, mean", asked.samples, "samples", fewer.samples, against),
        Figure(part, "samples of a look, per endpoint", asked.samples * asked.look / count, "samples"),
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


class _Server(ThreadingHTTPServer):
    """Many targets connect at once; what Prometheus gives up is no error of ours."""

    daemon_threads = True
    request_queue_size = 512

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def _pages() -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
