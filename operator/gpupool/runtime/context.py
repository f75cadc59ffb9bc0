"""What one process has once: clients, mirrors, writers. Handed down, never global."""

from __future__ import annotations

from dataclasses import dataclass

from gpupool.applier.execute import Executor
from gpupool.applier.policyset import PolicySet
from gpupool.applier.serverside import Writer
from gpupool.collector.engines.arrivals import ArrivalReader
from gpupool.collector.engines.reader import EndpointReader
from gpupool.collector.engines.signals import SignalReader
from gpupool.collector.engines.wakeups import WakeReader
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.kube.client import KubeClient
from gpupool.runtime.election.thread import LeaseThread
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.service import MetricsApi
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.outsiderwatch import OutsiderWatch
from gpupool.runtime.settings import Settings
from gpupool.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the process. The readers are None where no Prometheus is configured."""

    settings: Settings
    client: KubeClient
    mirror: Mirror
    writer: Writer
    policies: PolicySet
    executor: Executor
    usage: UsageReader | None
    endpoints: EndpointReader | None
    metrics: Metrics
    mutate: bool
    elector: LeaseThread
    outsiders: OutsiderWatch
    board: Board
    metrics_api: MetricsApi
    signals: SignalReader | None = None
    arrivals: ArrivalReader | None = None
    wakes: WakeReader | None = None

    @property
    def epoch(self) -> int:
        """Of our leadership; every write carries it."""
        return self.elector.epoch
