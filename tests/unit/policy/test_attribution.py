"""Which request a pod is booked on: label, reference, selector, the only request, nobody."""

import pytest

from gpupool.model.objects import Demand, Key, ObjectRef, Pod, Request
from gpupool.model.selector import Expression, Operator, Selector
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.policy.attribution import REQUEST_LABEL, attribute
from support.builders import (
    GPU,
    HOUR,
    NOW,
    a_pool,
    a_request,
    a_share,
    a_snapshot,
    condition_of,
    granted,
    pods,
    status_of,
)

MIG = "nvidia.com/mig-1g.10gb"
JOB = ObjectRef("batch/v1", "Job", "fit")


def snapshot(*requests: Request, found: tuple[Pod, ...] = ()) -> Snapshot:
    return a_snapshot(a_pool(a_share("vision", 8), resources=(GPU, MIG)), *requests, pods=found)


BY_LABEL = a_request("labelled", 1, selector=Selector((("app", "nothing"),)))
BY_REF = a_request("referred", 1, ref=JOB)
BY_POD = a_request("bare", 1, ref=ObjectRef("v1", "Pod", "pod-0"))
BY_SELECTOR = a_request("selected", 1, selector=Selector((("app", "fit"),)))


@pytest.mark.parametrize(
    ("requests", "labels", "owner", "name"),
    [
        ((BY_LABEL, BY_REF, BY_SELECTOR), {REQUEST_LABEL: "labelled", "app": "fit"}, JOB, "labelled"),
        ((BY_LABEL, BY_REF, BY_SELECTOR), {REQUEST_LABEL: "unknown", "app": "fit"}, JOB, "referred"),
        ((BY_LABEL, BY_SELECTOR), {"app": "fit"}, JOB, "selected"),
        ((BY_LABEL,), {"app": "other"}, None, "labelled"),
        ((BY_POD, BY_SELECTOR), {"app": "fit"}, None, "bare"),
        ((BY_POD, BY_SELECTOR), {"app": "other"}, JOB, None),
        ((BY_LABEL, BY_REF), {"app": "other"}, None, None),
        ((), {}, None, None),
    ],
    ids=[
        "label",
        "label of no request",
        "selector",
        "only request",
        "the pod itself",
        "a pod of a controller is not itself",
        "none of two",
        "no request",
    ],
)
def test_the_strongest_rule_wins(
    requests: tuple[Request, ...], labels: dict[str, str], owner: ObjectRef | None, name: str | None
) -> None:
    books = attribute(snapshot(*requests, found=pods(1, labels=labels, owner=owner)))
    assert [k.name for k in books.pods] == ([] if name is None else [name])
    assert len(books.of(Key("vision", ""))) == (1 if name is None else 0)


def test_two_selectors_that_match_book_on_the_older_and_both_say_so() -> None:
    older = granted("older", 2, selector=Selector((("app", "fit"),)), created=NOW - 3 * HOUR)
    newer = granted("newer", 2, selector=Selector((("app", "fit"),)), created=NOW - HOUR)
    decided = make_plan(snapshot(newer, older, found=pods(2, "fit")))
    assert (status_of(decided, "older").held, status_of(decided, "newer").held) == (2, 0)
    assert "newer" in condition_of(decided, "Overlap", "older").message
    assert "older" in condition_of(decided, "Overlap", "newer").message


def test_a_selector_of_expressions_alone_is_tried_too() -> None:
    wide = a_request("wide", 1, selector=Selector((), (Expression("app", Operator.EXISTS),)))
    books = attribute(snapshot(wide, BY_LABEL, found=pods(1, "fit")))
    assert [k.name for k in books.pods] == ["wide"]


def test_a_request_without_any_workload_answers_only_where_it_is_alone() -> None:
    bare = a_request("bare", 1, selector=None)
    assert attribute(snapshot(bare, BY_LABEL, found=pods(1, "fit"))).pods == {}
    assert [k.name for k in attribute(snapshot(bare, found=pods(1, "fit"))).pods] == ["bare"]


def test_a_request_for_another_resource_claims_no_pod() -> None:
    other = a_request("slices", 1, resource=MIG, selector=Selector((("app", "fit"),)))
    books = attribute(snapshot(other, found=pods(1, "fit")))
    assert books.pods == {}


def test_the_only_request_for_a_resource_answers_for_its_pods() -> None:
    whole = a_request("whole", 1, selector=Selector((("app", "x"),)))
    slices = a_request("slices", 1, resource=MIG, selector=Selector((("app", "y"),)))
    books = attribute(snapshot(whole, slices, found=pods(1, resource=MIG)))
    assert [k.name for k in books.pods] == ["slices"]


def test_refused_demand_is_booked_like_pods_and_tells_the_size_of_a_pod() -> None:
    wanted = Demand("vision", JOB, {}, GPU, gpus=8, gpus_per_pod=4)
    unclaimed = Demand("vision", ObjectRef("batch/v1", "Job", "x"), {}, GPU, gpus=2, gpus_per_pod=2)
    found = snapshot(BY_REF, BY_SELECTOR)
    books = attribute(a_snapshot(found.pool, *found.requests, demands=(wanted, unclaimed)))
    assert books.demand == {BY_REF.key: 8}
    assert books.pod_size == {BY_REF.key: 4}
