"""The epoch on our quotas: a late write of a leader that was replaced changes nothing.

Before it raises anything a new leader stamps its epoch onto every quota of ours. What the leader before it
had decided, and what arrives late, then meets another resourceVersion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, FencedError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import Precondition
from gpupool.kube.resources import RESOURCE_QUOTAS, Json, ObjectKey, Selection, key_of
from gpupool.model.annotations import EPOCH, QUOTA_NAME, SETTLED, half_made, our_quota, read_epoch

ATTEMPTS = 20
"""How often a quota may change under the stamp; its use is counted by others all the time."""


async def stamp(client: KubeClient, writer: Writer, epoch: int) -> int:
    """Put the epoch onto every quota of ours; returns how many there are.

    They are listed anew, by name: a mirror may not know yet what the old leader made a moment ago, nor that
    a half-made quota without any label is one.

    Args:
        client: for reading.
        writer: the only way to write; it tells the mirrors what stands now.
        epoch: ours.

    Raises:
        FencedError: a quota carries a higher epoch than ours.
        KubeError: the server did not take it; nothing may be raised.
    """
    found = await client.list_all(Selection(RESOURCE_QUOTAS, fields=f"metadata.name={QUOTA_NAME}"))
    ours = [raw for raw in found if our_quota(raw) or half_made(raw)]
    notes = {EPOCH: str(epoch)}
    await asyncio.gather(*(_mark(client, writer, key_of(raw), lambda _: notes, raw) for raw in ours))
    return len(ours)


async def settle(client: KubeClient, writer: Writer, namespace: str, epoch: int) -> None:
    """Know how a quota stands whose raise may or may not have been taken, and let none of it come late.

    The quota gets another version, which whatever is still under way was not decided on; the writer tells the
    mirrors how it stands.

    Args:
        client: for reading.
        writer: the only way to write.
        namespace: of the quota.
        epoch: ours.

    Raises:
        FencedError: a newer leader has written it.
        KubeError: nothing is known yet.
    """

    def settled(raw: Json) -> dict[str, str]:
        return {EPOCH: str(epoch), SETTLED: raw["metadata"]["resourceVersion"]}

    await _mark(client, writer, ObjectKey(namespace, QUOTA_NAME), settled)


def epoch_of(raw: Mapping[str, Any]) -> int:
    """The epoch that a quota carries."""
    return read_epoch(raw["metadata"].get("annotations", {}).get(EPOCH, ""))


async def _mark(
    client: KubeClient,
    writer: Writer,
    key: ObjectKey,
    notes: Callable[[Json], Mapping[str, str]],
    raw: Json | None = None,
) -> None:
    """Write annotations onto a quota as it is, however often it changes; one that is gone needs none.

    Args:
        client: for reading.
        writer: the only way to write.
        key: of the quota.
        notes: what to write, by how it stands.
        raw: how it stands, where that was read already.
    """
    for _ in range(ATTEMPTS):
        try:
            raw = raw or await client.look_up(RESOURCE_QUOTAS, key.name, key.namespace)
            await _note(writer, key, raw, notes(raw))
        except Conflict:
            raw = None
        except NotFound:
            return
        else:
            return
    raise FencedError(f"the quota of namespace {key.namespace} changes faster than it can be marked")


async def _note(writer: Writer, key: ObjectKey, raw: Json, notes: Mapping[str, str]) -> None:
    """Write annotations onto exactly this version, unless a newer leader has written it."""
    epoch = int(notes[EPOCH])
    if epoch_of(raw) > epoch:
        raise FencedError(f"the quota of namespace {key.namespace} carries epoch {epoch_of(raw)}")
    there = raw["metadata"].get("annotations")
    operations: list[Json] = [] if there else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    for name, value in notes.items():
        path = f"/metadata/annotations/{name.replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": value})
    version = int(raw["metadata"]["resourceVersion"])
    await writer.json_patch(RESOURCE_QUOTAS, key, operations, version=version, epoch=epoch)


async def lower(client: KubeClient, writer: Writer, body: Json, *, on: Precondition, epoch: int) -> Json:
    """Apply a lower quota, which is right whatever was counted meanwhile, but not whoever has written.

    Args:
        client: for reading.
        writer: the only way to write.
        body: identity and owned fields.
        on: the quota in the snapshot.
        epoch: ours.

    Raises:
        Conflict: it is another quota now, or changes without end.
        FencedError: a newer leader has written it.
    """
    for _ in range(ATTEMPTS):
        try:
            return await writer.apply(RESOURCE_QUOTAS, on.guarding(body), epoch=epoch, force=True)
        except Conflict:
            meta = body["metadata"]
            found = await client.look_up(RESOURCE_QUOTAS, meta["name"], meta["namespace"])
            if found["metadata"]["uid"] != on.uid:
                raise
            if epoch_of(found) > epoch:
                raise FencedError(
                    f"the quota of {meta['namespace']} carries epoch {epoch_of(found)}"
                ) from None
            on = Precondition.of(found)
    return await writer.apply(RESOURCE_QUOTAS, on.guarding(body), epoch=epoch, force=True)
