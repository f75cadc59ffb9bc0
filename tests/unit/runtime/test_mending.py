"""What others changed: noticed whatever way it went, told once, set back at once, and slowly in a fight."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpupool.model.objects import Namespace, Node, Quota
from gpupool.model.plan import Action, LabelNamespace, MarkNode, SetPolicies, SetQuota
from gpupool.model.snapshot import Snapshot
from gpupool.runtime.mending import LONGEST, WINDOW, Mending
from support.builders import GPU, NOW, a_pool

POOL = a_pool()
TAINT = f"gpupool.dev/pool={POOL.name}:NoSchedule"
NODE = Node("n1", {GPU: 8}, pool_label=POOL.name, taints=(TAINT,))
QUOTA = Quota({GPU: 4}, {GPU: 4}, {})
SPACE = Namespace("team", "vision", pool_label=POOL.name, quota=QUOTA)
MARK = MarkNode("n1", POOL.name, taint=True)
LABEL = LabelNamespace("team", POOL.name)
WALL = SetQuota("team", {GPU: 4}, {}, {}, "7", raises=False)
POLICIES = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=False)


class Clock:
    """Seconds as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def world(node: Node = NODE, space: Namespace = SPACE) -> Snapshot:
    return Snapshot(now=NOW, uninterrupted_since=NOW, pool=POOL, nodes=(node,), namespaces=(space,))


def turn(mending: Mending, snapshot: Snapshot, *actions: Action) -> list[str]:
    """One cycle in which everything that may be done is done; returns what is told."""
    done = mending.sift(snapshot, actions)
    return [n.message for n in mending.done(POOL, done, ())]


CHANGES = [
    (world(replace(NODE, pool_label=None)), MARK, "label of node n1"),
    (world(replace(NODE, pool_label="other")), MARK, "label of node n1"),
    (world(replace(NODE, taints=())), MARK, "taint of node n1"),
    (world(space=replace(SPACE, pool_label=None)), LABEL, "label of namespace team"),
    (world(space=replace(SPACE, quota=None)), WALL, "quota of namespace team"),
    (world(space=replace(SPACE, quota=Quota({GPU: 8}, {GPU: 8}, {}))), WALL, "quota of namespace team"),
    (world(space=replace(SPACE, quota=replace(QUOTA, labelled=False))), WALL, "quota of namespace team"),
]


@pytest.mark.parametrize(("found", "action", "what"), CHANGES)
def test_a_change_by_somebody_else_is_told_when_it_was_set_back(
    found: Snapshot, action: Action, what: str
) -> None:
    mending = Mending(Clock())
    assert turn(mending, world()) == []
    assert turn(mending, found, action) == [f"Somebody else changed the {what}: it was set back."]
    assert turn(mending, world()) == []


def test_a_wall_that_goes_over_to_a_pool_made_anew_is_no_repair() -> None:
    mending = Mending(Clock())
    before = world(space=replace(SPACE, quota=replace(QUOTA, owners=("uid-of-the-pool-before",))))
    assert turn(mending, before, WALL) == []
    assert turn(mending, before, WALL) == []


def test_what_is_written_for_the_first_time_is_no_repair() -> None:
    mending = Mending(Clock())
    bare = world(Node("n1", {GPU: 8}), Namespace("team", "vision"))
    assert turn(mending, bare, MARK, LABEL, WALL) == []
    assert turn(mending, world()) == []


def test_what_was_undone_right_after_it_was_written_is_a_repair() -> None:
    mending = Mending(Clock())
    bare = world(Node("n1", {GPU: 8}))
    assert turn(mending, bare, MARK) == []
    assert len(turn(mending, bare, MARK)) == 2, "the label and the taint"


def test_what_we_take_back_or_decide_anew_is_no_repair() -> None:
    mending = Mending(Clock())
    turn(mending, world())
    gone = world(replace(NODE, pool_label=None, taints=()), replace(SPACE, pool_label=None, quota=None))
    assert turn(mending, world(), MarkNode("n1", None, taint=False), LabelNamespace("team", None)) == []
    assert turn(mending, gone) == []
    assert turn(mending, gone, MARK, LABEL) == []
    assert turn(mending, world(), replace(WALL, hard={GPU: 2})) == []


def test_a_change_that_can_only_be_set_back_later_is_still_told() -> None:
    mending = Mending(Clock())
    turn(mending, world())
    unlabelled = world(space=replace(SPACE, pool_label=None))
    stolen = world(space=replace(SPACE, pool_label="nobody"))
    assert turn(mending, stolen) == []
    assert turn(mending, unlabelled) == []
    assert len(turn(mending, unlabelled, LABEL)) == 1


def test_a_repair_that_failed_is_told_once_when_it_succeeds() -> None:
    mending = Mending(Clock())
    turn(mending, world())
    found = world(space=replace(SPACE, pool_label=None))
    for _ in range(5):
        mending.sift(found, [LABEL])
        assert mending.done(POOL, [], ()) == ()
    (said,) = turn(mending, found, LABEL)
    assert said == "Somebody else changed the label of namespace team: it was set back."
    assert mending.contested() == ()


def fought(found: Snapshot, action: Action) -> tuple[Mending, Clock, list[str]]:
    """Three rewrites in a row."""
    clock = Clock()
    mending, told = Mending(clock), []
    for _ in range(3):
        clock.now += 30
        turn(mending, world())
        told += turn(mending, found, action)
    return mending, clock, told


def test_the_third_rewrite_is_a_fight_and_labels_are_set_back_more_slowly() -> None:
    found = world(space=replace(SPACE, pool_label=None))
    mending, clock, told = fought(found, LABEL)
    endings = [t.rpartition(" was set back")[2] for t in told]
    assert endings == [".", " for the second time within ten minutes."], "the third waits"
    assert mending.contested() == ("label of namespace team",)
    assert mending.sift(found, [LABEL]) == ()
    clock.now += LONGEST
    (said,) = turn(mending, found, LABEL)
    assert said.endswith("it is rewritten again and again, and is set back, more slowly from now on.")
    clock.now += WINDOW
    assert mending.contested() == ()


def test_a_wall_never_waits() -> None:
    _, _, told = fought(world(space=replace(SPACE, quota=None)), WALL)
    assert len(told) == 3


def test_a_contested_taint_is_left_alone_and_the_label_is_not() -> None:
    found = world(replace(NODE, taints=()))
    mending, clock, _ = fought(found, MARK)
    assert mending.sift(found, [MARK]) == ()
    bare = world(replace(NODE, pool_label=None, taints=()))
    assert mending.sift(bare, [MARK]) == (replace(MARK, taint=False),)
    clock.now += WINDOW
    assert mending.sift(found, [MARK]) == (MARK,)


def test_policies_that_were_written_back_are_told_and_wait_in_a_fight() -> None:
    clock = Clock()
    mending = Mending(clock)
    target = ("ValidatingAdmissionPolicyBinding", "lab")
    for _ in range(3):
        assert mending.sift(world(), [POLICIES]) == (POLICIES,)
        assert len(mending.done(POOL, [POLICIES], [target])) == 1
    assert mending.sift(world(), [POLICIES]) == ()
    assert mending.contested() == ("ValidatingAdmissionPolicyBinding lab",)
    clock.now += LONGEST
    assert mending.sift(world(), [POLICIES]) == (POLICIES,)
