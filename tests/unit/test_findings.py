"""What watches the fault tests finds what it is there for."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.capture import Record, by_key
from support.commitments import Json
from support.faultproxy.asked import Asked
from support.findings import Findings, study
from support.observer import Observer
from support.takings import ended_twice, takings
from support.verdict import LawBrokenError

GPU = "requests.nvidia.com/gpu"
UNREADY = {"status": "Unknown"}
_numbers = count(1)


def node(name: str, **ready: str) -> Json:
    """A node of the pool with eight GPUs."""
    conditions = [{"type": "Ready", "status": "True", **ready}]
    status = {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": conditions}
    return {"metadata": {"name": name, "labels": {"group": "a"}}, "spec": {}, "status": status}


def quota(namespace: str, hard: int, **timers: Json) -> Json:
    """Our wall around a namespace, in force."""
    notes = {"gpupool.dev/timers": json.dumps(timers)}
    metadata = {"name": "gpupool", "namespace": namespace, "labels": {"gpupool.dev/pool": "p"}}
    amounts = {"hard": {GPU: str(hard)}}
    return {"metadata": {**metadata, "annotations": notes}, "spec": amounts, "status": amounts}


def request(generation: int) -> Json:
    """Somebody's ask."""
    return {"metadata": {"name": "work", "namespace": "a", "uid": "u", "generation": generation}}


def studied(*changes: tuple[str, Json] | tuple[str, Json, bool], per_ask: bool = False) -> Findings:
    """What is found in changes of a pool of two nodes."""
    pool = {"metadata": {"name": "p"}, "spec": {"nodes": {"selector": {"matchLabels": {"group": "a"}}}}}
    start = {"quotas": {}, "pods": {}, "pools": by_key([pool]), "nodes": by_key([node("n1"), node("n2")])}
    records = [Record(version, *change) for version, change in enumerate(changes, 1)]
    return study(start, records, per_ask=per_ask)


def test_more_than_there_is_is_oversold() -> None:
    found = studied(("quotas", quota("a", 8)), ("quotas", quota("b", 8)), ("quotas", quota("b", 9)))
    assert (len(found.oversold), len(found.excused), len(found.raised)) == (1, 0, 1)


@pytest.mark.parametrize(
    "lost", [(node("n2"), True), (node("n2", **UNREADY), False)], ids=["gone", "unready"]
)
def test_a_lost_node_excuses_what_it_would_cover_while_it_is_lost(lost: tuple[Json, bool]) -> None:
    walls = [("quotas", quota("a", 8)), ("quotas", quota("b", 6))]
    found = studied(*walls, ("nodes", *lost), ("quotas", quota("b", 5)), ("nodes", node("n2")))
    assert (found.oversold, len(found.excused), found.raised) == ([], 2, [])


def test_a_lost_node_excuses_no_raise_and_no_more_than_it_had() -> None:
    walls = [("quotas", quota("a", 8)), ("quotas", quota("b", 6))]
    found = studied(*walls, ("nodes", node("n2", **UNREADY)), ("quotas", quota("b", 7)))
    assert (found.oversold, len(found.raised)) == ([], 1)
    found = studied(*walls, ("nodes", node("n2", **UNREADY)), ("quotas", quota("b", 9)))
    assert len(found.oversold) == 1
    found = studied(
        *walls, ("nodes", node("n2", **UNREADY)), ("nodes", node("n2")), ("quotas", quota("b", 9))
    )
    assert len(found.oversold) == 1, "the whole test is not excused"


RECALL = {"work": {"stage": "Recalling", "deadline": "2026-01-01T00:00:05+00:00"}}
SOONER = {"work": {"stage": "Recalling", "deadline": "2026-01-01T00:00:04+00:00"}}


def test_a_notice_that_begins_again_was_lost_unless_somebody_asked_otherwise() -> None:
    lost = [
        ("quotas", quota("a", 8, **RECALL)),
        ("quotas", quota("a", 8)),
        ("quotas", quota("a", 8, **RECALL)),
    ]
    assert len(studied(*lost).again) == len(studied(*lost, per_ask=True).again) == 1
    asked = [("requests", request(1)), lost[0], lost[1], ("requests", request(2)), lost[2]]
    assert (len(studied(*asked).again), studied(*asked, per_ask=True).again) == (1, [])
    told = [("requests", request(1)), lost[0], lost[1], ("requests", request(1)), lost[2]]
    assert len(studied(*told, per_ask=True).again) == 1, "a status is no ask"


def test_a_deadline_that_moves_sooner_is_found() -> None:
    assert len(studied(("quotas", quota("a", 8, **RECALL)), ("quotas", quota("a", 8, **SOONER))).moved) == 1


def ending(pod: str, status: int, *, method: str = "POST", dry: bool = False, ours: bool = False) -> Asked:
    """An eviction, or a delete, of a pod."""
    options = {"preconditions": {"uid": f"uid-{pod}"}}
    evicts = method == "POST"
    body: Any = {"kind": "Eviction", "deleteOptions": options} if evicts else options
    target = f"/api/v1/namespaces/a/pods/{pod}{'/eviction' if evicts else ''}{'?dryRun=All' if dry else ''}"
    return Asked(next(_numbers), method, target, [], json.dumps(body).encode(), 1, status=status, ours=ours)


def test_a_pod_that_is_ended_twice_is_found() -> None:
    once = [ending("x", 429), ending("x", 0), ending("x", 201, dry=True), ending("x", 201), ending("y", 201)]
    assert (len(takings(once)), ended_twice(once)) == (2, [])
    late = [*once, ending("x", 200, method="DELETE")]
    assert ended_twice(late) == ["pod ended 2 times: a/x (uid-x)"]
    assert ended_twice([*once, ending("x", 201, ours=True), ending("x", 409)]) == []


def seen(**found: Any) -> Observer:
    """An observer that saw a minute, and nothing wrong but this."""
    observer = Observer(Path("nowhere"))
    observer.samples.taken, observer.samples.seconds = 1000, 60.0
    observer.findings = Findings(**found)
    return observer


def test_what_was_found_breaks_a_law() -> None:
    seen().judge()
    for what in ("oversold", "excused", "raised", "moved", "again", "doubled"):
        with pytest.raises(LawBrokenError, match="it happened"):
            seen(**{what: ["it happened"]}).judge()


def test_lost_nodes_are_excused_where_nodes_are_lost() -> None:
    observer = seen(excused=["a node is gone"])
    observer.capacity_lost = True
    observer.judge()
    observer.samples.oversold.append("too much")
    with pytest.raises(LawBrokenError, match="too much"):
        observer.judge()


def test_who_looked_too_seldom_saw_nothing() -> None:
    rare, blind, gap, dead = (seen() for _ in range(4))
    rare.samples.taken = 200
    blind.samples.blind_seconds = 7.0
    gap.gaps = 1
    dead.samples.taken = 0
    for observer in (rare, blind, gap, dead):
        with pytest.raises(AssertionError) as caught:
            observer.judge()
        assert not isinstance(caught.value, LawBrokenError)
    for observer in (blind, gap):
        observer.outage = True
        observer.judge()
