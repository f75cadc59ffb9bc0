"""What every endpoint needs, look by look: its arrivals, its budget and its profile, put to the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gpupool.collector.engines.arrivals import ArrivalReader, Grid
from gpupool.collector.engines.subject import Subject
from gpupool.model.objects import Key, Pod
from gpupool.model.steering import Needed, Target, Wake
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.sizing import SizingScene, needed, size_endpoint
from gpupool.policy.slo.arrivals import STEP, arrivals, paced, tempo
from gpupool.policy.slo.demand import Need
from gpupool.policy.slo.sizing import TUNING
from gpupool.runtime.arriving import Arriving, Identity, Serving
from gpupool.runtime.workloads import Targets, Workload


class Sizing:
    """Keeps what arrives at the endpoints, and what they needed.

    Args:
        reader: asks; None where no Prometheus is configured.
        window: seconds of the evaluation window; a shorter one than usual shortens the times of the rule.
    """

    def __init__(self, reader: ArrivalReader | None, window: float) -> None:
        by = tempo(window)
        self._tuning = paced(TUNING, by)
        self._arriving = None if reader is None else Arriving(reader, self._tuning, Grid(STEP * by))
        self._needs: dict[Identity, tuple[Need, ...]] = {}
        self._slept: set[Identity] = set()

    async def look(
        self,
        subjects: Sequence[Subject],
        statuses: Iterable[SloStatus],
        targets: Targets,
        pods: Mapping[Workload, Sequence[Pod]],
        now: datetime,
        *,
        wakes: Mapping[Key, Wake] | None = None,
    ) -> Mapping[Key, Needed]:
        """The replicas that endpoints need, where what one carries is learned.

        Args:
            subjects: the endpoints.
            statuses: what was judged of them.
            targets: their workloads.
            pods: of the cluster, by namespace and top owner.
            now: the server's time.
            wakes: whether somebody asks for those that may sleep.
        """
        if self._arriving is None:
            return {}
        judged = {s.key: s for s in statuses}
        serving = [
            _serving(s, judged[s.slo.key].engine, targets.get(s.slo.at), pods.get(s.slo.at, ()))
            for s in subjects
        ]
        await self._arriving.read(serving, now.timestamp())
        self._needs = {e.who: self._needs[e.who] for e in serving if e.who in self._needs}
        found: dict[Key, Needed] = {}
        slept, self._slept = self._slept, set()
        for subject, endpoint in zip(subjects, serving, strict=True):
            target, key = targets.get(subject.slo.at), subject.slo.key
            if target is not None and not target.replicas:
                self._slept.add(endpoint.who)
            scene = SizingScene(
                **self._arrived(endpoint.who, judged[key], now, self._arriving),
                status=judged[key],
                scaling=subject.slo.scaling,
                replicas=None if target is None else target.replicas,
                needs=self._needs.get(endpoint.who),
                wake=(wakes or {}).get(key),
                woken=endpoint.who in slept - self._slept,
                window=subject.slo.window.total_seconds(),
            )
            sized = size_endpoint(scene, now, self._tuning)
            self._needs[endpoint.who] = sized.needs
            found |= {} if (answer := needed(sized)) is None else {key: answer}
        return found

    def _arrived(self, who: Identity, status: SloStatus, now: datetime, arriving: Arriving) -> dict[str, Any]:
        """Fields of a scene: what came, and what is under way."""
        record = arriving.records[who]
        return {
            "arrivals": arrivals(record, now.timestamp(), status.interval),
            "waiting": record.waiting,
            "running": record.running,
        }


def _serving(subject: Subject, engine: str, target: Target | None, pods: Iterable[Pod]) -> Serving:
    present = (*subject.ready, *subject.others)
    return Serving(
        who=(subject.slo.key, subject.slo.uid),
        target=subject.slo.target,
        pods=(*present, *subject.gone),
        born={p.key.name: p.ready_at.timestamp() for p in pods if p.ready_at is not None},
        empty=not present and target is not None and target.replicas == target.existing == 0,
        engine=engine,
        metrics=subject.slo.metrics,
    )
