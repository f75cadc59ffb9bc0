"""From samples to what is known: five data states, dead pods, pods that never start."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Key, Pod
from gpupool.model.reasons import DataState
from gpupool.model.usage import PodUsage, Usage
from gpupool.planner.planner import make_plan
from gpupool.policy.attribution import attribute
from gpupool.policy.measure import Measure, Measures, measure
from support.builders import (
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_request,
    a_share,
    a_snapshot,
    condition_of,
    granted,
    pods,
    sampled,
    status_of,
)

TRAIN, SERVE = a_request("train", 4), a_request("serve", 4)


def measures(found: tuple[Pod, ...], usage: Usage | None = None) -> Measures:
    snapshot = a_snapshot(a_pool(a_share("vision", 8)), TRAIN, SERVE, pods=found)
    snapshot = replace(snapshot, usage=sampled(found) if usage is None else usage)
    return measure(snapshot, attribute(snapshot))


def of_train(found: tuple[Pod, ...], usage: Usage | None = None) -> Measure:
    return measures(found, usage).of(TRAIN.key)


RUNNING = pods(4, "train")


@pytest.mark.parametrize(
    ("usage", "state"),
    [
        (sampled(RUNNING), DataState.OK),
        (sampled(()), DataState.MISSING),
        (sampled(RUNNING, seen=0.5), DataState.PARTIAL),
        (sampled(RUNNING[:2]), DataState.PARTIAL),
        (sampled(RUNNING, age=3.5), DataState.STALE),
        (sampled(RUNNING, conflicting=True), DataState.CONFLICTING),
    ],
    ids=["good", "no series", "half the samples", "half the pods", "old", "contradicting"],
)
def test_every_state_of_data_is_told_apart(usage: Usage, state: DataState) -> None:
    assert of_train(RUNNING, usage).state is state


def test_a_request_that_holds_nothing_is_known_without_samples() -> None:
    assert of_train(()) == Measure(DataState.OK, coverage=100)


def test_a_pod_that_never_starts_is_idle_by_api_facts() -> None:
    found = of_train(pods(4, "train", running=False), sampled(()))
    assert (found.state, found.coverage, found.busy_seconds) == (DataState.OK, 100, 0.0)


def test_a_pod_that_has_just_started_is_given_three_scrapes() -> None:
    young = pods(1, "train", started=NOW)
    assert of_train(young, sampled(())).state is DataState.OK


def test_dead_pods_count_by_the_request_that_the_series_remembers() -> None:
    dead = PodUsage(Key("vision", "old"), 1, 3600.0, 0.0, 0.0, 0, 0.0, alive=False, request="train")
    found = of_train(RUNNING[:1], sampled(RUNNING[:1], dead=(dead,)))
    assert (found.coverage, found.state) == (50, DataState.PARTIAL)


def test_dead_pods_of_nobody_count_for_the_namespace() -> None:
    dead = PodUsage(Key("vision", "old"), 1, 3600.0, 3600.0, 1800.0, 1, 50.0, alive=False)
    found = measures((), sampled((), dead=(dead,)))
    assert found.of(TRAIN.key).busy_seconds == 0
    assert found.around("vision").busy_seconds == 1800.0
    assert found.around("vision").busy == 0


def test_rolling_pods_earn_no_immunity() -> None:
    gone = tuple(
        PodUsage(Key("vision", f"gone-{i}"), 1, 600.0, 600.0, 0.0, 0, 0.0, alive=False, request="train")
        for i in range(5)
    )
    young = pods(1, "train", started=NOW - MINUTE)
    rolled = sampled(young, dead=gone, busy=0.0)
    found = of_train(young, rolled)
    assert (found.state, found.busy_seconds) == (DataState.OK, 0.0)


def test_a_small_workload_without_data_is_not_hidden_by_a_large_one() -> None:
    large, small = pods(30, "serve"), pods(1, "train")
    found = measures(large + small, sampled(large))
    assert found.of(SERVE.key).state is DataState.OK
    assert found.of(TRAIN.key).state is DataState.MISSING
    assert found.around("vision").state is not DataState.OK


def test_a_workload_of_dead_pods_without_data_spoils_its_namespace() -> None:
    dead = PodUsage(Key("vision", "old"), 1, 100.0, 0.0, 0.0, 0, 0.0, alive=False, request="train")
    large = pods(30, "serve")
    found = measures(large, sampled(large, dead=(dead,)))
    assert found.around("vision").state is DataState.MISSING


def test_busy_efficiency_and_activity_are_not_mixed() -> None:
    running = pods(2, "train")
    snapshot = a_snapshot(
        a_pool(a_share("vision", 8)), granted("train", 8), pods=running, usage=sampled(running, busy=0.35)
    )
    status = status_of(make_plan(snapshot), "train")
    assert (status.busy, status.efficiency, status.activity, status.coverage) == (2, 9, 35, 100)


def test_what_is_unknown_is_not_shown_as_zero() -> None:
    running = pods(2, "train")
    snapshot = a_snapshot(a_pool(a_share("vision", 8)), granted("train", 8), pods=running, usage=sampled(()))
    status = status_of(make_plan(snapshot), "train")
    assert (status.busy, status.efficiency, status.activity, status.coverage) == (None, None, None, 0)
    assert status.data_state is DataState.MISSING
    bad = condition_of(make_plan(snapshot), "TelemetryHealthy")
    assert bad.message == "Samples are not good in: vision Missing. Nothing is taken for under-use there."


def test_the_window_bounds_what_should_have_been_seen() -> None:
    young = pods(1, "train", running=False, started=None, created=NOW - 9 * HOUR)
    assert of_train(young, sampled(())).coverage == 100
