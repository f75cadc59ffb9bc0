"""The port, by real TLS: the front proxy is answered, and nobody else."""

import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.certificates import Serving, make
from gpupool.runtime.metricsapi.listener import Listener
from gpupool.runtime.metricsapi.trust import FrontProxy
from localplane.certs import write_certificates
from support.builders import NOW

DISCOVERY = "/apis/external.metrics.k8s.io/v1beta1"


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("certs")
    write_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("strangers")
    write_certificates(folder)
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Door:
    """A listener, and what a client sees of it."""

    listener: Listener
    port: int
    proxy: FrontProxy
    serving: Serving

    async def status(self, client: Path | None, path: str = DISCOVERY, trust: Serving | None = None) -> int:
        """The status of an answer to a client with such a certificate."""
        context = ssl.create_default_context(cadata=(trust or self.serving).certificate.decode())
        context.check_hostname = False
        if client is not None:
            context.load_cert_chain(client, client.with_suffix(".key"))
        url = f"https://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
            assert (await answer.json())["kind"] in {"APIResourceList", "Status"}
            return answer.status


@pytest.fixture
async def door(certs: Path) -> AsyncIterator[Door]:
    port = free_port()
    listener = Listener("127.0.0.1", port, Board(1.0), lambda: NOW)
    proxy = FrontProxy((certs / "ca.crt").read_text(), frozenset({"front-proxy"}))
    # Clients check the time by their own clock.
    found = Door(listener, port, proxy, make(("localhost",), _today()))
    await listener.open(proxy, found.serving)
    yield found
    await listener.close()
    await listener.close()


def _today() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a client has a clock of its own


async def test_the_front_proxy_is_answered(door: Door, certs: Path) -> None:
    assert await door.status(certs / "front-proxy.crt") == 200
    assert await door.status(certs / "front-proxy.crt", "/apis/else") == 404


async def test_another_client_of_the_same_authority_is_forbidden(door: Door, certs: Path) -> None:
    assert await door.status(certs / "admin.crt") == 403


async def test_a_client_without_a_certificate_is_told_to_go_by_the_api_server(door: Door) -> None:
    assert await door.status(None) == 401


async def test_a_certificate_of_strangers_does_not_come_through(door: Door, strangers: Path) -> None:
    with pytest.raises((aiohttp.ClientError, OSError)):
        await door.status(strangers / "front-proxy.crt")


async def test_new_trust_and_a_new_certificate_open_the_port_anew(
    door: Door, certs: Path, strangers: Path
) -> None:
    await door.listener.open(door.proxy, door.serving)
    assert await door.status(certs / "front-proxy.crt") == 200
    fresh = make(("localhost",), _today())
    await door.listener.open(FrontProxy((strangers / "ca.crt").read_text()), fresh)
    assert await door.status(strangers / "front-proxy.crt", trust=fresh) == 200
    with pytest.raises((aiohttp.ClientError, OSError)):
        await door.status(certs / "front-proxy.crt", trust=fresh)
