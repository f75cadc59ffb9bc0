"""A writer that notes what it is told to write, in order: our own seam, not an API server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gpupool.applier.serverside import Deletion
from gpupool.errors import KubeError
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.kube.resources import Json, ObjectKey, Resource


@dataclass(frozen=True, slots=True)
class Write:
    """One write: the method, the kind, the object's name (with its namespace), what was sent."""

    verb: str
    kind: str
    name: str
    epoch: int
    body: Any = None


@dataclass
class NotedWriter:
    """Has the methods of `Writer` that the callers use; `refuse` names writes that fail, by verb and name."""

    writes: list[Write] = field(default_factory=list)
    refuse: dict[tuple[str, str], KubeError] = field(default_factory=dict)
    shows: dict[str, Json] = field(default_factory=dict)
    on_write: Callable[[Write], None] = lambda _: None
    version: int = 100

    @property
    def told(self) -> list[str]:
        """The writes as short sentences, in order."""
        return [f"{w.verb} {w.kind} {w.name}" for w in self.writes]

    def _note(self, verb: str, kind: str, key: ObjectKey, epoch: int, body: Any = None) -> Json:
        name = f"{key.namespace}/{key.name}" if key.namespace else key.name
        write = Write(verb, kind, name, epoch, body)
        self.writes.append(write)
        self.on_write(write)
        if (verb, name) in self.refuse:
            raise self.refuse[verb, name]
        self.version += 1
        meta = {"name": key.name, "resourceVersion": str(self.version)}
        meta |= {"namespace": key.namespace} if key.namespace else {}
        shown = self.shows.get(name, {})
        return shown | {"kind": kind, "metadata": shown.get("metadata", {}) | meta}

    async def apply(self, resource: Resource, body: Json, *, epoch: int, force: bool = False) -> Json:
        """Note an apply; ours are always forced."""
        assert force
        meta = body["metadata"]
        key = ObjectKey(meta.get("namespace", ""), meta["name"])
        return self._note("apply", resource.kind, key, epoch, body)

    async def apply_status(self, resource: Resource, body: Json, *, epoch: int) -> Json:
        """Note the write of a status."""
        meta = body["metadata"]
        return self._note(
            "status", resource.kind, ObjectKey(meta.get("namespace", ""), meta["name"]), epoch, body["status"]
        )

    async def raise_quota(self, body: Json, *, on: Precondition | None, epoch: int) -> Json:
        """Note a raise and what it rests on."""
        meta = body["metadata"]
        key = ObjectKey(meta["namespace"], meta["name"])
        return self._note("raise", "ResourceQuota", key, epoch, (on, body))

    async def json_patch(
        self, resource: Resource, key: ObjectKey, operations: list[Json], *, version: int, epoch: int
    ) -> Json:
        """Note a guarded patch."""
        return self._note("patch", resource.kind, key, epoch, (version, operations))

    async def delete(
        self, resource: Resource, key: ObjectKey, *, epoch: int, options: DeleteOptions | None = None
    ) -> Deletion:
        """Note a delete."""
        self._note("delete", resource.kind, key, epoch, options)
        return Deletion.GONE

    async def evict(self, key: ObjectKey, *, epoch: int, options: DeleteOptions) -> None:
        """Note an eviction."""
        self._note("evict", "Pod", key, epoch, options)
