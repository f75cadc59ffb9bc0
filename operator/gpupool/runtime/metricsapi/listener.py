"""The port: TLS, the front proxy's certificate, and one answer per request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from gpupool.runtime.metricsapi.answers import Answer, answer
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.certificates import Serving, context
from gpupool.runtime.metricsapi.trust import FrontProxy, refused
from gpupool.runtime.serve import Handler


class Listener:
    """Serves at one port; other trust or another certificate opens the port anew, and ends old connections.

    Args:
        host: where to listen.
        port: the same.
        board: what was decided.
        now: the server's time.
    """

    def __init__(self, host: str, port: int, board: Board, now: Callable[[], datetime]) -> None:
        self._at = (host, port)
        self._board = board
        self._now = now
        self._runner: web.AppRunner | None = None
        self._with: tuple[FrontProxy, Serving] | None = None

    async def open(self, proxy: FrontProxy, serving: Serving) -> None:
        """Listen, unless it is done with the same.

        Raises:
            OSError: the port is taken.
        """
        if self._with == (proxy, serving):
            return
        await self.close()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handler(proxy))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        tls = context(serving, proxy.authority)
        await web.TCPSite(self._runner, *self._at, ssl_context=tls).start()
        self._with = (proxy, serving)

    async def close(self) -> None:
        """Listen no more."""
        self._with = None
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _handler(self, proxy: FrontProxy) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            found = self._answer(proxy, request)
            return web.json_response(found.body, status=found.status)

        return handle

    def _answer(self, proxy: FrontProxy, request: web.Request) -> Answer:
        shown = None if request.transport is None else request.transport.get_extra_info("peercert")
        no = refused(proxy, shown)
        if no is not None:
            return no
        return answer(request.path, request.query.get("labelSelector", ""), self._board, self._now())
