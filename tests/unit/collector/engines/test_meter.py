"""Counters read as events: resets, new pods, pods that went, and what nobody had read before."""

from gpupool.collector.engines.meter import Counter, Meter, PodName
from gpupool.collector.prometheus.answer import Sample

A, B = PodName("ns", "a"), PodName("ns", "b")
ALL, HALF = Counter("ttft_bucket", "+Inf"), Counter("ttft_bucket", "0.5")


def sample(pod: PodName, value: float, le: str = "+Inf") -> Sample:
    labels = {"__name__": "ttft_bucket", "namespace": pod.namespace, "pod": pod.name, "le": le}
    return Sample(labels, value, 0.0)


def test_the_first_reading_knows_no_events() -> None:
    assert Meter().read([sample(A, 50)], 10.0) == {A: {ALL: 0.0}}


def test_events_are_the_difference() -> None:
    meter = Meter()
    meter.read([sample(A, 50), sample(A, 40, "0.5")], 10.0)
    assert meter.read([sample(A, 57), sample(A, 44, "0.5")], 25.0) == {A: {ALL: 7.0, HALF: 4.0}}
    assert meter.at == 25.0


def test_a_counter_that_fell_was_reset_and_all_it_shows_is_new() -> None:
    meter = Meter()
    meter.read([sample(A, 50)], 10.0)
    assert meter.read([sample(A, 3)], 25.0) == {A: {ALL: 3.0}}


def test_a_pod_that_came_since_counts_whole() -> None:
    meter = Meter()
    meter.read([sample(A, 50)], 10.0)
    assert meter.read([sample(A, 50), sample(B, 4)], 25.0) == {A: {ALL: 0.0}, B: {ALL: 4.0}}


def test_a_series_that_appears_with_its_first_request_counts_whole() -> None:
    meter = Meter()
    meter.read([sample(A, 50)], 10.0)
    assert meter.read([sample(A, 52), sample(A, 2, "0.5")], 25.0) == {A: {ALL: 2.0, HALF: 2.0}}


def test_a_pod_that_was_there_before_its_promise_was_counts_from_now_on() -> None:
    meter = Meter()
    meter.read([sample(A, 50)], 10.0)
    assert meter.read([sample(A, 50), sample(B, 900)], 25.0, {B}) == {A: {ALL: 0.0}, B: {ALL: 0.0}}
    assert meter.read([sample(B, 901)], 40.0)[B] == {ALL: 1.0}


def test_counters_are_told_apart_by_status() -> None:
    labels = {"__name__": "http_requests_total", "namespace": "ns", "pod": "a"}
    meter = Meter()
    meter.read([Sample({**labels, "status": "2xx"}, 5, 0.0)], 1.0)
    found = meter.read([Sample({**labels, "status": s}, 9, 0.0) for s in ("2xx", "5xx")], 2.0)
    assert found[A] == {
        Counter("http_requests_total", "2xx"): 4.0,
        Counter("http_requests_total", "5xx"): 9.0,
    }


def test_a_pod_that_was_not_seen_for_a_while_goes_on_from_where_it_was() -> None:
    meter = Meter()
    meter.read([sample(A, 900)], 10.0, living={A})
    for at in (25.0, 40.0, 55.0):
        assert meter.read([], at, living={A}) == {}
    assert meter.read([sample(A, 907)], 70.0, living={A}) == {A: {ALL: 7.0}}


def test_a_pod_that_restarted_unseen_counts_from_its_restart() -> None:
    meter = Meter()
    meter.read([sample(A, 900)], 10.0, living={A})
    meter.read([], 25.0, living={A})
    assert meter.read([sample(A, 12)], 40.0, living={A}) == {A: {ALL: 12.0}}


def test_a_pod_that_is_gone_is_forgotten() -> None:
    meter = Meter()
    meter.read([sample(A, 900)], 10.0, living={A})
    meter.read([], 25.0)
    assert meter.read([sample(A, 2)], 40.0) == {A: {ALL: 2.0}}
