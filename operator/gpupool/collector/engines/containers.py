"""What containers use, as the kubelet's cAdvisor tells it; their limits as the API server does.

cAdvisor's own series of limits are dropped by the usual installs of Prometheus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.sight import pod_of
from gpupool.collector.engines.windows import CONTAINER_CPU, NAME, WORKING_SET
from gpupool.collector.prometheus.answer import Sample
from gpupool.model.objects import Container
from gpupool.model.signals import ContainerUse

Uses = Mapping[str, Mapping[str, float]]
"""Values by container and word of their series."""


def containers_by_pod(samples: Iterable[Sample]) -> Mapping[PodName, Uses]:
    """What the containers of each pod use."""
    found: dict[PodName, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for sample in samples:
        own = found[pod_of(sample)][sample.labels.get("container", "")]
        own[sample.labels.get(NAME, "")] = sample.value
    return found


def uses(containers: Iterable[Container], shown: Uses) -> tuple[ContainerUse, ...]:
    """What the inference containers of a pod use."""
    return tuple(
        ContainerUse(
            name=found.name,
            cpu=shown.get(found.name, {}).get(CONTAINER_CPU.word),
            memory=shown.get(found.name, {}).get(WORKING_SET.word),
            limit=found.cpu_limit,
        )
        for found in containers
    )
