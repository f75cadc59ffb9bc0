"""Events of a cycle: once each, and none of what did not happen."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from gpupool.applier.execute import Results
from gpupool.errors import AlreadyExists, Conflict, Failure, KubeError, TooManyRequests, Unreachable
from gpupool.kube.client import KubeClient
from gpupool.model.objects import Key
from gpupool.model.plan import Evict, Notice, Plan, SetQuota
from gpupool.planner import notices
from gpupool.runtime.publisher import EVENTS_AT_ONCE, Cycle, Publisher
from gpupool.telemetry.metrics import Metrics
from support.builders import GPU, NOW, a_pool, a_request, a_share, a_snapshot

POOL = a_pool(a_share("vision", 8))
GRANTED = Notice("CapacityRequest", Key("vision", "train"), "u", "Granted", "8 of 8 GPUs granted.")
ONE, OTHER = (Evict(Key("vision", f"pod-{i}"), f"uid-{i}", "train", force=False) for i in (1, 2))


class Server:
    """Takes Events and tells the time."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.error: KubeError | None = None
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def server_time(self) -> datetime:
        return NOW

    async def create(self, _: Any, body: dict[str, Any]) -> None:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.events.append(body)

    @property
    def reasons(self) -> list[str]:
        return [e["reason"] for e in self.events]


def a_plan(*actions: Evict) -> Plan:
    """A plan with a grant and an Event per eviction, as the planner tells them."""
    snapshot = a_snapshot(POOL, a_request("train", 8))
    return Plan("lab", actions, notices=(GRANTED, *notices.of_evictions(snapshot, actions)))


def a_publisher() -> tuple[Publisher, Server]:
    server = Server()
    return Publisher(cast("KubeClient", server), Metrics(), "gpupool-1"), server


async def test_what_was_told_is_not_told_again() -> None:
    publisher, server = a_publisher()
    for _ in range(3):
        publisher.notices(a_plan(ONE), Results(done=[ONE]))
        await publisher.told()
    assert server.reasons == ["Granted", "Recalled"]
    assert server.events[0]["reportingInstance"] == "gpupool-1"


@pytest.mark.parametrize(
    "results",
    [
        Results(done=[OTHER], blocked=[ONE]),
        Results(done=[OTHER], refused=[ONE]),
        Results(done=[OTHER], failed=[(ONE, Conflict("POST /x", Failure()))]),
    ],
    ids=["blocked", "refused", "failed"],
)
async def test_an_eviction_that_did_not_happen_is_not_told_and_hides_no_other(results: Results) -> None:
    publisher, server = a_publisher()
    publisher.notices(a_plan(ONE, OTHER), results)
    await publisher.told()
    assert server.reasons == ["Granted", "Recalled"]
    assert "pod-2" in server.events[1]["message"]


async def test_an_event_that_stands_already_counts_as_told_and_a_lost_one_is_told_again() -> None:
    publisher, server = a_publisher()
    server.error = AlreadyExists("POST /x", Failure())
    publisher.notices(a_plan(), Results())
    await publisher.told()
    server.error = None
    publisher.notices(a_plan(), Results())
    await publisher.told()
    assert server.events == []
    publisher, server = a_publisher()
    server.error = Conflict("POST /x", Failure())
    publisher.notices(a_plan(), Results())
    await publisher.told()
    server.error = None
    publisher.notices(a_plan(), Results())
    await publisher.told()
    assert server.reasons == ["Granted"]


async def test_an_event_the_server_could_not_take_is_told_in_a_later_cycle_that_has_no_news() -> None:
    publisher, server = a_publisher()
    server.error = Unreachable("POST /x", Failure())
    publisher.notices(a_plan(), Results())
    await publisher.told()
    server.error = None
    publisher.notices(Plan("lab"), Results())
    await publisher.told()
    assert server.reasons == ["Granted"]


async def test_a_server_that_asks_for_time_is_left_alone_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, server = a_publisher()
    loop = asyncio.get_running_loop()
    began = loop.time()
    server.error = TooManyRequests("POST /x", Failure(status=429, retry_after=30.0))
    publisher.notices(a_plan(), Results())
    await publisher.told()
    server.error = None
    for _ in range(3):
        publisher.notices(Plan("lab"), Results())
        await publisher.told()
    assert (server.asked, server.events) == (1, [])
    monkeypatch.setattr(loop, "time", lambda: began + 31.0)
    publisher.notices(Plan("lab"), Results())
    await publisher.told()
    assert server.reasons == ["Granted"]


def test_a_cycle_is_counted_with_what_was_written_and_what_was_refused() -> None:
    metrics = Metrics()
    publisher = Publisher(cast("KubeClient", Server()), metrics)
    quota = SetQuota("vision", {GPU: 8}, {}, {}, "7", raises=True)
    results = Results(done=[quota], failed=[(replace(quota, namespace="b"), Conflict("PATCH /x", Failure()))])
    publisher.refused([(quota, "NoLongerWanted")])
    publisher.cycle(a_snapshot(POOL), Plan("lab"), results, Cycle(1, 3, {"plan": 0.1}, 1))
    publisher.failed()
    text = metrics.render().decode()
    assert 'gpupool_cycles_total{result="ok"} 1.0' in text
    assert 'gpupool_cycles_total{result="failed"} 1.0' in text
    assert 'reason="NoLongerWanted"' in text
    assert text.count('kind="SetQuota"') >= 2
    assert 'gpupool_writes_total{kind="Status",result="done",verb="apply"} 3.0' in text


async def test_a_cycle_does_not_wait_for_its_events_and_few_are_written_at_once() -> None:
    publisher, server = a_publisher()
    gate = asyncio.Event()
    server.gate = gate
    told = tuple(replace(GRANTED, key=Key("vision", f"r{i}")) for i in range(10))
    publisher.notices(Plan("lab", notices=told), Results())
    publisher.notices(Plan("lab", notices=(replace(GRANTED, key=Key("nlp", "late")),)), Results())
    await asyncio.sleep(0)
    assert (server.asked, server.events) == (EVENTS_AT_ONCE, [])
    gate.set()
    await publisher.told()
    assert len(server.events) == 11
