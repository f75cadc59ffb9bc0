"""The most GPUs that workloads held in the recorded past: two questions, whatever the pool holds.

What is recorded are pods, many of which are gone, and with them their owners. So a pod's name tells its
workload: controllers end it in a way of their own.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gpupool.collector.prometheus.activity import quoted
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusError

PAST: Final = "30d"
STEP: Final = "5m"
RECORDED: Final = "gpupool:pod_gpus:max5m"
ENDINGS: Final = ("-([0-9]+|[a-z0-9]{5})", "-[a-z0-9]{6,10}-[a-z0-9]{5}")
"""What StatefulSets and Jobs, then Deployments and CronJobs, add to their names for their pods' names."""


def peak_query(pool: str, ending: str) -> str:
    """The most GPUs per namespace and workload; `exported_` labels are those of a scraped operator."""
    series = f"max by (namespace, exported_namespace, pod, exported_pod) ({RECORDED}{{pool={quoted(pool)}}})"
    named = series
    for target, source, pattern in (
        ("ns", "namespace", "(.+)"),
        ("ns", "exported_namespace", "(.+)"),
        ("workload", "pod", f"(.+?){ending}"),
        ("workload", "exported_pod", f"(.+?){ending}"),
    ):
        named = f'label_replace({named}, "{target}", "$1", "{source}", "{pattern}")'
    return f"max_over_time((sum by (ns, workload) ({named}))[{PAST}:{STEP}])"


async def read_peaks(prometheus: PrometheusClient, pool: str) -> tuple[Mapping[tuple[str, str], int], str]:
    """Peaks by namespace and workload name, and why they are not known.

    A name that both endings lead to has the higher of both: drafts are read by people.
    """
    found: dict[tuple[str, str], int] = {}
    try:
        for ending in ENDINGS:
            for (namespace, workload), count in _rows(await prometheus.query(peak_query(pool, ending))):
                found[namespace, workload] = max(count, found.get((namespace, workload), 0))
    except PrometheusError as error:
        return {}, str(error)
    return found, "" if found else f"no recording of {RECORDED} yet"


def _rows(samples: Iterable[Sample]) -> Iterable[tuple[tuple[str, str], int]]:
    for sample in samples:
        labels = sample.labels
        if labels.get("workload") and labels.get("ns"):
            yield (labels["ns"], labels["workload"]), int(sample.value)
