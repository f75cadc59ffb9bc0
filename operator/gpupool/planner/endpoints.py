"""What is said of every InferenceSLO: objectives, budgets, conditions. Same snapshot, same plan (law 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gpupool.model.economics import Economics, Ledger
from gpupool.model.metrics import Resolved
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.resources import Resources
from gpupool.model.slo import (
    DAY,
    HOUR,
    SEVERITY,
    Endpoint,
    Objective,
    Reading,
    Slo,
    SloSnapshot,
    SloState,
    Sums,
)
from gpupool.model.steering import Decision
from gpupool.planner import drifting, rollouts
from gpupool.planner.diagnosing import Findings, findings
from gpupool.planner.rollouts import Guarded
from gpupool.policy.slo.answering import Workload, oldest
from gpupool.policy.slo.budget import Budget, budget
from gpupool.policy.slo.economics import account, economics
from gpupool.policy.slo.effects import told
from gpupool.policy.slo.sums import fold

NOT_READ = Reading(SloState.MISSING, message="Prometheus has not been asked yet.")
WHOLE: Final = 99.0
"""Percent of the window from which on it counts as measured: what is missing then is not told."""
UNITS: Final = (("day", DAY), ("hour", HOUR), ("minute", 60.0))
"""What a time is told in, where it is at least one of them; else seconds."""


@dataclass(frozen=True, slots=True)
class ObjectiveFound:
    """One objective: what was read, what its memory says then, and where it stands."""

    objective: Objective
    reading: Reading
    sums: Sums
    budget: Budget


@dataclass(frozen=True, slots=True)
class SloStatus:
    """All that is said of one InferenceSLO; `decision`, `guarded` and `resources` are added by steering.

    `interval` is seconds between two scrapes of its pods.
    """

    key: Key
    uid: str
    generation: int
    engine: str
    pods: int
    ready: int
    objectives: tuple[ObjectiveFound, ...]
    conditions: tuple[Condition, ...]
    min_events: int = 0
    findings: Findings = field(default_factory=Findings)
    ledger: Ledger = field(default_factory=Ledger)
    economics: Economics | None = None
    decision: Decision | None = None
    interval: float = 0.0
    guarded: Guarded | None = None
    resolved: tuple[Resolved, ...] = ()
    resources: Resources | None = None

    def saying(self, condition: Condition) -> SloStatus:
        """The same, with this condition in place of the one of its type."""
        others = tuple(c for c in self.conditions if c.type != condition.type)
        return replace(self, conditions=(*others, condition))

    @property
    def state(self) -> SloState:
        """The worst of its objectives' states."""
        return max((o.reading.state for o in self.objectives), key=SEVERITY.__getitem__)


@dataclass(frozen=True, slots=True)
class SloPlan:
    """What one look at all endpoints comes to."""

    statuses: tuple[SloStatus, ...] = ()
    notices: tuple[Notice, ...] = ()


def plan_endpoints(snapshot: SloSnapshot) -> SloPlan:
    """Judge every endpoint."""
    owners = oldest(snapshot.slos)
    statuses = tuple(_status(snapshot, slo, owners) for slo in sorted(snapshot.slos, key=lambda s: s.key))
    return SloPlan(statuses, tuple(n for s in statuses for n in (*_notices(s), *_turned(snapshot, s))))


def _turned(snapshot: SloSnapshot, status: SloStatus) -> Iterable[Notice]:
    """What has just turned out of its rollout, and of its behaviour."""
    yield from rollouts.notices(status.key, status.uid, status.guarded, snapshot)
    for effect in status.findings.effects:
        if effect.at == snapshot.now.timestamp():
            yield Notice("InferenceSLO", status.key, status.uid, "AdviceFollowed", told(effect))
    yield from drifting.notices(status.key, status.uid, status.findings.drifting, snapshot.now.timestamp())


