"""The rules of the election: who may take the Lease, who leads until when, and which epoch that is. Pure.

Time is the local monotonic clock alone: a Lease counts as given up when it has not changed for its own
duration since it was last seen to change, so that clocks that disagree elect nobody twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gpupool.model.marks import MANAGED

NEVER: Final = float("-inf")
SHORTEST: Final = 1.0
"""Seconds; also the duration written with an empty holder, as other users of Leases do."""
LONGEST: Final = 120.0
"""Seconds that a Lease is waited for, whatever somebody wrote into it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the election: duration > give_up > renew.

    Attributes:
        duration: after which a Lease that nobody renewed may be taken.
        give_up: after which a leader without a confirmed renewal writes nothing more and ends.
        renew: between two renewals.
        retry: between two looks at somebody else's Lease, and after a failed renewal.
    """

    duration: float = 10.0
    give_up: float = 6.0
    renew: float = 2.0
    retry: float = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as it stands; `holder` is empty when it was given back."""

    holder: str
    transitions: int
    duration: float
    acquired: str = ""
    renewed: str = ""
    version: str = field(default="", compare=False)

    @property
    def epoch(self) -> int:
        """The epoch of its holder's leadership."""
        return self.transitions + 1


def read(raw: Mapping[str, Any]) -> Record:
    """Read a Lease; what is missing counts as not written."""
    spec = raw.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        transitions=max(0, spec.get("leaseTransitions") or 0),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        version=raw["metadata"]["resourceVersion"],
    )


def same_pod(one: str, other: str) -> bool:
    """Whether two identities `<pod>_<nonce>` are processes of one pod, which never run at the same time."""
    pod = one.rpartition("_")[0]
    return bool(pod) and pod == other.rpartition("_")[0]


@dataclass(slots=True)
class Election:
    """What one process knows of the election.

    Args:
        identity: of this process, never used by another.
        timing: the seconds of the game.

    Attributes:
        record: the Lease as last seen or written; None while there is none.
        epoch: of our leadership; 0 before it.
    """

    identity: str
    timing: Timing
    record: Record | None = None
    epoch: int = 0
    _changed: float | None = None
    _highest: int = 0
    _confirmed: float = NEVER

    def seen(self, record: Record | None, now: float) -> None:
        """Take in an answer of the server.

        Args:
            record: the Lease, or None where there is none.
            now: when the answer came.
        """
        if self._changed is None or record != self.record:
            self._changed = now
        if record is not None:
            self._highest = max(self._highest, record.epoch)
        self.record = record

    def may_take(self, now: float, floor: int) -> bool:
        """Whether nobody else can be leading now.

        Args:
            now: monotonic seconds.
            floor: the highest epoch that our objects carry; above 0 somebody has led.
        """
        found = self.record
        if found is None:
            # Deleted under a leader that still trusts it; or never made, and then nobody has ever led.
            return max(floor, self._highest) == 0 or self._silent(now, self.timing.duration)
        if found.holder in ("", self.identity) or same_pod(found.holder, self.identity):
            return True
        return self._silent(now, min(max(found.duration, SHORTEST), LONGEST))

    def _silent(self, now: float, seconds: float) -> bool:
        return self._changed is not None and now - self._changed > seconds

    def claim(self, floor: int) -> int:
        """The transitions to write when taking the Lease: the epoch is above all before, except our own."""
        found = self.record
        own = found is not None and found.holder == self.identity
        return max(found.transitions if found is not None and own else self._highest, floor)

    def confirmed(self, record: Record, sent: float) -> None:
        """The server took what we wrote.

        Args:
            record: the Lease as it stands now, ours.
            sent: when the request left: before anybody could see it, so that others wait longer than we do.
        """
        self.seen(record, sent)
        self.epoch, self._confirmed = record.epoch, sent

    @property
    def until(self) -> float:
        """The moment at which we lead no more unless a renewal is confirmed."""
        return self._confirmed + self.timing.give_up

    def leads(self, now: float) -> bool:
        """Whether nobody else can have taken the Lease, with room for what is still under way."""
        return now < self.until

    def end(self) -> None:
        """We lead no more, whatever was confirmed."""
        self._confirmed = NEVER


@dataclass(frozen=True, slots=True)
class Term:
    """What is written into a Lease; `acquired` is empty when it is taken now."""

    holder: str
    transitions: int
    seconds: float
    acquired: str = ""

    def body(self, name: str, namespace: str, now: datetime, version: str = "") -> dict[str, Any]:
        """The Lease; with a version the server refuses it unless the Lease is still that one."""
        moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        guard = {"resourceVersion": version} if version else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace, "labels": MANAGED, **guard},
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": round(max(SHORTEST, self.seconds)),
                "acquireTime": self.acquired or moment,
                "renewTime": moment,
                "leaseTransitions": self.transitions,
            },
        }
