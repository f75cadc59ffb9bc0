"""What is known of each revision of a workload: its objectives, judged on its own pods alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from gpupool.collector.engines.judge import Workload, judge
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.sight import Sight
from gpupool.model.slo import Objective, Reading, Sli
from gpupool.policy.slo.revisions import ERRORS, counts, promised

_ERRORS: Final = Objective(Sli.AVAILABILITY, 99.0)
"""What counts requests without an answer; its percent is asked by nobody."""


def by_revision(
    objectives: Sequence[Objective],
    readings: Sequence[Reading],
    workload: Workload,
    revisions: Mapping[str, str],
    sight: Sight,
) -> Mapping[str, tuple[Reading, ...]]:
    """Readings of every revision that has pods, in the order of what is compared.

    Args:
        objectives: of the promise.
        readings: of the whole workload, which are those of a revision that is alone.
        workload: all pods of the endpoint.
        revisions: of each pod.
        sight: what was read.
    """
    names = sorted(set(revisions.values()))
    rows = promised(objectives, [None] * len(objectives))
    errors = [_ERRORS] if rows and rows[-1].what == ERRORS else []
    found: dict[str, tuple[Reading, ...]] = {}
    for name in names:
        part = workload if len(names) == 1 else _only(workload, revisions, name)
        own = (
            reading if part is workload else judge(objective, part, sight)
            for objective, reading in zip(objectives, readings, strict=True)
            if counts(objective)
        )
        found[name] = (*own, *(judge(objective, part, sight) for objective in errors))
    return found


def _only(workload: Workload, revisions: Mapping[str, str], name: str) -> Workload:
    def own(pods: Sequence[PodName]) -> tuple[PodName, ...]:
        return tuple(pod for pod in pods if revisions.get(pod.name) == name)

    return replace(workload, ready=own(workload.ready), others=own(workload.others), gone=own(workload.gone))
