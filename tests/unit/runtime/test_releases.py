"""Revisions of workloads as the API server shows them: the newest by its ReplicaSet, pods by their labels."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gpupool.collector.controllers import Controller
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.rollout import GuardMode, Population, Rollable
from gpupool.model.steering import Target
from gpupool.runtime.releases import releases, source
from gpupool.runtime.workloads import by_owner
from support.builders import GPU, NOW, pods
from unit.planner.test_endpoints import a_slo

CHAT = ObjectRef("apps/v1", "Deployment", "chat")
WEB = ObjectRef("apps/v1", "StatefulSet", "web")


def a_set(revision: int, name: str, owner: ObjectRef | None = CHAT) -> Controller:
    ref = ObjectRef("apps/v1", "ReplicaSet", f"chat-{name}")
    return Controller("chat-prod", ref, name, owner, {"pod-template-hash": name}, {GPU: 1}, revision=revision)


def a_pod(name: str, revision: str = "", **more: Any) -> Pod:
    labels = {"pod-template-hash": revision} if revision else {}
    found = pods(1, name, "chat-prod")[0]
    return replace(found, key=Key("chat-prod", name), owner=CHAT, labels=labels, **more)


def test_the_newest_is_that_of_the_highest_number_and_pods_are_counted_by_revision() -> None:
    slo = a_slo()
    owned = by_owner(
        [
            a_pod("a", "old", created=NOW, ready_at=NOW + timedelta(seconds=40)),
            a_pod("b", "new", ready=False),
            a_pod("c", "new", ready=False, node=None),
            a_pod("d", "old", terminating=True),
            a_pod("e"),
        ]
    )
    # the older template was put back: its number is the highest
    sets = [a_set(3, "old"), a_set(2, "new"), a_set(9, "other", None)]
    found = releases([slo], owned, sets, ())[slo.key]
    assert found.newest == "old"
    assert found.pods == {"old": Population(1, 1, 1, (40.0,)), "new": Population(2, 1, 0)}
    assert found.of("never") == Population()
    assert not found.failed


def test_a_statefulset_says_it_itself() -> None:
    slo = a_slo(target=WEB)
    made = Controller("chat-prod", WEB, "u", None, {}, {GPU: 1}, update="web-7d9f")
    assert releases([slo], {}, [made], ())[slo.key].newest == "web-7d9f"


def test_a_deadline_that_is_over_and_who_asks_for_nothing() -> None:
    slo = a_slo()
    late = Target(Key("chat-prod", "chat"), CHAT, 2, 2, {GPU: 1}, rollable=Rollable(failed=True))
    assert releases([slo], {}, [], [late])[slo.key].failed
    assert releases([replace(slo, guard=GuardMode.OFF)], {}, [], [late]) == {}


def test_where_a_template_is_kept() -> None:
    sets = [a_set(3, "old"), a_set(2, "new")]
    assert source(sets, ("chat-prod", CHAT), "new") == "chat-new"
    assert source(sets, ("chat-prod", CHAT), "never") == ""
    assert source(sets, ("elsewhere", CHAT), "new") == ""
