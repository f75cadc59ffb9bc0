"""What is said of an endpoint beside its objectives: before the first look, while blind, and then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gpupool.model.diagnosis import Cause, Confidence
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.profile import Stat
from gpupool.model.signals import SignalReading
from gpupool.model.slo import Endpoint, Reading, Slo, SloSnapshot, SloState
from gpupool.planner.diagnosing import Findings
from gpupool.planner.endpoints import plan_endpoints
from support.builders import NOW
from support.signals import TTFT, a_pod, a_profile, seen

SLO = Slo(
    key=Key("team", "chat"),
    uid="u",
    generation=1,
    created=NOW,
    target=ObjectRef("apps/v1", "Deployment", "chat"),
    objectives=(TTFT,),
    window=timedelta(hours=1),
    min_events=100,
    profiles=(a_profile(),),
)


def found(signals: SignalReading, good: float = 1000.0) -> Findings:
    reading = Reading(SloState.OK, good, 1000.0, 15.0)
    snapshot = SloSnapshot(NOW, 15.0, (SLO,), {SLO.key: Endpoint((reading,), "vLLM", 2, 2)}, signals=signals)
    slos = (replace(SLO, sums=()),)
    (status,) = plan_endpoints(replace(snapshot, slos=slos)).statuses
    return status.findings


def test_before_the_first_look_nothing_is_said_and_nothing_forgotten() -> None:
    assert found(SignalReading()) == Findings(None, SLO.profiles)


def test_what_could_not_be_read_is_unknown() -> None:
    blind = found(SignalReading(problem="Prometheus is down."))
    assert blind.diagnosis is not None
    assert (blind.diagnosis.cause, blind.diagnosis.remedy) == (Cause.UNKNOWN, "Prometheus is down.")
    assert blind.profiles == SLO.profiles


def test_a_healthy_endpoint_is_limited_by_nothing_and_teaches() -> None:
    well = found(SignalReading(endpoints={SLO.key: seen(recipe="r1")}))
    assert well.diagnosis is not None
    assert (well.diagnosis.cause, well.diagnosis.confidence) == (Cause.NONE, Confidence.HIGH)
    assert well.profiles[0].batch is not None
    assert well.advice == ()


def test_events_of_the_window_decide_and_advice_follows() -> None:
    slow: dict[str, Any] = {"waiting": 39.0, "queue": 8.8, "ttft": 8.9, "running": 16, "running_most": 16}
    signals = seen(a_pod(**slow), a_pod("b", **slow), recipe="r1")
    bad = found(SignalReading(endpoints={SLO.key: signals}), good=100.0)
    assert bad.diagnosis is not None
    assert bad.diagnosis.cause is Cause.QUEUE_BOUND
    assert bad.advice[0].kind == "Batching"
    (profile,) = bad.profiles
    assert replace(profile, missed=None) == SLO.profiles[0], "nothing is learned from a bad time"
    assert profile.missed == Stat(4.0, 1, NOW.timestamp()), "but that it was one"
