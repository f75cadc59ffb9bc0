"""The objects that the metrics API is found by, read and written by hand: our own seam, not an API server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.applier.serverside import Deletion
from gpupool.errors import Failure, KubeError, kube_error
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import Json, ObjectKey, Resource
from support.builders import NOW

ROLE: Json = {"metadata": {"name": "gpupool-metrics-api", "uid": "role-uid"}}


@dataclass
class Registry:
    """Client and writer in one; `told` are the writes, in order."""

    objects: dict[str, Json] = field(default_factory=lambda: {"ClusterRole": ROLE})
    told: list[str] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    now: datetime = NOW
    fails: KubeError | None = None
    asked: list[str] = field(default_factory=list)

    def server_time(self) -> datetime:
        return self.now

    def publish(self, authority: str, *names: str) -> None:
        """The ConfigMap with the front proxy."""
        data = {
            "requestheader-client-ca-file": authority,
            "requestheader-allowed-names": json.dumps(names),
        }
        self.objects["ConfigMap"] = {"data": data}

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Json:
        self.asked.append(resource.kind)
        if self.fails is not None:
            raise self.fails
        if resource.kind not in self.objects:
            raise kube_error(f"GET {resource.path(name, namespace)}", Failure(404, "NotFound", "not found"))
        return self.objects[resource.kind]

    async def apply(self, resource: Resource, body: Json, *, epoch: int, force: bool = False) -> Json:
        assert epoch == 3
        self.told.append(f"apply {resource.kind}")
        self.forced.append(force)
        metadata = {"uid": f"uid-{resource.kind}", **body["metadata"]}
        self.objects[resource.kind] = {**body, "metadata": metadata}
        return body

    async def delete(
        self, resource: Resource, key: ObjectKey, *, epoch: int, options: DeleteOptions
    ) -> Deletion:
        assert epoch == 3
        assert key.name
        self.told.append(f"delete {resource.kind}")
        if self.objects[resource.kind]["metadata"]["uid"] != options.uid:
            raise kube_error("DELETE", Failure(409, "Conflict", "another uid"))
        del self.objects[resource.kind]
        return Deletion.GONE
