"""Drafts of what runs today: who gets a share, what asks for how much, and what is told beside it."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key, Namespace, ObjectRef, Pod, Request
from gpupool.model.pool import Pool
from gpupool.model.selector import Selector
from gpupool.planner.drafting.adopt import Adoption, adopt
from gpupool.planner.drafting.draft import Draft, Hints, Workload
from support.builders import GPU, a_pool, a_request, a_share, a_snapshot, nodes, pods

MIG = "nvidia.com/mig-1g.10gb"
BARE_POOL = a_pool()
SYSTEM = Namespace("kube-system", None, system=True)


def drafted(*found: Pod, pool: Pool = BARE_POOL, hints: Hints | None = None, **more: Any) -> Adoption:
    requests: tuple[Request, ...] = more.pop("requests", ())
    return adopt(a_snapshot(pool, *requests, pods=found, **more), hints or Hints())


def only(adoption: Adoption) -> Draft:
    (draft,) = adoption.drafts
    return draft


def test_a_controller_becomes_one_request_for_all_that_its_pods_hold() -> None:
    draft = only(drafted(*pods(3, "train", gpus=2)))
    assert draft.workload == Workload("vision", GPU, ref=ObjectRef("apps/v1", "Deployment", "train"))
    assert (draft.name, draft.team, draft.gpus, draft.held, draft.pods) == ("train", "vision", 6, 6, 3)
    assert (draft.peak, draft.use, draft.contact) == (None, None, None)
    assert str(draft.workload) == "vision Deployment/train"


def test_pods_without_a_controller_are_found_by_the_label_people_use_else_by_name() -> None:
    bare = [replace(p, owner=None, direct_owner_kind="") for p in pods(2, "note")]
    lost = replace(bare[0], key=Key("vision", "lost"), labels={"color": "blue"})
    better = replace(bare[0], key=Key("vision", "b"), labels={"app": "x", "app.kubernetes.io/name": "lab"})
    found = {str(d.workload): d for d in drafted(*bare, lost, better).drafts}
    assert set(found) == {
        "vision pods with app=note",
        "vision pods with app.kubernetes.io/name=lab",
        "vision Pod/lost",
    }
    assert found["vision pods with app=note"].gpus == 2
    assert found["vision Pod/lost"].workload.ref == ObjectRef("v1", "Pod", "lost")


def test_what_waits_for_a_node_is_asked_for_and_the_peak_if_it_was_more() -> None:
    running, waiting = pods(2, "train"), pods(1, "train", prefix="late", node=None)
    draft = only(drafted(*running, *waiting, pool=a_pool(a_share("vision", 8))))
    assert (draft.gpus, draft.held) == (3, 2)
    high = Hints(peaks={("vision", "train"): 7})
    assert only(drafted(*running, hints=high)).gpus == 7
    low = Hints(peaks={("vision", "train"): 1})
    draft = only(drafted(*running, hints=low))
    assert (draft.gpus, draft.peak) == (2, 1)


@pytest.mark.parametrize(("busy", "percent"), [(100.0, 100), (58.0, 60), (0.0, 5), (2.0, 5), (52.0, 50)])
def test_measured_use_is_what_is_expected_in_steps_of_five(busy: float, percent: int) -> None:
    found = pods(2, "train")
    use = {p.key: (busy, 100.0) for p in found}
    assert only(drafted(*found, hints=Hints(use=use))).use == percent
    one_seen = {found[0].key: (busy, 100.0)}
    assert only(drafted(*found, hints=Hints(use=one_seen))).use == percent


def test_people_and_teams_are_taken_from_what_is_written_on_objects() -> None:
    found = pods(2, "train")
    hints = Hints(teams={"vision": "seeing"}, contacts={found[1].key: "#seeing"})
    adoption = drafted(*found, hints=hints)
    draft = only(adoption)
    assert (draft.team, draft.contact) == ("seeing", "#seeing")
    assert [s.team for s in adoption.shares] == ["seeing"]
    assert not any("UNKNOWN" in r for r in adoption.remarks)
    odd = drafted(*found, hints=Hints(teams={"vision": "a team, with spaces"}))
    assert only(odd).team == "vision"
    assert "1 drafts name nobody to talk to: replace UNKNOWN before you apply them." in odd.remarks


def test_what_is_asked_for_already_and_what_is_the_systems_is_left_alone() -> None:
    asked = a_request("train", 2, selector=Selector((("app", "train"),)))
    other = a_request("other", 1)
    pool = a_pool(a_share("vision", 8))
    adoption = drafted(*pods(2, "train"), pool=pool, requests=(asked, other))
    assert adoption.drafts == ()
    assert adoption.remarks == (
        "Every GPU that is held has a request that answers for it: there is nothing to draft.",
    )
    validator = pods(1, "validator", namespace="kube-system")
    assert drafted(*validator, strangers=(SYSTEM,)).drafts == ()


def test_what_another_pool_governs_is_not_drafted_and_each_resource_has_its_own_request() -> None:
    mixed = [*pods(1, "train"), *pods(2, "train", resource=MIG, prefix="slice")]
    assert only(drafted(*mixed)).workload.resource == GPU
    both = drafted(*mixed, pool=a_pool(resources=(GPU, MIG)))
    assert {(d.name, d.workload.resource, d.gpus) for d in both.drafts} == {
        ("train", GPU, 1),
        ("train-deployment", MIG, 2),
    }
    (share,) = both.shares
    assert share.guaranteed == {GPU: 1, MIG: 0}, "no node shows slices, so none can be promised"


def test_names_are_such_as_the_api_takes_and_meet_no_request_that_is_there() -> None:
    odd = ObjectRef("example.com/v1", "Notebook", "My_Notebook!")
    nameless = ObjectRef("example.com/v1", "Notebook", "___")
    found = (replace(pods(1, "a")[0], owner=odd), replace(pods(1, "b")[0], owner=nameless))
    assert [d.name for d in drafted(*found).drafts] == ["my-notebook", "workload"]
    there = tuple(
        a_request(name, 1, ref=ObjectRef("v1", "Pod", "x"))
        for name in ("train", "train-deployment", "train-deployment-2")
    )
    pool = a_pool(a_share("vision", 8))
    assert only(drafted(*pods(1, "train"), pool=pool, requests=there)).name == "train-deployment-3"


# ------------------------------------------------------------------ shares


def test_every_team_gets_a_share_with_what_its_drafts_ask_for() -> None:
    found = [*pods(2, "a", "vision"), *pods(1, "b", "vision-dev"), *pods(3, "c", "nlp")]
    hints = Hints(teams={"vision": "seeing", "vision-dev": "seeing"})
    adoption = drafted(*found, hints=hints)
    assert [(s.team, s.namespaces, dict(s.guaranteed)) for s in adoption.shares] == [
        ("nlp", ("nlp",), {GPU: 3}),
        ("seeing", ("vision", "vision-dev"), {GPU: 3}),
    ]
    assert adoption.widened == {}


def test_a_share_that_lists_namespaces_is_widened_and_one_that_selects_them_gets_a_neighbour() -> None:
    hints = Hints(teams={"new": "vision"})
    listed = drafted(*pods(2, "a", "new"), pool=a_pool(a_share("vision", 4)), hints=hints)
    assert (listed.shares, listed.widened) == ((), {"vision": ("new",)})
    selecting = replace(a_share("vision", 4), namespaces=(), selector=Selector((("team", "vision"),)))
    beside = drafted(*pods(2, "a", "new"), pool=a_pool(selecting), hints=hints)
    assert [s.team for s in beside.shares] == ["vision-adopted"]
    assert any("merge them" in r for r in beside.remarks)


def test_no_more_is_promised_than_the_pool_has_left() -> None:
    found = [*pods(3, "a", "vision"), *pods(3, "b", "nlp")]
    tight = drafted(*found, pool=a_pool(reserve=4), nodes=nodes(1, 8))
    assert [(s.team, dict(s.guaranteed)) for s in tight.shares] == [("nlp", {GPU: 3}), ("vision", {GPU: 1})]
    assert "ask for more than the pool can guarantee" in tight.remarks[0]
    nothing = drafted(*found, pool=a_pool(a_share("own", 9)), nodes=nodes(1, 8))
    assert [dict(s.guaranteed) for s in nothing.shares] == [{GPU: 0}, {GPU: 0}]
    declared = drafted(*found, pool=a_pool(reserve=4, declared={GPU: 64}), nodes=nodes(1, 8))
    assert [dict(s.guaranteed) for s in declared.shares] == [{GPU: 3}, {GPU: 3}]


def test_a_share_whose_drafts_ask_for_more_than_its_guarantee_is_named() -> None:
    adoption = drafted(*pods(3, "a"), pool=a_pool(a_share("vision", 2)))
    assert any(f"Share vision guarantees 2 {GPU}, its drafts ask for 3" in r for r in adoption.remarks)
    enough = drafted(*pods(2, "a"), pool=a_pool(a_share("vision", 2)))
    assert not any("Share vision" in r for r in enough.remarks)
