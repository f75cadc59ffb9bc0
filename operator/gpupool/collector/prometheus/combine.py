"""From series to use per pod: believed only where the API agrees. Pure.

A series counts for a pod when the API says that the pod is bound on the host that the series names (of a dead
pod, when our own series say it was). Nobody becomes busy or idle by what an exporter elsewhere claims.
Unknown stays unknown: without samples `seen_seconds` is 0 and `age` is None.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gpupool.collector.prometheus.devices import Device, Readings, devices_of, mean
from gpupool.collector.prometheus.series import GpuSeries
from gpupool.model.objects import Key, Pod
from gpupool.model.pool import Pool
from gpupool.model.usage import PodUsage


def bound(pool: Pool, pods: Iterable[Pod]) -> dict[Key, Pod]:
    """Pods that hold governed GPUs, by key."""
    return {p.key: p for p in pods if p.node and gpus_of(pool, p)}


def gpus_of(pool: Pool, pod: Pod) -> int:
    """GPUs of governed resources that a pod asks for."""
    return sum(pod.gpus.get(resource, 0) for resource in pool.resources)


def believed(readings: Readings, alive: Mapping[Key, Pod]) -> dict[Key, list[GpuSeries]]:
    """Series by pod, where the API (or our own memory of it) says the pod is on that host."""
    found: dict[Key, list[GpuSeries]] = defaultdict(list)
    for series in readings.series:
        if series.pod is not None and series.host and series.host in _hosts(readings, alive, series.pod):
            found[series.pod].append(series)
    return dict(found)


def _hosts(readings: Readings, alive: Mapping[Key, Pod], key: Key) -> frozenset[str]:
    """Where a pod of that name has been in the window, so that a recreated one keeps its history."""
    before = readings.own[key].nodes if key in readings.own else frozenset[str]()
    pod = alive.get(key)
    return before if pod is None or pod.node is None else before | {pod.node}


@dataclass(frozen=True, slots=True)
class Case:
    """What all pods of one combination are judged by.

    Attributes:
        pool: whose window counts.
        now: the API server's time.
        readings: what Prometheus said.
        contested: devices that fresh series give to more than one pod at once.
    """

    pool: Pool
    now: datetime
    readings: Readings
    contested: frozenset[str]

    @property
    def window(self) -> timedelta:
        """Over which use is measured."""
        return self.pool.reclaim.window

    def lasted(self, moment: datetime) -> float:
        """Seconds of the window since a moment."""
        return min(self.window, max(timedelta(), self.now - moment)).total_seconds()

    def expected(self, pod: Pod, gpus: int) -> float:
        """GPU-seconds of the window that a running pod's samples should cover."""
        started = pod.started or pod.created
        if started is None:
            return 0.0
        return gpus * self.lasted(started + timedelta(seconds=self.readings.settling))

    def remembered(self, key: Key) -> float:
        """GPU-seconds that our own series saw pods of this name hold, less what no sample can cover."""
        own = self.readings.own.get(key)
        if own is None:
            return 0.0
        # Two replicas of the operator that name different requests for a moment count once.
        seconds = min(own.seconds, own.gpus * self.window.total_seconds())
        return max(0.0, seconds - own.gpus * self.readings.settling)


def combine(pool: Pool, pods: Sequence[Pod], now: datetime, readings: Readings) -> tuple[PodUsage, ...]:
    """Use of every pod that holds GPUs of the pool, and of every dead one of the window, by key."""
    alive = bound(pool, pods)
    series = believed(readings, alive)
    case = Case(pool, now, readings, _contested(series, readings.fresh_within))
    return tuple(
        _living(case, alive[key], series.get(key, ()))
        if key in alive
        else _dead(case, key, series.get(key, ()))
        for key in sorted({*alive, *readings.own})
    )


def _contested(series: Mapping[Key, Sequence[GpuSeries]], fresh_within: float) -> frozenset[str]:
    claims: dict[str, set[Key]] = defaultdict(set)
    for key, own in series.items():
        for one in own:
            if one.age is not None and one.age <= fresh_within:
                claims[one.device].add(key)
    return frozenset(device for device, keys in claims.items() if len(keys) > 1)


def _living(case: Case, pod: Pod, series: Sequence[GpuSeries]) -> PodUsage:
    gpus = gpus_of(case.pool, pod)
    devices = devices_of(series, case.window, case.readings)
    held, seen = case.remembered(pod.key), sum(d.seen for d in devices.values())
    age = _age(case, pod, gpus, series)
    if pod.running:
        held = max(held, case.expected(pod, gpus))
    else:
        # An API fact: no container runs, so nothing is done now. Of a pod that never ran, all is known.
        age = 0.0
        if held == 0 and seen == 0:
            held = seen = gpus * case.lasted(pod.created or case.now)
    return PodUsage(
        key=pod.key,
        gpus=gpus,
        held_seconds=held,
        seen_seconds=seen,
        busy_seconds=_possible(gpus, devices),
        busy_gpus=min(gpus, sum(d.busy > 0 for d in devices.values())),
        activity=mean(devices.values()),
        age=age,
        conflicting=_disputed(case, gpus, devices),
    )


def _age(case: Case, pod: Pod, gpus: int, series: Iterable[GpuSeries]) -> float | None:
    """Seconds since all of a pod's devices were seen; None where one of them is not seen any more.

    Only what speaks of this pod at its present place counts: not of one of the same name elsewhere, or
    of its predecessor (an exporter that hangs goes on naming that). A device without life is as old as
    its stillness was looked for.
    """
    here = [s for s in series if s.host == pod.node and s.uid in {"", pod.uid}]
    shown = devices_of(here, case.window, case.readings).values()
    ages = sorted(_lifeless_age(case, d) for d in shown if d.age is not None)
    return ages[gpus - 1] if len(ages) >= gpus > 0 else None


def _lifeless_age(case: Case, device: Device) -> float:
    age = device.age or 0.0
    return max(age, 2 * case.readings.fresh_within) if device.still else age


def _possible(gpus: int, devices: Mapping[str, Device]) -> float:
    """Busy GPU-seconds: nobody is busier than its number of GPUs all the time that one of them was seen."""
    longest = max((d.seen for d in devices.values()), default=0.0)
    return min(sum(d.busy for d in devices.values()), gpus * longest)


def _disputed(case: Case, gpus: int, devices: Mapping[str, Device]) -> bool:
    """Whether exporters disagree about a pod: on a device, on who holds it, or on how many there are."""
    fresh = sum(d.age is not None and d.age <= case.readings.fresh_within for d in devices.values())
    return fresh > gpus or any(d.conflicting or name in case.contested for name, d in devices.items())


def _dead(case: Case, key: Key, series: Sequence[GpuSeries]) -> PodUsage:
    """A pod that left within the window: its GPU-hours still count, on the request they were booked on."""
    own = case.readings.own[key]
    devices = devices_of(series, case.window, case.readings)
    return PodUsage(
        key=key,
        gpus=own.gpus,
        held_seconds=case.remembered(key),
        seen_seconds=sum(d.seen for d in devices.values()),
        busy_seconds=_possible(own.gpus, devices),
        busy_gpus=0,
        activity=mean(devices.values()),
        conflicting=any(d.conflicting for d in devices.values()),
        alive=False,
        request=own.request,
    )
