"""What is seen well enough to act on: giving needs to know what is there, taking also who wants it.

A mirror that is refused, or that hangs, shows the world as it was. Decisions made of that take GPUs that work
and give GPUs that are gone, so both wait; walls and notices that stand are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpupool.model.plan import Action, DropQuota, SetQuota
from gpupool.model.reasons import Reason
from gpupool.model.senses import NODES, PODS, QUOTAS, Senses
from gpupool.model.snapshot import Snapshot
from gpupool.policy.naming import some

THERE = frozenset({PODS, NODES, QUOTAS})
"""What giving counts."""
WANTED = THERE | {
    "capacityrequests",
    "cronjobs",
    "events",
    "gpupools",
    "jobs",
    "namespaces",
    "replicasets",
    "statefulsets",
}
"""What taking looks at beside: whose GPUs they are, who asks, what quota refused."""


@dataclass(frozen=True, slots=True)
class Blindness:
    """Why the state of the cluster is not known: machine reason and sentence."""

    reason: Reason
    message: str


def cannot_give(snapshot: Snapshot) -> Blindness | None:
    """Why nothing may be raised now."""
    return _blindness(snapshot.senses, THERE)


def cannot_take(snapshot: Snapshot) -> Blindness | None:
    """Why nobody may be asked to go, and nothing be lent out, now."""
    return _blindness(snapshot.senses, WANTED)


def pods_known(snapshot: Snapshot) -> bool:
    """Whether the pods that are seen are those that are there: only then is what they use worth recording."""
    senses = snapshot.senses
    return PODS not in senses.unheard and all(found.kind != PODS for found in senses.unread)


def _blindness(senses: Senses, needed: frozenset[str]) -> Blindness | None:
    unheard = [kind for kind in senses.unheard if kind in needed]
    if unheard:
        return Blindness(
            Reason.NOT_HEARD,
            f"The API server has told nothing about {some(unheard)} for minutes, so what is known is old:"
            " see the operator's log and its RBAC.",
        )
    if senses.unread:
        return Blindness(
            Reason.NOT_READ,
            f"These objects cannot be read, so what they hold is not known: {some(map(str, senses.unread))}."
            " Correct or delete them; the operator's log says what is wrong.",
        )
    return None


def seen(snapshot: Snapshot, actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions less those that let more in while it is not known what is there.

    A pool that goes back takes its quotas with it all the same: what is there makes no difference to that.
    """
    if cannot_give(snapshot) is None or not snapshot.pool.walls:
        return tuple(actions)
    return tuple(a for a in actions if not _opens(a))


def _opens(action: Action) -> bool:
    return isinstance(action, DropQuota) or (isinstance(action, SetQuota) and action.raises)
