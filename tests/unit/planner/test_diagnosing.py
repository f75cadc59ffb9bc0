"""What is said of an endpoint beside its objectives: before the first look, while blind, and then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gpupool.model.diagnosis import Cause, Confidence, Help
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.profile import Shape, Stat
from gpupool.model.signals import SignalReading
from gpupool.model.slo import Endpoint, Objective, Reading, Sli, Slo, SloSnapshot, SloState
from gpupool.model.traits import Trait
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


def test_answers_that_grew_while_objectives_are_missed_put_the_profile_in_doubt() -> None:
    """Every window is bad, so the profile stays: what it carried of short answers refuses nobody."""
    slow: dict[str, Any] = {"output": 750, "kv": 0.97, "preemptions": 1, "waiting": 5, "running": 60}
    signals = seen(a_pod(**slow), a_pod("b", **slow), recipe="r1")
    grown = Trait("output tokens", 250, 700, 9, NOW.timestamp() - 60)
    learned = replace(a_profile(10.0, samples=20), shape=Shape(1000, 250, 1000, 250))
    for traits, helps in (((), Help.NO), ((grown,), Help.PARTLY)):
        slo = replace(SLO, profiles=(replace(learned, traits=traits),))
        reading = SignalReading(endpoints={SLO.key: signals})
        told = plan_endpoints(
            SloSnapshot(
                *(
                    NOW,
                    15.0,
                    (slo,),
                    {SLO.key: Endpoint((Reading(SloState.OK, 100, 1000, 15),), "vLLM", 2, 2)},
                ),
                signals=reading,
            )
        )
        found = told.statuses[0].findings
        assert found.diagnosis is not None
        assert (found.diagnosis.cause, found.diagnosis.replicas_help) == (Cause.KV_CACHE_BOUND, helps)
        assert (found.pressed is None) == (helps is Help.NO)


def test_minutes_of_throughput_are_judged_by_half_a_window_of_them() -> None:
    minutes = Objective(Sli.THROUGHPUT, 95, tokens_per_second=100.0)
    for looks, missed in ((4, False), (12, True)):
        slo, now = replace(SLO, objectives=(minutes,)), NOW
        signals = SignalReading(endpoints={SLO.key: seen(recipe="r1")})
        for _ in range(looks):
            now += timedelta(seconds=15)
            endpoint = Endpoint((Reading(SloState.OK, 0.0, 0.25, 15.0),), "vLLM", 2, 2)
            (status,) = plan_endpoints(
                SloSnapshot(now, 15.0, (slo,), {SLO.key: endpoint}, signals=signals)
            ).statuses
            slo = replace(slo, sums=(status.objectives[0].sums,))
        assert status.findings.diagnosis is not None
        assert (status.findings.diagnosis.cause is not Cause.NONE) == missed
