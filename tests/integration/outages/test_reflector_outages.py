"""What a reflector does when the API server dies, freezes or forgets its history."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gpupool.collector.store import ChangeKind
from gpupool.errors import Gone
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Selection
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.etcd import Etcd
from support.mirroring import CONFIG_MAPS, QUICK, RESTART, fill, mirrored, put
from support.polling import eventually

INACTIVITY = 5.0
"""Seconds without a byte after which a watch is cut, longer than anything lasts on a machine that lives."""


async def test_objects_deleted_while_the_server_was_dead_leave_the_store(
    plane: Cluster, kube: Kube, client: KubeClient, etcd: Etcd, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    names = fill(kube, home, 20)
    gone = {name for name in names if name < "m08"}
    async with mirrored(client, home) as mirror:
        assert mirror.names == names
        try:
            await asyncio.to_thread(plane.stop, "apiserver", "KILL")
            await eventually(lambda: mirror.reflector.counters.reconnects > 0, what="noticing the death")
            etcd.delete(f"/registry/configmaps/{home}/{name}" for name in gone)
            etcd.compact()
            assert mirror.names == names, "no news is no deletion"
        finally:
            await asyncio.to_thread(plane.start, "apiserver")
        await eventually(lambda: mirror.names == names - gone, RESTART, "the store without stale objects")
        assert mirror.told(ChangeKind.DELETED) == gone
        assert mirror.reflector.counters.lists >= 2, "the history was compacted, so it listed again"
        put(kube, home, "after", "1")
        await eventually(lambda: "after" in mirror.names, what="following again")


async def test_a_restart_without_loss_of_history_leaves_the_store_right(
    plane: Cluster, kube: Kube, client: KubeClient, etcd: Etcd, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    names = fill(kube, home, 6)
    async with mirrored(client, home) as mirror:
        try:
            await asyncio.to_thread(plane.stop, "apiserver", "KILL")
            etcd.delete([f"/registry/configmaps/{home}/m00"])
        finally:
            await asyncio.to_thread(plane.start, "apiserver")
        await eventually(lambda: mirror.names == names - {"m00"}, RESTART)
        assert mirror.told(ChangeKind.DELETED) == {"m00"}


async def test_a_frozen_server_is_noticed_and_the_watch_resumes(
    plane: Cluster, kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    async with mirrored(client, home, replace(QUICK, inactivity=INACTIVITY)) as mirror:
        try:
            await asyncio.to_thread(plane.stop, "apiserver", "STOP")
            await eventually(lambda: mirror.reflector.counters.reconnects > 0, RESTART, "the inactivity cut")
            await eventually(lambda: mirror.reflector.age() > INACTIVITY + 0.5, RESTART)
        finally:
            await asyncio.to_thread(plane.start, "apiserver")
        put(kube, home, "after", "1")
        await eventually(lambda: "after" in mirror.names, RESTART)
        assert mirror.reflector.age() < INACTIVITY + 0.5
        assert mirror.reflector.counters.lists == 1, "a broken watch resumes, it does not list again"


async def test_a_watch_from_a_compacted_version_is_gone_and_ends_in_a_new_list(
    plane: Cluster, kube: Kube, client: KubeClient, etcd: Etcd, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    selection = Selection(CONFIG_MAPS, home)
    async with mirrored(client, home) as mirror:
        old = mirror.reflector.store.version
        put(kube, home, "one", "1")
        await eventually(lambda: "one" in mirror.names)
        try:
            await asyncio.to_thread(plane.stop, "apiserver", "KILL")
            etcd.delete([f"/registry/configmaps/{home}/one"])
            etcd.compact()
        finally:
            await asyncio.to_thread(plane.start, "apiserver")
        with pytest.raises(Gone):
            await anext(client.watch(selection, since=old, seconds=5, inactivity=10.0))
        await eventually(lambda: "one" not in mirror.names, RESTART)


async def test_a_list_whose_pages_expire_begins_again(
    plane: Cluster, kube: Kube, client: KubeClient, etcd: Etcd, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    names = fill(kube, home, 9)
    firsts, seen = 0, set[str]()
    async for page in client.list_pages(Selection(CONFIG_MAPS, home), limit=4):
        if page.first:
            firsts, seen = firsts + 1, set()
        seen |= {item["metadata"]["name"] for item in page.items}
        if firsts == 1:
            # The server keeps recent lists in memory; only its death makes it ask etcd again.
            try:
                await asyncio.to_thread(plane.stop, "apiserver", "KILL")
                etcd.delete([f"/registry/configmaps/{home}/m00"])
                etcd.compact()
            finally:
                await asyncio.to_thread(plane.start, "apiserver")
    assert firsts == 2
    assert seen - {"kube-root-ca.crt"} == names - {"m00"}
