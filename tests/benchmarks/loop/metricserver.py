"""A metrics API for the owner's HPA: requests that run, as Prometheus has them, by `external.metrics.k8s.io`.

What a metrics adapter would do on a real cluster. The API server finds it by a Service without pods.
"""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx
from typing_extensions import override

from localplane.cluster import Cluster
from localplane.kube import Kube

Json = dict[str, Any]
GROUP: Final = "external.metrics.k8s.io"
ROOT: Final = f"/apis/{GROUP}/v1beta1"
METRIC: Final = "requests_running"
SERVICE: Final = "loop-metrics"
NAMESPACE: Final = "kube-system"
QUERY: Final = 'sum(vllm:num_requests_running{{namespace="{namespace}"}}) or vector(0)'
PATIENCE: Final = 2.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, prometheus: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prometheus = prometheus

    def value(self, namespace: str) -> float:
        """Requests that run in a namespace now."""
        query = {"query": QUERY.format(namespace=namespace)}
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params=query, trust_env=False, timeout=PATIENCE)
        rows = answer.raise_for_status().json()["data"]["result"]
        return float(rows[0]["value"][1])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path.partition("?")[0].removeprefix(ROOT).strip("/").split("/"):
            case [""]:
                self._send(_resources())
            case ["namespaces", namespace, name] if name == METRIC:
                self._send(_values(self.server.value(namespace)))
            case _:
                self._send({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, 404)

    def _send(self, content: Json, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the HPA controller asks every second."""


def _resources() -> Json:
    row = {"name": METRIC, "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/v1beta1",
        "resources": [{**row, "singularName": ""}],
    }


def _values(value: float) -> Json:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    row = {"metricName": METRIC, "metricLabels": {}, "timestamp": now, "value": f"{round(value * 1000)}m"}
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": f"{GROUP}/v1beta1",
        "metadata": {},
        "items": [row],
    }


@contextmanager
def metric_server(cluster: Cluster, kube: Kube) -> Iterator[None]:
    """Serve the metric, and tell the API server where."""
    server = _Server(cluster.prometheus_url)
    certs = cluster.layout.private / "certs"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "server.crt", certs / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for body in _objects(server.server_address[1]):
            kube.apply(body)
        yield
    finally:
        server.shutdown()


def _objects(port: int) -> Iterator[Json]:
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    yield {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1beta1.{GROUP}"},
        "spec": {
            "group": GROUP,
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
        },
    }
