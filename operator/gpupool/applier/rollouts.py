"""Writes to Deployments of others: a pause, its end, a template put back; each at the version that was seen.

What we wrote is nobody's afterwards, but a pause: whose it is tells later whether we may lift it.
"""

from __future__ import annotations

from typing import Final

from gpupool.applier.ownership import pointer, unowned
from gpupool.applier.serverside import Writer
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import DEPLOYMENTS, REPLICA_SETS, Json, ObjectKey
from gpupool.model.rollout import TEMPLATE_HASH, PauseRollout, ResumeRollout, RollBack
from gpupool.model.rolloutnote import NOTE, write_acted

_NOTE: Final = pointer("metadata", "annotations", NOTE)


async def pause(writer: Writer, action: PauseRollout, *, epoch: int) -> Json:
    """Stop a rollout where it is.

    Raises:
        Conflict: the Deployment is another version; look again.
    """
    operations = [_noted(action), {"op": "add", "path": "/spec/paused", "value": True}]
    key = ObjectKey(action.target.namespace, action.target.name)
    return await writer.json_patch(DEPLOYMENTS, key, operations, version=int(action.version), epoch=epoch)


async def resume(writer: Writer, action: ResumeRollout, *, epoch: int) -> Json:
    """Take off our note, and our pause where it is ours still.

    Raises:
        Conflict: the Deployment is another version; look again.
        NotFound: it is gone.
    """
    operations: list[Json] = [{"op": "remove", "path": _NOTE}]
    if action.paused:
        operations.append({"op": "remove", "path": "/spec/paused"})
    key = ObjectKey(action.target.namespace, action.target.name)
    stands = await writer.json_patch(DEPLOYMENTS, key, operations, version=int(action.version), epoch=epoch)
    return await _given_up(writer, key, stands, epoch)


async def roll_back(client: KubeClient, writer: Writer, action: RollBack, *, epoch: int) -> Json:
    """Put the template of a good revision back, as `kubectl rollout undo` does.

    Raises:
        Conflict: the Deployment is another version; look again.
        NotFound: the ReplicaSet that kept the template is gone.
    """
    key = ObjectKey(action.target.namespace, action.target.name)
    kept = await client.look_up(REPLICA_SETS, action.source, key.namespace)
    operations = [
        _noted(action),
        {"op": "replace", "path": "/spec/template", "value": template_of(kept)},
    ]
    stands = await writer.json_patch(DEPLOYMENTS, key, operations, version=int(action.version), epoch=epoch)
    return await _given_up(writer, key, stands, epoch)


async def _given_up(writer: Writer, key: ObjectKey, stands: Json, epoch: int) -> Json:
    """Take our name off a Deployment that we wrote a moment ago."""
    operations = unowned(stands["metadata"])
    if not operations:
        return stands
    version = int(stands["metadata"]["resourceVersion"])
    return await writer.json_patch(DEPLOYMENTS, key, operations, version=version, epoch=epoch)


def template_of(raw: Json) -> Json:
    """The pod template of a ReplicaSet as its Deployment had it."""
    template: Json = raw["spec"]["template"]
    meta = dict(template.get("metadata", {}))
    meta["labels"] = {k: v for k, v in meta.get("labels", {}).items() if k != TEMPLATE_HASH}
    return {**template, "metadata": meta}


def _noted(action: PauseRollout | RollBack) -> Json:
    return {"op": "add", "path": _NOTE, "value": write_acted(action.acted)}
