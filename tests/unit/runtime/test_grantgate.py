"""A grant is told when its wall lets pods in, and that it waits where it does not for long."""

import asyncio
from dataclasses import replace

import pytest

from gpupool.applier.execute import Results
from gpupool.collector.projections import QuotaFacts
from gpupool.kube.resources import ObjectKey
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, RequestStatus, SetQuota, Status, Verdict
from gpupool.model.reasons import Phase, Reason
from gpupool.runtime.grantgate import LONG, MOMENT, POLL, GrantGate
from support.builders import GPU, NOW, a_pool, a_share, a_snapshot, granted

KEY = Key("vision", "train")
STATUS = RequestStatus(
    key=KEY,
    generation=1,
    phase=Phase.GRANTED,
    pool="lab",
    resource=GPU,
    verdict=Verdict(Reason.GRANTED, "All 8 GPUs."),
    conditions=(Condition("Granted", Status.TRUE, "Granted"), Condition("UnderUsed", Status.FALSE, "x")),
    granted=8,
    allowance=8,
    asked=8,
    granted_at=NOW,
)
RAISE = SetQuota("vision", {GPU: 8}, {}, {}, "7", raises=True)


def a_wall(status_hard: int, *, hard: int = 8, ours: bool = True, resource: str = GPU) -> QuotaFacts:
    return QuotaFacts("vision", "gpupool", ours, {resource: hard}, {resource: status_hard}, {}, "7", None)


class Rig:
    """GrantGate over one quota, on a clock of the test's own."""

    def __init__(self, quota: QuotaFacts | None) -> None:
        self.quota = quota
        self.clock = 100.0
        self.asked = 0
        self.gate = GrantGate(self._known, lambda: self.clock)

    def _known(self, key: ObjectKey) -> QuotaFacts | None:
        assert key == ObjectKey("vision", "gpupool")
        self.asked += 1
        return self.quota

    def tell(self, *, before: int = 0, results: Results | None = None, gpus: int = 8) -> list[RequestStatus]:
        snapshot = a_snapshot(a_pool(a_share("vision", 8)), granted("train", before, of=8))
        return self.gate.tellable([replace(STATUS, granted=gpus)], snapshot, results or Results())


@pytest.mark.parametrize(
    ("gpus", "before", "unwalled", "told"),
    [(8, 0, True, 0), (8, 4, True, 0), (8, 8, True, 1), (4, 8, True, 1), (8, 0, False, 1)],
)
def test_nothing_more_is_called_granted_than_the_wall_carries(
    gpus: int, before: int, unwalled: bool, told: int
) -> None:
    missed = replace(RAISE, namespace="vision" if unwalled else "nlp")
    found = Rig(None).tell(before=before, gpus=gpus, results=Results(refused=[missed]))
    assert len(found) == told


@pytest.mark.parametrize(
    ("quota", "told"),
    [
        (None, True),
        (a_wall(8), True),
        (a_wall(9), True),
        (a_wall(4), False),
        (a_wall(0, ours=False), True),
        (a_wall(0, resource="x.com/y"), True),
    ],
)
def test_a_grant_is_told_once_its_quota_is_in_force(quota: QuotaFacts | None, told: bool) -> None:
    assert Rig(quota).tell() == ([STATUS] if told else [])


def test_what_waits_for_long_is_told_that_it_waits() -> None:
    rig = Rig(a_wall(0))
    assert rig.tell() == []
    rig.clock += LONG - 0.1
    assert rig.tell() == []
    rig.clock += 0.2
    (status,) = rig.tell()
    assert (status.phase, status.granted, status.allowance) == (Phase.PENDING, 0, 0)
    assert (status.verdict.reason, status.granted_at) == (Reason.QUOTA_NOT_IN_FORCE, None)
    assert [(c.type, c.status) for c in status.conditions] == [("Granted", "False"), ("UnderUsed", "False")]
    assert "8 of 8 GPUs are given" in status.verdict.message
    rig.quota = a_wall(8)
    assert rig.tell() == [STATUS]
    rig.quota = a_wall(0)
    assert rig.tell() == [], "the next wait begins anew"


def test_an_increase_that_waits_keeps_what_it_had() -> None:
    rig = Rig(a_wall(4))
    rig.tell(before=4)
    rig.clock += LONG
    (status,) = rig.tell(before=4)
    assert (status.phase, status.granted, status.granted_at) == (Phase.PARTIAL, 4, NOW)


def test_the_event_of_a_grant_waits_with_it() -> None:
    rig = Rig(a_wall(0))
    notices = (
        Notice("CapacityRequest", KEY, "u", "Granted", "8 of 8"),
        Notice("CapacityRequest", Key("vision", "other"), "u", "Granted", "1 of 1"),
        Notice("GpuPool", Key("", "lab"), "u", "Ready", ""),
    )
    assert rig.gate.tellable_notices(notices) == notices
    rig.tell()
    assert rig.gate.tellable_notices(notices) == notices[1:]


async def test_a_cycle_waits_a_moment_for_the_quotas_it_has_raised() -> None:
    rig = Rig(a_wall(0))

    async def controller() -> None:
        await asyncio.sleep(3 * POLL)
        rig.quota = a_wall(8)

    acting = asyncio.create_task(controller())
    async with asyncio.timeout(30):
        await rig.gate.settle(Results(done=[RAISE]))
    await acting
    assert rig.tell() == [STATUS]


async def test_a_cycle_waits_no_longer_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(a_wall(0))

    async def sleep(seconds: float) -> None:
        rig.clock += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await rig.gate.settle(Results(done=[replace(RAISE, raises=False)], refused=[RAISE]))
    assert rig.asked == 0
    await rig.gate.settle(Results(done=[RAISE]))
    assert rig.clock == pytest.approx(100 + MOMENT, abs=2 * POLL)
