"""Readings by revision: each of its own pods alone, and no work twice where there is one."""

from gpupool.collector.engines.judge import Workload, judge
from gpupool.collector.engines.meter import Counter, PodName
from gpupool.collector.engines.revisions import by_revision
from gpupool.collector.engines.sight import Sight
from gpupool.model.slo import Objective, Sli, SloState

TTFT = Objective(Sli.TTFT, 99, 0.5)
MINUTES = Objective(Sli.THROUGHPUT, 90, tokens_per_second=10)
NAME = "vllm:time_to_first_token_seconds"
A, B, GONE = (PodName("team", name) for name in ("a", "b", "gone"))


def events(good: float, total: float) -> dict[Counter, float]:
    return {Counter(f"{NAME}_bucket", "0.5"): good, Counter(f"{NAME}_bucket", "+Inf"): total}


SIGHT = Sight(
    seconds=15.0,
    buckets={A: events(100, 100), B: events(10, 40), GONE: events(1, 2)},
    counts={
        A: {Counter("http_requests_total", "200"): 100.0},
        B: {Counter("http_requests_total", "500"): 5.0, Counter("http_requests_total", "200"): 35.0},
    },
    shown={A: frozenset({f"{NAME}_bucket"}), B: frozenset({f"{NAME}_bucket"})},
    loads={A: {"vllm:num_requests_running": 1.0}, B: {"vllm:num_requests_running": 1.0}},
    ages={A: 1.0, B: 1.0},
    up={A: True, B: True},
)
WORKLOAD = Workload((A, B), gone=(GONE,), engine="vLLM")


def test_each_revision_is_judged_on_its_own_pods() -> None:
    readings = [judge(TTFT, WORKLOAD, SIGHT), judge(MINUTES, WORKLOAD, SIGHT)]
    found = by_revision((TTFT, MINUTES), readings, WORKLOAD, {"a": "r1", "b": "r2", "gone": "r1"}, SIGHT)
    (old, old_errors), (new, new_errors) = found["r1"], found["r2"]
    assert (old.good, old.total) == (101, 102)
    assert (new.good, new.total) == (10, 40)
    assert (old_errors.good, old_errors.total) == (100, 100)
    assert (new_errors.good, new_errors.total) == (35, 40)


def test_a_revision_alone_has_the_readings_of_the_whole() -> None:
    readings = [judge(TTFT, WORKLOAD, SIGHT)]
    found = by_revision((TTFT,), readings, WORKLOAD, {"a": "r1", "b": "r1"}, SIGHT)
    assert found["r1"][0] is readings[0]
    assert found["r1"][1].state is SloState.OK


def test_promised_availability_needs_no_row_of_its_own() -> None:
    available = Objective(Sli.AVAILABILITY, 99)
    found = by_revision((available,), [judge(available, WORKLOAD, SIGHT)], WORKLOAD, {"a": "r1"}, SIGHT)
    assert len(found["r1"]) == 1
    assert by_revision((TTFT,), [judge(TTFT, WORKLOAD, SIGHT)], WORKLOAD, {}, SIGHT) == {}
