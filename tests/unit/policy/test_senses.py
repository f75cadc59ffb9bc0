"""Nothing is given while it is not known what is there, nothing taken while it is not known who wants it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from gpupool.model import recording
from gpupool.model.objects import Key
from gpupool.model.plan import Action, DropQuota, Evict, Plan, SetQuota, Status
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.senses import Senses, Unread
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.planner import make_plan
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from gpupool.telemetry import catalog
from gpupool.telemetry.poolseries import pool_series
from support.builders import (
    DAY,
    GPU,
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    condition_of,
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    sampled,
    status_of,
)

KEY = Key("vision", "train")
ODD = Unread("pods", "odd", "vision")
COUNTED = [
    Senses(unheard=("pods",)),
    Senses(unheard=("nodes", "policies")),
    Senses(unheard=("resourcequotas",)),
    Senses(unread=(ODD,)),
]
WANTED = [
    Senses(unheard=("capacityrequests",)),
    Senses(unheard=("events",)),
    Senses(unheard=("replicasets",)),
]
IRRELEVANT = Senses(unheard=("daemonsets", "validatingadmissionpolicies"))


def names(found: Iterable[Senses]) -> list[str]:
    return [" ".join((*s.unheard, *map(str, s.unread))) for s in found]


counted = pytest.mark.parametrize("senses", COUNTED, ids=names(COUNTED))
wanted = pytest.mark.parametrize("senses", [*COUNTED, *WANTED], ids=names([*COUNTED, *WANTED]))


def raises(actions: Iterable[Action]) -> list[Action]:
    return [a for a in actions if isinstance(a, DropQuota) or (isinstance(a, SetQuota) and a.raises)]


# ------------------------------------------------------------------ giving


def asking(senses: Senses, **more: Any) -> Snapshot:
    more.setdefault("quotas", {"vision": a_quota(0)})
    return a_snapshot(a_pool(a_share("vision", 8)), a_request("train", 4), senses=senses, **more)


@counted
def test_nothing_is_granted_while_it_is_not_known_what_is_there(senses: Senses) -> None:
    found = make_plan(asking(senses))
    assert (grants(found), quotas_of(found)) == ({"train": 0}, {})
    verdict = status_of(found, "train").verdict
    assert verdict.reason == ("NotRead" if senses.unread else "NotHeard")
    assert "Nothing is granted meanwhile; position 1 in the queue of share vision." in verdict.message
    ready = condition_of(found, "Ready")
    assert (ready.status, ready.reason) == (Status.FALSE, verdict.reason)
    assert ready.message.endswith("Nothing is granted, lent or evicted meanwhile.")


def test_who_is_not_heard_and_what_cannot_be_read_is_named() -> None:
    silent = condition_of(make_plan(asking(Senses(unheard=("events", "nodes", "pods")))), "Ready")
    assert "has told nothing about events, nodes, pods for minutes" in silent.message
    odd = condition_of(make_plan(asking(Senses(unread=(ODD, Unread("nodes", "n1"))))), "Ready")
    assert "not known: pods vision/odd, nodes n1." in odd.message


@pytest.mark.parametrize("senses", [*WANTED, IRRELEVANT], ids=names([*WANTED, IRRELEVANT]))
def test_giving_does_not_wait_for_what_it_does_not_count(senses: Senses) -> None:
    found = make_plan(asking(senses))
    assert grants(found) == {"train": 4}
    told = condition_of(found, "Ready")
    assert told.reason == ("Ready" if senses is IRRELEVANT else "NotHeard")
    assert told.message.endswith(" Nothing is lent or evicted meanwhile.") is (senses is not IRRELEVANT)


@counted
def test_a_request_that_never_fits_is_told_so_all_the_same(senses: Senses) -> None:
    asked = asking(senses, nodes=nodes(2))
    found = make_plan(replace(asked, requests=(a_request("train", 9),)))
    assert status_of(found, "train").verdict.reason == "AboveGuarantee"


@counted
def test_a_first_wall_waits_and_one_that_stands_is_not_dropped(senses: Senses) -> None:
    running = pods(4, "train")
    first = asking(senses, quotas={}, pods=running)
    assert raises(make_plan(replace(first, senses=Senses())).actions)
    assert raises(make_plan(first).actions) == []
    stays = asking(senses)
    share = replace(a_share("vision", 8), mode=Mode.OBSERVE)
    stays = replace(stays, pool=replace(stays.pool, shares=(share,)))
    assert raises(make_plan(replace(stays, senses=Senses())).actions)
    assert raises(make_plan(stays).actions) == []


@counted
def test_going_back_to_observe_does_not_wait(senses: Senses) -> None:
    pool = a_pool(a_share("vision", 8), mode=Mode.OBSERVE)
    found = make_plan(a_snapshot(pool, quotas={"vision": a_quota(4)}, senses=senses))
    assert len(raises(found.actions)) == 1


# ------------------------------------------------------------------ taking


def under_used(senses: Senses, timer: Any = None) -> Snapshot:
    running = pods(4, "train")
    return a_snapshot(
        a_pool(a_share("vision", 16)),
        granted("train", 16, timer=timer),
        nodes=nodes(4),
        pods=running,
        usage=sampled(running, peaks={KEY: 4}),
        quotas={"vision": a_quota(16, 4, timers={} if timer is None else {"train": timer})},
        senses=senses,
    )


@wanted
def test_nothing_is_lent_while_it_is_not_known_who_wants_it(senses: Senses) -> None:
    assert status_of(make_plan(under_used(senses)), "train").timer is None
    due = a_timer(Stage.WARNED, NOW - NOW, target=5)
    assert status_of(make_plan(under_used(Senses(), due)), "train").allowance == 5
    found = make_plan(under_used(senses, due))
    status = status_of(found, "train")
    assert (status.allowance, status.timer and status.timer.deadline) == (16, NOW + HOUR)
    told = condition_of(found, "UnderUsed", "train")
    assert (told.status, told.reason) == (Status.UNKNOWN, "NotRead" if senses.unread else "NotHeard")


@counted
def test_what_was_lent_comes_back_by_itself_once_pods_are_heard_of(senses: Senses) -> None:
    timer = a_timer(Stage.LENT, DAY, target=5, granted=16)
    pool = a_pool(a_share("vision", 16), reclaim={"mode": Mode.RECOMMEND})
    snapshot = a_snapshot(
        pool,
        granted("train", 16, allowance=5, timer=timer),
        nodes=nodes(4),
        quotas={"vision": a_quota(5, timers={"train": timer})},
        senses=senses,
    )
    assert status_of(make_plan(replace(snapshot, senses=Senses())), "train").allowance == 16
    assert status_of(make_plan(snapshot), "train").allowance == 5


def recalled(senses: Senses, timer: Any) -> Plan:
    """An owner asks for all eight GPUs that a borrower runs on."""
    borrower = granted("batch", 8, "nlp", preemptible=True, min_gpus=1, timer=timer)
    timers = {} if timer is None else {"batch": timer}
    hard = 8 if timer is None else 0
    return make_plan(
        a_snapshot(
            a_pool(a_share("vision", 8), a_share("nlp")),
            a_request("train", 8),
            borrower,
            pods=pods(8, "batch", "nlp"),
            quotas={"vision": a_quota(0), "nlp": a_quota(hard, 8, timers=timers)},
            senses=senses,
        )
    )


@wanted
def test_nobody_is_evicted_or_asked_to_return_for_what_may_be_long_gone(senses: Senses) -> None:
    due = a_timer(Stage.RECALLING, -MINUTE, target=0)
    assert sum(isinstance(a, Evict) for a in recalled(Senses(), due).actions) == 8
    assert not any(isinstance(a, Evict) for a in recalled(senses, due).actions)
    timer = status_of(recalled(senses, due), "batch").timer
    assert timer is not None, "the recall stands, and goes on when the mirrors are heard"
    assert status_of(recalled(Senses(), None), "batch").timer is not None
    assert status_of(recalled(senses, None), "batch").timer is None


# ------------------------------------------------------------------ whom it concerns


@pytest.mark.parametrize(
    ("odd", "concerns"),
    [
        (Unread("pods", "a", "vision"), True),
        (Unread("pods", "a", "elsewhere", "node-1"), True),
        (Unread("pods", "a", "elsewhere", "other-node"), False),
        (Unread("resourcequotas", "q", "vision"), True),
        (Unread("resourcequotas", "q", "elsewhere"), False),
        (Unread("nodes", "n"), True),
    ],
    ids=str,
)
def test_what_cannot_be_read_concerns_the_pool_that_it_is_in(odd: Unread, *, concerns: bool) -> None:
    pool = a_pool(a_share("vision", 8), mode=Mode.OBSERVE)
    world = World(
        NOW,
        pools=(pool,),
        nodes=(NodeFacts("node-1", {"group": "lab"}, {GPU: 8}),),
        namespaces=(NamespaceFacts("vision", {}), NamespaceFacts("elsewhere", {})),
        senses=Senses(unheard=("events",), unread=(odd,)),
    )
    found = view(world, resolve(world), pool, uninterrupted_since=NOW).senses
    assert found == Senses(unheard=("events",), unread=(odd,) if concerns else ())


# ------------------------------------------------------------------ what is kept of it


@pytest.mark.parametrize(
    ("senses", "known"),
    [
        (Senses(), True),
        (Senses(unheard=("resourcequotas",), unread=(Unread("nodes", "n1"),)), True),
        (Senses(unheard=("pods",)), False),
        (Senses(unread=(ODD,)), False),
    ],
)
def test_use_is_recorded_only_while_pods_are_known(senses: Senses, *, known: bool) -> None:
    snapshot = under_used(senses)
    series = pool_series(make_plan(snapshot), snapshot)
    assert (catalog.USED in series, catalog.POD in series) == (known, known)
    assert catalog.REQUEST_GRANTED in series


@wanted
def test_what_was_not_known_is_recorded_with_the_snapshot(senses: Senses) -> None:
    snapshot = under_used(senses)
    again = recording.read(recording.write(snapshot))
    assert again == snapshot
    assert make_plan(again) == make_plan(snapshot)
