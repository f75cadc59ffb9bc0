"""What our objects carry: labels, and our ResourceQuota its timers, implicit grant and writer's epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Timer

QUOTA_NAME = "gpupool"
REQUESTS = "requests."
TIMERS = "gpupool.dev/timers"
IMPLICIT = "gpupool.dev/implicit"
EPOCH = "gpupool.dev/epoch"
_EPOCH = re.compile(r"[0-9]{1,9}", re.ASCII)
HIGHEST_EPOCH = 500_000_000
"""No leader gets here. What is higher was forged, and would leave leaders no room to count on."""


def read_epoch(text: str) -> int:
    """The epoch of the leader that wrote last; 0 where none did."""
    found = int(text) if _EPOCH.fullmatch(text) else 0
    return found if found <= HIGHEST_EPOCH else 0


def read_json(text: str) -> dict[str, Any]:
    """An annotation of ours; what somebody broke by hand counts as not written."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


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
    """A time with its offset: one without it cannot be compared with ours."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found


def _number(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise ValueError(f"{value} is no number of GPUs")


def write_timers(timers: Mapping[str, Timer]) -> str:
    """Timers as compact JSON with sorted keys: the same text for the same timers."""
    rows = {name: _row(timer) for name, timer in timers.items()}
    return json.dumps(rows, sort_keys=True, separators=(",", ":"))


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
