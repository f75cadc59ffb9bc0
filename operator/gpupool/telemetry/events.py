"""Events as data: bodies built from notices, and a memory so that the same thing is said once.

An Event's name follows from what it says and from a span of ten minutes, or from the moment it speaks of: a
restarted operator that says the same again meets AlreadyExists, which is success.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from gpupool.model.plan import Notice

COMPONENT: Final = "gpupool"
API_VERSION: Final = "gpupool.dev/v1alpha1"
CORE: Final = {"ResourceQuota": "v1"}
"""apiVersion of the kinds that are not ours and that notices speak of."""
QUIET: Final = timedelta(minutes=10)
"""The same notice is not published again within this time."""

CLUSTER_SCOPED: Final = "default"
"""Namespace of Events about objects without one, as Kubernetes itself does it."""

LONGEST_NAME: Final = 253
LONGEST_REASON: Final = 128
LONGEST_MESSAGE: Final = 1024


def event(notice: Notice, now: datetime, *, instance: str = "") -> dict[str, Any]:
    """The core/v1 Event of a notice.

    Args:
        notice: what to say.
        now: the API server's time.
        instance: name of this process (its pod).
    """
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(notice, now), "namespace": notice.key.namespace or CLUSTER_SCOPED},
        "involvedObject": _object(notice),
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason[:LONGEST_REASON],
        "message": _cut(notice.message),
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": COMPONENT, **({"host": instance} if instance else {})},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
    }


def event_name(notice: Notice, now: datetime) -> str:
    """The same for the same notice within a span of QUIET; for ever where it speaks of a moment."""
    span = 0 if notice.since else int(now.timestamp() // QUIET.total_seconds())
    text = "\0".join((*_identity(notice), str(span)))
    suffix = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{notice.key.name[: LONGEST_NAME - len(suffix) - 1].rstrip('.-')}.{suffix}"


@dataclass(slots=True)
class Said:
    """Remembers what was published, so that level-triggered cycles say it once."""

    _times: dict[tuple[str, ...], datetime] = field(default_factory=dict)

    def news(self, notices: Iterable[Notice], now: datetime) -> tuple[Notice, ...]:
        """Notices that were not published within QUIET; they count as published from now on."""
        self._times = {what: at for what, at in self._times.items() if now - at < QUIET}
        found = []
        for notice in notices:
            if _identity(notice) not in self._times:
                self._times[_identity(notice)] = now
                found.append(notice)
        return tuple(found)

    def unsay(self, notice: Notice) -> None:
        """The notice could not be published: it is news again."""
        self._times.pop(_identity(notice), None)


def _identity(notice: Notice) -> tuple[str, ...]:
    return (
        notice.kind,
        notice.key.namespace,
        notice.key.name,
        notice.uid,
        notice.reason,
        notice.since.isoformat() if notice.since else notice.message,
    )


def _object(notice: Notice) -> dict[str, str]:
    found = {
        "apiVersion": CORE.get(notice.kind, API_VERSION),
        "kind": notice.kind,
        "namespace": notice.key.namespace,
        "name": notice.key.name,
        "uid": notice.uid,
    }
    return {name: value for name, value in found.items() if value}


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"
