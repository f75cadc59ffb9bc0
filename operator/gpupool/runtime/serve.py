"""Metrics and truthful probes over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

Check = Callable[[], str]
"""Answers with what is wrong, or with nothing."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _probe(check: Check) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        wrong = check()
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    return answer


def _metrics(render: Callable[[], bytes]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        # In a thread: among 10,000 requests the page takes long, and cycles go on meanwhile.
        page = await asyncio.to_thread(render)
        return web.Response(body=page, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return answer


@dataclass(frozen=True, slots=True)
class Doors:
    """Where we listen."""

    host: str
    metrics_port: int
    health_port: int


@asynccontextmanager
async def serving(
    doors: Doors, render: Callable[[], bytes], alive: Check, ready: Check
) -> AsyncIterator[None]:
    """Serve while the block runs.

    Args:
        doors: where.
        render: the metrics as Prometheus reads them.
        alive: for /healthz, what is wrong with the process.
        ready: for /readyz, what is missing still.

    Raises:
        OSError: a port is taken.
    """
    metrics, health = web.Application(), web.Application()
    metrics.router.add_get("/metrics", _metrics(render))
    health.router.add_get("/healthz", _probe(alive))
    health.router.add_get("/readyz", _probe(ready))
    async with AsyncExitStack() as stack:
        for app, port in ((metrics, doors.metrics_port), (health, doors.health_port)):
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, doors.host, port).start()
        yield
