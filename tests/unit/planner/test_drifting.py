"""What is said of an endpoint that behaves otherwise: a condition while it does, one Event when it begins."""

from datetime import UTC, datetime, timedelta

from gpupool.model.effects import Effect, Forecast, Lever, Measure
from gpupool.model.objects import Key
from gpupool.model.profile import Profile
from gpupool.model.signals import SignalReading
from gpupool.model.slo import Endpoint, SloSnapshot
from gpupool.model.traits import Trait
from gpupool.planner.drifting import TELLING, conditions, found, notices
from gpupool.planner.endpoints import plan_endpoints
from gpupool.telemetry import catalog
from gpupool.telemetry.sloseries import slo_series
from support.builders import NOW
from support.signals import a_pod, seen
from unit.planner.test_endpoints import a_slo, ok

KEY = Key("chat-prod", "chat")
AT = NOW.timestamp()
TRAIT = Trait("prompt tokens", 1000, 1400, 9, AT, AT - 60)
SAME = Trait("output tokens", 250, 250, 9, AT)


def test_one_condition_says_all_of_it() -> None:
    hits = Trait("cache hits", 0.6, 0.2, 9, AT, AT)
    differing = found([Profile("H100", "r1", 0.0, traits=(TRAIT, SAME, hits))], 300, AT)
    assert [t for _, t in differing] == [TRAIT, hits]
    (condition,) = conditions(differing)
    assert (condition.type, condition.status, condition.reason) == ("Drift", "True", "BehaviourChanged")
    assert condition.message.startswith("Prompt tokens are 1400")
    assert "; cache hits are 20 %" in condition.message
    assert list(conditions(())) == []


def test_it_is_told_when_it_begins_and_is_one_event() -> None:
    differing = (("H100", TRAIT),)
    (notice,) = notices(KEY, "uid", differing, AT)
    assert (notice.reason, notice.warning) == ("DriftPromptTokens", True)
    assert notice.since == datetime.fromtimestamp(AT - 60, UTC)
    assert "learned on H100: prompt tokens are" in notice.message
    assert list(notices(KEY, "uid", differing, AT + TELLING)) == []
    latency = Trait("ms between tokens with 11.3 to 16 running", 15, 30, 9, AT, AT)
    (notice,) = notices(KEY, "uid", (("", latency),), AT)
    assert notice.reason == "DriftMsBetweenTokens"
    assert "learned: ms" in notice.message


def test_what_advice_brought_is_told_once() -> None:
    forecast = Forecast(Measure.ITL, 33.0, 22.0, Lever.RECIPE, recipe="r1")
    waited = Effect("Quantization", forecast, AT - 3600, AT - 3000)
    slo = a_slo(effects=(waited,))
    endpoint = Endpoint((ok(1000, 1000),), "vLLM", 2, 2)
    signals = SignalReading(endpoints={slo.key: seen(recipe="r2")})
    plan = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint}, signals=signals))
    (notice,) = [n for n in plan.notices if n.reason == "AdviceFollowed"]
    assert notice.message.endswith("33 before, 22 predicted, 15 measured.")
    after = a_slo(effects=plan.statuses[0].findings.effects)
    later = SloSnapshot(NOW + timedelta(seconds=15), 15.0, (after,), {slo.key: endpoint}, signals=signals)
    assert not [n for n in plan_endpoints(later).notices if n.reason == "AdviceFollowed"]


def test_a_look_learns_compares_and_tells() -> None:
    profile = Profile("H100", "r1", 0.0, traits=(TRAIT,))
    slo = a_slo(profiles=(profile,))
    endpoint = Endpoint((ok(1000, 1000),), "vLLM", 2, 2)
    signals = SignalReading(endpoints={slo.key: seen(a_pod(prompt=1400), recipe="r1")})
    plan = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), {slo.key: endpoint}, signals=signals))
    (status,) = plan.statuses
    assert "Drift" in {c.type for c in status.conditions}
    assert "DriftPromptTokens" in {n.reason for n in plan.notices}
    series = slo_series(plan)
    assert series[catalog.SLO_DRIFT]["chat-prod", "chat", "H100", "prompt tokens"] == 1.4
