"""Writes to the autoscalers of others: our three fields and our note, back without a trace; and our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from gpupool.applier.ownership import foreign_of, pointer, unowned
from gpupool.applier.serverside import Writer
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import AUTOSCALERS, SCALED_OBJECTS, Json, ObjectKey, Resource
from gpupool.model import hpanote, kedanote, madehpa
from gpupool.model.hpanote import write_note
from gpupool.model.scalerwrites import Adopt, GiveBack, Make, Remove
from gpupool.model.steering import Limits, ScalerKind
from gpupool.policy.slo.required import METRIC, NAMESPACE, SLO


class _Form(NamedTuple):
    """How a scaler is written: its kind, the note's annotation, our fields, and what they lie in."""

    resource: Resource
    note: str
    fields: Callable[[Limits], Json]
    around: tuple[str, ...] = ()


FORMS: Final[Mapping[ScalerKind, _Form]] = {
    ScalerKind.HPA: _Form(AUTOSCALERS, hpanote.ORIGINALS, hpanote.fields_of),
    ScalerKind.SCALED_OBJECT: _Form(
        SCALED_OBJECTS, kedanote.ORIGINALS, kedanote.fields_of, ("spec", *kedanote.CONFIG)
    ),
}


def body(action: Adopt | GiveBack, version: str = "") -> Json:
    """The fields that we own while a scaler is adopted, and nothing else."""
    form, key = FORMS[action.kind], action.scaler
    metadata: Json = {"name": key.name, "namespace": key.namespace, "uid": action.uid}
    metadata["annotations"] = {form.note: write_note(action.note)}
    if version:
        metadata["resourceVersion"] = version
    return {"metadata": metadata, "spec": form.fields(action.limits)}


async def adopt(writer: Writer, action: Adopt, *, epoch: int) -> Json:
    """Write our limits.

    Raises:
        Conflict: the scaler is another version, or fields of it have another owner; look again.
        Invalid: the server refuses the values.
    """
    made = body(action, action.version)
    if action.made:
        made["spec"] = madehpa.with_tolerance(made["spec"])
    return await writer.apply(FORMS[action.kind].resource, made, epoch=epoch, force=action.force)


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
    form = FORMS[action.kind]
    stands = await writer.apply(form.resource, body(action), epoch=epoch, force=True)
    return await take_off(writer, form.resource, stands, form.note, form.around, epoch=epoch)


async def take_off(
    writer: Writer, resource: Resource, stands: Json, note: str, around: tuple[str, ...], *, epoch: int
) -> Json:
    """Take our note and our name off an object whose values are its owner's again.

    Args:
        writer: the only way to write.
        resource: its kind.
        stands: the object as the server just had it.
        note: our annotation.
        around: what our fields lay in.
        epoch: the leader's.

    Raises:
        Conflict: somebody wrote meanwhile; look again.
    """
    metadata = stands["metadata"]
    operations: list[Json] = [{"op": "remove", "path": pointer("metadata", "annotations", note)}]
    hollow = _hollow(stands, around, foreign_of(metadata))
    operations += [{"op": "remove", "path": pointer(*path)} for path in hollow]
    operations += unowned(metadata)
    key = ObjectKey(metadata["namespace"], metadata["name"])
    version = int(metadata["resourceVersion"])
    return await writer.json_patch(resource, key, operations, version=version, epoch=epoch)


def _hollow(stands: Json, around: tuple[str, ...], foreign: list[Json]) -> Iterable[tuple[str, ...]]:
    """The outermost object that only our field lay in, and that nobody else wrote."""
    for end in range(2, len(around) + 1):
        path, found = around[:end], _within(stands, around[:end])
        owned = any(_owned(entry.get("fieldsV1", {}), path) for entry in foreign)
        if found is not None and not _filled(found) and not owned:
            yield path
            return


def _within(found: Json, path: Iterable[str]) -> Json | None:
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


def _filled(found: Json | None) -> bool:
    """Whether there is more in an object than empty objects."""
    return any(_filled(v) if isinstance(v, dict) else True for v in (found or {}).values())


def _owned(fields: Json, path: tuple[str, ...]) -> bool:
    return _within(fields, (f"f:{name}" for name in path)) is not None
