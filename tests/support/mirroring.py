"""A reflector of ConfigMaps under test, and the ConfigMaps."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from gpupool.collector.reflector import Pace, Reflector
from gpupool.collector.store import Change, ChangeKind
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Resource, Selection
from localplane.kube import Kube

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
QUICK = Pace(page=7, watch=(60, 60), inactivity=30.0, pause=(0.1, 0.5), count=3600.0)
RESTART = 60.0  # seconds an API server may take to come back on a busy machine


def shown(raw: dict[str, Any]) -> str:
    """The projection under test: the datum `v`, or nothing where there is none."""
    return str(raw.get("data", {}).get("v", ""))


class Mirror:
    """A running reflector and what it told."""

    def __init__(self, client: KubeClient, selection: Selection, pace: Pace) -> None:
        self.changes: list[Change[str]] = []
        rng = random.Random(1)  # noqa: S311 - a fixed spread, not a secret
        self.reflector = Reflector(client, selection, shown, self.changes.append, pace=pace, rng=rng)

    @property
    def names(self) -> set[str]:
        """Names of the objects in the store, the cluster's own left out."""
        return {key.name for key, _ in self.reflector.store.identities()} - {"kube-root-ca.crt"}

    def told(self, kind: ChangeKind) -> set[str]:
        """Names of objects of which this was told."""
        return {change.key.name for change in self.changes if change.kind is kind}


@asynccontextmanager
async def mirrored(
    client: KubeClient, namespace: str, pace: Pace = QUICK, *, labels: str = ""
) -> AsyncIterator[Mirror]:
    """A reflector of a namespace's ConfigMaps, synced, and cancelled at the end."""
    mirror = Mirror(client, Selection(CONFIG_MAPS, namespace, labels=labels), pace)
    task = asyncio.create_task(mirror.reflector.run())
    try:
        await asyncio.wait_for(mirror.reflector.synced.wait(), RESTART)
        yield mirror
    finally:
        assert not task.done(), "a reflector ends only when it is cancelled"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def put(kube: Kube, namespace: str, name: str, value: str, labels: dict[str, str] | None = None) -> None:
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
            "data": {"v": value},
        }
    )


def fill(kube: Kube, namespace: str, count: int) -> set[str]:
    names = {f"m{number:02}" for number in range(count)}
    for name in names:
        put(kube, namespace, name, "1")
    return names


def drop(kube: Kube, namespace: str, name: str) -> None:
    kube.delete(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
