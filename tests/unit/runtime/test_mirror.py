"""What the mirrors hand on beside the objects themselves."""

from types import SimpleNamespace
from typing import Any, cast

from gpupool.kube.client import KubeClient
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.settings import Settings
from support.builders import NOW


def a_mirror() -> Mirror:
    client = SimpleNamespace(server_time=lambda: NOW)
    return Mirror(cast("KubeClient", client), Settings(), lambda _: None, mutating=False)


def put(mirror: Mirror, name: str, **spec: Any) -> None:
    spec.setdefault("nodes", {"selector": {"matchLabels": {"group": name}}})
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "generation": 1}
    meta |= {"creationTimestamp": "2030-01-07T12:00:00Z"}
    mirror.pools.observe_write({"kind": "GpuPool", "metadata": meta, "spec": spec})


def test_pools_that_cannot_be_read_are_known_by_name() -> None:
    mirror = a_mirror()
    put(mirror, "lab")
    put(mirror, "broken", reserve=-1)
    world, _ = mirror.mapped()
    assert [p.name for p in world.pools] == ["lab"]
    assert world.unreadable_pools == {"broken"}
