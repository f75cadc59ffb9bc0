"""HTTP to a Prometheus-compatible store: connections, credentials, time limits, typed errors."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from gpupool import __version__
from gpupool.collector.prometheus import failures
from gpupool.collector.prometheus.answer import Answer, Sample, read_answer
from gpupool.collector.prometheus.endpoint import Endpoint, Fingerprint, checked_url, tls
from gpupool.collector.prometheus.errors import (
    PrometheusError,
    PrometheusMisconfigured,
    PrometheusRefused,
    PrometheusUnreachable,
)
from gpupool.collector.prometheus.signing import Signature
from gpupool.errors import SettingsError

CONNECTIONS = 8  # a cycle's questions at once; more would only queue inside Prometheus
PAUSE = 0.2  # seconds before the one retry
LONG = 2000
"""Characters of a question from which on it is posted: gateways cut long URLs."""

Observer = Callable[[str, float, int], None]
"""Hears of every question: its outcome in one word, its seconds, and the samples of its answer."""


class PrometheusClient:
    """Asks instant queries. Every refusal, silence and odd answer becomes a PrometheusError.

    A setting that cannot be used is told at every question, not at the start: giving must go on without
    Prometheus. Certificates that change are used from the next question on.

    Args:
        endpoint: where to, and who we are.
        observe: hears of every question.
        transport: for tests; else real connections.

    Attributes:
        url: the base URL, for messages; no secret is in it.
        dropped: how many values were NaN or infinite, since the start.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        observe: Observer | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = endpoint.url.rstrip("/")
        self.dropped = 0
        self._endpoint = endpoint
        self._observe = observe or _nobody
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._trusts: Fingerprint = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()

    async def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Ask one instant query; a range selector's matrix is flattened into its samples.

        Args:
            promql: the question.
            at: unix seconds of evaluation by Prometheus' own clock; None is its now.

        Raises:
            PrometheusError: there is no whole answer; no secret is in its text.
        """
        begun = time.monotonic()
        outcome, answer = "ok", Answer(())
        try:
            answer = read_answer(self._json(await self._asked(promql, at)))
        except PrometheusError as error:
            outcome = error.kind
            error.args = (self._endpoint.hide(str(error)),)
            raise
        finally:
            self._observe(outcome, time.monotonic() - begun, len(answer.samples))
        self.dropped += answer.dropped
        return list(answer.samples)

    async def _asked(self, promql: str, at: float | None) -> httpx.Response:
        """One try and, after what may pass in a moment, one more; a cycle is no place to wait."""
        try:
            response = await self._sent(promql, at)
        except (PrometheusUnreachable, PrometheusRefused) as error:
            if not error.again:
                raise
            await asyncio.sleep(PAUSE)
            response = await self._sent(promql, at)
        return response

    async def _sent(self, promql: str, at: float | None) -> httpx.Response:
        fields = {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"})
        try:
            http = await self._connected()
            if len(promql) > LONG:
                response = await http.post("/api/v1/query", data=fields)
            else:
                response = await http.get("/api/v1/query", params=fields)
        except SettingsError as error:
            raise PrometheusMisconfigured(str(error)) from error
        except httpx.TimeoutException as error:
            raise failures.slow(self.url, self._endpoint.read) from error
        except httpx.TransportError as error:
            raise failures.unreachable(self.url, error) from error
        if not response.is_success:
            raise failures.refused(self.url, response)
        return response

    async def _connected(self) -> httpx.AsyncClient:
        """The connections; new ones when the certificates are."""
        trusts = self._endpoint.certificates()
        if self._http is None or trusts != self._trusts:
            old, self._http, self._trusts = self._http, self._made(), trusts
            if old is not None:
                await old.aclose()
        return self._http

    def _made(self) -> httpx.AsyncClient:
        endpoint = self._endpoint
        return httpx.AsyncClient(
            base_url=checked_url(self.url),
            verify=tls(endpoint),
            auth=Signature(endpoint),
            timeout=httpx.Timeout(endpoint.read, connect=endpoint.connect),
            limits=httpx.Limits(max_connections=CONNECTIONS),
            transport=self._transport,
            # The way to Prometheus is the settings' business, not the environment's.
            trust_env=False,
            headers={"User-Agent": f"gpupool/{__version__}", **endpoint.headers},
        )

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise failures.not_json(self.url, response) from error


def _nobody(_outcome: str, _seconds: float, _samples: int) -> None:
    pass
