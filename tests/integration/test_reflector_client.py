"""The raw client against the real API server: what it reads, and whose time it tells."""

from collections.abc import Callable

from gpupool.kube.client import KubeClient
from gpupool.kube.resources import JOBS, Selection
from localplane.kube import Kube
from support.mirroring import CONFIG_MAPS, put


async def test_the_server_time_follows_the_server_and_never_runs_backwards(client: KubeClient) -> None:
    shown_times = []
    for _ in range(20):
        await client.get_path("/version")
        shown_times.append(client.server_time())
    assert shown_times == sorted(shown_times)
    skew = client.transport.clock.skew()
    assert skew is not None
    assert abs(skew) < 2, "both run on this machine"


async def test_discovery_tells_what_the_server_serves(client: KubeClient) -> None:
    assert await client.has_resource("", "v1", "resourcequotas")
    assert await client.has_resource("policy", "v1", "poddisruptionbudgets")
    assert not await client.has_resource("policy", "v1", "unheard")
    assert not await client.has_resource("unheard.example.com", "v1", "things")


async def test_metadata_alone_is_enough_to_list(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    put(kube, home, "one", "x" * 1000)
    items = await client.list_all(Selection(CONFIG_MAPS, home, fields="metadata.name=one").as_metadata())
    assert [item["metadata"]["name"] for item in items] == ["one"]
    assert "data" not in items[0]


async def test_nothing_is_counted_and_listed_as_nothing(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    nowhere = Selection(JOBS, namespace("empty"))
    assert await client.count(nowhere) == 0
    assert await client.list_all(nowhere.as_metadata()) == []