def _status(snapshot: SloSnapshot, slo: Slo, owners: Mapping[Workload, Slo]) -> SloStatus:
    endpoint = snapshot.endpoints.get(slo.key)
    if endpoint is None:
        unread = Reading(SloState.MISSING, message=snapshot.problem) if snapshot.problem else NOT_READ
        endpoint = Endpoint((unread,) * len(slo.objectives))
    found = tuple(
        _objective(snapshot, slo, number, reading) for number, reading in enumerate(endpoint.readings)
    )
    known = findings(snapshot, slo, [(o.objective, o.reading.state, o.sums) for o in found])
    ledger, economy = _economics(snapshot, slo, endpoint)
    return SloStatus(
        key=slo.key,
        uid=slo.uid,
        generation=slo.generation,
        engine=endpoint.engine or slo.engine,
        pods=endpoint.pods,
        ready=endpoint.ready,
        objectives=found,
        conditions=(
            *_conditions(slo, found, owners[slo.at]),
            *drifting.conditions(known.drifting),
        ),
        min_events=slo.min_events,
        findings=known,
        interval=endpoint.interval,
        resolved=endpoint.resolved,
        guarded=rollouts.guarded(snapshot, slo, endpoint, [o.budget.remaining for o in found]),
        ledger=ledger,
        economics=economy,
    )


def _economics(snapshot: SloSnapshot, slo: Slo, endpoint: Endpoint) -> tuple[Ledger, Economics | None]:
    """What its GPUs wrote and cost, with the memory of it."""
    holding = snapshot.holdings.get(slo.key)
    if holding is None:
        return slo.ledger, None
    signals = snapshot.signals.endpoints.get(slo.key)
    window = slo.window.total_seconds()
    ledger = account(slo.ledger, endpoint, holding, signals, now=snapshot.now.timestamp(), window=window)
    return ledger, economics(ledger, holding)


def _objective(snapshot: SloSnapshot, slo: Slo, number: int, reading: Reading) -> ObjectiveFound:
    objective, now = slo.objectives[number], snapshot.now.timestamp()
    before = slo.sums[number] if number < len(slo.sums) else Sums()
    sums = fold(before, reading, now, slo.window, snapshot.interval)
    found = budget(objective, sums, now, slo.window, snapshot.interval)
    return ObjectiveFound(objective, reading, sums, found)


# ------------------------------------------------------------------ conditions


def _conditions(slo: Slo, found: tuple[ObjectiveFound, ...], owner: Slo) -> Iterable[Condition]:
    yield _met(slo, found)
    yield _healthy(slo, found)
    yield _data(found)
    if owner is not slo:
        yield Condition(
            "Conflict",
            Status.TRUE,
            "SameTarget",
            f"InferenceSLO {owner.key.name} is older and answers for {slo.target}: delete one of the two.",
        )


def _met(slo: Slo, found: Sequence[ObjectiveFound]) -> Condition:
    judged = [o for o in found if o.budget.events >= slo.min_events]
    missed = [o for o in judged if (o.budget.attainment or 0.0) < o.objective.percent]
    if missed:
        text = f"Missed: {'; '.join(map(_said, missed))}{_measured(slo, missed)}."
        return Condition("Met", Status.FALSE, "Missed", text)
    if len(judged) < len(found):
        return Condition("Met", Status.UNKNOWN, *_no_verdict(slo, found))
    text = f"Met: {'; '.join(map(_said, judged))}{_measured(slo, judged)}."
    return Condition("Met", Status.TRUE, "Met", text)


def _no_verdict(slo: Slo, found: Iterable[ObjectiveFound]) -> tuple[str, str]:
    fewest = min(found, key=lambda o: o.budget.events)
    sli, events = fewest.objective.sli.value, fewest.budget.events
    measured = _measured(slo, [fewest])
    if not events:
        return "NoEvents", f"There were no events of {sli} in the window yet{measured}."
    few = f"{events:.0f} events of {sli} in the window are fewer than spec.minEvents {slo.min_events}"
    return "TooFewEvents", f"{few}{measured}."


