"""What every endpoint needs, look by look: its arrivals, its budget and its profile, put to the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gpupool.collector.engines.arrivals import ArrivalReader, Grid
from gpupool.collector.engines.reader import Subject
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.steering import Needed, Target
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.sizing import SizingScene, needed, size_endpoint
from gpupool.policy.slo.arrivals import STEP, arrivals, paced, tempo
from gpupool.policy.slo.demand import Need
from gpupool.policy.slo.sizing import TUNING
from gpupool.runtime.arriving import Arriving, Identity, Serving

Targets = Mapping[tuple[str, ObjectRef], Target]


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

    async def look(
        self,
        subjects: Sequence[Subject],
        statuses: Iterable[SloStatus],
        targets: Targets,
        pods: Mapping[tuple[str, ObjectRef], Sequence[Pod]],
        now: datetime,
    ) -> Mapping[Key, Needed]:
        """The replicas that endpoints need, where what one carries is learned.

        Args:
            subjects: the endpoints.
            statuses: what was judged of them.
            targets: their workloads.
            pods: of the cluster, by namespace and top owner.
            now: the server's time.
        """
        if self._arriving is None:
            return {}
        judged = {s.key: s for s in statuses}
        serving = [
            _serving(s, judged[s.slo.key].engine, targets.get(_place(s)), pods.get(_place(s), ()))
            for s in subjects
        ]
        await self._arriving.read(serving, now.timestamp())
        self._needs = {e.who: self._needs[e.who] for e in serving if e.who in self._needs}
        found = {
            s.slo.key: self._sized(s, judged[s.slo.key], targets.get(_place(s)), now, self._arriving)
            for s in subjects
        }
        return {key: answer for key, answer in found.items() if answer is not None}

    def _sized(
        self, subject: Subject, status: SloStatus, target: Target | None, now: datetime, arriving: Arriving
    ) -> Needed | None:
        who = (subject.slo.key, subject.slo.uid)
        record = arriving.records[who]
        scene = SizingScene(
            status=status,
            scaling=subject.slo.scaling,
            arrivals=arrivals(record, now.timestamp(), status.interval),
            waiting=record.waiting,
            running=record.running,
            replicas=None if target is None else target.replicas,
            needs=self._needs.get(who),
        )
        found = size_endpoint(scene, now, self._tuning)
        self._needs[who] = found.needs
        return needed(found)


def _place(subject: Subject) -> tuple[str, ObjectRef]:
    return subject.slo.key.namespace, subject.slo.target


def _serving(subject: Subject, engine: str, target: Target | None, pods: Iterable[Pod]) -> Serving:
    present = (*subject.ready, *subject.others)
    return Serving(
        who=(subject.slo.key, subject.slo.uid),
        target=subject.slo.target,
        pods=(*present, *subject.gone),
        born={p.key.name: p.ready_at.timestamp() for p in pods if p.ready_at is not None},
        empty=not present and target is not None and target.replicas == target.existing == 0,
        engine=engine,
    )
