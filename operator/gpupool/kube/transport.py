"""HTTP to the API server: connections, credentials, time limits, typed errors, the server's clock."""

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from gpupool import __version__
from gpupool.errors import Cause, Failure, kube_error
from gpupool.kube.auth import Bearer, Credentials
from gpupool.kube.clock import ServerClock
from gpupool.kube.messages import encoded
from gpupool.kube.resources import Json

log = logging.getLogger(__name__)

CONNECTIONS: Final = 32  # at most, watches apart; unbounded clients cost the control plane memory
_KEPT: Final = 30.0  # seconds that an unused connection stays open; the server closes it after 90
_UNAUTHORIZED: Final = 401
_OK: Final = range(200, 300)
_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one call, in seconds.

    Attributes:
        connect: until a connection stands.
        read: between two pieces of an answer.
        pool: waiting for a free connection.
        whole: from the first byte sent to the last one read.
    """

    connect: float = 5.0
    read: float = 30.0
    pool: float = 30.0
    whole: float = 90.0

    def of_call(self) -> aiohttp.ClientTimeout:
        """For a request with one answer."""
        return self._timeout(self.whole + self.pool, self.read)

    def of_stream(self, inactivity: float) -> aiohttp.ClientTimeout:
        """For an answer that goes on, cut when it is silent for so long."""
        return self._timeout(None, inactivity)

    def _timeout(self, total: float | None, read: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=total, connect=self.pool + self.connect, sock_connect=self.connect, sock_read=read
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what errors and retries need to know of it.

    Attributes:
        method: HTTP verb.
        path: from the root, `/api/...`.
        url: whole, encoded.
        headers: beside those of every request.
        patience: time limits.
        content: the body's bytes, or None.
        warnings: collects what the server warns of; None: it is logged.
    """

    method: str
    path: str
    url: URL
    headers: Mapping[str, str]
    patience: aiohttp.ClientTimeout
    content: bytes | None = None
    warnings: list[str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Sends requests; every refusal and every silence becomes a KubeError.

    It speaks through aiohttp: of 1,500 status writes to a real API server on the same two cores each costs us
    0.35 ms of CPU, through httpx 2.6; 545 a second get through instead of 298.
    Watches have connections of their own: each holds one for minutes and would starve the writes.

    Args:
        credentials: where to, and who we are.
        limits: time limits.

    Attributes:
        clock: the API server's time.
        answers: how many answers came, by (method, status); status 0 is silence.
    """

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        self._credentials = credentials
        self._tls = credentials.ssl_context()
        self._bearer = Bearer(credentials.token) if credentials.token else None
        self._limits = limits or Limits()
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self._closed = False
        self.clock = ServerClock()
        self.answers: Counter[tuple[str, int]] = Counter()

    async def aclose(self) -> None:
        """Close all connections, and open no more."""
        self._closed = True
        while self._sessions:
            await self._sessions.popitem()[1].close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        warnings: list[str] | None = None,
    ) -> Json:
        """Send one request and read its JSON answer.

        Args:
            method: HTTP verb.
            path: from the root, `/api/...`.
            query: parameters.
            body: anything JSON can say, or None.
            headers: Accept or Content-Type, where they are not plain JSON.
            warnings: collects what the server warns of, instead of a line in the log.

        Raises:
            KubeError: by status code, or Unreachable.
        """
        content = None if body is None else encoded(body)
        patience = self._limits.of_call()
        url, accepts = self._url(path, query), _JSON | (headers or {})
        asked = Asked(method, path, url, accepts, patience, content, warnings)
        with self._translated(asked):
            response = await self._send(self._session(CONNECTIONS), asked)
            async with response:
                answer = await response.read()
        return _parsed(asked, response, answer)

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: dict[str, str], headers: dict[str, str], inactivity: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an answer that goes on, and give its lines as they come.

        Args:
            path: from the root.
            query: parameters.
            headers: Accept.
            inactivity: seconds of silence after which it is cut.

        Raises:
            KubeError: by status code; Unreachable also when it breaks or falls silent later.
        """
        asked = Asked("GET", path, self._url(path, query), headers, self._limits.of_stream(inactivity))
        with self._translated(asked):
            response = await self._send(self._session(0), asked)
            try:
                if response.status not in _OK:
                    raise kube_error(str(asked), _failure_of(response, await response.read()))
                yield _lines(response)
            finally:
                response.close()

    async def _send(self, session: aiohttp.ClientSession, asked: Asked) -> aiohttp.ClientResponse:
        """Send, and send once more with a new token where the old one is refused."""
        signed = await self._bearer.headers() if self._bearer else {}
        response = await self._once(session, asked, signed)
        if response.status != _UNAUTHORIZED or self._bearer is None:
            return response
        response.release()
        return await self._once(session, asked, await self._bearer.headers(renew=True))

    async def _once(
        self, session: aiohttp.ClientSession, asked: Asked, signed: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        sent = self.clock.sent()
        response = await session.request(
            asked.method,
            asked.url,
            data=asked.content,
            headers={**asked.headers, **signed},
            timeout=asked.patience,
            proxy=self._credentials.proxy,
            server_hostname=self._credentials.server_name,
            allow_redirects=False,
        )
        self.clock.observe(response.headers.get("Date"), sent)
        self.answers[asked.method, response.status] += 1
        for warning in response.headers.getall("Warning", ()):
            if asked.warnings is not None:
                asked.warnings.append(warning)
                continue
            log.warning("api server warns", extra={"call": str(asked), "warning": warning})
        return response

    def _session(self, connections: int) -> aiohttp.ClientSession:
        """The session with so many connections (0: any number), made within the event loop it serves."""
        if self._closed:
            raise aiohttp.ClientConnectionError("the client is closed")
        if connections not in self._sessions:
            self._sessions[connections] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls, limit=connections, limit_per_host=0, keepalive_timeout=_KEPT
                ),
                # The way to the API server is the credentials' business, not the environment's.
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Compressing a 60 MB list costs the server more than sending it.
                headers={"User-Agent": f"gpupool/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._sessions[connections]

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        # Encoded here, once: a library that normalises would let `%2F` in a name become a path.
        parameters = f"?{urlencode(query)}" if query else ""
        return URL(f"{self._credentials.base_url.rstrip('/')}{path}{parameters}", encoded=True)

    @contextmanager
    def _translated(self, asked: Asked) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[asked.method, 0] += 1
            message = f"{type(error).__name__}: {error}"
            raise kube_error(str(asked), Failure(message=message)) from error


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _parsed(asked: Asked, response: aiohttp.ClientResponse, content: bytes) -> Json:
    if response.status not in _OK:
        raise kube_error(str(asked), _failure_of(response, content))
    try:
        answer: Json = json.loads(content)
    except ValueError as error:
        message = f"answered {response.status} with something that is not JSON"
        raise kube_error(str(asked), Failure(status=502, message=message)) from error
    return answer


def _failure_of(response: aiohttp.ClientResponse, content: bytes) -> Failure:
    """Read a refusal: its Status object where there is one, else its first words."""
    try:
        status = json.loads(content)
    except ValueError:
        status = {"message": content[:200].decode(errors="replace")}
    if not isinstance(status, dict):
        status = {}
    return failure_from_status(status, code=response.status, after=response.headers.get("Retry-After"))


def failure_from_status(status: Json, *, code: int = 0, after: str | None = None) -> Failure:
    """Read a Status object.

    Args:
        status: the object; every field may be absent.
        code: HTTP status, where there was one; else the object's own code.
        after: `Retry-After` header; a date in it is ignored, the API server sends seconds.
    """
    details = status.get("details") or {}
    wait = after if after and after.isdigit() else details.get("retryAfterSeconds")
    return Failure(
        status=code or int(status.get("code") or 500),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        causes=tuple(
            Cause(c.get("reason", ""), c.get("field", ""), c.get("message", ""))
            for c in details.get("causes") or ()
        ),
        retry_after=None if wait is None else float(wait),
    )
