"""Statuses are written when they differ, decisions at once, measured numbers at a pace."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from gpupool.api import statuses
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, Failure, NotFound
from gpupool.kube.resources import ObjectKey
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Plan, PoolStatus, RequestStatus, Status, Verdict
from gpupool.model.reasons import Phase, Reason
from gpupool.runtime.memo import memo
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.reading import Tracked
from gpupool.runtime.statuswriter import RENEWED, StatusWriter
from support.builders import GPU, HOUR, NOW, a_pool, a_request, a_share, a_snapshot
from support.notedwriter import NotedWriter, Write

POOL = a_pool(a_share("vision", 8))
STATUS = RequestStatus(
    key=Key("vision", "train"),
    generation=1,
    phase=Phase.GRANTED,
    pool="lab",
    resource=GPU,
    verdict=Verdict(Reason.GRANTED, "All 8 GPUs."),
    conditions=(),
    granted=8,
    allowance=8,
    busy=3,
)
EMPTY: dict[str, int] = {}
TABLE = PoolStatus(
    generation=1,
    total={GPU: 8},
    usable={GPU: 8},
    granted={GPU: 8},
    lent=EMPTY,
    held=EMPTY,
    busy={GPU: 3},
    unattributed=EMPTY,
    overcommitted=EMPTY,
    shares=(),
    queue=(),
    counts={"requests": 1},
    conditions=(),
)


@dataclass
class Known:
    """A store of tracked objects."""

    values: dict[ObjectKey, Tracked] = field(default_factory=dict)

    def get(self, key: ObjectKey) -> Tracked | None:
        return self.values.get(key)


class Rig:
    """A status writer on a clock of the test's own; what it writes is what the mirrors show next."""

    def __init__(self) -> None:
        self.clock = 1000.0
        self.requests = Known({ObjectKey("vision", "train"): Tracked(a_request("train", 8), memo({}))})
        self.pools = Known({ObjectKey("", "lab"): Tracked(POOL, memo({}))})
        self.writer = NotedWriter(on_write=self._stand)
        self.statuses = StatusWriter(cast("Writer", self.writer), self._mirror(), 15.0, lambda: self.clock)

    def _mirror(self) -> Mirror:
        holder: Any = type("Mirrors", (), {})()
        holder.requests, holder.pools = (type("One", (), {"store": s})() for s in (self.requests, self.pools))
        return cast("Mirror", holder)

    def _stand(self, write: Write) -> None:
        namespace, _, name = write.name.rpartition("/")
        store = self.requests if write.kind == "CapacityRequest" else self.pools
        key = ObjectKey(namespace, name)
        store.values[key] = replace(store.values[key], memo=memo(write.body))

    async def tell(self, status: RequestStatus = STATUS, later: float = 0.0) -> int:
        self.clock += later
        return await self.statuses.requests([status], NOW, 1)

    async def tell_pool(self, table: PoolStatus | None = TABLE) -> int:
        plan = Plan("lab", status=table)
        return await self.statuses.pool(plan, a_snapshot(POOL), 1)


async def test_a_status_is_written_once_and_not_again_while_nothing_changes() -> None:
    rig = Rig()
    assert await rig.tell() == 1
    assert await rig.tell(later=3600) == 0
    assert await rig.tell_pool() == 1
    assert await rig.tell_pool() == 0
    assert rig.writer.told == ["status CapacityRequest vision/train", "status GpuPool lab"]


async def test_what_was_written_before_a_restart_is_not_written_again() -> None:
    rig = Rig()
    await rig.tell()
    known = rig.requests.values
    rig = Rig()
    rig.requests.values = known
    assert await rig.tell() == 0


async def test_a_decision_is_written_at_once() -> None:
    rig = Rig()
    await rig.tell()
    assert await rig.tell(replace(STATUS, granted=4)) == 1
    assert rig.writer.writes[-1].body["granted"] == 4


