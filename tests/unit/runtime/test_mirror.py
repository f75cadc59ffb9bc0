"""What the mirrors hand on beside the objects themselves."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from gpupool.kube.client import KubeClient
from gpupool.model.senses import Senses, Unread
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.settings import Settings
from support.builders import NOW


def a_mirror() -> Mirror:
    client = SimpleNamespace(server_time=lambda: NOW)
    return Mirror(cast("KubeClient", client), Settings(), lambda _: None, mutating=False)


class _Unlisted:
    """Kueue's queues, settled without an answer."""

    known = False

    def __init__(self) -> None:
        self.settled = asyncio.Event()
        self.settled.set()

    def values(self) -> tuple[()]:
        return ()


def put(mirror: Mirror, name: str, **spec: Any) -> None:
    spec.setdefault("nodes", {"selector": {"matchLabels": {"group": name}}})
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "generation": 1}
    meta |= {"creationTimestamp": "2030-01-07T12:00:00Z"}
    mirror.pools.observe_write({"kind": "GpuPool", "metadata": meta, "spec": spec})


async def test_queues_that_cannot_be_listed_are_not_known_and_keep_nobody_waiting() -> None:
    mirror = a_mirror()
    mirror.local_queues = _Unlisted()  # type: ignore[assignment] # what the mirror asks of it
    mirror.scaled_objects.settled.set()
    mirror.vpas.settled.set()
    for reflector in mirror.reflectors.values():
        reflector.synced.set()
    await asyncio.wait_for(mirror.synced(), 5)
    assert mirror.complete
    assert not mirror.mapped()[0].queues_known


def test_pools_that_cannot_be_read_are_known_by_name() -> None:
    mirror = a_mirror()
    put(mirror, "lab")
    put(mirror, "broken", reserve=-1)
    world, _ = mirror.mapped()
    assert [p.name for p in world.pools] == ["lab"]
    assert world.unreadable_pools == {"broken"}


def test_mirrors_that_hear_nothing_are_named_at_once_though_nothing_changes() -> None:
    mirror = a_mirror()
    assert mirror.mapped()[0].senses == Senses()
    for reflector in (mirror.pods, mirror.requests):
        reflector._heard_at -= 1000.0
    assert mirror.mapped()[0].senses == Senses(unheard=("capacityrequests", "pods"))
    mirror.pods._heard()
    mirror.requests._heard()
    assert mirror.mapped()[0].senses == Senses()


def test_objects_that_would_count_and_cannot_be_read_are_named() -> None:
    mirror = a_mirror()
    for reflector in (mirror.pods, mirror.quotas, mirror.nodes, mirror.jobs):
        meta: dict[str, Any] = {"name": "odd", "uid": "odd", "resourceVersion": "7"}
        place = {} if reflector is mirror.nodes else {"namespace": "vision"}
        reflector.store.upsert(reflector.store.entry({"metadata": meta | place, "spec": "odd"}))
    assert mirror.senses().unread == (
        Unread("pods", "odd", "vision"),
        Unread("nodes", "odd"),
        Unread("resourcequotas", "odd", "vision"),
    )
