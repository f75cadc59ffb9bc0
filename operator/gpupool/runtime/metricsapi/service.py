"""The metrics API while we lead: it listens, and the API server is led here; look by look it is seen to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from gpupool.applier.metricsapi import NAME, Place, foreign, register, standing
from gpupool.applier.serverside import Writer
from gpupool.errors import FencedError, KubeError
from gpupool.kube import resources as kinds
from gpupool.kube.client import KubeClient
from gpupool.policy.slo.required import METRIC
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.certificates import Rotation, make
from gpupool.runtime.metricsapi.listener import Listener
from gpupool.runtime.metricsapi.trust import CONFIG, FrontProxy, read
from gpupool.runtime.settings import Settings

log = logging.getLogger(__name__)

PACE: Final = 5.0
"""Seconds between two looks; each is two small reads."""
TRUST: Final = 60.0
"""Seconds between two looks at who the front proxy is."""


class MetricsApi:
    """Serves the metric until cancelled.

    Args:
        client: reads.
        writer: writes the APIService and its endpoint.
        settings: where to serve; without a Service nothing is served.
        board: what was decided.
        epoch: the leader's.
        monotonic: seconds that never run backwards.

    Attributes:
        problem: why the metric is not served by us; empty while it is, or when it is not asked for.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        settings: Settings,
        board: Board,
        epoch: Callable[[], int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        self._client = client
        self._writer = writer
        self._epoch = epoch
        self._monotonic = monotonic
        self._place = place(settings)
        self._listener = Listener(settings.host, settings.metrics_api_port, board, client.server_time)
        self._rotation = Rotation(partial(make, () if self._place is None else self._place.names))
        self._proxy: tuple[float, FrontProxy] | None = None

    async def run(self) -> None:
        """Serve while we lead.

        Raises:
            FencedError: we lead no more.
        """
        if self._place is None:
            return
        try:
            while True:
                self._tell(await self._attempt(self._place))
                await asyncio.sleep(PACE)
        finally:
            await self._listener.close()

    async def _attempt(self, place: Place) -> str:
        """One look; says what is wrong."""
        try:
            return await self._look(place)
        except FencedError:
            raise
        except (KubeError, OSError, ValueError) as error:
            return f"The metrics API of gpupool does not serve: {error}"
        except Exception:
            log.exception("metrics API not seen to")
            return "The metrics API of gpupool does not serve: see the operator's log"

    async def _look(self, place: Place) -> str:
        found = await standing(self._client)
        if whose := foreign(found, place):
            await self._listener.close()
            return (
                f"APIService {NAME} leads to {whose}, and is left alone: serve {METRIC} there, or remove it."
            )
        now = self._client.server_time()
        await self._listener.open(await self._front_proxy(), self._rotation.shown(now))
        await register(self._client, self._writer, place, found, self._rotation.bundle, epoch=self._epoch())
        self._rotation.trusted()
        return ""

    async def _front_proxy(self) -> FrontProxy:
        known = self._proxy
        if known is None or self._monotonic() - known[0] > TRUST:
            config = await self._client.get(kinds.CONFIG_MAPS, *CONFIG)
            self._proxy = known = (self._monotonic(), read(config))
        return known[1]

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            if problem:
                log.warning("metrics API", extra={"problem": problem})
            else:
                log.info("metrics API serves")
        self.problem = problem


def place(settings: Settings) -> Place | None:
    """Where we serve; None where the metrics API is off."""
    if not settings.metrics_api_service:
        return None
    return Place(
        namespace=settings.pod_namespace,
        service=settings.metrics_api_service,
        role=f"{settings.deployment}-metrics-api",
        pod=settings.pod_name,
        uid=settings.pod_uid,
        address=settings.pod_ip,
        port=settings.metrics_api_port,
    )
