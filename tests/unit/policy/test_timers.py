"""What stands on a quota of ten thousand requests: it can be written, and nothing is taken earlier."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.applier import bodies
from gpupool.model.annotations import TIMERS, timer_size, write_timers
from gpupool.model.objects import Quota, Request, Timer
from gpupool.model.plan import SetQuota
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.policy import ledger
from gpupool.policy.attribution import attribute
from gpupool.policy.desk import Desk
from gpupool.policy.rebuilding import claims
from gpupool.policy.territory import territory_of
from gpupool.policy.timers import ROOM, Kept, kept
from support.builders import (
    GPU,
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    nodes,
    sampled,
)

MANY = 10_000
SERVER = 256 * 1024


def asked(number: int, **more: object) -> Request:
    return granted(f"request-{number:05}", 1, **more)  # type: ignore[arg-type] # fields by name


def crowd(requests: list[Request], timers: dict[str, Timer]) -> Snapshot:
    wall = a_quota(sum(r.gpus for r in requests), timers=timers, uid="u")
    pool = a_pool(a_share("vision", 4 * MANY))
    return a_snapshot(pool, *requests, quotas={"vision": wall}, nodes=nodes(1, 4 * MANY))


def written(snapshot: Snapshot) -> SetQuota:
    return next(a for a in make_plan(snapshot).actions if isinstance(a, SetQuota))


def standing(snapshot: Snapshot) -> Kept:
    """What stands before anything is decided."""
    territory, books = territory_of(snapshot), attribute(snapshot)
    counts = ledger.build(snapshot, territory, GPU)
    return kept(snapshot, [Desk(counts, claims(snapshot, territory, books, counts))])["vision"]


def size(action: SetQuota) -> int:
    notes = bodies.quota(a_pool(), action, epoch=1)["metadata"]["annotations"]
    return sum(len(k) + len(v.encode()) for k, v in notes.items())


def after(snapshot: Snapshot, action: SetQuota) -> Snapshot:
    """The snapshot of the next cycle."""
    (space,) = snapshot.namespaces
    quota = replace(space.quota or Quota({}, {}, {}), timers=action.timers, left_out=action.left_out)
    return replace(snapshot, namespaces=(replace(space, quota=quota),))


def test_the_size_of_a_timer_is_what_it_takes_of_the_text() -> None:
    rows = {"a": a_timer(Stage.WARNED, HOUR, workload="app=ü"), "bb": a_timer(Stage.LENT, HOUR, granted=3)}
    assert sum(timer_size(n, t) for n, t in rows.items()) + 1 == len(write_timers(rows).encode())


def test_ten_thousand_notices_that_deleted_requests_left_behind_are_kept_by_their_deadline() -> None:
    late = {f"gone-{i:05}": a_timer(Stage.LENT, i * MINUTE, granted=1, target=0) for i in range(MANY)}
    live = {"request-00000": a_timer(Stage.WARNED, HOUR, target=0)}
    snapshot = crowd([asked(0)], late | live)
    action = written(snapshot)
    assert size(action) < SERVER
    assert action.left_out == 0, "no live request's"
    assert {"request-00000", f"gone-{MANY - 1:05}"} <= action.timers.keys()
    assert "gone-00000" not in action.timers
    kept = sorted(n for n in action.timers if n.startswith("gone"))
    assert kept == sorted(late)[-len(kept) :], "the newest deadlines"
    assert ROOM - 1000 < sum(timer_size(n, t) for n, t in action.timers.items()) <= ROOM
    assert not [a for a in make_plan(after(snapshot, action)).actions if isinstance(a, SetQuota)]


def test_notices_to_ten_thousand_live_requests_can_be_written_and_the_older_keep_their_place() -> None:
    requests = [granted(f"request-{i:05}", 4) for i in range(MANY)]
    unused = sampled((), peaks={r.key: 0 for r in requests})
    snapshot = replace(crowd(requests, {}), usage=unused)
    first = written(snapshot)
    assert size(first) < SERVER
    assert 0 < len(first.timers) == MANY - first.left_out
    assert {t.stage for t in first.timers.values()} == {Stage.WARNED}
    later = replace(after(snapshot, first), now=NOW + MINUTE)
    again = make_plan(later)
    now_on = {a.namespace: a.timers for a in again.actions if isinstance(a, SetQuota)}
    assert now_on.get("vision", first.timers) == first.timers, "nobody is pushed out, no deadline moves"
    unwritten = [s for s in again.requests if s.key.name not in first.timers]
    assert all(s.timer is not None and s.timer.deadline is not None for s in unwritten)
    assert min(s.timer.deadline for s in unwritten if s.timer and s.timer.deadline) > min(
        t.deadline for t in first.timers.values() if t.deadline
    ), "a notice that found no room begins anew"
    assert all(s.allowance == 4 for s in again.requests)


@pytest.mark.parametrize("stage", [Stage.WARNED, Stage.RECALLING])
def test_what_is_lent_out_has_its_place_before_notices(stage: Stage) -> None:
    lent = a_timer(Stage.LENT, -MINUTE, granted=1, target=0)
    older = a_timer(stage, HOUR, target=0, since=NOW - timedelta(days=3))
    requests = [asked(i) for i in range(MANY)]
    requests[-1] = asked(MANY - 1, timer=lent, allowance=0)
    timers = {r.key.name: older for r in requests[:-1]} | {requests[-1].key.name: lent}
    assert requests[-1].key.name in standing(crowd(requests, timers)).rows


def test_a_lending_that_found_no_room_leaves_its_owners_claim_and_cuts_no_sibling() -> None:
    lent = a_timer(Stage.LENT, -MINUTE, granted=4, target=1, since=NOW - HOUR)
    owner, sibling = granted("a-owner", 4, allowance=1, timer=lent), granted("b-sibling", 4)
    wall = a_quota(5, left_out=1, uid="u")
    plan = make_plan(a_snapshot(a_pool(a_share("vision", 8)), owner, sibling, quotas={"vision": wall}))
    found = {s.key.name: (s.granted, s.allowance) for s in plan.requests}
    assert found["a-owner"][0] == 4, "lending is not losing"
    assert found["b-sibling"] == (4, 4)


def test_the_quota_says_how_many_found_no_room() -> None:
    action = SetQuota("vision", {GPU: 1}, {}, {}, "7", raises=False, left_out=3)
    notes = bodies.quota(a_pool(), action, epoch=1)["metadata"]["annotations"]
    assert notes["gpupool.dev/timers-left-out"] == "3"
    assert TIMERS not in notes
