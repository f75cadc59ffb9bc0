"""A reflector against the real API server: it follows, and finds out when it does not."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gpupool.collector.reflector import Reflector
from gpupool.collector.store import Change, ChangeKind
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import EVENTS, ObjectKey, Selection
from gpupool.runtime.mirror import NO_BOOKMARKS
from localplane.kube import Kube
from support.mirroring import CONFIG_MAPS, QUICK, RESTART, drop, fill, mirrored, put
from support.polling import eventually


async def test_a_list_of_several_pages_is_complete(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    names = fill(kube, home, 20)
    async with mirrored(client, home) as mirror:
        assert mirror.names == names
        assert mirror.told(ChangeKind.ADDED) >= names
        assert mirror.reflector.counters.lists == 1


async def test_creations_changes_and_deletions_follow_by_watch(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    async with mirrored(client, home) as mirror:
        key = ObjectKey(home, "one")
        for value in ("1", "2"):
            put(kube, home, "one", value)
            await eventually(lambda value=value: mirror.reflector.store.get(key) == value)  # type: ignore[misc]
        drop(kube, home, "one")
        await eventually(lambda: "one" not in mirror.names)
        kinds = [change.kind for change in mirror.changes if change.key == key]
        assert kinds == [ChangeKind.ADDED, ChangeKind.CHANGED, ChangeKind.DELETED]
        assert mirror.reflector.counters.lists == 1


async def test_lines_of_a_watch_end_only_at_newlines(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home, odd = namespace("reflect"), "a\u0085b\u2028c\x0bd"
    async with mirrored(client, home) as mirror:
        put(kube, home, "odd", odd)
        await eventually(lambda: mirror.reflector.store.get(ObjectKey(home, "odd")) == odd)
        assert mirror.reflector.counters.failures == 0


async def test_bookmarks_keep_a_quiet_store_young(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home, elsewhere = namespace("reflect"), namespace("busy")
    # The server means to send one 2 s before a watch ends, looks who is due about once a second, and
    # sends none to a watch that began with the version it would tell: something has to happen meanwhile.
    async with mirrored(client, home, replace(QUICK, watch=(6, 6))) as mirror:
        before, noise = mirror.reflector.store.version, itertools.count()

        def told() -> bool:
            put(kube, elsewhere, "noise", str(next(noise)))
            return mirror.reflector.counters.bookmarks > 0

        await eventually(told, 30, "a bookmark")
        await eventually(lambda: mirror.reflector.store.version > before, what="progress without events")
        assert mirror.reflector.counters.lists == 1


async def test_a_kind_without_bookmarks_stays_young_when_nothing_happens(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    quiet = namespace("reflect")
    pace = replace(QUICK, watch=(1, 1), inactivity=20.0)
    reflector = Reflector(client, Selection(EVENTS, quiet), lambda raw: raw, lambda _: None, pace=pace)
    task = asyncio.create_task(reflector.run())
    try:
        await asyncio.wait_for(reflector.synced.wait(), RESTART)
        heard = reflector._heard_at
        await eventually(lambda: reflector._heard_at > heard, what="the end of a watch that told nothing")
        assert reflector.counters.bookmarks == reflector.counters.failures == 0
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert NO_BOOKMARKS.watch[1] < NO_BOOKMARKS.inactivity


@pytest.mark.parametrize("labels", ["", "team=a"], ids=["counted", "compared"])
async def test_a_lost_event_is_found_by_counting(
    kube: Kube, client: KubeClient, namespace: Callable[..., str], labels: str
) -> None:
    home = namespace("reflect")
    for name in ("one", "two"):
        put(kube, home, name, "1", {"team": "a"})
    async with mirrored(client, home, replace(QUICK, watch=(1, 1), count=0.5), labels=labels) as mirror:
        store = mirror.reflector.store
        del store._entries[ObjectKey(home, "one")]  # what a lost event leaves behind
        await eventually(lambda: mirror.names == {"one", "two"}, what="the list after the count")
        assert mirror.reflector.counters.drifts == 1
        assert mirror.reflector.counters.lists == 2


async def test_a_count_that_agrees_lists_nothing(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    fill(kube, home, 3)
    async with mirrored(client, home, replace(QUICK, watch=(1, 1), count=0.5)) as mirror:
        asked = client.transport.answers["GET", 200]
        await eventually(lambda: client.transport.answers["GET", 200] >= asked + 6, what="three turns")
        assert (mirror.reflector.counters.drifts, mirror.reflector.counters.lists) == (0, 1)


async def test_an_object_that_loses_its_label_leaves_the_selection(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("reflect")
    put(kube, home, "one", "1", {"team": "a"})
    async with mirrored(client, home, labels="team=a") as mirror:
        path = f"/api/v1/namespaces/{home}/configmaps/one"
        kube.patch(path, {"metadata": {"labels": {"team": "b"}}})
        await eventually(lambda: mirror.names == set())
        kube.patch(path, {"metadata": {"labels": {"team": "a"}}})
        await eventually(lambda: mirror.names == {"one"}, what="coming back")


async def test_an_unreadable_object_and_a_failing_callback_do_not_end_it(
    kube: Kube, client: KubeClient, namespace: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    home = namespace("reflect")
    seen: list[ObjectKey] = []

    def fragile(raw: dict[str, Any]) -> int:
        return int(raw.get("data", {}).get("v", 0))

    def failing(change: Change[int]) -> None:
        seen.append(change.key)
        raise RuntimeError("a bug elsewhere")

    reflector = Reflector(client, Selection(CONFIG_MAPS, home), fragile, failing, pace=QUICK)
    task = asyncio.create_task(reflector.run())
    try:
        await asyncio.wait_for(reflector.synced.wait(), RESTART)
        put(kube, home, "odd", "not a number")
        put(kube, home, "fine", "3")
        await eventually(lambda: reflector.store.get(ObjectKey(home, "fine")) == 3)
        assert [str(found) for found in reflector.unread()] == [f"configmaps {home}/odd"]
        assert ObjectKey(home, "fine") in seen
        logged = {record.getMessage() for record in caplog.records}
        assert {"object cannot be read", "on_change failed"} <= logged
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
