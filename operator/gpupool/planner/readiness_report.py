"""What is said of readiness: the pool's condition, who would be denied, the Event while a switch waits."""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.enforcement import Replay
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.policy.readiness import Rehearsed, rehearsed, waiting

READY = "ReadyToEnforce"
MOST_DENIED = 20
MOST_QUOTED = 3
"""Refusals quoted in one sentence; the others are counted, and stand in `status.wouldBeDenied`."""


def readiness(snapshot: Snapshot) -> Condition:
    """Whether every live template would be let in under Enforce, by the last rehearsal."""
    found = rehearsed(snapshot)
    if found.denied:
        return Condition(READY, Status.FALSE, "WouldBeDenied", _denied(snapshot, found))
    if not snapshot.pool.shares:
        message = "No share lists a namespace: what runs is tried when one does, from mode Recommend on."
        return Condition(READY, Status.UNKNOWN, "NoShares", message)
    if not snapshot.enforcement.replays:
        message = "No GPU workload stands in the namespaces of the shares."
        return Condition(READY, Status.TRUE, "NothingRuns", message)
    if not found.count:
        message = "Templates are rehearsed from mode Recommend on."
        return Condition(READY, Status.UNKNOWN, "NotRehearsed", message)
    if found.unknown:
        return Condition(READY, Status.UNKNOWN, "BeingRehearsed", _unknown(snapshot, found))
    message = f"{found.count} templates of running workloads would be let in."
    return Condition(READY, Status.TRUE, "NoDenial", message)


def would_be_denied(snapshot: Snapshot) -> tuple[Replay, ...]:
    """Who would be denied, the first of them by name."""
    ordered = sorted(rehearsed(snapshot).denied, key=lambda r: (r.namespace, r.owner, r.refusal or ""))
    return tuple(ordered[:MOST_DENIED])


def notices(snapshot: Snapshot) -> Iterable[Notice]:
    """An Event while a switch to Enforce waits for templates that would be denied."""
    if waiting(snapshot.pool) and rehearsed(snapshot).denied:
        pool, condition = snapshot.pool, readiness(snapshot)
        yield Notice("GpuPool", Key("", pool.name), pool.uid, "EnforceWaits", condition.message, warning=True)


def _wait(snapshot: Snapshot) -> str:
    """Who waits for the verdict, as the beginning of a sentence."""
    pool = snapshot.pool
    teams = [s.team for s in waiting(pool)]
    if teams:
        more = f" and {len(teams) - MOST_QUOTED} more" if len(teams) > MOST_QUOTED else ""
        return f"Enforce waits for {', '.join(teams[:MOST_QUOTED])}{more}: "
    if pool.enforce_now and Mode.ENFORCE in {pool.isolation_for(s) for s in pool.shares}:
        return "Enforced all the same, as gpupool.dev/enforce-now asks: "
    return ""


def _denied(snapshot: Snapshot, found: Rehearsed) -> str:
    rows = would_be_denied(snapshot)[:MOST_QUOTED]
    quoted = "; ".join(f"{r}: {r.refusal}" for r in rows)
    more = f"; and {len(found.denied) - len(rows)} more" if len(found.denied) > len(rows) else ""
    return (
        f"{_wait(snapshot)}new pods of {len(found.denied)} of {found.count} templates would be denied."
        f" {quoted}{more}."
    )


def _unknown(snapshot: Snapshot, found: Rehearsed) -> str:
    first = found.unknown[0]
    return f"{_wait(snapshot)}{len(found.unknown)} of {found.count} templates are being tried, {first} first."
