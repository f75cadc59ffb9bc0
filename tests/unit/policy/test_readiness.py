"""The gate of Enforce: who waits, which layers wait, what opens it, and what never closes it again."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.enforcement import Enforcement, Replay
from gpupool.model.pool import Mode, Pool
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.policy.isolation import policies_of
from gpupool.policy.readiness import hold, rehearsed, waiting
from support.builders import a_pool, a_quota, a_share, a_snapshot, condition_of, nodes, pods

GOOD = Replay("vision", "Deployment/serve", "")
BAD = Replay("vision", "Deployment/train", "spec.tolerations has an entry without a key")
NEW = Replay("vision", "Job/once")
OTHERS = Replay("nlp", "Deployment/chat", "no")
POOL = a_pool(a_share("vision", 8), a_share("nlp"))
BARE = nodes(1, pool_label=None, taints=())


def seen(*replays: Replay, pool: Pool = POOL, **more: Any) -> Snapshot:
    facts = {k: more.pop(k) for k in ("bound", "mutate") if k in more}
    enforcement = Enforcement(replays=replays, **facts)
    return a_snapshot(pool, **{"nodes": BARE, "enforcement": enforcement} | more)


def waits(snapshot: Snapshot) -> list[str]:
    return [s.team for s in waiting(hold(snapshot).pool)]


@pytest.mark.parametrize("replays", [(), (GOOD,), (GOOD, replace(GOOD, owner="Job/b"))])
def test_nobody_waits_where_nothing_runs_or_everything_would_be_let_in(replays: tuple[Replay, ...]) -> None:
    snapshot = seen(*replays)
    assert hold(snapshot) == snapshot


@pytest.mark.parametrize(
    "replays", [(GOOD, BAD), (NEW,), (OTHERS,)], ids=["denied", "unknown", "a neighbour"]
)
def test_one_template_that_is_not_let_in_keeps_every_new_share_waiting(replays: tuple[Replay, ...]) -> None:
    held = hold(seen(*replays)).pool
    assert [s.team for s in waiting(held)] == ["vision", "nlp"]
    assert (held.mode, held.isolation_mode, held.quota_mode, held.reclaim.mode) == (Mode.RECOMMEND,) * 4
    assert not held.isolates
    assert not held.walls
    assert {m(s) for s in held.shares for m in (held.isolation_for, held.quota_for, held.reclaim_for)} == {
        Mode.RECOMMEND
    }


def test_the_annotation_opens_the_gate() -> None:
    assert waits(seen(BAD, pool=replace(POOL, enforce_now=True))) == []


@pytest.mark.parametrize("pool", [replace(POOL, isolation_mode=m) for m in (Mode.OBSERVE, Mode.RECOMMEND)])
def test_where_isolation_is_not_to_be_enforced_nobody_waits(pool: Pool) -> None:
    assert waits(seen(BAD, pool=pool)) == []


def test_a_namespace_without_a_share_is_nobodys_reason_to_wait() -> None:
    assert waits(seen(replace(BAD, namespace="elsewhere"))) == []


def test_who_is_judged_already_stays_judged_whatever_templates_come() -> None:
    assert waits(seen(BAD, labels={"vision": "lab", "nlp": "lab"})) == []


def test_a_label_that_was_lost_comes_back_whatever_the_templates_say() -> None:
    walls = {"vision": a_quota(8, pool="lab"), "nlp": a_quota(0, pool="lab")}
    lost: dict[str, Any] = {"quotas": walls, "labels": {"vision": None, "nlp": None}}
    assert waits(seen(BAD, bound=True, **lost)) == []
    assert waits(seen(BAD, bound=False, **lost)) == ["vision", "nlp"]
    assert waits(seen(BAD, bound=True)) == ["vision", "nlp"], "no wall: they were never judged"


def test_a_share_that_comes_later_waits_alone() -> None:
    held = hold(seen(BAD, OTHERS, labels={"vision": "lab"}))
    assert [s.team for s in waiting(held.pool)] == ["nlp"]
    assert held.pool.isolates
    assert held.pool.mode is Mode.ENFORCE
    vision, nlp = held.pool.shares
    assert held.pool.isolation_for(vision) is Mode.ENFORCE
    assert held.pool.isolation_for(nlp) is Mode.RECOMMEND
    assert waits(seen(BAD, labels={"vision": "lab"})) == [], "of the newcomer nothing would be denied"


def test_a_wall_that_stands_already_keeps_standing_while_isolation_waits() -> None:
    walls = {"vision": a_quota(8, pool="lab"), "nlp": a_quota(0, pool="lab")}
    pool = hold(seen(BAD, quotas=walls, labels={"vision": None, "nlp": None})).pool
    assert {s.waits for s in pool.shares} == {frozenset({"isolation"})}
    assert (pool.isolation_mode, pool.quota_mode, pool.reclaim.mode) == (
        Mode.RECOMMEND,
        Mode.ENFORCE,
        Mode.ENFORCE,
    )


def test_a_layer_that_stands_lower_by_its_own_word_is_not_lifted_by_waiting() -> None:
    pool = hold(seen(BAD, pool=replace(POOL, mode=Mode.OBSERVE, quota_mode=Mode.OBSERVE))).pool
    assert (pool.mode, pool.quota_mode) == (Mode.OBSERVE, Mode.OBSERVE)
    assert {pool.quota_for(s) for s in pool.shares} == {Mode.OBSERVE}


def test_only_one_share_is_asked_to_enforce_and_it_waits() -> None:
    strict = replace(POOL.shares[0], mode=Mode.ENFORCE)
    pool = a_pool(strict, POOL.shares[1], mode=Mode.OBSERVE)
    held = hold(seen(BAD, OTHERS, pool=pool))
    assert [s.team for s in waiting(held.pool)] == ["vision"]
    assert rehearsed(held).denied == (BAD,), "who is only observed is not rehearsed"


def test_templates_are_sorted_by_what_became_of_them() -> None:
    found = rehearsed(seen(GOOD, BAD, NEW))
    assert (found.passed, found.denied, found.unknown, found.count) == ((GOOD,), (BAD,), (NEW,), 3)


# ------------------------------------------------------------------ what is done meanwhile


def actions(snapshot: Snapshot) -> list[str]:
    return [str(a) for a in make_plan(hold(snapshot)).actions]


def test_while_it_waits_people_are_warned_and_templates_are_tried_in_the_probe_namespace_alone() -> None:
    assert actions(seen(BAD, mutate=True)) == [
        "policies: enforce=False recommend=2 mutate=True rehearse=True"
    ]
    asked = policies_of(hold(seen(BAD, mutate=True)))
    assert asked.judges
    assert not asked.enforce


def test_where_nothing_injects_the_nodes_get_their_label_so_that_people_can_select_it() -> None:
    assert actions(seen(BAD)) == [
        "policies: enforce=False recommend=2 mutate=False rehearse=True",
        "mark node node-1: label lab, taint off",
    ]


# ------------------------------------------------------------------ the taint strands nobody

JUDGED: dict[str, Any] = {
    "nodes": nodes(1, taints=()),
    "labels": {"vision": "lab", "nlp": "lab"},
    "quotas": {"vision": a_quota(8, pool="lab"), "nlp": a_quota(0, pool="lab")},
    "enforcement": Enforcement(policies_current=True, probe=()),
}
TAINT = "mark node node-1: label lab, taint on"


def test_the_taint_waits_for_a_pod_that_waits_for_a_node_and_was_never_judged() -> None:
    old = pods(1, node=None)
    assert TAINT not in actions(a_snapshot(POOL, pods=old, **JUDGED))
    told = condition_of(make_plan(a_snapshot(POOL, pods=old, **JUDGED)), "Enforced").message
    assert told.endswith(
        "could never start: vision/pod-0. Delete them, so that their controllers make them anew."
    )
    judged = pods(1, node=None, selects="lab")
    assert TAINT in actions(a_snapshot(POOL, pods=judged, **JUDGED))
    assert TAINT in actions(a_snapshot(POOL, pods=pods(1), **JUDGED)), "what runs keeps running"


def test_a_taint_that_stands_is_not_taken_away_for_it() -> None:
    tainted = JUDGED | {"nodes": nodes()}
    assert actions(a_snapshot(POOL, pods=pods(1, node=None), **tainted)) == actions(
        a_snapshot(POOL, **tainted)
    )


def test_the_taint_waits_until_the_namespaces_are_judged() -> None:
    late = JUDGED | {"labels": {"vision": "lab", "nlp": None}}
    assert TAINT not in actions(a_snapshot(POOL, **late))
    elsewhere = JUDGED | {"labels": {"vision": "lab", "nlp": "another"}}
    assert TAINT in actions(a_snapshot(POOL, **elsewhere))
