"""Every rule speaks where its signals agree, and is silent where any one of them does not or is not known."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Cause, Confidence, Help
from gpupool.model.signals import ContainerUse, PodSignals, Signals, Spread, Started
from gpupool.model.slo import Objective, Sli
from gpupool.policy.slo.diagnosis.chain import CHAIN, diagnose
from gpupool.policy.slo.diagnosis.situation import Judged
from support.signals import ITL, TTFT, a_pod, a_profile, judged, seen, situation

SLOW_FIRST = judged(TTFT, 0.5)
SLOW_TOKENS = judged(ITL, 0.5)
TAIL = Spread(((0.025, 900.0), (0.05, 20.0), (0.1, 80.0), (1.0, 60.0)))

SIGNS: dict[Cause, tuple[Judged, dict[str, Any]]] = {
    Cause.THROTTLED: (SLOW_TOKENS, {"clock": 0.68, "active": 1.0, "slowed": ("sw_thermal",), "heat": 82}),
    Cause.DEFERRED: (SLOW_FIRST, {"deferred": 4.4, "waiting": 4.5, "kv": 0.02}),
    Cause.CPU_BOUND: (SLOW_TOKENS, {"active": 0.4, "throttled": 0.45, "cpu_pressure": 0.6}),
    Cause.DATA_STARVED: (SLOW_TOKENS, {"active": 0.3, "io_pressure": 0.65, "reads": 1.6e9}),
    Cause.NETWORK_BOUND: (SLOW_TOKENS, {"network": 2e10, "tensor": 0.08, "dram": 0.19, "drops": 4000}),
    Cause.INFEASIBLE_AT_BATCH_ONE: (judged(TTFT, 1.0), {"running": 0.7, "waiting": 0.0}),
    Cause.KV_CACHE_BOUND: (SLOW_FIRST, {"kv": 0.97, "preemptions": 1.0, "waiting": 38.0}),
    Cause.QUEUE_BOUND: (
        SLOW_FIRST,
        {"waiting": 39.0, "kv": 0.03, "queue": 8.8, "ttft": 8.9, "running": 16, "running_most": 16},
    ),
    Cause.PREFILL_BOUND: (
        SLOW_FIRST,
        {"tensor": 0.6, "prompt_tokens": 16_000, "output_tokens": 24, "prompt": 16_000},
    ),
    Cause.DECODE_BOUND: (
        SLOW_TOKENS,
        {"dram": 0.72, "tensor": 0.16, "running": 108, "kv": 0.08, "itl": 0.062},
    ),
}
"""An objective that is missed, and what both pods show."""

NEEDED: dict[Cause, dict[str, tuple[Any, ...]]] = {
    Cause.THROTTLED: {"clock": (0.95, None), "active": (0.2, None)},
    Cause.DEFERRED: {"deferred": (0.1, 1.0, None), "kv": (0.95, None)},
    Cause.CPU_BOUND: {},
    Cause.DATA_STARVED: {"active": (0.9, None), "io_pressure": (0.1, None)},
    Cause.NETWORK_BOUND: {"network": (1e6, None), "tensor": (0.5, None), "dram": (0.7, None)},
    Cause.INFEASIBLE_AT_BATCH_ONE: {"running": (12, None), "waiting": (3, None)},
    Cause.KV_CACHE_BOUND: {"kv": (0.5, None)},
    Cause.QUEUE_BOUND: {
        "waiting": (0.1, None),
        "kv": (0.8, None),
        "queue": (0.1,),
        "running_most": (30, None),
    },
    Cause.PREFILL_BOUND: {"tensor": (0.2, None), "prompt_tokens": (50, None), "prompt": (200, None)},
    Cause.DECODE_BOUND: {
        "dram": (0.3, None),
        "tensor": (0.5, None),
        "running": (3, None),
        "kv": (0.95, None),
        "itl": (0.02, None),
    },
}
"""Signals without which a cause is not named, each with values that do not speak for it."""


def both(**changes: Any) -> Signals:
    return seen(a_pod(**changes), a_pod("chat-1", **changes))


@pytest.mark.parametrize("cause", list(SIGNS))
def test_a_cause_is_named_where_its_signals_agree(cause: Cause) -> None:
    objective, signs = SIGNS[cause]
    found = diagnose(situation(both(**signs), objective))
    assert found.cause is cause
    assert found.confidence in {Confidence.MEDIUM, Confidence.HIGH}
    assert len(found.evidence) >= 2
    assert found.remedy


@pytest.mark.parametrize(
    ("cause", "signal", "value"),
    [(c, s, v) for c, signals in NEEDED.items() for s, values in signals.items() for v in values],
)
def test_a_cause_is_not_named_without_any_one_of_them(cause: Cause, signal: str, value: Any) -> None:
    objective, signs = SIGNS[cause]
    found = diagnose(situation(both(**{**signs, signal: value}), objective))
    assert found.cause is not cause


@pytest.mark.parametrize("cause", list(SIGNS))
def test_what_limits_nobody_is_not_named(cause: Cause) -> None:
    """The same signals with every objective met: the GPUs may be as full as they are."""
    _, signs = SIGNS[cause]
    found = diagnose(situation(both(**signs), judged(TTFT), judged(ITL)))
    assert found.cause in {Cause.NONE, Cause.BATCH_TOO_SMALL}


@pytest.mark.parametrize("cause", list(SIGNS))
def test_without_any_signal_nothing_is_named_and_it_is_said_what_to_switch_on(cause: Cause) -> None:
    objective, _ = SIGNS[cause]
    found = diagnose(situation(seen(PodSignals("chat-0"), itl=Spread()), objective))
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)
    assert any("dcgm-exporter" in text for text in found.blind)
    assert found.evidence[0].signal == f"bad events of {objective.objective.sli.value}"


# ------------------------------------------------------------------ CPU: two of three


@pytest.mark.parametrize(
    ("signs", "named"),
    [
        ({"active": 0.4, "throttled": 0.45, "cpu_pressure": 0.0}, True),
        ({"active": 0.4, "throttled": None, "cpu_pressure": 0.6}, True),
        ({"active": None, "throttled": 0.45, "cpu_pressure": 0.6}, True),
        ({"active": 0.4, "throttled": 0.0, "cpu_pressure": 0.0}, False),
        ({"active": 1.0, "throttled": 0.45, "cpu_pressure": 0.0}, False),
        ({"active": 0.4, "throttled": 0.45, "running": 0}, False),
    ],
)
def test_cpu_needs_two_of_three(signs: dict[str, Any], named: bool) -> None:
    found = diagnose(situation(both(**signs), SLOW_TOKENS))
    assert (found.cause is Cause.CPU_BOUND) == named


@pytest.mark.parametrize(
    ("cpu", "signs", "named"),
    [
        (1.9, {"active": 0.4}, True),
        (1.9, {"active": 1.0, "cpu_pressure": 0.6}, True),
        (1.9, {"active": 1.0, "throttled": 0.45}, False),
        (1.7, {"active": 0.4}, False),
        (None, {"active": 0.4}, False),
    ],
)
def test_cpu_at_its_limit_speaks_once_with_throttling(
    cpu: float | None, signs: dict[str, Any], named: bool
) -> None:
    held = (ContainerUse("main", cpu, 2.0**30, 2.0), ContainerUse("proxy", 9.0))
    pods = (replace(a_pod(**signs), containers=held), a_pod("chat-1", **signs))
    found = diagnose(situation(seen(*pods), SLOW_TOKENS))
    assert (found.cause is Cause.CPU_BOUND) == named
    assert any(e.signal == "CPU in use / limit" for e in found.evidence) == named


@pytest.mark.parametrize("cause", [Cause.DATA_STARVED, Cause.NETWORK_BOUND])
def test_nothing_starves_where_nothing_runs(cause: Cause) -> None:
    _, signs = SIGNS[cause]
    assert diagnose(situation(both(**signs, running=0), SLOW_TOKENS)).cause is not cause


# ------------------------------------------------------------------ quiet


def test_no_traffic_is_seen_by_gauges_and_counters() -> None:
    quiet = {"running": 0, "waiting": 0, "requests": 0}
    assert diagnose(situation(both(**quiet))).confidence is Confidence.MEDIUM
    found = diagnose(situation(both(**{**quiet, "requests": None})))
    assert (found.cause, found.confidence) == (Cause.NO_TRAFFIC, Confidence.LOW)
    for signal, value in (("running", 1), ("waiting", 1), ("requests", 0.1), ("running", None)):
        assert diagnose(situation(both(**{**quiet, signal: value}))).cause is not Cause.NO_TRAFFIC


SMALL: dict[str, Any] = {"running": 2.2, "dram": 0.72, "tensor": 0.14}


def test_a_batch_is_too_small_only_where_there_is_a_replica_to_spare() -> None:
    assert diagnose(situation(both(**SMALL))).cause is Cause.BATCH_TOO_SMALL
    assert diagnose(situation(seen(a_pod(**SMALL)))).cause is Cause.NONE
    for signal, value in (("running", 14), ("running", None), ("dram", 0.3), ("tensor", 0.5)):
        signs: dict[str, Any] = {**SMALL, signal: value}
        assert diagnose(situation(both(**signs))).cause is Cause.NONE
    pods = both(**SMALL).pods
    just = seen(*pods, started=(Started(1.0, 5.0, "b", 20.0),))
    assert diagnose(situation(just)).cause is Cause.NONE, "it has not served for a window"


# ------------------------------------------------------------------ spread over pods, and in time


@pytest.mark.parametrize(
    ("waits", "named"),
    [((39, 0), True), ((39, 38), False), ((0.3, 0), False), ((39, 2), False), ((39, None), False)],
)
def test_skew_is_waiting_beside_room(waits: tuple[float, float | None], named: bool) -> None:
    signals = seen(a_pod(running=16, waiting=waits[0]), a_pod("b", running=4, waiting=waits[1]))
    found = diagnose(situation(signals, SLOW_FIRST))
    assert (found.cause is Cause.ROUTING_SKEW) == named


def test_a_pod_that_has_just_come_is_no_skew() -> None:
    pods = (a_pod("a", running=16, waiting=39), a_pod("b", running=4, waiting=0))
    for ago, cause in ((20.0, Cause.UNKNOWN), (400.0, Cause.ROUTING_SKEW)):
        signals = seen(*pods, started=(Started(1.0, 5.0, "b", ago),))
        assert diagnose(situation(signals, SLOW_FIRST)).cause is cause


def test_prompts_that_hold_up_tokens_show_as_a_tail() -> None:
    late = judged(Objective(Sli.ITL, 99, 0.05), 0.05)
    tail = both(prompt=4000)
    found = diagnose(situation(seen(*tail.pods, itl=TAIL), late))
    assert (found.cause, found.confidence) == (Cause.PREFILL_INTERFERENCE, Confidence.HIGH)
    quiet = Spread(((0.025, 990.0), (0.075, 10.0)))
    slow = Spread(((0.1, 900.0), (0.5, 60.0)))
    for spread in (quiet, slow, Spread()):
        assert diagnose(situation(seen(*tail.pods, itl=spread), late)).cause is not found.cause
    for signs in ({"prompt": 200}, {"active": 0.4}, {"waiting": 5}):
        pods = both(**{"prompt": 4000, **signs}).pods
        assert diagnose(situation(seen(*pods, itl=TAIL), late)).cause is not found.cause
    assert diagnose(situation(seen(*tail.pods, itl=TAIL), late, SLOW_FIRST)).cause is not found.cause


def test_the_cache_is_full_and_somebody_minds() -> None:
    assert diagnose(situation(both(kv=0.97, waiting=38), SLOW_FIRST)).cause is Cause.KV_CACHE_BOUND
    assert diagnose(situation(both(kv=0.97, preemptions=1), SLOW_TOKENS)).cause is Cause.KV_CACHE_BOUND
    assert diagnose(situation(both(kv=0.97), SLOW_FIRST)).cause is not Cause.KV_CACHE_BOUND


def test_a_queue_is_seen_without_queue_times_and_is_no_cause_where_tokens_are_late_too() -> None:
    _, signs = SIGNS[Cause.QUEUE_BOUND]
    silent = both(**{**signs, "queue": None})
    assert diagnose(situation(silent, SLOW_FIRST)).cause is Cause.QUEUE_BOUND
    assert diagnose(situation(both(**signs), SLOW_FIRST, SLOW_TOKENS)).cause is Cause.UNKNOWN


def test_a_full_gpu_whose_cause_is_not_known_is_relieved_by_a_replica() -> None:
    full = both(running=200, tensor=0.35, dram=0.5)
    found = diagnose(situation(full, SLOW_TOKENS))
    assert (found.cause, found.replicas_help) == (Cause.UNKNOWN, Help.PARTLY)
    rests = both(running=200, tensor=0.35, dram=0.5, active=0.7)
    assert diagnose(situation(rests, SLOW_TOKENS)).replicas_help is Help.UNKNOWN
    carried = situation(full, SLOW_TOKENS, profile=a_profile(9.0))
    assert diagnose(carried).replicas_help is Help.NO


def test_a_prompt_that_waits_is_not_read_slowly() -> None:
    _, signs = SIGNS[Cause.PREFILL_BOUND]
    waits = both(**signs, queue=8.0, ttft=9.0)
    assert diagnose(situation(waits, SLOW_FIRST)).cause is not Cause.PREFILL_BOUND
    silent = both(**signs, queue=None)
    assert diagnose(situation(silent, SLOW_FIRST)).cause is Cause.PREFILL_BOUND


def test_prompts_that_are_late_nearly_always_are_not_cured_by_replicas_alone() -> None:
    _, signs = SIGNS[Cause.PREFILL_BOUND]
    for bad, answer in ((0.3, Help.YES), (0.9, Help.PARTLY)):
        found = diagnose(situation(both(**signs), judged(TTFT, bad)))
        assert (found.cause, found.replicas_help) == (Cause.PREFILL_BOUND, answer)
    alone = both(**signs, running=1)
    assert diagnose(situation(alone, SLOW_FIRST)).cause is Cause.UNKNOWN


def test_every_cause_but_none_and_unknown_has_a_rule() -> None:
    assert {cause for cause, _ in CHAIN} == set(Cause) - {Cause.NONE, Cause.UNKNOWN}
