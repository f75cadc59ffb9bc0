"""What is said when Prometheus, its targets or its time are not there; and how much is asked of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest

from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.objects import Key, Pod
from gpupool.model.pool import Pool
from gpupool.model.usage import Usage
from localplane.cluster import Cluster
from localplane.ports import free_port
from support.usage import a_pool, moment, page, scraped

LIMIT = 60.0


class Counting(httpx.AsyncHTTPTransport):
    """Real connections, counted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params.get("query", "posted"))
        return await super().handle_async_request(request)


@pytest.fixture
async def wire(plane: Cluster) -> AsyncIterator[tuple[UsageReader, Counting]]:
    transport = Counting()
    async with PrometheusClient(Endpoint(plane.prometheus_url), transport=transport) as client:
        yield UsageReader(client), transport


def holders(count: int) -> tuple[Pod, ...]:
    started = moment() - timedelta(minutes=10)
    return tuple(
        Pod(Key("team", f"pod-{i}"), f"uid-{i}", {"nvidia.com/gpu": 1}, node="gpu-1", started=started)
        for i in range(count)
    )


async def becomes(
    reader: UsageReader, pool: Pool, says: Callable[[Usage], bool], pods: tuple[Pod, ...] = ()
) -> Usage:
    """Read until one answer is as wanted in all: a single scrape may be late."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + LIMIT
    while not says(usage := await reader.read(pool, pods, moment())):
        assert clock() < deadline, usage
        await asyncio.sleep(0.2)
    return usage


async def test_a_prometheus_that_is_not_there_is_named_with_its_url(plane: Cluster) -> None:
    url = f"http://127.0.0.1:{free_port(frozenset(plane.state().ports.values()))}/prom"
    async with PrometheusClient(Endpoint(url)) as client:
        usage = await UsageReader(client).read(a_pool(), holders(1), moment())
    assert not usage.fresh
    assert usage.pods == ()
    assert usage.problem.startswith(f"Prometheus at {url} does not answer")


async def test_a_url_that_is_something_else_says_where_to_look(plane: Cluster) -> None:
    with page(lambda: "a shop") as port:
        async with PrometheusClient(Endpoint(f"http://127.0.0.1:{port}")) as client:
            usage = await UsageReader(client).read(a_pool(), (), moment())
    assert "not JSON: a shop: check prometheus.url" in usage.problem
    async with PrometheusClient(Endpoint(f"{plane.prometheus_url}/elsewhere")) as client:
        usage = await UsageReader(client).read(a_pool(), (), moment())
    assert "answered 404" in usage.problem
    assert "must be the base" in usage.problem


async def test_a_job_without_a_target_is_named(wire: tuple[UsageReader, Counting]) -> None:
    usage = await wire[0].read(a_pool(jobs=("gpu-exporter",)), (), moment())
    assert not usage.fresh
    assert "no target of job gpu-exporter" in usage.problem
    assert "spec.telemetry.jobs" in usage.problem


async def test_a_job_whose_targets_are_all_down_is_named(
    wire: tuple[UsageReader, Counting], plane: Cluster
) -> None:
    job = f"dead-{os.getpid()}"
    port = free_port(frozenset(plane.state().ports.values()))
    with scraped(plane, job, port, job):
        pool = a_pool(jobs=(job,))
        await becomes(wire[0], pool, lambda u: f"All targets of job {job} are down" in u.problem)


async def test_a_window_of_less_than_three_scrapes_is_refused(wire: tuple[UsageReader, Counting]) -> None:
    pool = a_pool(window=timedelta(seconds=2))
    await becomes(wire[0], pool, lambda u: "holds less than 3 scrapes" in u.problem)


@pytest.mark.parametrize("window", [timedelta(seconds=20), timedelta(hours=6)])
async def test_as_many_questions_are_asked_for_one_pod_as_for_fifty(
    wire: tuple[UsageReader, Counting], window: timedelta
) -> None:
    reader, transport = wire
    counts = []
    for pods in (holders(1), holders(50)):

        def answered(usage: Usage, count: int = len(pods)) -> bool:
            """Whether nothing was in the way; else what was asked is forgotten, and all is asked again."""
            if len(usage.pods) != count:
                transport.asked.clear()
            return len(usage.pods) == count

        transport.asked.clear()
        await becomes(reader, a_pool(window=window), answered, pods)
        counts.append(len(transport.asked))
    assert counts[0] == counts[1] == 14


async def test_an_answer_of_another_time_is_not_fresh(wire: tuple[UsageReader, Counting]) -> None:
    usage = await wire[0].read(a_pool(), (), moment() + timedelta(minutes=5))
    assert not usage.fresh
    assert "differs from the API server's by" in usage.problem


async def test_an_empty_pool_is_fresh_when_its_exporter_is_up(wire: tuple[UsageReader, Counting]) -> None:
    usage = await becomes(wire[0], a_pool(), lambda u: u.fresh)
    assert usage.pods == ()
    assert usage.scrape_interval == pytest.approx(1.0, abs=0.1)


async def test_pods_on_nodes_without_exporter_are_not_fresh_and_not_idle(
    wire: tuple[UsageReader, Counting],
) -> None:
    usage = await becomes(wire[0], a_pool(), lambda u: "run the exporter there" in u.problem, holders(2))
    assert not usage.fresh
    assert [(u.seen_seconds, u.age) for u in usage.pods] == [(0, None), (0, None)]


async def test_a_prometheus_that_stops_answering_is_found_out_within_the_readers_patience(
    plane: Cluster,
) -> None:
    endpoint = Endpoint(plane.prometheus_url, read=1.0)
    async with PrometheusClient(endpoint) as client:
        reader = UsageReader(client, patience=3.0)
        plane.stop("prometheus", "STOP")
        try:
            usage = await reader.read(a_pool(), (), moment())
        finally:
            plane.start("prometheus")
        assert not usage.fresh
        assert "does not answer" in usage.problem
        await becomes(reader, a_pool(), lambda u: u.fresh)
