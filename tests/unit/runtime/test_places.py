"""What surrounds an endpoint: pool, mode, wall, requests and pods of its namespace, free GPUs of the pool."""

from dataclasses import replace
from typing import Any

from gpupool.model.objects import Key
from gpupool.model.pool import Mode
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.policy.membership import resolve
from gpupool.runtime.places import places
from support.builders import GPU, NOW, a_pool, a_quota, a_request, a_share, pods


def a_world(mode: Mode = Mode.ENFORCE, **pool: Any) -> World:
    group = {"group": "lab"}
    return World(
        NOW,
        pools=(a_pool(a_share("vision"), a_share("nlp"), mode=mode, **pool),),
        nodes=(
            NodeFacts("node-1", group, {GPU: 4}),
            NodeFacts("node-2", group, {GPU: 8}, schedulable=False),
            NodeFacts("node-3", group, {GPU: 8}, ready=False),
        ),
        namespaces=(
            NamespaceFacts("vision", {}, a_quota(8, 2)),
            NamespaceFacts("nlp", {}),
            NamespaceFacts("free", {}),
        ),
        pods=(*pods(2, "chat", node="node-1"), *pods(1, "x", "nlp", node=None)),
        requests=(
            a_request("chat", 4, resource=""),
            a_request("elsewhere", 4, pool="another"),
            a_request("x", 1, "nlp"),
        ),
    )


def test_a_place_holds_what_is_of_its_namespace() -> None:
    world = a_world(Mode.RECOMMEND)
    found = places(world, resolve(world), {"vision", "free"})
    assert list(found) == ["vision"], "a namespace without a pool, or without an endpoint, has none"
    place = found["vision"]
    assert place.pool is not None
    assert (place.pool.name, place.mode, place.quota) == ("lab", Mode.RECOMMEND, world.namespaces[0].quota)
    assert list(place.booked.registers) == [GPU]
    assert [r.key.name for r in place.booked.registers[GPU].all] == ["chat"]
    assert place.booked.held == {Key("vision", "chat"): 2}
    assert place.free == {GPU: 2}, "of nodes that take pods"


def test_places_of_one_pool_share_what_is_free() -> None:
    world = a_world()
    found = places(world, resolve(world), {"vision", "nlp"})
    assert found["vision"].free is found["nlp"].free


def test_what_may_be_lent_to_a_rollout_is_known_behind_walls_alone() -> None:
    walled, open_ = a_world(reserve=1), a_world(Mode.RECOMMEND, reserve=1)
    assert places(open_, resolve(open_), {"vision"})["vision"].spare == {}
    # One node works, and more is committed than it has.
    assert places(walled, resolve(walled), {"vision"})["vision"].spare == {GPU: 0}
    small = replace(
        walled, namespaces=(replace(walled.namespaces[0], quota=a_quota(2, 2)), *walled.namespaces[1:])
    )
    assert places(small, resolve(small), {"vision"})["vision"].spare == {GPU: 2}


def test_a_pool_that_says_what_it_will_have_gets_nodes_as_they_are_needed() -> None:
    world = replace(a_world(declared={GPU: 64}))
    assert places(world, resolve(world), {"vision"})["vision"].free is None
