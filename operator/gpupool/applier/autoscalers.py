"""Writes to the autoscalers of others: our three fields and our note, back without a trace; and our own."""

from __future__ import annotations

from gpupool.applier.ownership import pointer, unowned
from gpupool.applier.serverside import Writer
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import AUTOSCALERS, Json, ObjectKey
from gpupool.model import madehpa
from gpupool.model.hpanote import ORIGINALS, fields_of, write_note
from gpupool.model.objects import Key
from gpupool.model.steering import Adopt, GiveBack, Limits, Make, Originals, Remove
from gpupool.policy.slo.required import METRIC, NAMESPACE, SLO

_PATH = pointer("metadata", "annotations", ORIGINALS)


def body(key: Key, uid: str, limits: Limits, note: Originals, version: str = "") -> Json:
    """The fields that we own while an HPA is adopted, and nothing else."""
    metadata: Json = {"name": key.name, "namespace": key.namespace, "uid": uid}
    metadata["annotations"] = {ORIGINALS: write_note(note)}
    if version:
        metadata["resourceVersion"] = version
    return {"metadata": metadata, "spec": fields_of(limits)}


async def adopt(writer: Writer, action: Adopt, *, epoch: int) -> Json:
    """Write our limits.

    Raises:
        Conflict: the HPA is another version, or fields of it have another owner; look again.
        Invalid: the server refuses the values.
    """
    made = body(action.scaler, action.uid, action.limits, action.note, action.version)
    if action.made:
        made["spec"] = madehpa.with_tolerance(made["spec"])
    return await writer.apply(AUTOSCALERS, made, epoch=epoch, force=action.force)


async def make(writer: Writer, action: Make, *, epoch: int) -> Json:
    """Make an HPA of ours.

    Raises:
        AlreadyExists: somebody was faster; look again.
    """
    labels = {NAMESPACE: action.slo.namespace, SLO: action.slo.name}
    return await writer.create(AUTOSCALERS, madehpa.body(action, METRIC, labels), epoch=epoch)


async def remove(writer: Writer, action: Remove, *, epoch: int) -> None:
    """Delete an HPA of ours, and no namesake."""
    key = ObjectKey(action.scaler.namespace, action.scaler.name)
    await writer.delete(AUTOSCALERS, key, epoch=epoch, options=DeleteOptions(uid=action.uid))


async def give_back(writer: Writer, action: GiveBack, *, epoch: int) -> Json:
    """Write its owner's values, then take off our note and our name.

    The values first, with the note on them: who is stopped in between finds the note, and does it again.
    Fields that nobody owns can be applied by their owner without a conflict.

    Raises:
        Conflict: somebody wrote meanwhile; look again.
    """
    made = body(action.scaler, action.uid, action.limits, action.note)
    stands = await writer.apply(AUTOSCALERS, made, epoch=epoch, force=True)
    metadata = stands["metadata"]
    operations: list[Json] = [{"op": "remove", "path": _PATH}, *unowned(metadata)]
    key = ObjectKey(action.scaler.namespace, action.scaler.name)
    version = int(metadata["resourceVersion"])
    return await writer.json_patch(AUTOSCALERS, key, operations, version=version, epoch=epoch)
