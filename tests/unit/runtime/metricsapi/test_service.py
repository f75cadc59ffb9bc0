"""The metrics API look by look: what it waits for, what it leaves alone, and how it ends."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from gpupool.applier.serverside import Writer
from gpupool.errors import Failure, FencedError, kube_error
from gpupool.kube.client import KubeClient
from gpupool.runtime.metricsapi import service as module
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.certificates import EARLY, VALID
from gpupool.runtime.metricsapi.service import TRUST, MetricsApi, place
from gpupool.runtime.settings import Settings
from localplane.certs import write_certificates
from support.registry import Registry


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("certs")
    write_certificates(folder)
    return (folder / "ca.crt").read_text()


class Rig:
    """A metrics API of which a test makes one look at a time."""

    def __init__(self, authority: str) -> None:
        self.registry = Registry()
        self.registry.publish(authority, "front-proxy")
        self.elapsed = 0.0
        self.port = free_port()
        settings = Settings(
            host="127.0.0.1",
            metrics_api_service="gpupool-external-metrics",
            metrics_api_port=self.port,
            pod_ip="10.0.0.7",
            pod_uid="uid",
            pod_name="gpupool-1",
        )
        both: Any = self.registry
        self.api = MetricsApi(
            cast("KubeClient", both),
            cast("Writer", both),
            settings,
            Board(1.0),
            lambda: 3,
            monotonic=lambda: self.elapsed,
        )

    async def look(self, turns: int = 1) -> str:
        """Run for so many looks, and say what is wrong while it runs."""
        reached, told, seen = asyncio.Event(), self.api._tell, iter(range(1, turns))

        def tell(problem: str) -> None:
            told(problem)
            if next(seen, None) is None:
                reached.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "PACE", 0.01)
            patch.setattr(self.api, "_tell", tell)
            running = asyncio.create_task(self.api.run())
            waiting = asyncio.create_task(reached.wait())
            await asyncio.wait({running, waiting}, return_when="FIRST_COMPLETED")
            waiting.cancel()
            if running.done():
                running.result()
            self.open = self.listens()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return self.api.problem

    def listens(self) -> bool:
        with socket.socket() as found:
            return found.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def rig(authority: str) -> Rig:
    return Rig(authority)


async def test_it_listens_before_the_api_server_is_led_here_and_ends_with_the_leadership(rig: Rig) -> None:
    assert await rig.look() == ""
    assert rig.registry.told == ["apply EndpointSlice", "apply APIService"]
    assert rig.open
    assert not rig.listens()


async def test_somebody_elses_api_service_is_left_alone_and_named(rig: Rig) -> None:
    theirs = {"metadata": {}, "spec": {"service": {"namespace": "keda", "name": "keda-metrics"}}}
    rig.registry.objects["APIService"] = theirs
    problem = await rig.look()
    assert "v1beta1.external.metrics.k8s.io leads to Service keda/keda-metrics" in problem
    assert (rig.registry.told, rig.open) == ([], False)
    assert rig.registry.objects["APIService"] is theirs
    del rig.registry.objects["APIService"]
    assert await rig.look() == ""
    assert rig.open


async def test_who_the_front_proxy_is_is_asked_now_and_then(rig: Rig) -> None:
    await rig.look(2)
    assert rig.registry.asked.count("ConfigMap") == 1
    rig.elapsed += TRUST + 1
    await rig.look()
    assert rig.registry.asked.count("ConfigMap") == 2


async def test_a_next_certificate_is_published_before_it_is_shown(rig: Rig) -> None:
    await rig.look()
    first = rig.registry.objects["APIService"]["spec"]["caBundle"]
    rig.registry.now += VALID - EARLY + timedelta(days=1)
    await rig.look()
    both = rig.registry.objects["APIService"]["spec"]["caBundle"]
    await rig.look()
    last = rig.registry.objects["APIService"]["spec"]["caBundle"]
    assert len({first, both, last}) == 3
    assert len(both) > len(last)


async def test_what_fails_is_said_and_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.registry.objects["ConfigMap"] = {}
    assert "--requestheader-client-ca-file is not set" in await rig.look()
    rig.registry.fails = kube_error("GET /apis", Failure(503, message="not now"))
    assert "not now" in await rig.look()

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(module, "foreign", broken)
        rig.registry.fails = None
        assert "see the operator's log" in await rig.look(2)


async def test_a_lost_leadership_ends_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise FencedError("leadership lost")

    monkeypatch.setattr(module, "register", lost)
    with pytest.raises(FencedError):
        await rig.look()
    assert not rig.listens()


async def test_switched_off_it_does_nothing() -> None:
    both: Any = Registry()
    await MetricsApi(both, both, Settings(), Board(1.0), lambda: 3).run()
    assert (both.told, both.asked) == ([], [])
    assert place(Settings()) is None
