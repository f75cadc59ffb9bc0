"""HTTP to a Prometheus-compatible store: connections, credentials, time limits, typed errors."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from gpupool import __version__
from gpupool.collector.prometheus.answer import Sample, quote, read_answer
from gpupool.collector.prometheus.endpoint import Endpoint, auth, checked_url, tls
from gpupool.collector.prometheus.errors import (
    PrometheusBadAnswer,
    PrometheusError,
    PrometheusRefused,
    PrometheusUnreachable,
)
from gpupool.errors import SettingsError

CONNECTIONS = 8  # a cycle's questions at once; more would only queue inside Prometheus
PAUSE = 0.2  # seconds before the one retry
TRANSIENT = frozenset({502, 503, 504})

Observer = Callable[[str, float], None]
"""Hears of every question: its outcome in one word, and its seconds."""


class PrometheusClient:
    """Asks instant queries. Every refusal, silence and odd answer becomes a PrometheusError.

    Args:
        endpoint: where to, and who we are.
        observe: hears of every question.
        transport: for tests; else real connections.

    Attributes:
        url: the base URL, for messages.
        dropped: how many values were NaN or infinite, since the start.

    Raises:
        SettingsError: the URL or the certificates are unusable.
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
        self._observe = observe or _nobody
        self._http = httpx.AsyncClient(
            base_url=checked_url(self.url),
            verify=tls(endpoint),
            auth=auth(endpoint),
            timeout=httpx.Timeout(endpoint.read, connect=endpoint.connect),
            limits=httpx.Limits(max_connections=CONNECTIONS),
            transport=transport,
            # The way to Prometheus is the settings' business, not the environment's.
            trust_env=False,
            headers={"User-Agent": f"gpupool/{__version__}"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Ask one instant query; a range selector's matrix is flattened into its samples.

        Args:
            promql: the question.
            at: unix seconds of evaluation by Prometheus' own clock; None is its now.

        Raises:
            PrometheusError: there is no whole answer.
        """
        begun = time.monotonic()
        outcome = "ok"
        try:
            answer = read_answer(_json(await self._asked(promql, at)))
        except PrometheusError as error:
            outcome = error.kind
            raise
        finally:
            self._observe(outcome, time.monotonic() - begun)
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
        params = {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"})
        try:
            response = await self._http.get("/api/v1/query", params=params)
        except SettingsError as error:  # the token's file is gone
            raise PrometheusError(str(error)) from error
        except httpx.TimeoutException as error:
            raise self._silent(error, again=False) from error
        except httpx.TransportError as error:
            raise self._silent(error, again=True) from error
        if not response.is_success:
            raise self._refused(response)
        return response

    def _silent(self, error: httpx.TransportError, *, again: bool) -> PrometheusUnreachable:
        detail = quote(error) or type(error).__name__
        return PrometheusUnreachable(
            f"Prometheus at {self.url} does not answer ({detail}): check prometheus.url and the network",
            again=again,
        )

    def _refused(self, response: httpx.Response) -> PrometheusRefused:
        status = response.status_code
        hint = _HINTS.get(status, "see Prometheus' own log")
        text = f"Prometheus at {self.url} answered {status} ({_reason(response)}): {hint}"
        return PrometheusRefused(text, status, again=status in TRANSIENT)


_HINTS = {
    401: "give the operator a token",
    403: "allow the operator's token to query",
    404: "prometheus.url must be the base under which /api/v1/query is",
    422: "the query could not be evaluated; raise query.max-samples if it is about limits",
}


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return quote(response.text)
    return quote(body.get("error", body) if isinstance(body, dict) else body)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        text = f"{response.url.host} answered something that is not JSON: {quote(response.text)}"
        raise PrometheusBadAnswer(f"{text}: check prometheus.url") from error


def _nobody(_outcome: str, _seconds: float) -> None:
    pass
