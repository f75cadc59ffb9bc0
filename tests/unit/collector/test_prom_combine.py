"""Data states as tables: what the API and the exporters say, and what may be concluded."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.collector.prometheus.combine import combine
from gpupool.collector.prometheus.devices import Readings
from gpupool.collector.prometheus.own import OwnPod
from gpupool.collector.prometheus.series import GpuSeries, Source
from gpupool.model.objects import Key, Namespace, Node, Pod
from gpupool.model.reasons import DataState
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import PodUsage, Usage
from gpupool.policy.attribution import attribute
from gpupool.policy.measure import measure
from support.usage import a_pool, moment

NOW = moment(1_000_000)
W = 600.0
POOL = a_pool(window=timedelta(seconds=W))
HELD = Key("team", "work")
DCGM = Source("dcgm-exporter", "i1")


def pod(
    name: str = "work", *, gpus: int = 1, node: str | None = "n1", age: float = 3600, running: bool = True
) -> Pod:
    began = NOW - timedelta(seconds=age)
    return Pod(
        Key("team", name),
        name,
        {"nvidia.com/gpu": gpus},
        node,
        created=began,
        started=began if running else None,
        running=running,
    )


def series(
    *,
    seen: float = W,
    busy: float = 0.0,
    age: float | None = 1.0,
    device: str = "GPU-1",
    host: str = "n1",
    source: Source = DCGM,
    name: str = "work",
    activity: float = 0.0,
) -> GpuSeries:
    return GpuSeries(source, host, device, Key("team", name), seen, busy, activity, age)


def use(*found: GpuSeries, pods: tuple[Pod, ...] = (pod(),), interval: float = 15.0) -> PodUsage:
    return combine(POOL, pods, NOW, Readings(interval, found))[0]


def state(*found: GpuSeries, pods: tuple[Pod, ...] = (pod(),)) -> DataState:
    usage = Usage(fresh=True, scrape_interval=15.0, pods=combine(POOL, pods, NOW, Readings(15.0, found)))
    snapshot = Snapshot(
        now=NOW,
        uninterrupted_since=NOW,
        pool=POOL,
        nodes=(Node("n1", {"nvidia.com/gpu": 8}),),
        namespaces=(Namespace("team", "team"),),
        pods=pods,
        usage=usage,
    )
    return measure(snapshot, attribute(snapshot)).around("team").state


RIVAL = Source("dcgm-exporter", "i2")
TWO = (pod(gpus=2),)
STATES: dict[str, tuple[tuple[GpuSeries, ...], tuple[Pod, ...], DataState]] = {
    "all samples idle": ((series(),), (pod(),), DataState.OK),
    "all samples busy": ((series(busy=W),), (pod(),), DataState.OK),
    "no series": ((), (pod(),), DataState.MISSING),
    "series of another host": ((series(host="n2"),), (pod(),), DataState.MISSING),
    "series without host": ((series(host=""),), (pod(),), DataState.MISSING),
    "one of two GPUs": ((series(),), TWO, DataState.PARTIAL),
    "both of two GPUs": ((series(), series(device="GPU-2")), TWO, DataState.OK),
    "half the window": ((series(seen=W / 2),), (pod(),), DataState.PARTIAL),
    "vanished": ((series(age=None),), (pod(),), DataState.PARTIAL),
    "frozen": ((series(age=200.0),), (pod(),), DataState.STALE),
    "one of two GPUs frozen": ((series(), series(device="GPU-2", age=200.0)), TWO, DataState.STALE),
    "rival disagrees": ((series(), series(busy=W, source=RIVAL)), (pod(),), DataState.CONFLICTING),
    "rival saw other moments": ((series(busy=90), series(busy=W / 3, source=RIVAL)), (pod(),), DataState.OK),
    "rival missed one sample": ((series(), series(busy=30, source=RIVAL)), (pod(),), DataState.OK),
    "rival exaggerates": ((series(busy=9), series(busy=W, source=RIVAL)), (pod(),), DataState.CONFLICTING),
    "two write one series": ((replace(series(), crowded=True),), (pod(),), DataState.CONFLICTING),
    "values do not move": ((replace(series(), still=True),), (pod(),), DataState.STALE),
    "names a pod of the past": ((replace(series(), uid="before"),), (pod(),), DataState.PARTIAL),
    "names the pod itself": ((replace(series(), uid="work"),), (pod(),), DataState.OK),
    "moved from another node": (
        (series(host="n0", device="GPU-0", age=200.0, seen=W / 2), series(seen=W / 2)),
        (pod(),),
        DataState.PARTIAL,
    ),
    "more GPUs than held": (
        (series(), series(device="GPU-9", source=RIVAL)),
        (pod(),),
        DataState.CONFLICTING,
    ),
    "one GPU of two pods": (
        (series(), series(name="other")),
        (pod(), pod("other")),
        DataState.CONFLICTING,
    ),
    "exporter restarted": (
        (series(seen=W / 2, busy=W / 2, age=None), series(seen=W / 2, source=RIVAL)),
        (pod(),),
        DataState.OK,
    ),
    "rival left": (
        (series(seen=W, busy=W, age=None), series(seen=W, source=RIVAL)),
        (pod(),),
        DataState.CONFLICTING,
    ),
    "just started, nothing seen": ((), (pod(age=20),), DataState.OK),
    "never ran": ((), (pod(running=False),), DataState.OK),
}


@pytest.mark.parametrize("case", STATES)
def test_each_data_state_comes_from_what_is_seen(case: str) -> None:
    found, pods, expected = STATES[case]
    assert state(*found, pods=pods) is expected


def test_no_data_is_unknown_and_never_idle() -> None:
    found = use()
    assert (found.held_seconds, found.seen_seconds, found.age) == (W, 0, None)


def test_gpus_busy_in_the_window_are_counted_one_by_one() -> None:
    found = use(series(busy=15, activity=40), series(device="GPU-2", activity=20), pods=TWO)
    assert (found.gpus, found.busy_gpus, found.busy_seconds, found.activity) == (2, 1, 15, 30)


def test_a_young_pod_is_expected_from_its_second_scrape_on() -> None:
    assert use(pods=(pod(age=130, gpus=2),)).held_seconds == 2 * (130 - 30)
    assert use(pods=(pod(age=10),)).held_seconds == 0


def test_values_of_recording_rules_trail_by_their_resolution() -> None:
    (found,) = combine(POOL, (pod(age=500),), NOW, Readings(15.0, lag=300.0))
    assert found.held_seconds == 500 - 330


def test_the_busiest_of_agreeing_rivals_counts_and_successors_add_up() -> None:
    assert use(series(busy=500), series(busy=W, source=RIVAL)).busy_seconds == W
    parts = (series(seen=300, busy=300, age=None), series(seen=200, busy=100, source=RIVAL))
    found = use(*parts)
    assert (found.seen_seconds, found.busy_seconds) == (500, 400)


def test_pods_without_a_node_or_without_governed_gpus_are_not_listed() -> None:
    other = Pod(Key("team", "amd"), "u", {"amd.com/gpu": 1}, "n1")
    assert combine(POOL, (pod(node=None), other), NOW, Readings(15.0)) == ()


def test_mig_slices_of_one_card_are_devices_of_different_pods() -> None:
    pods = (pod(), pod("other"))
    found = combine(
        POOL, pods, NOW, Readings(15.0, (series(device="G/1"), series(device="G/2", name="other")))
    )
    assert [u.conflicting for u in found] == [False, False]


def own(seconds: float, *, nodes: tuple[str, ...] = ("n1",), request: str = "train") -> dict[Key, OwnPod]:
    return {HELD: OwnPod(2, seconds, frozenset(nodes), request)}


def test_a_dead_pods_hours_count_on_its_request() -> None:
    readings = Readings(15.0, (series(seen=200, busy=150, age=None),), own(500))
    (found,) = combine(POOL, (), NOW, readings)
    assert (found.alive, found.request, found.gpus) == (False, "train", 2)
    assert (found.held_seconds, found.seen_seconds, found.busy_seconds) == (500 - 2 * 30, 200, 150)
    assert (found.age, found.busy_gpus) == (None, 0)


def test_series_of_a_dead_pod_count_only_where_it_was() -> None:
    (found,) = combine(POOL, (), NOW, Readings(15.0, (series(host="n2"),), own(500)))
    assert found.seen_seconds == 0


def test_series_of_pods_that_nobody_knows_count_for_nobody() -> None:
    assert combine(POOL, (), NOW, Readings(15.0, (series(busy=W),))) == ()


def test_a_recreated_pod_keeps_the_hours_of_its_name() -> None:
    found = (series(seen=300, age=None, host="n2", device="GPU-7"), series(seen=60))
    readings = Readings(15.0, found, own(700, nodes=("n2", "n1")))
    (one,) = combine(POOL, (pod(gpus=2, age=90),), NOW, readings)
    assert (one.held_seconds, one.seen_seconds, one.alive) == (640, 360, True)


def test_a_pod_that_ran_unseen_and_then_stopped_is_not_called_idle() -> None:
    (found,) = combine(POOL, (pod(running=False, gpus=2),), NOW, Readings(15.0, (), own(800)))
    assert (found.held_seconds, found.seen_seconds, found.age) == (740, 0, 0.0)


def test_a_moved_pod_is_as_fresh_as_where_it_is_now() -> None:
    before = series(host="n0", device="GPU-0", age=200.0, seen=300)
    readings = Readings(15.0, (before, series(seen=200)), own(1200, nodes=("n0", "n1")))
    (one,) = combine(POOL, (pod(age=230),), NOW, readings)
    assert (one.age, one.seen_seconds, one.conflicting) == (1.0, 500, False)


def test_a_pod_of_which_a_gpu_vanished_is_not_fresh() -> None:
    assert use(series(), series(device="GPU-2", age=None), pods=TWO).age is None


def test_gpus_that_a_pod_never_had_make_it_no_busier() -> None:
    ended = [series(device=f"GPU-{n}", busy=W, age=None) for n in range(8)]
    assert use(series(), *ended).busy_seconds <= W + 30


def test_two_replicas_that_name_different_requests_count_a_dead_pod_once() -> None:
    (found,) = combine(POOL, (), NOW, Readings(15.0, (), own(4 * W)))
    assert found.held_seconds == 2 * W - 2 * 30
