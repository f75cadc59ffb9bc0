"""A kind of others: what is not known is not nothing, and it stops nobody for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from gpupool.collector import whereserved as module
from gpupool.collector.whereserved import WhereServed
from gpupool.errors import Failure, NotFound, Unreachable
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Selection
from support.polling import eventually


class Server:
    """Serves versions of the kind, the first one preferred, each with its objects; None: it lists none."""

    def __init__(self) -> None:
        self.versions: dict[str, list[str] | None] = {}
        self.elsewhere: tuple[str, ...] = ()
        self.silent = False
        self.lists: list[str] = []
        self.ended: list[str] = []
        self.told = 0

    async def get_path(self, path: str) -> dict[str, Any]:
        if self.silent:
            raise Unreachable(path, Failure())
        versions = [{"version": v} for v in (*self.elsewhere, *self.versions)]
        if not versions:
            raise NotFound(path, Failure(404))
        return {"preferredVersion": versions[0], "versions": versions}

    async def has_resource(self, group: str, version: str, plural: str) -> bool:
        assert (group, plural) == ("kueue.x-k8s.io", "localqueues")
        return version in self.versions

    def changed(self, _: object) -> None:
        self.told += 1


class Mirrors:
    """Stands for a reflector: it lists as soon as the server answers lists of its version."""

    def __init__(self, client: Server, selection: Selection, *_: object) -> None:
        self._server, self._version = client, selection.resource.version
        self.store: dict[int, str] = {}
        self.synced = asyncio.Event()
        self.writes: list[object] = []

    def overdue(self) -> bool:
        return self._server.silent

    def observe_write(self, raw: object) -> None:
        self.writes.append(raw)

    async def run(self) -> None:
        self._server.lists.append(self._version)
        try:
            await eventually(lambda: self._server.versions.get(self._version) is not None)
            self.store = dict(enumerate(self._server.versions[self._version] or ()))
            self.synced.set()
            await asyncio.sleep(60)
        finally:
            self._server.ended.append(self._version)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(module, "Reflector", Mirrors)
    monkeypatch.setattr(module, "RETRY", 0.001)
    return Server()


@asynccontextmanager
async def mirrored(server: Server, patience: float = 60.0) -> AsyncIterator[WhereServed[str]]:
    mirror: WhereServed[str] = WhereServed(
        cast("KubeClient", server),
        "kueue.x-k8s.io",
        "localqueues",
        "LocalQueue",
        str,
        on_change=server.changed,
        pause=0.002,
        patience=patience,
    )
    running = asyncio.create_task(mirror.run())
    try:
        async with asyncio.timeout(5):
            yield mirror
    finally:
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until_known(mirror: WhereServed[str], values: list[str]) -> None:
    await eventually(lambda: mirror.known and list(mirror.values()) == values)


async def test_a_kind_that_is_not_served_is_known_to_have_no_objects(server: Server) -> None:
    async with mirrored(server) as mirror:
        await mirror.settled.wait()
        assert (mirror.known, mirror.values()) == (True, ())


async def test_what_is_served_is_told_as_long_as_it_is_heard_of(server: Server) -> None:
    async with mirrored(server) as mirror:
        assert (mirror.served, mirror.heard) == (None, False)
        await mirror.settled.wait()
        assert (mirror.served, mirror.heard) == (False, True)
        mirror.observe_write({})
        server.versions = {"v1beta1": ["jobs"]}
        await until_known(mirror, ["jobs"])
        assert (mirror.served, mirror.heard) == (True, True)
        mirror.observe_write({"kind": "LocalQueue"})
        told = cast("Any", mirror)._told
        assert told.reflector.writes == [{"kind": "LocalQueue"}]
        server.silent = True
        assert (mirror.served, mirror.heard) == (None, False)


async def test_it_comes_and_goes(server: Server) -> None:
    async with mirrored(server) as mirror:
        await mirror.settled.wait()
        server.versions = {"v1beta1": ["jobs"]}
        await until_known(mirror, ["jobs"])
        told = server.told
        server.versions = {}
        await until_known(mirror, [])
        assert server.told == told + 1
        await asyncio.sleep(0)
        assert server.ended == ["v1beta1"]


async def test_another_version_replaces_what_is_known_once_it_was_listed_whole(server: Server) -> None:
    """Kueue is upgraded, and its conversion webhook is not up yet."""
    server.versions = {"v1beta1": ["jobs"]}
    async with mirrored(server) as mirror:
        await until_known(mirror, ["jobs"])
        server.versions = {"v1beta2": None, "v1beta1": ["jobs"]}
        await eventually(lambda: server.lists == ["v1beta1", "v1beta2"])
        await asyncio.sleep(0.01)
        assert (mirror.known, mirror.values()) == (True, ["jobs"])
        assert server.ended == [], "the version before is followed meanwhile"
        server.versions["v1beta2"] = ["jobs", "more"]
        await until_known(mirror, ["jobs", "more"])
        await asyncio.sleep(0)
        assert server.ended == ["v1beta1"]
    assert server.lists == ["v1beta1", "v1beta2"]


async def test_a_version_that_is_withdrawn_before_it_was_listed_is_forgotten(server: Server) -> None:
    server.versions = {"v1beta1": ["jobs"]}
    async with mirrored(server) as mirror:
        await until_known(mirror, ["jobs"])
        server.versions = {"v1beta2": None, "v1beta1": ["jobs"]}
        await eventually(lambda: "v1beta2" in server.lists)
        server.versions = {"v1beta3": None}
        await eventually(lambda: server.ended == ["v1beta2"] and "v1beta3" in server.lists)
        server.versions = {"v1beta1": ["jobs"]}
        await eventually(lambda: server.ended == ["v1beta2", "v1beta3"])
        assert mirror.values() == ["jobs"]


async def test_a_kind_that_only_another_version_serves_is_found_there(server: Server) -> None:
    server.elsewhere, server.versions = ("v1",), {"v1beta1": ["jobs"]}
    async with mirrored(server) as mirror:
        await until_known(mirror, ["jobs"])


@pytest.mark.parametrize("silent", [True, False], ids=["no discovery", "no list"])
async def test_what_is_not_known_is_not_nothing_and_stops_nobody_for_long(
    server: Server, *, silent: bool
) -> None:
    server.versions, server.silent = {"v1beta1": None}, silent
    async with mirrored(server, patience=0.5) as mirror:
        await asyncio.sleep(0.01)
        assert not mirror.settled.is_set()
        await mirror.settled.wait()
        assert (mirror.known, mirror.values()) == (False, ())
        server.versions, server.silent = {"v1beta1": ["jobs"]}, False
        await until_known(mirror, ["jobs"])


async def test_what_is_served_newly_is_not_known_before_it_was_listed(server: Server) -> None:
    async with mirrored(server) as mirror:
        await mirror.settled.wait()
        server.versions = {"v1beta1": None}
        await eventually(lambda: not mirror.known)
        server.versions = {}
        await until_known(mirror, [])


async def test_a_look_that_gets_no_answer_changes_nothing(server: Server) -> None:
    server.versions = {"v1beta1": ["jobs"]}
    async with mirrored(server) as mirror:
        await until_known(mirror, ["jobs"])
        server.silent = True
        await asyncio.sleep(0.01)
        assert (mirror.known, mirror.values(), server.ended) == (True, ["jobs"], [])
