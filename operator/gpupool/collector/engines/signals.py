"""Reads what the pods of all endpoints show over the evaluation window: eight questions, however many."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gpupool.collector.engines import custom
from gpupool.collector.engines.adapters import ADAPTERS, MOST, Adapter, Mean, Series, shapes_of
from gpupool.collector.engines.containers import Uses, containers_by_pod, uses
from gpupool.collector.engines.gpus import gpus_by_pod
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.names import ENGINES, Names
from gpupool.collector.engines.sight import pod_of
from gpupool.collector.engines.subject import Subject
from gpupool.collector.engines.windows import HOSTS, NAME, window_questions
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.model.objects import Container, Key
from gpupool.model.signals import (
    Engine,
    Gpu,
    Host,
    PodSignals,
    SignalReading,
    Signals,
    Spread,
    Started,
    Starting,
    share,
)
from gpupool.model.slo import Sli

PATIENCE: Final = 20.0
"""Seconds that all questions of a reading may take together."""

Words = Mapping[str, float]
"""Values of a pod by the word of their series."""
Buckets = Mapping[str, Mapping[float, float]]
"""Cumulative rates of a pod by family and bound."""


@dataclass(frozen=True, slots=True)
class Births:
    """The pods of an endpoint that start, those that have, and what they are started with.

    `containers` are the inference containers, by pod.
    """

    starting: tuple[Starting, ...] = ()
    started: tuple[Started, ...] = ()
    recipe: str = ""
    containers: Mapping[str, tuple[Container, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """All answers, by pod."""

    words: Mapping[PodName, Words]
    buckets: Mapping[PodName, Buckets]
    gpus: Mapping[PodName, Gpu]
    hosts: Mapping[PodName, Words]
    containers: Mapping[PodName, Uses] = field(default_factory=dict)


class SignalReader:
    """Reads signals. Never raises for what Prometheus does: it is said in `problem`.

    Args:
        client: the connection.
        window: seconds of the evaluation window.
        patience: seconds for all questions of one reading.
    """

    def __init__(self, client: PrometheusClient, window: float, patience: float = PATIENCE) -> None:
        self._client = client
        self._window = window
        self._patience = patience

    async def read(
        self, subjects: Sequence[Subject], engines: Mapping[Key, str], births: Mapping[Key, Births]
    ) -> SignalReading:
        """Read the window that ends now.

        Args:
            subjects: the endpoints.
            engines: of each, where one was found.
            births: start-ups of their pods.
        """
        try:
            async with asyncio.timeout(self._patience):
                shown = await self._look(subjects)
        except TimeoutError:
            return SignalReading(
                problem=f"Prometheus at {self._client.url} needs more than {self._patience:g}s"
            )
        except PrometheusError as error:
            return SignalReading(problem=str(error))
        found = {
            s.slo.key: signals(
                s, engines.get(s.slo.key, ""), births.get(s.slo.key, Births()), shown, self._window
            )
            for s in subjects
        }
        return SignalReading(endpoints=found)

    async def _look(self, subjects: Sequence[Subject]) -> Shown:
        namespaces = sorted({s.slo.key.namespace for s in subjects})
        maps = dict.fromkeys(s.slo.metrics for s in subjects if s.slo.metrics is not None)
        families = custom.more(maps).histograms
        asked = window_questions(namespaces, self._window, [custom.adapter(m) for m in maps], families)
        answers = await asyncio.gather(*(self._client.query(q) for q in asked.all))
        gauges, rates, buckets, means, highs, clocks, hosts, containers = answers
        return Shown(
            words=_words((*gauges, *rates)),
            buckets=_buckets(buckets),
            gpus=gpus_by_pod(means, highs, clocks),
            hosts=_words(hosts),
            containers=containers_by_pod(containers),
        )


def signals(subject: Subject, engine: str, births: Births, shown: Shown, window: float) -> Signals:
    """What an endpoint shows."""
    metrics, namespace = subject.slo.metrics, subject.slo.key.namespace
    adapter = ADAPTERS.get(engine) if metrics is None else custom.adapter(metrics)
    own = ENGINES.get(engine) if metrics is None else custom.names(metrics)
    names = [PodName(namespace, name) for name in subject.ready]
    return Signals(
        window=window,
        pods=tuple(
            PodSignals(
                name=pod.name,
                engine=_engine(adapter, shown.words.get(pod, {})) if adapter else Engine(),
                gpu=shown.gpus.get(pod, Gpu()),
                host=_host(shown.hosts.get(pod, {})),
                containers=uses(births.containers.get(pod.name, ()), shown.containers.get(pod, {})),
            )
            for pod in names
        ),
        starting=births.starting,
        started=births.started,
        ttft=_spread(own, Sli.TTFT, [shown.buckets.get(pod, {}) for pod in names]),
        itl=_spread(own, Sli.ITL, [shown.buckets.get(pod, {}) for pod in names]),
        recipe=births.recipe,
    )


# ------------------------------------------------------------------ by pod


def _words(samples: Iterable[Sample]) -> Mapping[PodName, Words]:
    found: dict[PodName, dict[str, float]] = defaultdict(dict)
    for sample in samples:
        found[pod_of(sample)][sample.labels.get(NAME, "")] = sample.value
    return found


def _buckets(samples: Iterable[Sample]) -> Mapping[PodName, Buckets]:
    found: dict[PodName, dict[str, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for sample in samples:
        bound = float(sample.labels.get("le", "+Inf"))
        found[pod_of(sample)][sample.labels.get(NAME, "")][bound] = sample.value
    return found


def _engine(adapter: Adapter, words: Words) -> Engine:
    given: dict[str, Any] = {
        name: _first(found, words) for name, found in (*adapter.gauges.items(), *adapter.counters.items())
    }
    given |= {name: _seconds(found, words) for name, found in adapter.means.items()}
    if given.get("answered") is not None:
        given["refused"] = given.get("refused") or 0.0  # a status that never was has no series
    given["running_most"] = _first(adapter.gauges["running"], words, MOST)
    given["prompt"] = share(given.get("prompt_tokens"), given.get("requests"))
    given["output"] = share(given.get("output_tokens"), given.get("requests"))
    return Engine(**given)


def _first(found: Sequence[Series], words: Words, suffix: str = "") -> float | None:
    return next((words[w] for s in found if (w := f"{s.word}{suffix}") in words), None)


def _seconds(found: Sequence[Mean], words: Words) -> float | None:
    for mean in found:
        seconds = share(words.get(mean.sum.word), words.get(mean.events.word))
        if seconds is not None:
            return seconds * mean.unit
    return None


def _host(words: Words) -> Host:
    cpu, periods, throttled, cpu_pressure, io_pressure, reads, *network = (words.get(s.word) for s in HOSTS)
    received, sent, *drops = network
    return Host(
        cpu=cpu,
        throttled=share(throttled, periods),
        cpu_pressure=cpu_pressure,
        io_pressure=io_pressure,
        network=_total(received, sent),
        drops=_total(*drops),
        reads=reads,
    )


def _total(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _spread(names: Names | None, sli: Sli, pods: Sequence[Buckets]) -> Spread:
    """The form of a latency over the pods: buckets of one bound count together, newest name first."""
    for histogram in () if names is None else shapes_of(names, sli):
        rates: dict[float, float] = defaultdict(float)
        for own in (pod[histogram.name] for pod in pods if histogram.name in pod):
            below = 0.0
            for bound, rate in sorted(own.items()):
                rates[bound * histogram.unit] += max(0.0, rate - below)
                below = max(below, rate)
        if rates:
            return Spread(tuple(sorted(rates.items())))
    return Spread()
