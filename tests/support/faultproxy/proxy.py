"""A TLS proxy between the operator's pods and the API server, in a thread, with faults to switch on.

Transparent until told otherwise: it carries the plane's own server certificate, so that the operator's pods
believe it, and speaks to the API server as they do (their tokens pass through).
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from localplane.cluster import Cluster
from support.faultproxy.asked import Asked
from support.faultproxy.faults import Cut, Fault, Reply
from support.faultproxy.relay import End, Relay

F = TypeVar("F", bound=Fault)
START_SECONDS = 10.0
LOOK = 0.02
HOST = "127.0.0.1"


class FaultProxy:
    """Relays every connection to one cluster's API server.

    Args:
        cluster: whose API server; it must be up, its certificates written.
        port: where to listen.

    Attributes:
        cluster: whose API server it is.
        journal: every request seen, in order.
        skew: seconds added to the `Date` of every answer.
        frozen: while true, open and new watches stay silent.
        dead: while true, every connection breaks at once.
    """

    def __init__(self, cluster: Cluster, port: int) -> None:
        certs = cluster.layout.private / "certs"
        self.cluster = cluster
        self.port = port
        self.journal: list[Asked] = []
        self.skew = 0.0
        self.frozen = False
        self.dead = False
        self._upstream = cluster.port("apiserver")
        self._faults: tuple[Fault, ...] = ()
        self._relays: set[Relay] = set()
        self._count = 0
        self._inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._inside.load_cert_chain(certs / "server.crt", certs / "server.key")
        self._outside = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="faultproxy", daemon=True)

    # ------------------------------------------------------------------ life

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(START_SECONDS), "the proxy does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, HOST, self.port, ssl=self._inside)
        self._listening.set()
        await self._over.wait()
        server.close()
        self._break_all()
        limit = self._loop.time() + START_SECONDS
        while self._relays and self._loop.time() < limit:  # noqa: ASYNC110 - the last look of all
            await asyncio.sleep(LOOK)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = Relay(self, End(reader, writer, serves=True))
        if self.dead:
            relay.break_off()
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)

    # ------------------------------------------------------------------ faults, from the test's thread

    @contextmanager
    def failing(self, fault: F) -> Iterator[F]:
        """Let a fault happen while the block lasts."""
        self._faults = (*self._faults, fault)
        try:
            yield fault
        finally:
            self._faults = tuple(f for f in self._faults if f is not fault)

    @contextmanager
    def dying(self) -> Iterator[None]:
        """The API server is not to be reached while the block lasts."""
        self.dead = True
        self.cut()
        try:
            yield
        finally:
            self.dead = False

    @contextmanager
    def freezing(self) -> Iterator[None]:
        """All watches are silent while the block lasts; their connections stay open."""
        self.frozen = True
        try:
            yield
        finally:
            self.frozen = False

    @contextmanager
    def skewed(self, seconds: float) -> Iterator[None]:
        """The API server's clock, as the operator sees it, is off while the block lasts."""
        self.skew = seconds
        try:
            yield
        finally:
            self.skew = 0.0

    def cut(self) -> None:
        """Break every connection, watches too."""
        self._loop.call_soon_threadsafe(self._break_all)

    def writes(self, choose: Callable[[Asked], bool] = lambda _asked: True) -> list[Asked]:
        """Writes of the product's state seen so far."""
        return [a for a in tuple(self.journal) if a.write and choose(a)]

    # ------------------------------------------------------------------ for the relays

    def number(self) -> int:
        """The next request's number."""
        self._count += 1
        return self._count

    async def connect(self) -> End:
        """A connection to the API server."""
        reader, writer = await asyncio.open_connection(HOST, self._upstream, ssl=self._outside)
        return End(reader, writer, serves=False)

    async def judge(self, asked: Asked) -> Reply | None:
        """What happens to a request before it is passed on; None passes it on."""
        self.journal.append(asked)
        for fault in self._faults:
            if fault.match(asked) and (reply := await fault.before(asked)) is not None:
                return reply
        if self.dead:
            raise Cut
        return None

    async def stored(self, asked: Asked) -> None:
        """The API server has answered; the answer is not on its way yet."""
        for fault in self._faults:
            if fault.match(asked):
                await fault.after(asked)

    async def thawed(self) -> None:
        """Wait while watches are silent."""
        while self.frozen:  # noqa: ASYNC110 - set by the test's thread, which has no loop
            await asyncio.sleep(LOOK)

    def _break_all(self) -> None:
        for relay in tuple(self._relays):
            relay.break_off()
