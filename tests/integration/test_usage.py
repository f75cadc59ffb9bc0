"""Every data state, made by what an exporter does and read back from the real Prometheus."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.objects import Key
from gpupool.model.plan import Plan
from gpupool.model.reasons import DataState
from gpupool.model.usage import PodUsage, Usage
from gpupool.policy.measure import Measure
from gpupool.telemetry.metrics import Metrics
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.gpupods import STATE
from support.usage import Place, a_pool, page, scraped

LIMIT = 90.0
_numbers = itertools.count(1)


async def eventually(ask: Callable[[], Awaitable[bool]], what: str | Callable[[], str]) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + LIMIT
    while not await ask():
        if clock() >= deadline:
            raise AssertionError(f"not within {LIMIT:.0f} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def node(plane: Cluster) -> Iterator[str]:
    name = f"use-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 64)])
        yield name
        kube.delete(f"{NODES}/{name}")


@pytest.fixture
async def place(plane: Cluster, kube: Kube, namespace: Callable[..., str], node: str) -> AsyncIterator[Place]:
    async with PrometheusClient(Endpoint(plane.prometheus_url)) as client:
        pool = a_pool(f"use-{os.getpid()}-{next(_numbers)}", window=timedelta(seconds=20))
        yield Place(kube, namespace("use"), node, UsageReader(client), pool)


async def seen(place: Place, name: str, enough: Callable[[PodUsage], bool]) -> PodUsage:
    found: list[PodUsage] = []

    async def look() -> bool:
        use = await place.of(name)
        found[:] = [use] if use else []
        return use is not None and enough(use)

    await eventually(look, lambda: f"use of {name}: {found}")
    return found[0]


async def told(place: Place, says: Callable[[Usage], bool]) -> Usage:
    """Read until one answer says all that is wanted: after a scrape that was late one does not."""
    found: list[Usage] = []

    async def look() -> bool:
        found[:] = [await place.usage()]
        return says(found[0])

    await eventually(look, lambda: f"the use of the pool: {found}")
    return found[0]


async def becomes(place: Place, state: DataState) -> None:
    """Wait until the namespace's data is called so."""

    async def look() -> bool:
        return await place.state() is state

    await eventually(look, f"the data is {state}")


async def test_steady_work_is_busy_on_every_gpu_with_its_activity_beside(place: Place) -> None:
    place.run("steady", "35", gpus=2)
    use = await seen(place, "steady", lambda u: u.seen_seconds >= 10 and u.age is not None and u.age < 3)
    assert use.gpus == use.busy_gpus == 2
    assert use.busy_seconds == use.seen_seconds
    assert use.activity == pytest.approx(35)
    assert not use.conflicting
    usage = await told(place, lambda u: u.fresh)
    assert usage.scrape_interval == pytest.approx(1.0, abs=0.1)
    await becomes(place, DataState.OK)


async def test_moving_work_has_its_mean_activity(place: Place) -> None:
    place.run("moving", "10-30")
    use = await seen(place, "moving", lambda u: u.seen_seconds >= 10)
    assert use.busy_seconds == use.seen_seconds
    assert use.activity == pytest.approx(20, abs=9)  # ten samples of a use that moves by 10


async def test_an_idle_pod_is_seen_to_do_nothing(place: Place) -> None:
    place.run("idle")
    use = await seen(place, "idle", lambda u: u.seen_seconds >= 5)
    assert (use.busy_seconds, use.busy_gpus, use.activity) == (0, 0, 0)
    found: list[Measure] = []

    async def ok() -> bool:
        found[:] = [await place.measured()]
        return found[0].state is DataState.OK

    await eventually(ok, lambda: f"the data is OK: {found}")
    assert found[0].busy_seconds == 0


async def test_a_pod_without_series_is_missing_and_not_idle(place: Place) -> None:
    place.run("witness", "50")
    place.run("none", "none")
    await seen(place, "none", lambda u: u.held_seconds >= 5 and (u.seen_seconds, u.age) == (0, None))
    place.end("witness")
    await becomes(place, DataState.MISSING)  # only the unseen pod is left


async def test_a_pool_of_which_nothing_is_seen_is_not_fresh(place: Place) -> None:
    place.run("none", "none")
    await seen(place, "none", lambda u: u.held_seconds >= 1)
    await told(place, lambda u: not u.fresh and "DCGM_EXPORTER_KUBERNETES" in u.problem)


