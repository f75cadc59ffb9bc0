"""Advice names what was measured and what it may bring; whether replicas help follows from the profile."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Advice, Cause, Confidence, Diagnosis, Help
from gpupool.model.slo import Objective, Sli
from gpupool.policy.slo.advice import MOST, advise
from gpupool.policy.slo.diagnosis.chain import diagnose
from gpupool.policy.slo.diagnosis.replicas import would_help
from gpupool.policy.slo.diagnosis.situation import Situation
from support.signals import ITL, TTFT, a_pod, a_profile, judged, seen, situation


def advice(cause: Cause, it: Situation) -> dict[str, Advice]:
    return {a.kind: a for a in advise(it, Diagnosis(cause, Confidence.HIGH))}


def both(**changes: Any) -> Situation:
    return situation(seen(a_pod(**changes), a_pod("b", **changes)))


def test_a_queue_with_room_in_the_cache_is_cured_by_batching() -> None:
    found = advice(Cause.QUEUE_BOUND, both(running=16, waiting=39, kv=0.03))
    assert "39.0 requests wait at a pod while 16.0 run in 3 % of the KV cache" in found["Batching"].because
    assert "at least 55 sequences" in found["Batching"].expect
    assert not advice(Cause.QUEUE_BOUND, both(running=16, waiting=39, kv=None))


def test_a_full_cache_is_cured_by_smaller_entries() -> None:
    found = advice(Cause.KV_CACHE_BOUND, both(running=18, waiting=38, kv=0.96))["KVCache"]
    assert "18.0 requests fill 96 % of the KV cache, 38.0 wait there" in found.because
    assert "about 38 of them" in found.expect
    assert not advice(Cause.KV_CACHE_BOUND, both(kv=None))


def test_skew_is_cured_by_routing() -> None:
    signals = seen(a_pod(waiting=39), a_pod("b", waiting=1))
    found = advice(Cause.ROUTING_SKEW, situation(signals))["Routing"]
    assert "39.0 requests wait at the fullest pod, 1.0 at the emptiest" in found.because
    assert "at most 20.0" in found.expect


def test_long_prompts_are_cured_by_the_prefix_cache() -> None:
    long = {"prompt": 16_000, "ttft": 1.2, "known": 0, "looked_up": 16_000}
    found = advice(Cause.PREFILL_BOUND, both(**long))["PrefixCaching"]
    assert "16000 tokens, 0 % of them known" in found.because
    assert "after 0.60 s in place of 1.20 s" in found.expect
    for less in ({"prompt": 100}, {"known": 9000}, {"looked_up": None}, {"ttft": None}, {"prompt": None}):
        assert not advice(Cause.PREFILL_BOUND, both(**{**long, **less}))


def test_a_busy_memory_is_cured_by_smaller_weights() -> None:
    found = advice(Cause.DECODE_BOUND, both(itl=0.06, dram=0.7))["Quantization"]
    assert "A token takes 60 ms with the memory busy for 70 %" in found.because
    assert "39 ms at best" in found.expect
    assert not advice(Cause.DECODE_BOUND, both(itl=0.06, dram=None))
    assert not advice(Cause.DECODE_BOUND, both(itl=None))
    assert not advice(Cause.DECODE_BOUND, both(dram=0.2)), "memory is not what it waits for"


def test_what_is_too_slow_alone_needs_another_model_or_objective() -> None:
    pods = seen(a_pod(ttft=1.8, itl=0.07), a_pod("b", ttft=1.8, itl=0.07))
    it = situation(pods, judged(TTFT, 1.0), judged(ITL, 1.0))
    found = advice(Cause.INFEASIBLE_AT_BATCH_ONE, it)["SmallerModel"]
    assert "ttft of 1.8 s; 0.5 s are promised" in found.because
    assert "3.6 times as fast" in found.expect
    other = situation(pods, judged(Objective(Sli.E2E, 99, 1.0), 1.0))
    assert "SmallerModel" not in advice(Cause.INFEASIBLE_AT_BATCH_ONE, other)


def test_little_traffic_is_put_together() -> None:
    few = both(running=2.0, requests=0.3)
    assert "One replica less still runs 4.0" in advice(Cause.BATCH_TOO_SMALL, few)["Consolidation"].expect
    known = situation(few.signals, profile=a_profile(4.0))
    assert "1 of 2 would do" in advice(Cause.BATCH_TOO_SMALL, known)["Consolidation"].expect
    same = situation(few.signals, profile=a_profile(0.3))
    assert "One replica less" in advice(Cause.BATCH_TOO_SMALL, same)["Consolidation"].expect
    none = advice(Cause.NO_TRAFFIC, both(running=0))
    assert "At scale zero 2 replicas" in none["Consolidation"].expect
    assert not advise(Situation(seen().__class__(300)), Diagnosis(Cause.NO_TRAFFIC, Confidence.LOW))


def test_a_healthy_endpoint_needs_no_advice_and_nobody_gets_more_than_three() -> None:
    it = both()
    assert advise(it, diagnose(it)) == ()
    assert all(len(advise(it, Diagnosis(cause, Confidence.HIGH))) <= MOST for cause in Cause)


@pytest.mark.parametrize(
    ("known", "samples", "load", "answer"),
    [
        (10.0, 5, 12.0, Help.YES),
        (10.0, 5, 40.0, Help.PARTLY),
        (10.0, 5, 4.0, Help.NO),
        (10.0, 2, 4.0, Help.UNKNOWN),
        (0.0, 5, 4.0, Help.UNKNOWN),
        (10.0, 5, None, Help.UNKNOWN),
    ],
)
def test_one_more_replica_helps_where_its_share_of_the_load_was_carried_before(
    known: float, samples: int, load: float | None, answer: Help
) -> None:
    it = situation(both(requests=load).signals, profile=a_profile(known, samples))
    found, why = would_help(Cause.QUEUE_BOUND, Help.UNKNOWN, it)
    assert found is answer
    assert bool(why) == (answer is not Help.UNKNOWN)


def test_of_causes_that_no_load_brings_the_table_is_believed() -> None:
    it = situation(both(requests=40.0).signals, profile=a_profile())
    assert would_help(Cause.ROUTING_SKEW, Help.NO, it) == (Help.NO, ())
    assert would_help(Cause.QUEUE_BOUND, Help.YES, both()) == (Help.YES, ())


def test_a_profile_in_doubt_does_not_say_whether_a_replica_more_helps() -> None:
    it = situation(profile=a_profile(100.0))
    assert would_help(Cause.DECODE_BOUND, Help.YES, it)[0] is Help.NO
    assert would_help(Cause.DECODE_BOUND, Help.YES, replace(it, doubt="answers grew")) == (Help.YES, ())


def test_a_queue_that_grows_needs_more_than_what_ends() -> None:
    """Two pods end four requests a second each, as many as they carry, and hundreds wait at each."""
    it = situation(seen(a_pod(waiting=600), a_pod("b", waiting=600)), profile=a_profile(4.0))
    found, why = would_help(Cause.QUEUE_BOUND, Help.PARTLY, it)
    assert (found, [e.value for e in why]) == (Help.YES, [3])
    deep = situation(seen(a_pod(waiting=900), a_pod("b", waiting=900)), profile=a_profile(4.0))
    assert would_help(Cause.QUEUE_BOUND, Help.PARTLY, deep)[0] is Help.PARTLY


def test_tokens_that_are_all_late_are_not_brought_in_time_by_one_replica() -> None:
    late = situation(None, judged(ITL, 0.99))
    assert would_help(Cause.DECODE_BOUND, Help.YES, late)[0] is Help.PARTLY
    some = situation(None, judged(ITL, 0.3))
    assert would_help(Cause.DECODE_BOUND, Help.YES, some) == (Help.YES, ())
