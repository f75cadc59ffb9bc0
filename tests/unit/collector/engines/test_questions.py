"""The questions: how many, how wide, and how bounds are spelt."""

import re

import pytest

from gpupool.collector.engines.names import counters, gauges, histograms
from gpupool.collector.engines.questions import bounds_of, places, questions, spellings


@pytest.mark.parametrize(
    ("bound", "labels"),
    [(1.0, {"1", "1.0"}), (0.5, {"0.5"}), (500.0, {"500", "500.0"}), (0.05, {"0.05"})],
)
def test_a_bound_matches_however_it_is_written(bound: float, labels: set[str]) -> None:
    expressions = [s.replace(r"\\", "\\") for s in spellings(bound)]
    for label in labels:
        assert any(re.fullmatch(e, label) for e in expressions)
    assert not any(re.fullmatch(e, "10") for e in expressions)


def test_a_thousand_endpoints_ask_as_many_questions_as_one() -> None:
    few, many = questions(["a"], [0.5]), questions([f"ns-{n}" for n in range(500)], [0.5, 1.0])
    assert few.__slots__ == many.__slots__
    assert "ns-3" not in many.buckets
    assert 'namespace="a"' in few.buckets
    assert many.up == "up"


def test_namespaces_are_named_once_and_literally() -> None:
    assert places(["b", "a", "b"]) == 'namespace=~"a|b"'
    assert places([]) == ""


def test_every_name_of_the_tables_is_asked_for() -> None:
    asked = questions(["a"], [0.5])
    assert all(f"{name}_bucket" in asked.buckets for name in histograms())
    assert all(name in asked.counts for name in counters())
    assert all(name in asked.loads for name in gauges())


def test_bounds_are_asked_of_the_pods_concerned() -> None:
    asked = bounds_of("vllm:e2e_request_latency_seconds", "ns", ["a", "b.c"])
    assert asked == (
        'count by (le) ({__name__="vllm:e2e_request_latency_seconds_bucket",namespace="ns",pod=~"a|b\\\\.c"})'
    )
