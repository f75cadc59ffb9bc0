"""What an endpoint may hold: whose grant it is, what others have of it, what is free."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.objects import Key, ObjectRef, Request
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.steering import Target
from gpupool.policy.slo.grant import NOWHERE, Grant, Place, booked, free_gpus, grant, resource_of
from support.builders import GPU, MINUTE, NOW, a_pool, a_quota, a_request, a_share, a_timer, granted, pods

REF = ObjectRef("apps/v1", "Deployment", "chat")
CHAT = Target(Key("vision", "chat"), REF, 2, 2, {GPU: 1}, labels={"app": "chat"})
POOL = a_pool(a_share("vision"))
ENDING = booked([granted("chat", 4)], pods(1, "chat", terminating=True))


def place(*requests: Request, **more: Any) -> Place:
    own = booked(requests, more.pop("pods", ()))
    return Place(POOL, Mode.ENFORCE, a_quota(8, 6), own, **more)


def found(*requests: Request, named: str = "", **more: Any) -> Grant:
    answer = grant(CHAT, place(*requests, **more), named, NOW)
    assert answer is not None
    return answer


def test_without_a_pool_there_is_no_grant() -> None:
    assert grant(CHAT, NOWHERE, "", NOW) is None
    assert not NOWHERE.walled


def test_a_wall_is_the_pools_own() -> None:
    assert place().walled
    assert not replace(place(), quota=a_quota(8, pool="other")).walled
    assert not replace(place(), quota=None).walled
    assert not replace(place(), pool=None).walled


def test_the_request_that_its_pods_belong_to_grants() -> None:
    by_label, by_ref = granted("chat", 4), granted("other", 6, ref=REF)
    assert (found(by_label).request, found(by_label).gpus) == ("chat", 4)
    assert (found(by_label, by_ref).request, found(by_label, by_ref).gpus) == ("other", 6)
    assert found(by_label, by_ref, named="chat").gpus == 4
    assert found(by_label, named="missing").request == ""
    assert found(granted("a", 1), granted("b", 1)).request == ""
    assert found(granted("chat", 4, resource="amd.com/gpu")).request == ""


def test_what_is_not_decided_is_not_a_grant_of_nothing() -> None:
    answer = found(a_request("chat", 4))
    assert (answer.request, answer.gpus) == ("chat", None)


def test_what_others_hold_of_the_same_request_is_theirs() -> None:
    own, other, stray = pods(2, "chat"), pods(2, "chat-batch", labels={"app": "chat"}), pods(1, "elsewhere")
    bare = pods(1, labels={"app": "chat"})
    cpu = pods(1, "chat-cpu", labels={"app": "chat"}, resource="amd.com/gpu")
    answer = found(granted("chat", 8), granted("x", 1), pods=(*own, *other, *stray, *bare, *cpu))
    assert (answer.gpus, answer.others) == (5, 3)
    assert found(granted("chat", 2), granted("x", 1), pods=other + bare).gpus == 0


@pytest.mark.parametrize(
    ("request_", "gpus", "taken"),
    [
        (granted("chat", 8, allowance=None), 8, ""),
        (granted("chat", 8, allowance=6), 6, ""),
        (granted("chat", 8, timer=a_timer(Stage.RECALLING, MINUTE, target=4)), 8, ""),
        (granted("chat", 8, timer=a_timer(Stage.RECALLING, -MINUTE, target=4)), 4, "a recall of 4 GPUs"),
        (granted("chat", 8, timer=a_timer(Stage.RECALLING, -MINUTE)), 8, ""),
        (granted("chat", 8, allowance=5, timer=a_timer(Stage.LENT, -MINUTE)), 5, "3 GPUs are lent out"),
        (granted("chat", 8, timer=a_timer(Stage.WARNED, timedelta())), 8, ""),
        (granted("chat", 8, timer=replace(a_timer(Stage.LENT, MINUTE), deadline=None)), 8, ""),
    ],
)
def test_a_recall_and_a_lending_count_after_their_notice(request_: Request, gpus: int, taken: str) -> None:
    answer = found(request_)
    assert answer.gpus == gpus
    assert answer.taken.startswith(taken)
    assert bool(answer.taken) is bool(taken)


@pytest.mark.parametrize(
    ("change", "room"),
    [
        ({}, 2),
        ({"free": {GPU: 1}}, 1),
        ({"free": {GPU: 5}}, 2),
        ({"free": {}}, 0),
        ({"mode": Mode.OBSERVE, "free": {GPU: 5}}, 5),
        ({"mode": Mode.OBSERVE}, None),
        ({"quota": None, "free": {GPU: 5}}, 5),
        ({"quota": replace(a_quota(8), hard={})}, None),
        ({"quota": a_quota(2, 6)}, 0),
        ({"quota": a_quota(2, 2), "booked": ENDING}, 1),
        ({"spare": {GPU: 3}, "free": {GPU: 8}}, 5),
        ({"spare": {GPU: 3}, "free": {GPU: 4}}, 4),
        ({"spare": {GPU: 3}, "quota": a_quota(2, 2), "booked": booked((), ())}, 0),
    ],
)
def test_room_is_what_the_wall_leaves_on_one_node(change: dict[str, Any], room: int | None) -> None:
    answer = grant(CHAT, replace(place(granted("chat", 4)), **change), "", NOW)
    assert answer is not None
    assert answer.room == room


def test_the_pools_own_resource_is_counted() -> None:
    both = replace(CHAT, gpus={"amd.com/gpu": 2, GPU: 1})
    assert resource_of(both, POOL) == GPU
    assert resource_of(both, None) == "amd.com/gpu"


def test_free_gpus_are_those_of_the_emptiest_node() -> None:
    used = (
        *pods(3, node="a"),
        *pods(1, node="a", prefix="ends", terminating=True),
        *pods(1, node="b", prefix="x"),
        *pods(2, node=None, prefix="y"),
    )
    found_ = free_gpus([("a", {GPU: 4}), ("b", {GPU: 4}), ("c", {})], used, [GPU, "amd.com/gpu"])
    assert found_ == {GPU: 3, "amd.com/gpu": 0}
