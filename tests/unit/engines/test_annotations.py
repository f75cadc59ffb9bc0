"""Annotations: what they mean, and what a wrong one says."""

from typing import Any

import pytest

from gpupool.simulator.replica import SPEEDS
from localplane.engines.annotations import BadAnnotationError, Data, Engine, Expose, Load, load, settings
from localplane.engines.causes import CAUSES, HEALTHY, Fault
from support.engines import said


def test_an_engine_alone_is_a_healthy_vllm_without_requests() -> None:
    found = settings(said())
    assert (found.engine, found.load, found.fault) == (Engine.VLLM, Load(0.0), None)
    assert found.speed == SPEEDS["llama-70b-fp8/4xH100"]
    assert found.cause(1e9) is HEALTHY
    assert found.speed_under(HEALTHY) == found.speed


def test_everything_can_be_said() -> None:
    found = settings(
        said(
            engine="triton", load="trace:week/m1", model="llama-8b/1xH100", prompt=300, output=40, spread=0.2,
            cache_hit=0.4, max_seqs=64, kv_tokens=9000, batched_tokens=2048, data="nan", job="x/y",
            expose="sm-active, clock-events",
        )
    )  # fmt: skip
    assert found.load == Load(trace="week/m1")
    assert (found.mix.prompt, found.mix.output, found.mix.spread, found.mix.cached) == (300, 40, 0.2, 0.4)
    assert (found.speed.max_seqs, found.speed.kv_tokens, found.batched_tokens) == (64, 9000, 2048)
    assert (found.data, found.job) == (Data.NAN, "x/y")
    assert found.expose == {Expose.SM_ACTIVE, Expose.CLOCK_EVENTS}


def test_a_fault_brings_its_load_and_leaves_what_is_said() -> None:
    found = settings(said(fault="KVCacheBound", prompt=70))
    cause = found.cause(0)
    assert found.load.rate == CAUSES[Fault.KV_CACHE_BOUND].rate
    assert (found.mix_under(cause).prompt, found.mix_under(cause).output) == (70, 500)
    assert found.speed_under(cause).kv_tokens == 24_000
    assert settings(said(fault="KVCacheBound", load=3)).load.rate == 3


def test_a_fault_can_begin_later() -> None:
    found = settings(said(fault="Throttled", fault_after="1m30s"))
    assert [found.cause(age) is HEALTHY for age in (0, 89.9, 90)] == [True, True, False]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engine": "llama.cpp"}, ["fake.gpupool.dev/engine", "'llama.cpp'", "sglang"]),
        ({"load": "many"}, ["fake.gpupool.dev/load", "'many'", "a number", "trace:<name>"]),
        ({"load": "-1"}, ["fake.gpupool.dev/load", "'-1'", "from 0"]),
        ({"load": "nan"}, ["'nan'"]),
        ({"fault": "Slow"}, ["fake.gpupool.dev/fault", "'Slow'", "QueueBound", "NoTraffic"]),
        ({"fault_after": "soon"}, ["fake.gpupool.dev/fault-after", "'soon'", '"90s"']),
        ({"model": "gpt"}, ["fake.gpupool.dev/model", "'gpt'", "llama-70b-fp8/4xH100"]),
        ({"cache_hit": "60"}, ["fake.gpupool.dev/cache-hit", "'60'", "0 to 1"]),
        ({"max_seqs": "0"}, ["fake.gpupool.dev/max-seqs", "'0'", "from 1"]),
        ({"data": "lost"}, ["fake.gpupool.dev/data", "'lost'", "silent"]),
        ({"expose": "sm-active,all"}, ["fake.gpupool.dev/expose", "'all'", "clock-events"]),
    ],
)
def test_a_wrong_value_is_named_with_its_fix(given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(BadAnnotationError) as caught:
        settings(said(**given))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_load_is_a_number_or_a_trace() -> None:
    assert load("12.5") == Load(12.5)
    assert load("trace:a/b") == Load(trace="a/b")
    with pytest.raises(BadAnnotationError):
        load("trace:")


def test_every_fault_is_a_cause_with_a_reason() -> None:
    assert CAUSES.keys() == set(Fault)
    assert len({cause.why for cause in CAUSES.values()}) == len(Fault)
