"""What our objects carry: labels, and our ResourceQuota its timers, implicit grant and writer's epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from gpupool.model.marks import managed
from gpupool.model.objects import Loan, Timer
from gpupool.model.reasons import Stage

QUOTA_NAME = "gpupool"
GROUP = "gpupool.dev/"
REQUESTS = "requests."
TIMERS = "gpupool.dev/timers"
IMPLICIT = "gpupool.dev/implicit"
LEFT_OUT = "gpupool.dev/timers-left-out"
SETTLED = "gpupool.dev/settled"
"""The version at which a quota was looked at after a raise without an answer."""
EPOCH = "gpupool.dev/epoch"
OPENING = "gpupool.dev/opening"
"""On a wall that says less than is granted behind it, until every wall of the pool is in force."""
LOANS = "gpupool.dev/surge-loans"
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
HIGHEST_EPOCH = 500_000_000
"""No leader gets here. What is higher was forged, and would leave leaders no room to count on."""
YEARS = range(2000, 3000)
"""When a timer of ours can lie: whatever is added to such a moment is a moment still."""


def our_quota(raw: Mapping[str, Any]) -> bool:
    """Whether a ResourceQuota is a wall of ours, whatever somebody did to one of its marks.

    Any one mark will do: labels, the epoch, the pool as its owner. One with scopes counts some pods only, and
    never is a wall.
    """
    meta = raw["metadata"]
    marked = managed(meta.get("labels", {})) or EPOCH in meta.get("annotations", {}) or bool(pool_owners(raw))
    return meta["name"] == QUOTA_NAME and marked and not scoped(raw)


def half_made(raw: Mapping[str, Any]) -> bool:
    """Whether a ResourceQuota is what a first write that came no further leaves: our name, and nothing."""
    meta = raw["metadata"]
    bare = not (meta.get("labels") or raw.get("spec", {}).get("hard") or scoped(raw))
    return meta["name"] == QUOTA_NAME and bare


def scoped(raw: Mapping[str, Any]) -> bool:
    """Whether a ResourceQuota counts some pods only."""
    spec = raw.get("spec", {})
    return bool(spec.get("scopes") or spec.get("scopeSelector"))


def pool_owners(raw: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """The GpuPools that an object goes with when they are deleted."""
    owners = raw["metadata"].get("ownerReferences", ())
    return [o for o in owners if o["kind"] == "GpuPool" and o["apiVersion"].startswith(GROUP)]


def read_epoch(text: str) -> int:
    """The epoch of the leader that wrote last; 0 where none did."""
    found = read_count(text)
    return found if found <= HIGHEST_EPOCH else 0


def read_count(text: str) -> int:
    """A number of ours; what somebody broke by hand counts as not written."""
    return int(text) if _COUNT.fullmatch(text) else 0


def read_json(text: str) -> dict[str, Any]:
    """An annotation of ours; what somebody broke by hand counts as not written."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(value: Mapping[str, Any]) -> str:
    """An annotation of ours, compact and with sorted keys: the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def read_moments(found: Iterable[str]) -> tuple[datetime, ...]:
    """Times that can be compared with ours.

    Raises:
        TypeError, ValueError: one is no time, or has no time zone.
    """
    moments = tuple(map(datetime.fromisoformat, found))
    if any(at.tzinfo is None for at in moments):
        raise ValueError("a time has no time zone")
    return moments


def read_timers(text: str) -> dict[str, Timer]:
    """Timers by request name; an entry that cannot be read counts as not written."""
    return {name: t for name, raw in read_json(text).items() if (t := _timer(raw)) is not None}


def _timer(raw: Any) -> Timer | None:
    try:
        return Timer(
            stage=Stage(raw["stage"]),
            since=_moment(raw["since"]),
            deadline=_moment(raw["deadline"]) if "deadline" in raw else None,
            target=_number(raw.get("target")),
            forced_at=_moment(raw["forcedAt"]) if "forcedAt" in raw else None,
            workload=str(raw.get("workload", "")),
            granted=_number(raw.get("granted")),
            asked=_number(raw.get("asked")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _moment(text: str) -> datetime:
    """A time that can be compared with ours and added to: with its offset, and not at the end of time."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or found.year not in YEARS:
        raise ValueError(f"{text} has no time zone, or lies out of reach")
    return found


def _number(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise ValueError(f"{value} is no number of GPUs")


def write_timers(timers: Mapping[str, Timer]) -> str:
    """Timers as compact JSON with sorted keys: the same text for the same timers."""
    return write_json({name: _row(timer) for name, timer in timers.items()})


def timer_size(name: str, timer: Timer) -> int:
    """What a timer takes of `write_timers`' text, in bytes."""
    return len(write_timers({name: timer})) - 1  # of the two braces one stands for the comma


def _row(timer: Timer) -> dict[str, Any]:
    row = {
        "stage": timer.stage.value,
        "since": timer.since.isoformat(),
        "deadline": timer.deadline.isoformat() if timer.deadline else None,
        "target": timer.target,
        "forcedAt": timer.forced_at.isoformat() if timer.forced_at else None,
        "workload": timer.workload or None,
        "granted": timer.granted,
        "asked": timer.asked,
    }
    return {k: v for k, v in row.items() if v is not None}


def read_loans(text: str) -> dict[str, Loan]:
    """Loans of surge by workload and resource; an entry that cannot be read counts as not written."""
    return {name: found for name, raw in read_json(text).items() if (found := _loan(raw)) is not None}


def _loan(raw: Any) -> Loan | None:
    try:
        return Loan(
            resource=str(raw["resource"]),
            gpus=_number(raw["gpus"]) or 0,
            since=_moment(raw["since"]),
            until=_moment(raw["until"]),
            over=_number(raw.get("over")) or 0,
            spent=str(raw.get("spent", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def write_loans(loans: Mapping[str, Loan]) -> str:
    """Loans as compact JSON with sorted keys."""
    return write_json({name: _loan_row(loan) for name, loan in loans.items()})


def _loan_row(loan: Loan) -> dict[str, Any]:
    times = {"since": loan.since.isoformat(), "until": loan.until.isoformat()}
    left = {"over": loan.over, "spent": loan.spent}
    return {"resource": loan.resource, "gpus": loan.gpus, **times, **{k: v for k, v in left.items() if v}}
