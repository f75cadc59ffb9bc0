"""A first quota: made empty, or what an earlier attempt left; nothing that somebody else made."""

from typing import Any, cast

import pytest

from gpupool.applier.serverside import Writer
from gpupool.errors import AlreadyExists, Failure, KubeError
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, ObjectKey, Resource

BODY = {"metadata": {"name": "gpupool", "namespace": "a"}, "spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}


class Nobody:
    def written(self, resource: Resource, obj: Json) -> None:
        pass

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        pass


class Server:
    """Has one quota already, and takes applies."""

    def __init__(self, found: Json) -> None:
        self.found = found
        self.applied: list[Json] = []

    async def create(self, *_: Any, **__: Any) -> Json:
        raise AlreadyExists("POST /x", Failure(message="exists"))

    async def look_up(self, *_: Any) -> Json:
        return self.found

    async def apply(self, _: Resource, body: Json, **__: Any) -> Json:
        self.applied.append(body)
        return body


def a_quota(spec: Json, **meta: Any) -> Json:
    return {
        "metadata": {"name": "gpupool", "namespace": "a", "uid": "u", "resourceVersion": "7", **meta},
        "spec": spec,
    }


async def test_an_empty_quota_that_an_earlier_attempt_left_is_gone_on_with() -> None:
    server = Server(a_quota({}))
    await Writer(cast("KubeClient", server), Nobody()).raise_quota(BODY, on=None, epoch=1)
    (body,) = server.applied
    assert (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) == ("u", "7")


@pytest.mark.parametrize(
    "found",
    [
        a_quota({"hard": {"pods": "1"}}),
        a_quota({}, labels={"team": "x"}),
        a_quota({"scopes": ["Terminating"]}),
        a_quota(
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}
        ),
    ],
    ids=["numbers", "labels", "scopes", "a scope selector"],
)
async def test_somebody_elses_is_left_alone_and_one_with_scopes_would_be_no_wall(found: Json) -> None:
    server = Server(found)
    with pytest.raises(KubeError):
        await Writer(cast("KubeClient", server), Nobody()).raise_quota(BODY, on=None, epoch=1)
    assert server.applied == []
