"""Writes to VerticalPodAutoscalers: the container policies and our note; of one that we make, all of it."""

from __future__ import annotations

import json
from typing import Final

from gpupool.applier.autoscalers import take_off
from gpupool.applier.serverside import Writer
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import VPAS, Json, ObjectKey
from gpupool.model.marks import MANAGED, owned_by_slo
from gpupool.model.objects import Key
from gpupool.model.resources import LeaveVpa, VpaNote, WriteVpa
from gpupool.model.vpanote import ORIGINALS, write_note

AROUND: Final = ("spec", "resourcePolicy")


def _body(key: Key, uid: str, policies: str, note: VpaNote) -> Json:
    metadata: Json = {"name": key.name, "namespace": key.namespace}
    metadata["annotations"] = {ORIGINALS: write_note(note)}
    if uid:
        metadata["uid"] = uid
    spec = {"resourcePolicy": {"containerPolicies": json.loads(policies)}} if policies else {}
    return {"metadata": metadata, "spec": spec}


async def write(writer: Writer, action: WriteVpa, *, epoch: int) -> Json:
    """Make a VPA, or write our policies to the one that is there.

    Raises:
        Conflict: it is another version, or fields of it have another owner; look again.
        Invalid: the server refuses the values.
    """
    body = _body(action.vpa, action.uid, action.note.written, action.note)
    if action.version:
        body["metadata"]["resourceVersion"] = action.version
    if action.note.made:
        target = action.target
        reference = {"apiVersion": target.api_version, "kind": target.kind, "name": target.name}
        body["spec"] |= {"targetRef": reference, "updatePolicy": {"updateMode": action.mode}}
        owner = owned_by_slo(action.slo.name, action.slo_uid)
        body["metadata"] |= {"labels": dict(MANAGED), "ownerReferences": [owner]}
    return await writer.apply(VPAS, body, epoch=epoch, force=action.force)


async def leave(writer: Writer, action: LeaveVpa, *, epoch: int) -> None:
    """Delete a VPA of ours; of another write its owner's policies, then take off our note and our name.

    Raises:
        Conflict: somebody wrote meanwhile; look again.
    """
    key = ObjectKey(action.vpa.namespace, action.vpa.name)
    if action.note.made:
        await writer.delete(VPAS, key, epoch=epoch, options=DeleteOptions(uid=action.uid))
        return
    body = _body(action.vpa, action.uid, action.policies, action.note)
    stands = await writer.apply(VPAS, body, epoch=epoch, force=True)
    await take_off(writer, VPAS, stands, ORIGINALS, AROUND, epoch=epoch)
