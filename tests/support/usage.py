"""Pools, places and pages for tests of measured use on the real plane."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from gpupool.collector.projections import pod as project_pod
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.objects import Key, Namespace, Node, Pod, Request
from gpupool.model.pool import Mode, Pool, Recall, Reclaim
from gpupool.model.reasons import DataState
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import PodUsage, Usage
from gpupool.policy.attribution import attribute
from gpupool.policy.measure import Measure, measure
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.gpupods import USE, gpu_pod

MINUTE = timedelta(minutes=1)


def moment(unix: float | None = None) -> datetime:
    """A time in UTC; the present one without an argument."""
    return datetime.fromtimestamp(time.time() if unix is None else unix, UTC)


def a_pool(
    name: str = "lab",
    *,
    window: timedelta = timedelta(seconds=30),
    lookback: timedelta | None = None,
    jobs: tuple[str, ...] = ("dcgm-exporter",),
    coverage: int = 90,
    resources: tuple[str, ...] = ("nvidia.com/gpu",),
) -> Pool:
    """A pool whose window, lookback and believed jobs matter."""
    reclaim = Reclaim(
        mode=Mode.RECOMMEND,
        window=window,
        lookback=lookback or 2 * window,
        threshold=100,
        headroom=10,
        coverage=coverage,
        grace=MINUTE,
        release_after=60 * MINUTE,
        startup_grace=MINUTE,
    )
    return Pool(
        name=name,
        uid=name,
        generation=1,
        created=moment(0),
        quota_mode=Mode.OBSERVE,
        isolation_mode=Mode.OBSERVE,
        reclaim=reclaim,
        recall=Recall(within=15 * MINUTE, notice=5 * MINUTE),
        jobs=jobs,
        resources=resources,
    )


class Place:
    """One namespace and one node of the plane, seen by a reader of use."""

    def __init__(self, kube: Kube, namespace: str, node: str, reader: UsageReader, pool: Pool) -> None:
        self.kube, self.namespace, self.node, self.reader, self.pool = kube, namespace, node, reader, pool
        self.path = f"/api/v1/namespaces/{namespace}/pods"

    def run(
        self, name: str, use: str | None = None, gpus: int = 1, annotations: dict[str, str] | None = None
    ) -> Key:
        """Create a pod on the node; `use` is what its GPUs do."""
        given = {**(annotations or {}), **({} if use is None else {USE: use})}
        raw = gpu_pod(self.namespace, name, gpus, annotations=given)
        raw["spec"]["nodeSelector"] = {"kubernetes.io/hostname": self.node}
        self.kube.create(raw)
        return Key(self.namespace, name)

    def end(self, name: str) -> None:
        """Delete a pod at once."""
        self.kube.delete(f"{self.path}/{name}?gracePeriodSeconds=0")

    def pods(self) -> tuple[Pod, ...]:
        """The namespace's pods as the operator sees them."""
        found = (project_pod(raw) for raw in self.kube.list(self.path))
        return tuple(p for p in found if p is not None)

    async def usage(self) -> Usage:
        """Read the use of the pool now."""
        return await self.reader.read(self.pool, self.pods(), moment())

    async def of(self, name: str) -> PodUsage | None:
        """Read the use of one pod now."""
        key = Key(self.namespace, name)
        return next((u for u in (await self.usage()).pods if u.key == key), None)

    def snapshot(self, usage: Usage, requests: tuple[Request, ...] = ()) -> Snapshot:
        """What a decision would look at."""
        return Snapshot(
            now=moment(),
            uninterrupted_since=moment(0),
            pool=self.pool,
            nodes=(Node(self.node, {"nvidia.com/gpu": 16}),),
            namespaces=(Namespace(self.namespace, "team"),),
            requests=requests,
            pods=self.pods(),
            usage=usage,
        )

    async def measured(self) -> Measure:
        """What the policy makes of the namespace's use now."""
        snapshot = self.snapshot(await self.usage())
        return measure(snapshot, attribute(snapshot)).around(self.namespace)

    async def state(self) -> DataState:
        """The namespace's data state now."""
        return (await self.measured()).state


@contextmanager
def page(text: Callable[[], str | bytes]) -> Iterator[int]:
    """Serve a text at any path of a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = text()
            body = given.encode() if isinstance(given, str) else given
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def scraped(plane: Cluster, name: str, port: int, job: str, **labels: str) -> Iterator[None]:
    """Have the plane's Prometheus scrape a loopback port under a job, with labels of the target."""
    file = plane.layout.targets / f"{name}.json"
    partial = file.with_suffix(".partial")
    target = {"targets": [f"127.0.0.1:{port}"], "labels": {"job": job, **labels}}
    partial.write_text(json.dumps([target]))
    partial.replace(file)
    try:
        yield
    finally:
        file.unlink()
