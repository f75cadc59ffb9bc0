"""Sets the replicas of a workload, where they are what was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gpupool.applier.serverside import Writer
from gpupool.errors import Failure, kube_error
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import DEPLOYMENTS, STATEFUL_SETS, ObjectKey, Resource
from gpupool.model.scalerwrites import Rescale

KINDS: Final[Mapping[str, Resource]] = {r.kind: r for r in (DEPLOYMENTS, STATEFUL_SETS)}
SCALE: Final = "scale"


async def rescale(client: KubeClient, writer: Writer, action: Rescale, *, epoch: int) -> bool:
    """Write the scale subresource; False where somebody was faster, and nothing is written.

    Raises:
        NotFound: the workload is gone, or of a kind that is not scaled.
        Conflict: it changed while it was written; look again.
    """
    resource = KINDS.get(action.ref.kind)
    if resource is None:
        raise kube_error(f"scale {action.ref}", Failure(404, "NotFound", "of a kind that is not scaled"))
    key = ObjectKey(action.key.namespace, action.key.name)
    stands = await client.get(resource, key.name, key.namespace, subresource=SCALE)
    if stands["spec"].get("replicas", 0) != action.before:
        return False
    operations = [{"op": "add", "path": "/spec/replicas", "value": action.after}]
    version = int(stands["metadata"]["resourceVersion"])
    await writer.json_patch(resource, key, operations, version=version, epoch=epoch, subresource=SCALE)
    return True
