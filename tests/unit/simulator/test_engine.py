"""The operator's loop against the model: writes, refusals, samples, downtime."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import DropQuota, Evict, LabelNamespace, MarkNode, SetPolicies, SetQuota
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import Engine
from gpupool.simulator.workloads import Running, Samples, Template
from support.builders import GPU, HOUR, MINUTE, NOW, a_request
from support.histories import an_engine

GRANT = SetQuota("vision", {GPU: 4}, {}, {}, resource_version="", raises=True)


@pytest.fixture
def engine() -> Engine:
    return an_engine()


def test_a_raise_on_an_old_version_is_refused_and_a_lowering_is_not(engine: Engine) -> None:
    assert engine.apply([GRANT]) == []
    more = replace(GRANT, hard={GPU: 8}, resource_version="0")
    assert engine.apply([more]) == [more]
    assert engine.apply([replace(more, hard={GPU: 2}, raises=False)]) == []
    assert engine.cluster.quotas["vision"].hard == {GPU: 2}


def test_a_dropped_quota_is_gone(engine: Engine) -> None:
    engine.apply([GRANT, DropQuota("vision"), DropQuota("vision")])
    assert engine.cluster.quotas == {}


def test_marks_and_labels_are_kept(engine: Engine) -> None:
    policies = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=False)
    engine.apply([MarkNode("node-1", "lab", taint=True), LabelNamespace("vision", "lab"), policies])
    assert engine.cluster.nodes["node-1"].taints == ("gpupool.dev/pool=lab:NoSchedule",)
    assert engine.cluster.labels == {"vision": "lab"}
    assert engine.policies == policies
    engine.apply([MarkNode("node-1", None, taint=False), LabelNamespace("vision", None)])
    assert engine.cluster.nodes["node-1"].pool_label is None
    assert engine.cluster.labels == {}


def test_a_disruption_budget_holds_an_eviction_and_no_delete(engine: Engine) -> None:
    engine.cluster.create_pod("vision", Template(protected=True))
    (pod,) = engine.cluster.pods.values()
    evict = Evict(pod.key, pod.uid, "", force=False)
    assert engine.apply([evict]) == [evict]
    assert engine.apply([replace(evict, force=True)]) == []
    assert pod.deleted == NOW
    gone = replace(evict, pod=Key("vision", "gone"))
    assert engine.apply([gone]) == [gone]


def test_a_status_of_a_deleted_request_is_not_written(engine: Engine) -> None:
    engine.cluster.requests[Key("vision", "a")] = a_request("a", 4)
    decided = make_plan(engine.snapshot())
    engine.cluster.requests.clear()
    engine.report(decided.requests)
    assert engine.cluster.requests == {}


def test_a_lost_status_is_not_remembered(engine: Engine) -> None:
    engine.cluster.requests[Key("vision", "a")] = a_request("a", 4)
    engine.loses_statuses = True
    engine.step(MINUTE)
    assert engine.cluster.requests[Key("vision", "a")].remembered.granted is None


def test_while_the_operator_is_down_nothing_is_decided_and_cycles_begin_anew(engine: Engine) -> None:
    assert len(engine.run(3 * MINUTE, MINUTE)) == 3
    engine.down = True
    assert engine.run(3 * MINUTE, MINUTE) == []
    engine.down = False
    engine.step(MINUTE)
    assert engine.snapshot().uninterrupted_since == NOW + 7 * MINUTE


@pytest.mark.parametrize(
    ("kind", "seen"),
    [(Samples.OK, 60.0), (Samples.PARTIAL, 30.0), (Samples.STALE, 60.0), (Samples.CONFLICTING, 60.0)],
)
def test_samples_arrive_as_the_exporter_behaves(engine: Engine, kind: Samples, seen: float) -> None:
    engine.cluster.create_pod("vision", Template(samples=kind, busy=0.5))
    engine.step(MINUTE)
    engine.step(MINUTE)
    (usage,) = engine.snapshot().usage.pods
    assert (usage.held_seconds, usage.seen_seconds, usage.busy_seconds) == (60.0, seen, seen / 2)
    assert (usage.age == 3600.0, usage.conflicting) == (kind is Samples.STALE, kind is Samples.CONFLICTING)


def test_missing_samples_are_no_series(engine: Engine) -> None:
    engine.cluster.create_pod("vision", Template(samples=Samples.MISSING))
    engine.step(MINUTE)
    assert engine.snapshot().usage.pods == ()


def test_ended_pods_are_remembered_with_their_request_for_a_window(engine: Engine) -> None:
    engine.cluster.requests[Key("vision", "a")] = a_request("a", 4)
    engine.cluster.create_pod("vision", Template(starts=False))
    engine.step(MINUTE)
    engine.cluster.delete_pod(next(iter(engine.cluster.pods)))
    engine.step(MINUTE)
    (dead,) = engine.snapshot().usage.pods
    assert (dead.alive, dead.request, dead.busy_gpus) == (False, "a", 0)
    engine.run(HOUR, 10 * MINUTE)
    assert engine.snapshot().usage.pods == ()


def test_peaks_are_forgotten_after_the_lookback(engine: Engine) -> None:
    key = Key("vision", "a")
    engine.cluster.requests[key] = a_request("a", 4)
    engine.cluster.create_pod("vision", Template(gpus=3, grace=timedelta()))
    engine.step(MINUTE)
    engine.cluster.delete_pod(next(iter(engine.cluster.pods)))
    engine.run(30 * MINUTE, 10 * MINUTE)
    assert engine.snapshot().usage.peaks[key].used == 3
    engine.run(HOUR, 10 * MINUTE)
    peak = engine.snapshot().usage.peaks[key]
    assert (peak.used, peak.history) == (0, 90 * 60.0)


def test_a_pod_that_was_never_bound_leaves_nothing_to_remember(engine: Engine) -> None:
    never = Running(Key("vision", "x"), "uid", Template(), NOW)
    engine.recorder.bury([never], {}, NOW)
    assert not engine.recorder.ended
