"""Candidates over one Lease of a real API server, each with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gpupool.errors import FencedError
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import LEASES
from gpupool.runtime.election.elector import Elector, identity
from gpupool.runtime.election.rules import Timing
from gpupool.runtime.election.thread import LeaseThread
from localplane.kube import Kube

TIMING = Timing(duration=10.0, give_up=6.0, renew=2.0, retry=0.05)
QUICK = Timing(duration=3.0, give_up=1.5, renew=0.1, retry=0.05)
LIMIT = 60.0
"""Seconds of the real clock within which whatever is awaited happens."""


@dataclass
class Clock:
    """Seconds as the test says."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """One Lease, and those who want it."""

    client: KubeClient
    kube: Kube
    namespace: str
    floor: int = 0

    def candidate(self, name: str, clock: Callable[[], float], timing: Timing = TIMING) -> Elector:
        lease = (self.namespace, "gpupool")
        return Elector(self.client, lease, name, timing, floor=lambda: self.floor, clock=clock)

    @property
    def path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/gpupool"


@pytest.fixture
def stage(client: KubeClient, kube: Kube, namespace: Callable[..., str]) -> Stage:
    return Stage(client, kube, namespace("election"))


async def test_a_standby_takes_over_when_the_lease_was_silent_for_its_duration(stage: Stage) -> None:
    clock = Clock()
    first, second = stage.candidate("a_1", clock), stage.candidate("b_1", clock)
    assert await first.acquire() == 1
    assert not await second._attempt()
    assert second.led
    clock.now += 5.9
    assert first.leads()
    clock.now += 0.2
    assert not first.leads(), "it gives up long before anybody else may take it"
    clock.now += 3.8
    assert not await second._attempt()
    clock.now += 0.2
    assert await second._attempt()
    assert (second.leads(), second.epoch) == (True, 2)


async def test_of_two_who_want_a_free_lease_one_gets_it(stage: Stage) -> None:
    found = [stage.candidate(f"pod-{i}_1", Clock()) for i in range(5)]
    await asyncio.gather(*(one._attempt() for one in found))
    assert [one.leads() for one in found].count(True) == 1


async def test_a_lease_that_was_given_back_is_taken_at_once_under_a_new_epoch(stage: Stage) -> None:
    clock = Clock()
    first, second = stage.candidate("a_1", clock), stage.candidate("b_1", clock)
    await first.acquire()
    assert not await second._attempt()
    await first.release()
    assert not first.leads()
    assert stage.kube.get(stage.path)["spec"].get("holderIdentity", "") == ""
    assert await second._attempt()
    assert second.epoch == 2


async def test_the_next_process_of_a_pod_need_not_wait_for_the_last(stage: Stage) -> None:
    clock = Clock()
    assert await stage.candidate(identity("pod-1"), clock).acquire() == 1
    again = stage.candidate(identity("pod-1"), clock)
    assert await again._attempt()
    assert again.epoch == 2


async def test_a_leader_whose_lease_was_deleted_makes_it_again_and_nobody_else_does(stage: Stage) -> None:
    clock = Clock()
    first, second = stage.candidate("a_1", clock), stage.candidate("b_1", clock)
    stage.floor = 40
    await first._attempt()
    clock.now += 10.1
    assert await first.acquire() == 41, "quotas carry 40: the lease was deleted once"
    assert not await second._attempt()
    stage.kube.delete(stage.path)
    assert not await second._attempt()
    await first._renew(first._term())
    assert (first.epoch, stage.kube.get(stage.path)["spec"]["leaseTransitions"]) == (41, 40)
    assert not await second._attempt()


async def test_somebody_elses_touch_does_not_end_a_leadership(stage: Stage) -> None:
    first = stage.candidate("a_1", Clock())
    await first.acquire()
    stage.kube.patch(stage.path, {"metadata": {"annotations": {"somebody": "was here"}}})
    await first._renew(first._term())
    assert first.leads()


async def test_a_leader_that_was_displaced_says_by_whom_and_leads_no_more(stage: Stage) -> None:
    first = stage.candidate("a_1", Clock(), QUICK)
    await first.acquire()
    stage.kube.patch(stage.path, {"spec": {"holderIdentity": "b_1", "leaseTransitions": 5}})
    with pytest.raises(FencedError, match="leadership lost: b_1 has it"):
        await asyncio.wait_for(first.hold(), LIMIT)
    assert not first.leads()
    await first.release()
    assert stage.kube.get(stage.path)["spec"]["holderIdentity"] == "b_1"


async def test_a_leader_that_nobody_answers_gives_up_in_time(stage: Stage) -> None:
    async with KubeClient(stage.client.credentials) as own:
        lease = (stage.namespace, "gpupool")
        loop = asyncio.get_running_loop()
        leader = Elector(own, lease, "a_1", QUICK, floor=lambda: 0, clock=loop.time)
        await leader.acquire()
        until = leader._election.until

        async def silence(*_: object) -> None:
            await asyncio.sleep(LIMIT)

        own.replace = silence  # type: ignore[assignment,method-assign] # an API server that does not answer
        with pytest.raises(FencedError, match="no renewal was confirmed in time"):
            await asyncio.wait_for(leader.hold(), LIMIT)
        assert loop.time() >= until - 0.05
        assert not leader.leads()


async def test_renewals_go_on_while_the_main_loop_computes(stage: Stage) -> None:
    credentials = stage.client.credentials
    timing = Timing(duration=10.0, give_up=6.0, renew=0.5, retry=0.1)

    def elect(client: KubeClient) -> Elector:
        return Elector(client, (stage.namespace, "gpupool"), "a_1", timing, floor=lambda: 0)

    async with LeaseThread(lambda: KubeClient(credentials), elect) as lease:
        assert await asyncio.wait_for(lease.acquire(), LIMIT) == 1
        holding = asyncio.create_task(lease.hold())
        await asyncio.sleep(0)
        before = (await stage.client.get(LEASES, "gpupool", stage.namespace))["spec"]["renewTime"]
        _compute(timing.give_up + 2)
        assert lease.leads()
        after = (await stage.client.get(LEASES, "gpupool", stage.namespace))["spec"]["renewTime"]
        assert after > before
        holding.cancel()
        await lease.release()
        assert not lease.leads()


def _compute(seconds: float) -> None:
    """Hold the loop, and the interpreter, as a long plan does."""
    clock = asyncio.get_running_loop().time
    end, total = clock() + seconds, 0
    while clock() < end:
        total += sum(range(1000))
