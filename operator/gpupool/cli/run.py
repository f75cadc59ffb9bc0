"""`gpupool run`: everything put together, started in order and ended in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from gpupool.applier.admission import AdmissionObjects
from gpupool.applier.execute import Executor
from gpupool.applier.outsiderset import OutsiderSet
from gpupool.applier.policies.outsider_policies import PODS as OUTSIDERS
from gpupool.applier.policyset import PolicyContext, PolicySet
from gpupool.applier.serverside import Writer
from gpupool.cli.prometheus import endpoint
from gpupool.collector.engines.arrivals import ArrivalReader
from gpupool.collector.engines.reader import EndpointReader
from gpupool.collector.engines.signals import SignalReader
from gpupool.collector.engines.wakeups import WakeReader
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.errors import KubeError
from gpupool.handlers.watches import watch
from gpupool.kube.auth import load
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import ADMISSION
from gpupool.runtime.clockwork import Alarm
from gpupool.runtime.concern import Concerned
from gpupool.runtime.context import Context
from gpupool.runtime.election.elector import Elector, identity
from gpupool.runtime.election.rules import Timing
from gpupool.runtime.election.thread import LeaseThread
from gpupool.runtime.endpoints import Endpoints
from gpupool.runtime.leading import Leading
from gpupool.runtime.manager import Manager
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.service import MetricsApi
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.outsiderwatch import OutsiderWatch
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.serve import Doors, serving
from gpupool.runtime.settings import Mutate, Settings
from gpupool.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds between attempts to reach the API server at start."""
DRAIN = 12.0
"""Seconds that writes under way, last Events and giving the lease back get at the end."""


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Lead or stand by until SIGTERM or SIGINT.

    Raises:
        SettingsError: no credentials.
        OSError: a port is taken.
        FencedError: another one leads now.
    """
    stop = asyncio.Event()
    _end_by_signal(stop)
    credentials = load(environ)
    async with KubeClient(credentials) as client:
        mutating = await _first_contact(client, stop)
        if stop.is_set():
            return
        async with _parts(settings, client, served=mutating) as (context, manager, leading):
            # kopf takes the signals for itself, and needs seconds to end: the lease would be kept meanwhile.
            signals = partial(_end_by_signal, stop)
            watching = partial(watch, credentials, manager.wake, stop, signals)
            await _serve(settings, context, leading, watching, stop)


def _end_by_signal(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _first_contact(client: KubeClient, stop: asyncio.Event) -> bool:
    """Wait for the API server; says whether it serves mutating policies."""
    while not stop.is_set():
        try:
            return await client.has_resource(ADMISSION, "v1", "mutatingadmissionpolicies")
        except KubeError as error:
            log.warning("API server not reached", extra={"error": str(error)})
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PATIENCE)
    return False


def _mutate(settings: Settings, *, served: bool) -> bool:
    return served and settings.policies_mutate is not Mutate.FALSE


@asynccontextmanager
async def _parts(
    settings: Settings, client: KubeClient, *, served: bool
) -> AsyncIterator[tuple[Context, Manager, Leading]]:
    alarm = Alarm()
    managers: list[Manager] = []

    def wake(pools: Concerned) -> None:
        alarm.ring()
        for manager in managers:
            manager.wake(pools)

    metrics = Metrics()
    mirror = Mirror(client, settings, wake, mutating=served)
    metrics.watch_reflectors(mirror.readings)
    elector = LeaseThread(partial(KubeClient, client.credentials), partial(_elector, settings, mirror))
    metrics.watch_leadership(elector.leads)
    writer = Writer(client, mirror, leads=elector.leads)
    rules = _policy_context(settings)
    board = Board(settings.cycle_interval)
    standing = AdmissionObjects(client, writer, mirror.present_policies)
    policies = PolicySet(client, writer, rules, mirror.present_policies)
    outsiders = OutsiderSet(standing, writer, rules)
    async with _readers(settings, metrics) as readers, elector:
        context = Context(
            settings=settings,
            client=client,
            mirror=mirror,
            writer=writer,
            policies=policies,
            executor=Executor(client, writer, policies),
            usage=readers.usage,
            endpoints=readers.endpoints,
            signals=readers.signals,
            arrivals=readers.arrivals,
            wakes=readers.wakes,
            metrics=metrics,
            mutate=_mutate(settings, served=served),
            elector=elector,
            board=board,
            metrics_api=MetricsApi(client, writer, settings, board, lambda: elector.epoch),
            outsiders=OutsiderWatch(
                outsiders, policies, settings.policies_outsiders, partial(mirror.denies, OUTSIDERS)
            ),
        )
        publisher = Publisher(client, metrics, settings.pod_name, elector.leads)
        manager = Manager(context, publisher, alarm)
        managers.append(manager)
        yield context, manager, Leading(context, manager, Endpoints(context, publisher), publisher)


def _elector(settings: Settings, mirror: Mirror, client: KubeClient) -> Elector:
    timing = Timing(
        duration=settings.lease_duration,
        give_up=settings.lease_give_up,
        renew=settings.lease_renew,
        retry=settings.lease_retry,
    )
    lease = (settings.pod_namespace, settings.deployment)
    return Elector(client, lease, identity(settings.pod_name), timing, floor=lambda: mirror.highest_epoch)


class _Readers(NamedTuple):
    """What asks Prometheus; None where none is configured."""

    usage: UsageReader | None = None
    endpoints: EndpointReader | None = None
    signals: SignalReader | None = None
    arrivals: ArrivalReader | None = None
    wakes: WakeReader | None = None


@asynccontextmanager
async def _readers(settings: Settings, metrics: Metrics) -> AsyncIterator[_Readers]:
    if not settings.prometheus_url:
        yield _Readers()
        return
    async with PrometheusClient(endpoint(settings), observe=metrics.prometheus_asked) as client:
        usage = UsageReader(
            client,
            own_jobs=settings.prometheus_own_jobs,
            exporter_namespaces=settings.prometheus_exporter_namespaces,
        )
        signals = SignalReader(client, settings.evaluation_window)
        yield _Readers(usage, EndpointReader(client), signals, ArrivalReader(client), WakeReader(client))


def _policy_context(settings: Settings) -> PolicyContext:
    return PolicyContext(
        exempt_namespaces=settings.exempt_namespaces,
        break_glass_group=settings.break_glass_group,
        probe_namespace=settings.probe_namespace,
    )


async def _once(began: asyncio.Event, watching: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Watch when we lead: who stands by wakes nobody, and would read every object twice."""
    await began.wait()
    await watching()


async def _serve(
    settings: Settings,
    context: Context,
    leading: Leading,
    watching: Callable[[], Coroutine[Any, Any, None]],
    stop: asyncio.Event,
) -> None:
    doors = Doors(settings.host, settings.metrics_port, settings.health_port)
    async with serving(doors, context.metrics.render, leading.wrong, leading.missing):
        log.info("started", extra={"settings": settings.model_dump(mode="json")})
        tasks = [
            asyncio.create_task(context.mirror.run(), name="mirror"),
            asyncio.create_task(leading.run(), name="leading"),
            asyncio.create_task(_once(leading.began, watching), name="kopf"),
        ]
        ended = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        broken = [t for t in tasks if t.done()]
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=DRAIN)
        log.info("stopped")
        # A part that ended by itself ended wrongly: say it, and let the process be restarted.
        for task in broken:
            task.result()
