"""What a writer does while the API server is away."""

import asyncio
from collections.abc import Callable

import pytest

from gpupool.errors import Unreachable
from gpupool.kube.client import KubeClient
from localplane.cluster import Cluster
from support.polling import eventually
from support.writing import CONFIG_MAPS, config_map, writer_of


async def test_a_write_waits_for_a_server_that_restarts(
    plane: Cluster, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client, within=60)
    try:
        await asyncio.to_thread(plane.stop, "apiserver", "KILL")
        write = asyncio.create_task(writer.apply(CONFIG_MAPS, config_map(home, "one", v="1"), epoch=1))
        await eventually(lambda: client.transport.answers["PATCH", 0] > 1, what="a second attempt")
    finally:
        await asyncio.to_thread(plane.start, "apiserver")
    assert (await write)["data"] == {"v": "1"}


async def test_a_write_gives_up_when_its_time_is_over(
    plane: Cluster, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client, within=0.5)
    try:
        await asyncio.to_thread(plane.stop, "apiserver", "KILL")
        with pytest.raises(Unreachable):
            await writer.apply(CONFIG_MAPS, config_map(home, "one", v="1"), epoch=1)
    finally:
        await asyncio.to_thread(plane.start, "apiserver")
    assert heard.objects == []