def _measured(slo: Slo, found: Iterable[ObjectiveFound]) -> str:
    """How much of the window was measured of the one that was measured least; nothing where that is all."""
    least = min(o.budget.coverage for o in found)
    if least >= WHOLE:
        return ""
    window = slo.window.total_seconds()
    return f"; measured for {_of(window * least / 100, window)}"


def _of(part: float, whole: float) -> str:
    """A time and another that it belongs to: 6.2 of 28 days, 9.5 hours of 28 days."""
    (short, unit), (long, units) = _told(part), _told(whole)
    return f"{short} of {long} {units}" if units.startswith(unit) else f"{short} {unit} of {long} {units}"


def _told(seconds: float) -> tuple[str, str]:
    """A time in the largest unit of which it is at least one, to a tenth."""
    unit, size = next((row for row in UNITS if seconds >= row[1]), ("second", 1.0))
    number = f"{seconds / size:.1f}".removesuffix(".0")
    return number, unit if number == "1" else f"{unit}s"


def _said(found: ObjectiveFound) -> str:
    objective, budget_ = found.objective, found.budget
    limit = "" if objective.threshold is None else f" <= {objective.threshold:g}s"
    return (
        f"{objective.sli.value}{limit} holds for {budget_.attainment or 0.0:.2f} % of {objective.percent:g} %"
        f" promised, {budget_.remaining or 0.0:.0f} % of the budget left"
    )


def _healthy(slo: Slo, found: Iterable[ObjectiveFound]) -> Condition:
    judged = [o for o in found if o.budget.events >= slo.min_events]
    burning = [o for o in judged if o.budget.burning]
    if burning:
        alarm = next(b for b in burning[0].budget.burns if b.burning)
        sli = burning[0].objective.sli.value
        text = (
            f"{sli} burns its budget {alarm.long_rate or 0.0:.1f} times as fast as it may over"
            f" {alarm.alarm.long:.0f} s and {alarm.short_rate or 0.0:.1f} over {alarm.alarm.short:.0f} s;"
            f" the alarm is at {alarm.alarm.factor:g}."
        )
        return Condition("BudgetHealthy", Status.FALSE, "Burning", text)
    spent = [o for o in judged if (o.budget.remaining or 0.0) < 0]
    if spent:
        text = f"The budget of {spent[0].objective.sli.value} is used up: {_said(spent[0])}."
        return Condition("BudgetHealthy", Status.FALSE, "Exhausted", text)
    if not judged:
        return Condition("BudgetHealthy", Status.UNKNOWN, "TooFewEvents", "Too few events for a verdict.")
    return Condition("BudgetHealthy", Status.TRUE, "WithinBudget", "No alarm window burns too fast.")


def _data(found: Iterable[ObjectiveFound]) -> Condition:
    worst = max(found, key=lambda o: SEVERITY[o.reading.state])
    state = worst.reading.state
    if state in {SloState.OK, SloState.NO_TRAFFIC}:
        text = "All objectives are measured." if state is SloState.OK else "There are no requests."
        return Condition("DataAvailable", Status.TRUE, state.value, text)
    reason = "NotABucketBound" if worst.reading.message.startswith("NotABucketBound") else state.value
    text = f"{worst.objective.sli.value}: {worst.reading.message}"
    return Condition("DataAvailable", Status.FALSE, reason, text)


def _notices(status: SloStatus) -> Iterable[Notice]:
    """An Event for what begins to go wrong: the same words are told once in a while."""
    for condition in status.conditions:
        if condition.type == "BudgetHealthy" and condition.status is Status.FALSE:
            text = (
                "The error budget is used up."
                if condition.reason == "Exhausted"
                else "The error budget burns."
            )
            yield Notice(
                "InferenceSLO", status.key, status.uid, f"Budget{condition.reason}", text, warning=True
            )
