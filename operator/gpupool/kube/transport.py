"""HTTP to the API server: connections, credentials, time limits, typed errors, the server's clock."""

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gpupool import __version__
from gpupool.errors import Cause, Failure, kube_error
from gpupool.kube.auth import Bearer, Credentials
from gpupool.kube.clock import ServerClock
from gpupool.kube.resources import Json

log = logging.getLogger(__name__)

CONNECTIONS = 50  # at most; unbounded clients cost the control plane memory


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one call, in seconds.

    Attributes:
        connect: until a connection stands.
        read: between two pieces of an answer.
        write: between two pieces of a request.
        pool: waiting for a free connection.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 15.0
    pool: float = 30.0

    def as_httpx(self, read: float | None = None) -> httpx.Timeout:
        """The same for httpx, with another read limit where one is given."""
        return httpx.Timeout(connect=self.connect, read=read or self.read, write=self.write, pool=self.pool)


class Transport:
    """Sends requests; every refusal and every silence becomes a KubeError.

    Watches have connections of their own: each holds one for minutes and would starve the writes.

    Args:
        credentials: where to, and who we are.
        limits: time limits.

    Attributes:
        clock: the API server's time.
        answers: how many answers came, by (method, status); status 0 is silence.
    """

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._sni = {"sni_hostname": credentials.server_name} if credentials.server_name else {}
        self._calls, self._streams = _clients(credentials, self._limits)
        self.clock = ServerClock()
        self.answers: Counter[tuple[str, int]] = Counter()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._calls.aclose()
        await self._streams.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        """Send one request and read its JSON answer.

        Args:
            method: HTTP verb.
            path: from the root, `/api/...`.
            query: parameters.
            body: anything JSON can say, or None.
            headers: Accept or Content-Type, where they are not plain JSON.

        Raises:
            KubeError: by status code, or Unreachable.
        """
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        request = self._calls.build_request(
            method, path, params=query, content=content, headers=headers, extensions=self._sni
        )
        with self._translated(request):
            response = await self._send(self._calls, request)
        return _parsed(_describe(request), response)

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
        timeout = self._limits.as_httpx(read=inactivity)
        request = self._streams.build_request(
            "GET", path, params=query, headers=headers, timeout=timeout, extensions=self._sni
        )
        with self._translated(request):
            response = await self._send(self._streams, request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise kube_error(_describe(request), failure_of(response))
                yield _lines(response)
            finally:
                await response.aclose()

    async def _send(
        self, http: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False
    ) -> httpx.Response:
        sent = self.clock.sent()
        async with _Handshake(request):
            response = await http.send(request, stream=stream)
        self.clock.observe(response.headers.get("Date"), sent)
        self.answers[request.method, response.status_code] += 1
        for warning in response.headers.get_list("Warning"):
            log.warning("api server warns", extra={"call": _describe(request), "warning": warning})
        return response

    @contextmanager
    def _translated(self, request: httpx.Request) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            self.answers[request.method, 0] += 1
            message = f"{type(error).__name__}: {error}"
            raise kube_error(_describe(request), Failure(message=message)) from error


class _Handshake:
    """Closes the socket of a TLS handshake that is cancelled, which httpcore 1.0 leaves to the collector.

    It listens to httpcore's trace events and remembers a connection between TCP and TLS.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._stream: Any = None
        request.extensions = {**request.extensions, "trace": self._heard}

    async def _heard(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None and self._stream is not None:
            await self._stream.aclose()


def _clients(credentials: Credentials, limits: Limits) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    tls = credentials.ssl_context()
    bounded = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    calls, streams = (
        httpx.AsyncClient(
            base_url=credentials.base_url,
            verify=tls,
            auth=Bearer(credentials.token) if credentials.token else None,
            proxy=credentials.proxy,
            timeout=limits.as_httpx(),
            limits=pool,
            # The way to the API server is the credentials' business, not the environment's.
            trust_env=False,
            # Compressing a 60 MB list costs the server more than sending it.
            headers={"User-Agent": f"gpupool/{__version__}", "Accept-Encoding": "identity"},
        )
        for pool in (bounded, httpx.Limits(max_connections=None, max_keepalive_connections=None))
    )
    return calls, streams


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    # Not httpx's aiter_lines: it splits at every Unicode line end, which JSON strings may hold.
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _describe(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _parsed(call: str, response: httpx.Response) -> Json:
    if not response.is_success:
        raise kube_error(call, failure_of(response))
    try:
        answer: Json = response.json()
    except ValueError as error:
        message = f"answered {response.status_code} with something that is not JSON"
        raise kube_error(call, Failure(status=502, message=message)) from error
    return answer


def failure_of(response: httpx.Response) -> Failure:
    """Read a refusal: its Status object where there is one, else its first words."""
    try:
        status = response.json()
    except ValueError:
        status = {"message": response.text[:200]}
    if not isinstance(status, dict):
        status = {}
    return failure_from_status(status, code=response.status_code, after=response.headers.get("Retry-After"))


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
