"""What is said of an InferenceSLO: verdicts need events, data and a budget; two on one workload are told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Condition
from gpupool.model.slo import (
    DAY,
    Endpoint,
    Objective,
    Reading,
    Sli,
    Slice,
    Slo,
    SloSnapshot,
    SloState,
    Sums,
)
from gpupool.planner.endpoints import SloStatus, plan_endpoints
from support.builders import NOW

TTFT = Objective(Sli.TTFT, 99, 0.5)
E2E = Objective(Sli.E2E, 90, 10.0)
UNTIL = NOW.timestamp() - 15


def a_slo(name: str = "chat", **more: object) -> Slo:
    found = Slo(
        key=Key("chat-prod", name),
        uid=f"uid-{name}",
        generation=3,
        created=NOW - timedelta(days=1),
        target=ObjectRef("apps/v1", "Deployment", "chat"),
        objectives=(TTFT,),
        window=timedelta(days=28),
        min_events=100,
        sums=(Sums(until=UNTIL), Sums(until=UNTIL)),
    )
    return replace(found, **more)  # type: ignore[arg-type]


def ok(good: float, total: float) -> Reading:
    return Reading(SloState.OK, good, total, 15.0, "vllm:time_to_first_token_seconds", "0.5")


def judged(*readings: Reading, slo: Slo | None = None) -> SloStatus:
    """The status of one endpoint after one reading of each objective."""
    found = slo or a_slo()
    endpoint = Endpoint(readings, "vLLM", pods=3, ready=2)
    (status,) = plan_endpoints(SloSnapshot(NOW, 15.0, (found,), {found.key: endpoint})).statuses
    return status


def condition(status: SloStatus, type_: str) -> Condition:
    return next(c for c in status.conditions if c.type == type_)


def test_a_promise_that_is_kept() -> None:
    status = judged(ok(1000, 1000))
    met, healthy, data = (condition(status, t) for t in ("Met", "BudgetHealthy", "DataAvailable"))
    assert (met.status, healthy.status, data.status) == ("True", "True", "True")
    assert "ttft <= 0.5s holds for 100.00 % of 99 % promised, 100 % of the budget left" in met.message
    assert (status.engine, status.pods, status.ready, status.state) == ("vLLM", 3, 2, SloState.OK)


def test_a_promise_that_is_broken_names_the_objective_and_the_sum() -> None:
    status = judged(ok(900, 1000))
    met, healthy = condition(status, "Met"), condition(status, "BudgetHealthy")
    assert (met.status, met.reason) == ("False", "Missed")
    assert "-900 % of the budget left" in met.message
    assert (healthy.status, healthy.reason) == ("False", "Burning")
    assert "the alarm is at" in healthy.message


def test_a_budget_that_is_used_up_and_burns_no_more() -> None:
    now = NOW.timestamp()
    status = judged(ok(1000, 1000), slo=a_slo(sums=(_old(now, 0, 500),)))
    healthy = condition(status, "BudgetHealthy")
    assert (healthy.status, healthy.reason) == ("False", "Exhausted")


def _old(now: float, good: float, total: float) -> Sums:
    """Events of ten days ago."""
    return Sums(until=now - 15, days=(Slice(now - 10 * DAY, DAY, good, total, DAY),))


def test_fewer_events_than_asked_give_no_verdict_and_show_the_number() -> None:
    status = judged(ok(5, 10))
    met, healthy = condition(status, "Met"), condition(status, "BudgetHealthy")
    assert (met.status, met.reason) == ("Unknown", "TooFewEvents")
    assert "10 events of ttft in the window are fewer than spec.minEvents 100" in met.message
    assert (healthy.status, healthy.reason) == ("Unknown", "TooFewEvents")
    assert status.objectives[0].budget.attainment == pytest.approx(50)


def test_nothing_measured_is_not_met_and_not_missed() -> None:
    status = judged(Reading(SloState.NO_TRAFFIC, seconds=15.0))
    assert condition(status, "Met").reason == "NoEvents"
    assert condition(status, "DataAvailable").message == "There are no requests."


@pytest.mark.parametrize(
    ("state", "message", "reason"),
    [
        (SloState.MISSING, "No target.", "Missing"),
        (SloState.INVALID, "NotABucketBound: 0.6s is none.", "NotABucketBound"),
        (SloState.INVALID, "NaN.", "Invalid"),
        (SloState.STALE, "Old.", "Stale"),
        (SloState.PARTIAL, "1 of 2.", "Partial"),
        (SloState.UNSUPPORTED, "No histogram.", "Unsupported"),
    ],
)
def test_what_is_not_known_is_said_with_its_reason(state: SloState, message: str, reason: str) -> None:
    slo = a_slo(objectives=(TTFT, E2E))
    status = judged(ok(1000, 1000), Reading(state, message=message), slo=slo)
    found = condition(status, "DataAvailable")
    assert (found.status, found.reason, found.message) == ("False", reason, f"e2e: {message}")
    assert status.state is state


def test_an_endpoint_that_was_not_read_says_why() -> None:
    slo = a_slo()
    (blind,) = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,), problem="Prometheus is down.")).statuses
    (early,) = plan_endpoints(SloSnapshot(NOW, 15.0, (slo,))).statuses
    assert condition(blind, "DataAvailable").message == "ttft: Prometheus is down."
    assert condition(early, "DataAvailable").message == "ttft: Prometheus has not been asked yet."


def test_a_new_objective_begins_with_nothing() -> None:
    status = judged(ok(1, 1), ok(1, 1), slo=a_slo(objectives=(TTFT, E2E), sums=()))
    assert [o.sums.until for o in status.objectives] == [NOW.timestamp()] * 2


def test_of_two_on_one_workload_the_older_answers() -> None:
    old, new = a_slo("old"), a_slo("new", created=NOW)
    other = a_slo("other", target=ObjectRef("apps/v1", "Deployment", "code"))
    statuses = {s.key.name: s for s in plan_endpoints(SloSnapshot(NOW, 15.0, (new, other, old))).statuses}
    conflict = condition(statuses["new"], "Conflict")
    assert (conflict.status, conflict.reason) == ("True", "SameTarget")
    assert "InferenceSLO old is older" in conflict.message
    for name in ("old", "other"):
        assert all(c.type != "Conflict" for c in statuses[name].conditions)


def test_an_event_tells_when_the_budget_burns_and_none_when_it_does_not() -> None:
    slo = a_slo()
    told = {
        good: plan_endpoints(
            SloSnapshot(NOW, 15.0, (slo,), {slo.key: Endpoint((ok(good, 1000),), "vLLM", 1, 1)})
        ).notices
        for good in (500, 1000)
    }
    assert told[1000] == ()
    (notice,) = told[500]
    assert (notice.kind, notice.reason, notice.warning) == ("InferenceSLO", "BudgetBurning", True)
    assert notice.key == slo.key


@pytest.mark.parametrize(
    ("window", "measured", "words"),
    [
        (timedelta(days=28), timedelta(days=6.2), "; measured for 6.2 of 28 days."),
        (timedelta(days=28), timedelta(days=1), "; measured for 1 of 28 days."),
        (timedelta(days=28), timedelta(hours=9.5), "; measured for 9.5 hours of 28 days."),
        (timedelta(days=1), timedelta(hours=1), "; measured for 1 hour of 1 day."),
        (timedelta(hours=6), timedelta(minutes=30), "; measured for 30 minutes of 6 hours."),
        (timedelta(minutes=10), timedelta(minutes=3), "; measured for 3 of 10 minutes."),
        (timedelta(minutes=10), timedelta(seconds=45), "; measured for 45 seconds of 10 minutes."),
        (timedelta(days=28), timedelta(days=27.8), "left."),
        (timedelta(days=28), timedelta(days=28), "left."),
    ],
)
@pytest.mark.parametrize("good", [100, 0])
def test_how_much_of_the_window_was_measured_is_told_unless_it_is_all(
    window: timedelta, measured: timedelta, words: str, good: float
) -> None:
    met = condition(judged(_still(), slo=_lately(good, 100, window, measured)), "Met")
    assert met.reason == ("Met" if good else "Missed")
    assert met.message.endswith(words)


def test_without_a_verdict_it_is_told_too() -> None:
    window, half = timedelta(minutes=10), timedelta(minutes=5)
    few = condition(judged(_still(), slo=_lately(9, 10, window, half)), "Met")
    none = condition(judged(_still(), slo=_lately(0, 0, window, half)), "Met")
    blind = condition(judged(Reading(SloState.MISSING)), "Met")
    assert few.message.endswith("fewer than spec.minEvents 100; measured for 5 of 10 minutes.")
    assert none.message == "There were no events of ttft in the window yet; measured for 5 of 10 minutes."
    assert blind.message.endswith("; measured for 0 seconds of 28 days.")


def test_of_several_objectives_the_one_that_was_measured_least_tells_how_much() -> None:
    slo = _lately(100, 100, timedelta(days=28), timedelta(days=14))
    (old,) = slo.sums
    (part,) = old.days
    late = replace(old, days=(replace(part, covered=2 * DAY),))
    met = condition(
        judged(_still(), _still(), slo=replace(slo, objectives=(TTFT, E2E), sums=(old, late))), "Met"
    )
    assert met.message.count("measured for") == 1
    assert met.message.endswith("; measured for 2 of 28 days.")


def _still() -> Reading:
    """Nothing is added."""
    return Reading(SloState.MISSING)


def _lately(good: float, total: float, window: timedelta, measured: timedelta) -> Slo:
    """An endpoint of whose window so much was measured, all of it in one piece."""
    span = window.total_seconds()
    piece = Slice(NOW.timestamp() - span, span, good, total, measured.total_seconds())
    return a_slo(window=window, sums=(Sums(until=NOW.timestamp(), fine=(piece,), days=(piece,)),))


def test_the_same_snapshot_gives_the_same_plan() -> None:
    slo = a_slo()
    snapshot = SloSnapshot(NOW, 15.0, (slo,), {slo.key: Endpoint((ok(9, 10),), "vLLM", 1, 1)})
    assert plan_endpoints(snapshot) == plan_endpoints(snapshot)
