"""Signs questions to Prometheus: bearer token, or user and password, from files that somebody rotates."""

import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from typing import Final

import httpx
from typing_extensions import override

from gpupool.collector.prometheus.endpoint import PASSWORD, TOKEN, USERNAME, Endpoint
from gpupool.errors import SettingsError

MAX_AGE: Final = 60.0
"""Seconds for which what was read is used again: a kubelet swaps the files within about as long."""


class Signature(httpx.Auth):
    """The Authorization header; read again when it was refused, or is a minute old."""

    def __init__(self, endpoint: Endpoint, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._monotonic = monotonic
        self._header = ""
        self._read_at = float("-inf")

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        self._sign(request, renew=False)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and self._header:
            self._sign(request, renew=True)
            yield request

    def _sign(self, request: httpx.Request, *, renew: bool) -> None:
        if renew or self._monotonic() - self._read_at > MAX_AGE:
            # A rotation swaps a symlink; what was read outlives a moment without a file.
            self._header = _sendable(self._read()) or self._header
            self._read_at = self._monotonic()
        if self._header:
            request.headers["Authorization"] = self._header

    def _read(self) -> str:
        if token := self._endpoint.file(TOKEN):
            return f"Bearer {token}"
        if user := self._endpoint.file(USERNAME):
            pair = f"{user}:{self._endpoint.file(PASSWORD)}"
            return f"Basic {b64encode(pair.encode()).decode()}"
        return ""


def _sendable(header: str) -> str:
    """The header itself, if HTTP can carry it."""
    if not header.isascii() or not header.isprintable():
        raise SettingsError(
            f"prometheus.credentialsSecret: {TOKEN} holds characters that no HTTP header can carry"
        )
    return header