async def test_measured_numbers_are_written_at_a_pace() -> None:
    rig = Rig()
    await rig.tell()
    assert await rig.tell(replace(STATUS, busy=4), later=14.9) == 0
    assert await rig.tell(replace(STATUS, busy=5), later=0.2) == 1
    assert await rig.tell(replace(STATUS, busy=6), later=1) == 0
    assert await rig.tell_pool() == 1
    assert await rig.tell_pool(replace(TABLE, busy={GPU: 4})) == 0


async def test_the_first_measured_number_after_a_restart_waits_for_nothing() -> None:
    rig = Rig()
    key = ObjectKey("vision", "train")
    body = statuses.request_status(STATUS, {}, NOW)
    rig.requests.values[key] = replace(rig.requests.values[key], memo=memo(body))
    assert await rig.tell(replace(STATUS, busy=4)) == 1


async def test_conditions_keep_the_times_of_what_stands() -> None:
    rig = Rig()
    told = replace(STATUS, conditions=(Condition("Granted", Status.TRUE, "Granted"),))
    await rig.tell(told)
    await rig.statuses.requests([replace(told, granted=4)], NOW + HOUR, 1)
    (condition,) = rig.writer.writes[-1].body["conditions"]
    assert condition["lastTransitionTime"] == "2030-01-07T12:00:00Z"


def queue(count: int, words: str, front: int = 0) -> list[RequestStatus]:
    """Requests that wait behind each other, with a sentence that is the same for all."""
    told = replace(STATUS, phase=Phase.QUEUED, granted=0, allowance=0, busy=None)
    verdict = Verdict(Reason.WAITING_FOR_CAPACITY, words)
    return [
        replace(told, key=Key("vision", f"q{n}"), verdict=verdict, position=n + front)
        for n in range(1, count)
    ]


async def test_new_words_for_the_same_decision_do_not_hold_up_decisions() -> None:
    rig = Rig()
    many = queue(301, "40 committed")
    rig.requests.values |= {
        ObjectKey("vision", s.key.name): Tracked(a_request(s.key.name, 8), memo({})) for s in many
    }
    assert await rig.statuses.requests(many, NOW, 1) == 300
    rig.clock += 60
    moved = queue(301, "48 committed")
    decided = replace(moved[-1], phase=Phase.GRANTED, granted=8)
    assert await rig.statuses.requests([*moved[:-1], decided], NOW, 1) == RENEWED + 1
    first, *renewed = (w.name for w in rig.writer.writes[300:])
    assert first == "vision/q300", "the decision goes first"
    assert set(renewed[:20]) == {f"vision/q{n}" for n in range(1, 21)}, "then who stands in front"
    rest = 0
    while written := await rig.statuses.requests([*moved[:-1], decided], NOW, 1):
        rest += written
        assert written <= RENEWED
    assert rest == 299 - RENEWED, "and all others in their turn, each once"


async def test_a_request_that_is_gone_is_written_nowhere() -> None:
    rig = Rig()
    assert await rig.tell(replace(STATUS, key=Key("vision", "gone"))) == 0
    rig.pools.values.clear()
    assert await rig.tell_pool() == 0
    assert await Rig().tell_pool(None) == 0
    assert rig.writer.writes == []


async def test_a_status_that_could_not_be_written_is_tried_again_in_the_next_cycle() -> None:
    rig = Rig()
    rig.writer.on_write = lambda _: None
    for error in (NotFound, Conflict):
        rig.writer.refuse["status", "vision/train"] = error("PATCH /x", Failure())
        assert await rig.tell() == 0
    rig.writer.refuse.clear()
    assert await rig.tell() == 1


async def test_a_status_that_somebody_else_changed_is_put_right() -> None:
    rig = Rig()
    await rig.tell()
    assert await rig.tell() == 0
    key = ObjectKey("vision", "train")
    rig.requests.values[key] = replace(rig.requests.values[key], memo=memo({"phase": "Refused"}))
    assert await rig.tell() == 1


async def test_nothing_is_remembered_of_requests_that_are_gone() -> None:
    rig = Rig()
    await rig.tell()
    await rig.tell()
    await rig.tell_pool()
    assert await rig.statuses.requests([], NOW, 1) == 0
    assert rig.statuses._standing == {}
    assert list(rig.statuses._written_at) == [ObjectKey("", "lab")]
