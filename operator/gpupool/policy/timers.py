"""Which timers stand on a quota: those of live requests first, of deleted ones while there is room.

They share the annotations of one object with everything else, and the server refuses more than 256 KiB: the
numbers of a namespace must not depend on how many notices are open in it. A timer that finds no room is as if
it had never been written: its notice begins anew, so nothing is taken earlier; what is lent out goes first,
and where even that finds no room its owner's claim is read from the status (`claims`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gpupool.model.annotations import timer_size
from gpupool.model.objects import Timer
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.desk import Desk
from gpupool.policy.rebuilding import timer_name

ROOM = 200 * 1024
"""Bytes for the timers of one namespace."""

Rows = Mapping[str, Timer]


@dataclass(frozen=True, slots=True)
class Kept:
    """Timers by name, and how many of live requests found no room."""

    rows: Rows = field(default_factory=dict)
    left_out: int = 0


NONE = Kept()


def kept(snapshot: Snapshot, desks: Iterable[Desk]) -> dict[str, Kept]:
    """The timers that stand, by namespace."""
    live, left = _live(desks), _left_behind(snapshot)
    return {name: _fitting(live.get(name, {}), left.get(name, {})) for name in live.keys() | left.keys()}


def _fitting(live: Rows, left: Rows) -> Kept:
    """As many as there is room for. Who has a place keeps it: among equals the older notice goes first."""
    rows: dict[str, Timer] = {}
    room = ROOM
    for name, timer in (*sorted(live.items(), key=_rank), *sorted(left.items(), key=_soonest, reverse=True)):
        size = timer_size(name, timer)
        if name not in rows and size <= room:
            rows[name] = timer
            room -= size
    return Kept(rows, len(live.keys() - rows.keys()))


def _rank(row: tuple[str, Timer]) -> tuple[bool, bool, datetime, str]:
    """What is lent, what is recalled, then notices; the older first."""
    name, timer = row
    return (timer.stage is not Stage.LENT, timer.stage is not Stage.RECALLING, timer.since, name)


def _soonest(row: tuple[str, Timer]) -> tuple[datetime, str]:
    """What deleted requests left behind counts by its deadline, the newest for longest."""
    name, timer = row
    return (timer.deadline or timer.since, name)


def _live(desks: Iterable[Desk]) -> dict[str, dict[str, Timer]]:
    found: defaultdict[str, dict[str, Timer]] = defaultdict(dict)
    for desk in desks:
        for claim in desk.claims:
            if claim.timer is not None:
                timer = replace(claim.timer, workload=claim.request.workload)
                found[claim.key.namespace][timer_name(claim)] = timer
    return found


def _left_behind(snapshot: Snapshot) -> dict[str, dict[str, Timer]]:
    """Open takings of requests that were deleted: recreated within a window, they go on (law 5)."""
    live = {(r.key.namespace, word) for r in snapshot.requests for word in (r.key.name, r.workload)}
    found: defaultdict[str, dict[str, Timer]] = defaultdict(dict)
    for namespace in snapshot.namespaces:
        for name, timer in namespace.quota.timers.items() if namespace.quota else ():
            taken = {(namespace.name, name), (namespace.name, timer.workload)} & live
            if not taken and "/" not in name and _still_counts(snapshot, timer):
                found[namespace.name][name] = timer
    return found


def _still_counts(snapshot: Snapshot, timer: Timer) -> bool:
    if timer.stage is Stage.RECALLING or timer.deadline is None:
        return False
    return snapshot.now < timer.deadline + snapshot.pool.reclaim.window
