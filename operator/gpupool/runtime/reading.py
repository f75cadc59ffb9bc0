"""Reads GpuPools and CapacityRequests; what breaks the rules of this version is told, and loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from gpupool.api.v1alpha1 import explain
from gpupool.collector.store import Change
from gpupool.kube.resources import Json, ObjectKey, key_of
from gpupool.model.objects import Key, Request
from gpupool.model.plan import Notice
from gpupool.model.pool import Pool
from gpupool.model.slo import Slo
from gpupool.runtime.memo import StatusMemo, memo

log = logging.getLogger(__name__)

Identity = tuple[ObjectKey, str]
"""Where an object lives, and its uid."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One of our objects: what it asks, and what of its status must be remembered."""

    value: Pool | Request | Slo
    memo: StatusMemo


class Present(Protocol):
    """What is there now: a store."""

    @property
    def objects(self) -> int:
        """How many objects."""

    def holds(self, key: ObjectKey, uid: str) -> bool:
        """Whether an object is one of them."""


class Reader:
    """Projection of one kind of ours.

    An older CRD, or one that somebody relaxed, lets objects through that this version cannot follow. The
    last version that could be read stays in force, so that nobody loses what is granted by a mistake.

    Args:
        kind: of the objects, for Events.
        read: raw object to value.
        again: raw object, and what was read of it before, to value; None where it must be read anew.
        keep: raw object that cannot be read, and its last valid version, to what stays in force.
    """

    def __init__(
        self,
        kind: str,
        read: Callable[[Mapping[str, Any]], Pool | Request | Slo],
        keep: Callable[[Mapping[str, Any], Any], Pool | Request | Slo | None] = lambda _, last: last,
        again: Callable[[Mapping[str, Any], Any], Pool | Request | Slo | None] = lambda *_: None,
    ) -> None:
        self._kind = kind
        self._read = read
        self._again = again
        self._keep = keep
        self._valid: dict[Identity, Pool | Request | Slo] = {}
        self._broken: dict[Identity, Notice] = {}

    def __call__(self, raw: Json) -> Tracked | None:
        """The object, its last valid version, or None where there never was one."""
        meta = raw["metadata"]
        identity = (key_of(raw), meta.get("uid", ""))
        try:
            last = None if identity in self._broken else self._valid.get(identity)
            known = None if last is None else self._again(raw, last)
            self._valid[identity] = self._read(raw) if known is None else known
            self._broken.pop(identity, None)
        except ValidationError as error:
            wrong = explain(error)
            log.warning(
                "object breaks the rules of this version",
                extra={"object": meta["name"], "namespace": meta.get("namespace", ""), "error": wrong},
            )
            kept = self._keep(raw, self._valid.get(identity))
            self._broken[identity] = self._notice(identity, wrong, kept=kept is not None)
            return None if kept is None else Tracked(kept, memo(raw.get("status", {})))
        return Tracked(self._valid[identity], memo(raw.get("status", {})))

    def _notice(self, identity: Identity, error: str, *, kept: bool) -> Notice:
        key, uid = identity
        stays = "The last valid version stays in force" if kept else "It is not looked at"
        message = f"{error}. {stays} until this is corrected."
        return Notice(self._kind, Key(key.namespace, key.name), uid, "Invalid", message, warning=True)

    def forget(self, change: Change[Tracked]) -> None:
        """Let go of an object that a change tells is gone, or has another in its place.

        Who leads asks for complaints too, which finds what no change told of; a standby asks for nothing.
        """
        if (gone := change.old) is None or (change.new and change.new.value.uid == gone.value.uid):
            return
        self._valid.pop((change.key, gone.value.uid), None)
        self._broken.pop((change.key, gone.value.uid), None)

    def complaints(self, there: Present) -> tuple[Notice, ...]:
        """What is wrong with the objects that are still there; all others are forgotten, sooner or later."""
        if len(self._valid) > there.objects:
            self._valid = {i: v for i, v in self._valid.items() if there.holds(*i)}
        self._broken = {i: n for i, n in self._broken.items() if there.holds(*i)}
        return tuple(self._broken.values())
