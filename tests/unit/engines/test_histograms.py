"""What every histogram must keep."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localplane.engines.histograms import Histogram
from support.engines import Rig, live_engine

OBSERVED = st.lists(st.tuples(st.floats(0, 200), st.floats(0.01, 5)))


@given(OBSERVED, st.lists(st.floats(0.001, 100), unique=True, max_size=8).map(sorted))
def test_buckets_never_fall_and_end_with_the_count(
    seen: list[tuple[float, float]], bounds: list[float]
) -> None:
    found = Histogram(bounds)
    for value, times in seen:
        before = found.cumulative()
        found.observe(value, times)
        assert all(a <= b for a, b in zip(before, found.cumulative(), strict=True))
    counts = found.cumulative()
    assert len(counts) == len(bounds) + 1
    assert all(a <= b for a, b in pairwise(counts))
    assert counts[-1] == found.count
    assert found.sum == pytest.approx(sum(value * times for value, times in seen))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 9.0])))
def test_a_bound_belongs_to_its_bucket(seen: list[float]) -> None:
    found = Histogram((0.5, 1.0, 2.0))
    for value in seen:
        found.observe(value)
    wanted = [sum(value <= bound for value in seen) for bound in (0.5, 1.0, 2.0, 10.0)]
    assert found.cumulative() == wanted


@pytest.mark.parametrize("engine", ["vllm", "vllm-0.8", "sglang", "tgi", "nim"])
def test_all_histograms_of_a_page_agree_with_themselves(engine: str) -> None:
    rig = Rig(live_engine("a", engine=engine, load=6, fault="KVCacheBound"))
    rig.run(90)
    for name, family in rig.families("a").items():
        if family.type != "histogram":
            continue
        series: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for sample in family.samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            if sample.name.endswith("_bucket"):
                series.setdefault(key, []).append(sample.value)
            elif sample.name.endswith("_count"):
                assert series[key][-1] == sample.value, name
        assert series, name
        assert all(a <= b for counts in series.values() for a, b in pairwise(counts)), name


def test_tokens_between_are_all_tokens_but_the_first_of_each_request() -> None:
    rig = Rig(live_engine("a", load=3))
    rig.run(120)
    rig.fleet.overlay({"team/chat": {"load": 0}})
    rig.run(60)
    tokens, requests = (
        rig.value("a", "vllm:generation_tokens_total"),
        rig.value("a", "vllm:request_success_total"),
    )
    assert tokens == pytest.approx(rig.value("a", "vllm:request_generation_tokens_sum"), abs=2)
    between = rig.value("a", "vllm:inter_token_latency_seconds_count")
    assert between == pytest.approx(tokens - requests, abs=2)
