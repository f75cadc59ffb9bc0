"""Metrics and probes over real HTTP on loopback."""

import socket
from contextlib import AsyncExitStack

import httpx
import pytest

from gpupool.runtime.serve import Doors, serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def test_metrics_and_probes_answer_at_their_own_doors() -> None:
    doors = Doors("127.0.0.1", free_port(), free_port())
    missing = ["not every pool has been decided yet"]
    async with serving(doors, lambda: b"up 1\n", lambda: "", lambda: missing[0]):
        metrics = await get(doors.metrics_port, "/metrics")
        assert (metrics.status_code, metrics.text) == (200, "up 1\n")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        alive = await get(doors.health_port, "/healthz")
        assert (alive.status_code, alive.text) == (200, "ok\n")
        waiting = await get(doors.health_port, "/readyz")
        assert (waiting.status_code, waiting.text) == (503, "not every pool has been decided yet\n")
        missing[0] = ""
        assert (await get(doors.health_port, "/readyz")).status_code == 200
        assert (await get(doors.metrics_port, "/readyz")).status_code == 404
    with pytest.raises(httpx.ConnectError):
        await get(doors.health_port, "/healthz")


async def test_a_port_that_is_taken_is_said_and_the_other_is_given_back() -> None:
    taken = free_port()
    first = Doors("127.0.0.1", free_port(), taken)
    second = Doors("127.0.0.1", free_port(), taken)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(first, bytes, str, str))
        with pytest.raises(OSError, match=str(taken)):
            await stack.enter_async_context(serving(second, bytes, str, str))
        with pytest.raises(httpx.ConnectError):
            await get(second.metrics_port, "/metrics")
