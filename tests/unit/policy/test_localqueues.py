"""Kueue's queues in a pool's namespaces: named, never edited; their shares are not enforced beside them."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.marks import POOL_LABEL
from gpupool.model.plan import Plan, SetQuota
from gpupool.model.pool import Mode, Pool
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import NamespaceFacts, World
from gpupool.planner.planner import make_plan
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import DAY, NOW, a_pool, a_quota, a_request, a_share, condition_of, grants

SHARES = (replace(a_share("vision", 8), namespaces=("vision", "vision-2")), a_share("nlp", 4))
POOL = a_pool(*SHARES)


def seen(pool: Pool = POOL, **vision: Any) -> Snapshot:
    """Vision's first namespace has a queue."""
    names = ("vision-2", "nlp", "nobody")
    namespaces = (
        NamespaceFacts("vision", vision.pop("labels", {}), queues=("jobs",), **vision),
        *(NamespaceFacts(n, {}) for n in names),
    )
    requests = (a_request("train", 4), a_request("serve", 4, "nlp"))
    world = World(now=NOW, pools=(pool,), namespaces=namespaces, requests=requests)
    return view(world, resolve(world), pool, uninterrupted_since=NOW - DAY)


def walls(found: Plan) -> set[str]:
    return {a.namespace for a in found.actions if isinstance(a, SetQuota)}


def test_a_share_with_a_queue_stays_in_observe_and_is_decided_alike() -> None:
    pool = replace(POOL, declared={"nvidia.com/gpu": 16})
    found = make_plan(seen(pool))
    assert walls(found) == {"nlp"}
    assert grants(found) == {"train": 4, "serve": 4}
    told = condition_of(found, "Conflict")
    assert (told.status, told.reason) == ("True", "LocalQueue")
    assert "vision/jobs" in told.message
    assert found.status is not None
    assert [(r.kind, r.namespace, r.name) for r in found.status.foreign] == [("LocalQueue", "vision", "jobs")]


@pytest.mark.parametrize(
    "marks", [{"quota": a_quota(4)}, {"labels": {POOL_LABEL: "lab"}}], ids=["its wall", "its label"]
)
def test_a_queue_made_later_is_no_way_out_of_a_wall(marks: dict[str, Any]) -> None:
    found = make_plan(seen(replace(POOL, declared={"nvidia.com/gpu": 16}), **marks))
    assert walls(found) | {"vision"} == {"vision", "vision-2", "nlp"}
    assert condition_of(found, "Conflict").reason == "LocalQueue"


def unlisted(pool: Pool, *namespaces: NamespaceFacts) -> Snapshot:
    """Nobody can say which queues there are."""
    requests = (a_request("train", 4), a_request("serve", 4, "nlp"))
    pool = replace(pool, declared={"nvidia.com/gpu": 16})
    world = World(
        now=NOW, pools=(pool,), namespaces=namespaces, requests=requests, queues_known=False, nodes=()
    )
    return view(world, resolve(world), pool, uninterrupted_since=NOW - DAY)


@pytest.mark.parametrize(
    "marks", [{"quota": a_quota(4)}, {"labels": {POOL_LABEL: "lab"}}], ids=["its wall", "its label"]
)
def test_where_queues_cannot_be_listed_nobody_enters_enforce_and_nobody_leaves_it(
    marks: dict[str, Any],
) -> None:
    vision = NamespaceFacts("vision", marks.pop("labels", {}), **marks)
    found = make_plan(unlisted(POOL, vision, NamespaceFacts("vision-2", {}), NamespaceFacts("nlp", {})))
    assert walls(found) | {"vision"} == {"vision", "vision-2"}
    assert grants(found) == {"train": 4, "serve": 4}
    told = condition_of(found, "Conflict")
    assert (told.status, told.reason) == ("True", "LocalQueuesUnknown")
    assert told.message.endswith(
        "kubectl get localqueues.kueue.x-k8s.io -A` answers, also to the operator: nlp."
    )


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_who_does_not_ask_for_enforce_has_nothing_to_wait_for(mode: Mode) -> None:
    pool = a_pool(*SHARES, mode=mode)
    found = unlisted(pool, *(NamespaceFacts(n, {}) for n in ("vision", "vision-2", "nlp")))
    assert (found.pool.shares, found.unsure) == (pool.shares, ())
    assert condition_of(make_plan(found), "Conflict").status == "False"


def test_the_queue_of_a_namespace_without_a_share_concerns_nobody() -> None:
    namespaces = (NamespaceFacts("nobody", {}, queues=("jobs",)), NamespaceFacts("nlp", {}))
    world = World(now=NOW, pools=(POOL,), namespaces=namespaces)
    found = make_plan(view(world, resolve(world), POOL, uninterrupted_since=NOW - DAY))
    assert condition_of(found, "Conflict").status == "False"
    assert walls(found) == {"nlp"}
