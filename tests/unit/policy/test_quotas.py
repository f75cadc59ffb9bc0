"""When a wall is written again, and what stands in the way of one."""

from dataclasses import replace

import pytest

from gpupool.model.objects import ForeignQuota, Quota
from gpupool.model.plan import SetQuota
from gpupool.planner.planner import make_plan
from support.builders import GPU, a_pool, a_quota, a_share, a_snapshot, condition_of, granted, pods

POOL = a_pool(a_share("vision", 8))
WORK = granted("work", 8)


def writes(quota: Quota) -> list[SetQuota]:
    snapshot = a_snapshot(POOL, WORK, quotas={"vision": quota}, pods=pods(8, "work"))
    return [a for a in make_plan(snapshot).actions if isinstance(a, SetQuota)]


def test_a_wall_that_stands_as_it_should_is_not_written() -> None:
    assert writes(a_quota(8, 8, uid="u")) == []


@pytest.mark.parametrize(
    "marks",
    [
        {"owners": ("uid-of-the-pool-before",)},
        {"owners": ()},
        {"labelled": False},
        {"pool": "other"},
        {"pool": "", "owners": (), "labelled": False},
    ],
    ids=["a pool made anew", "no owner", "no labels", "another pool's", "only its epoch is left"],
)
def test_a_wall_without_one_of_our_marks_is_written_with_the_numbers_it_has(marks: dict[str, object]) -> None:
    wall = replace(a_quota(8, 8, uid="u"), **marks)  # type: ignore[arg-type] # fields by name
    (write,) = writes(wall)
    assert (write.hard, write.raises, write.uid) == ({GPU: 8}, False, "u")


def test_a_wall_that_another_pool_owns_too_is_left_to_the_collector() -> None:
    assert writes(a_quota(8, 8, owners=("uid-of-the-pool-before", "uid-lab"))) == []


def test_an_owner_that_asks_for_less_is_still_counted_at_a_wall_that_lost_its_labels() -> None:
    wall = a_quota(8, 8, labelled=False, pool="", owners=())
    less, other = granted("work", 8, of=4, asked=8), granted("spare", 0, "nlp", of=4, preemptible=True)
    pool = a_pool(a_share("vision", 8), a_share("nlp", 0))
    quotas = {"vision": wall, "nlp": a_quota(0)}
    plan = make_plan(a_snapshot(pool, less, other, quotas=quotas, pods=pods(8, "work")))
    raised = [a for a in plan.actions if isinstance(a, SetQuota) and a.raises]
    assert raised == [], "eight are in use behind a wall of eight"


@pytest.mark.parametrize(
    "stranger", [ForeignQuota("gpupool", {GPU: 4}), ForeignQuota("gpupool", {}, scoped=True)]
)
def test_a_quota_that_takes_our_name_is_named_with_the_way_out(stranger: ForeignQuota) -> None:
    snapshot = a_snapshot(POOL, WORK)
    taken = tuple(replace(n, foreign=(stranger,)) for n in snapshot.namespaces)
    told = condition_of(make_plan(replace(snapshot, namespaces=taken)), "Conflict")
    assert (told.status, told.reason) == ("True", "QuotaNameTaken")
    assert told.message.startswith(
        "No wall can stand where a ResourceQuota gpupool is not ours or has scopes"
    )
    assert told.message.endswith("delete it, or make it anew under another name: vision.")


def test_a_quota_of_another_name_takes_nothing() -> None:
    snapshot = a_snapshot(POOL, WORK)
    other = tuple(replace(n, foreign=(ForeignQuota("platform", {GPU: 4}),)) for n in snapshot.namespaces)
    assert condition_of(make_plan(replace(snapshot, namespaces=other)), "Conflict").status == "False"
