"""One connection of a client, passed on to the API server request by request."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import h11

from support.faultproxy.asked import Asked
from support.faultproxy.faults import Cut, Reply

if TYPE_CHECKING:
    from support.faultproxy.proxy import FaultProxy

OK = 200
PIECE = 65536
BROKEN = (OSError, ssl.SSLError, h11.ProtocolError, EOFError, Cut)
Headers = list[tuple[bytes, bytes]]


class End:
    """One end of a relayed connection: bytes in and out through h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, serves: bool) -> None:
        role = h11.SERVER if serves else h11.CLIENT
        self.http = h11.Connection(role, max_incomplete_event_size=1 << 20)
        self._reader = reader
        self._writer = writer

    @property
    def port(self) -> int:
        """The other side's port."""
        return int(self._writer.get_extra_info("peername")[1])

    async def next(self) -> object:
        """The next event from the other side; EOFError when it hung up."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(PIECE)
            if not data and self.http.their_state is h11.IDLE:
                raise EOFError
            self.http.receive_data(data)
        if isinstance(event, h11.ConnectionClosed):
            raise Cut
        return event

    async def send(self, *events: h11.Event) -> None:
        """Send events."""
        data = b"".join(self.http.send(event) or b"" for event in events)
        self._writer.write(data)
        await self._writer.drain()

    async def body(self) -> AsyncIterator[bytes]:
        """Pieces of the message under way."""
        while not isinstance(event := await self.next(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            yield bytes(event.data)

    async def hung_up(self) -> None:
        """Wait until the other side is gone; it must not send anything meanwhile."""
        await self._reader.read(1)

    def turn(self) -> bool:
        """Begin a next request, if the connection takes one."""
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    def abort(self) -> None:
        """Break it, without a farewell."""
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Break it and wait until nothing of it is left."""
        self.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class Relay:
    """Serves one client's connection until either side ends it."""

    def __init__(self, proxy: "FaultProxy", client: End) -> None:
        self._proxy = proxy
        self._client = client
        self._server: End | None = None

    async def run(self) -> None:
        """Relay; every way to end is a normal one."""
        try:
            with suppress(*BROKEN):
                while await self._one():
                    pass
        finally:
            for end in (self._client, self._server):
                if end is not None:
                    await end.gone()

    def break_off(self) -> None:
        """End the client's connection at once; the other follows."""
        self._client.abort()

    async def _one(self) -> bool:
        asked = await self._receive()
        reply = await self._proxy.judge(asked)
        if reply is not None:
            asked.status, asked.ours = reply.status, True
            await self._answer(reply)
        else:
            await self._forward(asked)
        return self._client.turn()

    async def _receive(self) -> Asked:
        head = await self._client.next()
        if not isinstance(head, h11.Request):
            raise Cut
        body = b"".join([piece async for piece in self._client.body()])
        return Asked(
            self._proxy.number(),
            head.method.decode(),
            head.target.decode(),
            list(head.headers),
            body,
            self._client.port,
        )

    async def _answer(self, reply: Reply) -> None:
        body = json.dumps(reply.body).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), *reply.headers]
        head = h11.Response(status_code=reply.status, headers=headers)
        await self._client.send(head, h11.Data(data=body), h11.EndOfMessage())

    async def _forward(self, asked: Asked) -> None:
        server = self._server = self._server or await self._proxy.connect()
        headers = _without(asked.headers, b"content-length", b"transfer-encoding", b"expect")
        if asked.body:
            headers.append((b"content-length", str(len(asked.body)).encode()))
        head = h11.Request(method=asked.method, target=asked.target, headers=headers)
        await server.send(head, *([h11.Data(data=asked.body)] if asked.body else []), h11.EndOfMessage())
        answer = await server.next()
        assert isinstance(answer, h11.Response)
        asked.status = answer.status_code
        if asked.watch and answer.status_code == OK:
            await self._while_wanted(self._stream(server, answer))
        else:
            await self._whole(asked, server, answer)
        if not server.turn():
            self._server = None
            await server.gone()

    async def _whole(self, asked: Asked, server: End, answer: h11.Response) -> None:
        body = b"".join([piece async for piece in server.body()])
        await self._proxy.stored(asked)
        headers = _without(self._dated(answer), b"content-length", b"transfer-encoding")
        headers.append((b"content-length", str(len(body)).encode()))
        head = h11.Response(status_code=answer.status_code, headers=headers)
        await self._client.send(head, h11.Data(data=body), h11.EndOfMessage())

    async def _while_wanted(self, streaming: Coroutine[Any, Any, None]) -> None:
        """Stream until it ends or the client hangs up, which nobody would notice on a silent watch."""
        tasks = [asyncio.ensure_future(streaming), asyncio.ensure_future(self._client.hung_up())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # nobody may read from a connection that another still reads from
        if tasks[0] not in done:
            raise Cut
        tasks[0].result()

    async def _stream(self, server: End, answer: h11.Response) -> None:
        await self._proxy.thawed()
        await self._client.send(h11.Response(status_code=answer.status_code, headers=self._dated(answer)))
        async for piece in server.body():
            await self._proxy.thawed()
            await self._client.send(h11.Data(data=piece))
        await self._proxy.thawed()
        await self._client.send(h11.EndOfMessage())

    def _dated(self, answer: h11.Response) -> Headers:
        """The answer's headers, by the clock the proxy shows."""
        off = timedelta(seconds=self._proxy.skew)
        return [(k, _shifted(v, off) if off and k.lower() == b"date" else v) for k, v in answer.headers]


def _shifted(date: bytes, off: timedelta) -> bytes:
    return format_datetime(parsedate_to_datetime(date.decode()) + off, usegmt=True).encode()


def _without(headers: Headers, *names: bytes) -> Headers:
    return [(k, v) for k, v in headers if k.lower() not in names]
