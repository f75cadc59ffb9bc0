"""What is broken, slowed down or not there yet is named with its harm, and nothing is on suspicion."""

from typing import Any

import pytest

from gpupool.model.diagnosis import Cause, Confidence
from gpupool.model.profile import ColdStart
from gpupool.model.signals import PodSignals, Signals, Starting
from gpupool.policy.slo.diagnosis.chain import diagnose
from gpupool.policy.slo.diagnosis.situation import Judged, Situation
from support.signals import AVAILABILITY, ITL, TTFT, a_pod, a_profile, judged, seen, situation

SLOW_FIRST = judged(TTFT, 0.5)
SLOW_TOKENS = judged(ITL, 0.5)


def both(**changes: Any) -> Signals:
    return seen(a_pod(**changes), a_pod("chat-1", **changes))


# ------------------------------------------------------------------ hardware


@pytest.mark.parametrize(
    ("pods", "named"),
    [
        ((a_pod(xid=94, remap_failed=True), a_pod("b")), True),
        ((a_pod(xid=94, itl=0.05), a_pod("b", itl=0.017)), True),
        ((a_pod(xid=79, aborted=1.0), a_pod("b")), True),
        ((a_pod(xid=94), a_pod("b")), False),
        ((a_pod(xid=31, remap_failed=True), a_pod("b")), False),
        ((a_pod(xid=94),), False),
        ((a_pod(xid=94, itl=None, requests=None), a_pod("b", itl=None)), False),
        ((a_pod(xid=None, remap_failed=True),), False),
    ],
)
def test_a_gpu_fault_is_a_hardware_code_and_harm(pods: tuple[PodSignals, ...], named: bool) -> None:
    found = diagnose(situation(seen(*pods)))
    assert (found.cause is Cause.GPU_FAULT) == named


@pytest.mark.parametrize(
    ("signs", "named"),
    [
        ({"slowed": None, "heat": 82}, True),
        ({"slowed": ("power_cap",), "heat": 60}, True),
        ({"slowed": (), "heat": 60}, False),
        ({"slowed": None, "heat": None}, False),
    ],
)
def test_a_low_clock_needs_a_reason(signs: dict[str, Any], named: bool) -> None:
    found = diagnose(situation(both(clock=0.68, **signs), SLOW_TOKENS))
    assert (found.cause is Cause.THROTTLED) == named


@pytest.mark.parametrize(
    ("signs", "objectives", "confidence"),
    [
        ({"aborted": 0.5, "refused": 0.5}, (judged(AVAILABILITY, 0.1),), Confidence.MEDIUM),
        ({"aborted": 0.5, "refused": 0.5}, (judged(TTFT),), Confidence.HIGH),
        ({"aborted": 0.0, "refused": 0.6}, (judged(TTFT),), Confidence.HIGH),
        ({"aborted": 0.5, "waiting": None}, (judged(AVAILABILITY, 0.1),), Confidence.LOW),
        ({"aborted": 0.5, "refused": 0.5}, (judged(TTFT, 0.5),), None),
        ({"aborted": 0.5, "waiting": 30}, (judged(AVAILABILITY, 0.1),), None),
        ({"aborted": 0.05, "refused": 0.05}, (judged(AVAILABILITY, 0.1),), None),
        ({"requests": None}, (judged(AVAILABILITY, 0.1),), None),
    ],
)
def test_errors_are_a_cause_where_latency_is_fine(
    signs: dict[str, Any], objectives: tuple[Judged, ...], confidence: Confidence | None
) -> None:
    found = diagnose(situation(both(**signs), *objectives))
    assert (found.cause is Cause.ERROR_BOUND) == (confidence is not None)
    assert confidence in {None, found.confidence}


# ------------------------------------------------------------------ start-up


def starting(seconds: float, *, bound: bool = True) -> tuple[Starting, ...]:
    return (Starting("chat-9", seconds, bound=bound),)


def nobody(seconds: float, *, bound: bool = True) -> Signals:
    return Signals(300, starting=starting(seconds, bound=bound))


def test_pods_that_start_while_nobody_serves_are_a_cold_start() -> None:
    found = diagnose(Situation(nobody(60)))
    assert (found.cause, found.confidence) == (Cause.COLD_START, Confidence.HIGH)


def test_a_start_beside_pods_that_serve_is_one_only_while_an_objective_is_missed() -> None:
    signals = seen(a_pod(), starting=starting(60))
    assert diagnose(situation(signals, SLOW_FIRST)).cause is Cause.COLD_START
    assert diagnose(situation(signals, judged())).cause is Cause.NONE


@pytest.mark.parametrize(
    ("seconds", "words"), [(5000, "do not become Ready"), (60, "wait for a node"), (0, "see dataState")]
)
def test_what_is_no_cold_start_says_what_it_is(seconds: float, words: str) -> None:
    signals = nobody(seconds, bound=seconds > 60) if seconds else Signals(300)
    found = diagnose(Situation(signals))
    assert found.cause is Cause.UNKNOWN
    assert words in found.remedy


def test_the_usual_start_up_moves_the_limit() -> None:
    slow = a_profile(cold_start=ColdStart((800.0, 900.0), 1.0))
    assert diagnose(Situation(nobody(1700), (), slow)).cause is Cause.COLD_START
    assert diagnose(Situation(nobody(1900), (), slow)).cause is Cause.UNKNOWN
