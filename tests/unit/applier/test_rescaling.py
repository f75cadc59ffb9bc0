"""Replicas are set where they are what was decided on, and only there."""

from typing import Any, cast

import pytest

from gpupool.applier.rescaling import rescale
from gpupool.applier.serverside import Writer
from gpupool.errors import NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import DEPLOYMENTS, STATEFUL_SETS, Json, ObjectKey
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.scalerwrites import Rescale

CHAT = Key("chat-prod", "chat")


class Server:
    """One scale."""

    def __init__(self, **spec: int) -> None:
        self.spec = spec
        self.sent: list[Any] = []

    async def get(self, resource: Any, name: str, namespace: str, *, subresource: str) -> Json:
        assert (name, namespace, subresource) == ("chat", "chat-prod", "scale")
        self.sent.append(resource)
        return {"metadata": {"resourceVersion": "8"}, "spec": self.spec}

    async def json_patch(self, *given: Any, **more: Any) -> Json:
        self.sent.append((given, more))
        return {}


def action(before: int, after: int, kind: str = "Deployment") -> Rescale:
    return Rescale(CHAT, ObjectRef("apps/v1", kind, "chat"), before, after)


async def done(server: Server, act: Rescale) -> bool:
    return await rescale(cast("KubeClient", server), cast("Writer", server), act, epoch=3)


async def test_none_is_written_without_the_field_and_set_at_the_version_that_was_read() -> None:
    server = Server()
    assert await done(server, action(0, 2))
    resource, (given, more) = server.sent
    assert resource is DEPLOYMENTS
    operations = [{"op": "add", "path": "/spec/replicas", "value": 2}]
    assert given == (DEPLOYMENTS, ObjectKey("chat-prod", "chat"), operations)
    assert more == {"version": 8, "epoch": 3, "subresource": "scale"}


async def test_a_statefulset_too() -> None:
    server = Server(replicas=2)
    assert await done(server, action(2, 0, "StatefulSet"))
    assert server.sent[0] is STATEFUL_SETS


async def test_somebody_who_was_faster_is_left_alone() -> None:
    server = Server(replicas=3)
    assert not await done(server, action(2, 0))
    assert len(server.sent) == 1


async def test_a_kind_that_is_not_scaled_is_not_found() -> None:
    with pytest.raises(NotFound):
        await done(Server(), action(0, 1, "DaemonSet"))
