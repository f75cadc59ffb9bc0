"""Reading arrivals: as seldom as may be, again after a failure or a restart, pods that are gone included."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from gpupool.collector.engines.adapters import Adapter
from gpupool.collector.engines.arrivals import ArrivalReader, Grid, Moments, Words
from gpupool.collector.engines.meter import PodName
from gpupool.collector.prometheus.errors import PrometheusUnreachable
from gpupool.model.metrics import Metrics
from gpupool.model.objects import Key, ObjectRef
from gpupool.policy.slo.arrivals import STEP, STEPS, arrivals
from gpupool.policy.slo.demand import Tuning
from gpupool.runtime.arriving import CHUNK, Arriving, Serving, owners

CHAT = ObjectRef("apps/v1", "Deployment", "chat")
WHO = (Key("team", "chat"), "uid")
POD = "chat-5d4f8c7b9-abcde"
ENDPOINT = Serving(WHO, CHAT, (POD,), engine="vLLM")
DONE = "vllm:request_success_total"


class World:
    """A Prometheus in which every pod does 10 requests a second from its birth to its death."""

    def __init__(self, **pods: tuple[int, int]) -> None:
        self.pods = {name.replace("_", "-"): life for name, life in pods.items()}
        self.asked: list[tuple[int, int]] = []
        self.more: list[str] = []
        self.summed: list[float] = []
        self.fails = False
        self.slow_from: int | None = None

    async def moments(
        self, namespaces: Sequence[str], grid: Grid, since: int, until: int, more: Sequence[Adapter] = ()
    ) -> Moments:
        self.more = [s.word for own in more for s in own.counters["requests"]]
        assert namespaces == ["team"]
        self.asked.append((since, until))
        if self.fails:
            raise PrometheusUnreachable("nobody answers")
        if self.slow_from is not None and since >= self.slow_from:
            await asyncio.sleep(5)
        found: dict[int, dict[PodName, Words]] = defaultdict(dict)
        for at in range(since + 1, until + 1):
            for name, (born, died) in self.pods.items():
                if born <= at <= died:
                    found[at][PodName("team", name)] = {DONE: (at - born) * 10 * grid.step}
        return found

    async def sums(
        self,
        _namespaces: Sequence[str],
        grid: Grid,
        span: float,
        over: float,
        until: int,
        _more: Sequence[Adapter] = (),
    ) -> Mapping[float, Mapping[PodName, Words]]:
        self.summed.append(grid.at(until))
        if self.fails:
            raise PrometheusUnreachable("nobody answers")
        ends = [grid.at(until) - span + n * over for n in range(1, round(span / over) + 1)]
        return {end: {PodName("team", name): {DONE: 10 * over} for name in self.pods} for end in ends}


def arriving(world: World) -> Arriving:
    return Arriving(cast("ArrivalReader", world), Tuning(), Grid(STEP))


def rates(found: Arriving, at: int) -> tuple[float, ...]:
    return arrivals(found.records[WHO], at * STEP, 15.0).rates


async def test_a_new_endpoint_is_read_an_hour_back_and_then_once_a_step() -> None:
    world = World(**{POD.replace("-", "_"): (0, 10_000)})
    found = arriving(world)
    await found.read([ENDPOINT], 5000 * STEP + 1)
    assert rates(found, 5000) == (10.0,) * STEPS
    assert (world.asked[0][0], world.asked[-1][1]) == (5000 - STEPS - 1, 5000)
    assert all(until - since <= CHUNK for since, until in world.asked)
    before, peaks = len(world.asked), len(world.summed)
    assert peaks == 3
    await found.read([ENDPOINT], 5000 * STEP + 16)
    assert len(world.asked) == before
    await found.read([ENDPOINT], 5001 * STEP)
    assert world.asked[before:] == [(5000, 5001)]
    assert len(world.summed) == peaks
    assert rates(found, 5001) == (10.0,) * STEPS


async def test_peaks_of_the_hours_before_do_not_overlap_the_hour() -> None:
    found = arriving(World(**{POD.replace("-", "_"): (0, 10_000)}))
    await found.read([ENDPOINT], 5000 * STEP)
    peaks = found.records[WHO].peaks
    assert {p.rate for p in peaks} == {10.0}
    assert len({p.ended for p in peaks}) == len(peaks) == 18
    assert max(p.ended for p in peaks) <= (5000 - STEPS) * STEP


async def test_what_failed_is_read_the_next_time_and_nothing_is_lost() -> None:
    world = World(**{POD.replace("-", "_"): (0, 10_000)})
    found = arriving(world)
    world.fails = True
    await found.read([ENDPOINT], 5000 * STEP)
    assert rates(found, 5000) == ()
    world.fails = False
    await found.read([ENDPOINT], 5003 * STEP)
    assert rates(found, 5003)[-3:] == (10.0,) * 3
    world.fails = True
    await found.read([ENDPOINT], 5013 * STEP)
    assert arrivals(found.records[WHO], 5013 * STEP, 15.0).age == 10 * STEP
    world.fails = False
    await found.read([ENDPOINT], 5014 * STEP)
    assert rates(found, 5014) == (10.0,) * STEPS


async def test_a_slow_store_holds_nobody_up_and_what_was_read_is_kept() -> None:
    world = World(**{POD.replace("-", "_"): (0, 10_000)})
    found = Arriving(cast("ArrivalReader", world), Tuning(), Grid(STEP), patience=0.05)
    world.slow_from = 5000 - STEPS - 1 + 2 * CHUNK
    await found.read([ENDPOINT], 5000 * STEP)
    assert found.records[WHO].known == world.slow_from
    world.slow_from = None
    await found.read([ENDPOINT], 5001 * STEP)
    assert world.asked[-1][1] == 5001
    assert rates(found, 5001) == (10.0,) * STEPS


async def test_pods_that_are_gone_belong_to_whom_their_names_say() -> None:
    lives = {POD: (0, 10_000), "chat-77777777aa-zzzzz": (0, 4990), "other-77777777aa-zzzzz": (0, 4990)}
    found = arriving(World(**{name.replace("-", "_"): life for name, life in lives.items()}))
    await found.read([ENDPOINT], 5000 * STEP)
    assert rates(found, 5000)[-11:] == (20.0, *(10.0,) * 10)


async def test_an_endpoint_without_pods_gets_nothing_and_keeps_its_engine() -> None:
    found = arriving(World(**{POD.replace("-", "_"): (0, 5000)}))
    await found.read([ENDPOINT], 5000 * STEP)
    await found.read([Serving(WHO, CHAT, empty=True)], 5001 * STEP)
    assert rates(found, 5001)[-2:] == (10.0, 0.0)
    assert found._engines == {WHO: "vLLM"}


async def test_who_is_gone_is_forgotten() -> None:
    found = arriving(World())
    await found.read([ENDPOINT], 5000 * STEP)
    await found.read([], 5001 * STEP)
    assert (found.records, found._engines, found._without_peaks) == ({}, {}, set())


@pytest.mark.parametrize(
    ("kind", "pod", "belongs"),
    [
        ("Deployment", "chat-5d4f8c7b9-abcde", True),
        ("Deployment", "chat-v2-5d4f8c7b9-abcde", False),
        ("Deployment", "chat-abcde", False),
        ("Deployment", "chat-0", False),
        ("StatefulSet", "chat-12", True),
        ("StatefulSet", "chat-a", False),
        ("LeaderWorkerSet", "chat-0", False),
    ],
)
def test_names_of_pods(kind: str, pod: str, belongs: bool) -> None:
    endpoint = Serving(WHO, ObjectRef("apps/v1", kind, "chat"))
    name = PodName("team", pod)
    assert owners([endpoint], [name]) == {name: frozenset({WHO}) if belongs else frozenset()}
    elsewhere = PodName("another", pod)
    assert owners([endpoint], [elsewhere]) == {elsewhere: frozenset()}


def test_what_the_api_says_comes_before_names() -> None:
    code = Serving((Key("team", "code"), "uid"), ObjectRef("apps/v1", "Deployment", "code"), (POD,))
    name = PodName("team", POD)
    assert owners([Serving(WHO, CHAT), code], [name]) == {name: frozenset({code.who})}


async def test_an_engine_whose_names_its_owner_gives_is_read_by_them() -> None:
    world = World(chat_5d4f8c7b9_abcde=(0, 10_000))
    found = arriving(world)
    named = Serving(WHO, CHAT, (POD,), engine="Custom", metrics=Metrics("running", succeeded=DONE))
    await found.read([named], 5000 * STEP)
    assert world.more == [DONE]
    assert arrivals(found.records[WHO], 5000 * STEP, 0.0).rates[-1] == 10.0
    assert found.records[WHO].peaks