async def test_a_series_that_vanished_is_partial(place: Place) -> None:
    place.run("gone", "gone")
    await seen(place, "gone", lambda u: u.age is None and u.seen_seconds > 0)  # the series ended
    await becomes(place, DataState.PARTIAL)


async def test_a_frozen_timestamp_is_stale_although_prometheus_still_returns_it(place: Place) -> None:
    place.run("stale", "stale")
    await becomes(place, DataState.STALE)  # the timestamp froze
    use = await seen(place, "stale", lambda u: u.age is not None and u.age > 6)
    assert use.seen_seconds <= 4
    await told(place, lambda u: not u.fresh and "old" in u.problem)


async def test_a_pod_that_never_ran_is_idle_by_the_api_alone(place: Place) -> None:
    place.run("stuck", annotations={STATE: "ImagePullBackOff"})
    use = await seen(place, "stuck", lambda u: u.held_seconds >= 3)
    assert (use.seen_seconds, use.busy_seconds, use.age) == (use.held_seconds, 0, 0.0)
    await becomes(place, DataState.OK)
    await told(place, lambda u: u.fresh)


def lie(
    place: Place, pod: str, *, host: str | None = None, uuid: str = "GPU-lie", active: float = 1.0
) -> str:
    labels = (
        f'UUID="{uuid}",gpu="0",hostname="{host or place.node}",namespace="{place.namespace}",pod="{pod}"'
    )
    return f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{labels}}} {active}\n"


async def test_series_of_other_jobs_and_of_other_hosts_are_not_believed(place: Place, plane: Cluster) -> None:
    place.run("victim", "0")
    elsewhere = lie(place, "victim", host="another-node")
    with (
        page(lambda: lie(place, "victim")) as foreign,
        page(lambda: elsewhere) as remote,
        scraped(plane, f"{place.namespace}-job", foreign, "my-own-job"),
        scraped(plane, f"{place.namespace}-host", remote, "dcgm-exporter"),
    ):

        async def lies() -> bool:
            query = f'count(DCGM_FI_PROF_GR_ENGINE_ACTIVE{{namespace="{place.namespace}"}})'
            found = await place.reader._client.query(query)
            return bool(found) and found[0].value == 3

        await eventually(lies, "Prometheus holds both lies")
        use = await seen(place, "victim", lambda u: u.seen_seconds >= 3)
        assert use.busy_seconds == 0
        assert not use.conflicting


async def test_an_exporter_whose_labels_prometheus_renamed_is_understood(
    place: Place, plane: Cluster
) -> None:
    place.run("work", "none")
    job = f"renamed-{place.namespace}"
    place.pool = replace(place.pool, jobs=(job,))
    free = f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{UUID="GPU-free",gpu="1",hostname="{place.node}"}} 1\n'
    # The target's own labels name a pod of the pool: what it says of free GPUs must not count for that one.
    own = {"namespace": place.namespace, "pod": "work"}
    with (
        page(lambda: lie(place, "work", active=0.4) + free) as port,
        scraped(plane, job, port, job, **own),
    ):
        use = await seen(place, "work", lambda u: u.seen_seconds >= 5)
        assert (use.busy_gpus, use.conflicting) == (1, False)
        assert use.activity == pytest.approx(40)
        await told(place, lambda u: u.fresh)


async def test_a_dead_pods_hours_and_its_request_are_remembered(place: Place, plane: Cluster) -> None:
    metrics = Metrics()
    with page(metrics.render) as port, scraped(plane, place.namespace, port, "gpupool"):

        def publish() -> None:
            metrics.publish(Plan(place.pool.name), place.snapshot(usage))

        usage = await place.usage()
        place.run("short", "80")

        async def recorded() -> bool:
            publish()
            use = await place.of("short")
            key = Key(place.namespace, "")
            peak = (await place.usage()).peaks.get(key)
            return use is not None and use.seen_seconds >= 5 and peak is not None and peak.history >= 3

        await eventually(recorded, "the pod and the namespace's peak")
        place.end("short")

        async def dead() -> bool:
            publish()
            use = await place.of("short")
            return use is not None and not use.alive

        await eventually(dead, "the pod is dead")
    use = await place.of("short")
    assert use is not None
    assert use.request == ""
    assert use.held_seconds > 0
    assert use.busy_seconds == use.seen_seconds >= 5
    assert (await place.usage()).peaks[Key(place.namespace, "")].used == 1
