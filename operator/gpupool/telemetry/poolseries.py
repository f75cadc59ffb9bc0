"""From a plan and its snapshot to the series of one pool. Pure: the same plan, the same series."""

from collections.abc import Iterable, Mapping
from typing import Final

from gpupool.model.objects import Counts, Key
from gpupool.model.plan import Plan, PoolStatus, RequestStatus, ShareRow
from gpupool.model.reasons import Phase
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import Books, attribute, gpus
from gpupool.policy.senses import pods_known
from gpupool.telemetry import catalog
from gpupool.telemetry.catalog import Metric

Series = dict[Metric, dict[tuple[str, ...], float]]
"""Values by metric and by the values of its labels, in their order."""

_POOL: Final = (
    (catalog.POOL_TOTAL, "total"),
    (catalog.POOL_USABLE, "usable"),
    (catalog.POOL_GRANTED, "granted"),
    (catalog.POOL_LENT, "lent"),
    (catalog.POOL_HELD, "held"),
    (catalog.POOL_BUSY, "busy"),
    (catalog.POOL_UNATTRIBUTED, "unattributed"),
    (catalog.OVERCOMMITTED, "overcommitted"),
    (catalog.SURGE_LENT, "surge"),
)
_SHARE: Final = (
    (catalog.SHARE_GUARANTEED, "guaranteed"),
    (catalog.SHARE_LIMIT, "limit"),
    (catalog.SHARE_GRANTED, "granted"),
    (catalog.SHARE_LENT, "lent"),
    (catalog.SHARE_HELD, "held"),
    (catalog.SHARE_BUSY, "busy"),
)
_REQUEST: Final = (
    (catalog.REQUEST_GRANTED, "granted"),
    (catalog.REQUEST_ALLOWANCE, "allowance"),
    (catalog.REQUEST_HELD, "held"),
    (catalog.REQUEST_BUSY, "busy"),
    (catalog.REQUEST_DEMAND, "demand"),
    (catalog.REQUEST_EFFICIENCY, "efficiency"),
    (catalog.REQUEST_ACTIVITY, "activity"),
    (catalog.REQUEST_COVERAGE, "coverage"),
)


def pool_series(plan: Plan, snapshot: Snapshot) -> Series:
    """Every series that speaks about the pool, its shares, requests and pods."""
    books = attribute(snapshot)
    series: Series = {}
    if plan.status is not None:
        _pool(series, plan.pool, plan.status)
    governed = [r for r in plan.requests if r.pool == plan.pool and r.resource in snapshot.pool.resources]
    for request in governed:
        _request(series, plan.pool, request)
        if pods_known(snapshot):  # what is read back as a peak is a fact, or it is absent
            put(series, catalog.USED, _names(plan.pool, request), request.used)
    if pods_known(snapshot):
        _unattributed(series, snapshot, books)
        _pods(series, snapshot, books)
    for phase in Phase:
        put(series, catalog.REQUESTS, (plan.pool, phase), sum(r.phase is phase for r in plan.requests))
    put(series, catalog.UNCONFIRMED_QUOTAS, (plan.pool,), _unconfirmed(snapshot))
    put(series, catalog.TELEMETRY_FRESH, (plan.pool,), float(snapshot.usage.fresh))
    put(series, catalog.LAST_CYCLE, (plan.pool,), snapshot.now.timestamp())
    return series


def put(series: Series, metric: Metric, labels: tuple[str, ...], value: float | None) -> None:
    """Add one value; None is unknown, and the unknown is absent."""
    if value is not None:
        series.setdefault(metric, {})[labels] = float(value)


def _counts(series: Series, metric: Metric, labels: tuple[str, ...], counts: Counts) -> None:
    for resource in sorted(counts):
        put(series, metric, (*labels, resource), counts[resource])


def _pool(series: Series, pool: str, status: PoolStatus) -> None:
    for metric, name in _POOL:
        _counts(series, metric, (pool,), getattr(status, name))
    for row in status.shares:
        _share(series, pool, row)
    for c in status.conditions:
        put(series, catalog.POOL_CONDITION, (pool, c.type, c.status, c.reason), 1)


def _unconfirmed(snapshot: Snapshot) -> int:
    """Walls that Kubernetes has not put in force as written."""
    quotas = (n.quota for n in snapshot.namespaces)
    return sum(q is not None and q.hard != q.status_hard for q in quotas)


def _share(series: Series, pool: str, row: ShareRow) -> None:
    for metric, name in _SHARE:
        _counts(series, metric, (pool, row.team), getattr(row, name))


def _names(pool: str, request: RequestStatus) -> tuple[str, ...]:
    return (request.key.namespace, request.key.name, pool, request.resource)


def _request(series: Series, pool: str, request: RequestStatus) -> None:
    labels = _names(pool, request)
    for metric, name in _REQUEST:
        put(series, metric, labels, getattr(request, name))
    if request.timer is not None and request.timer.deadline is not None:
        deadline = request.timer.deadline.timestamp()
        put(series, catalog.DEADLINE, (request.key.namespace, request.key.name), deadline)


def _unattributed(series: Series, snapshot: Snapshot, books: Books) -> None:
    """GPUs without a request; 0 is said, too, so that the history of a quiet namespace is known."""
    for namespace in snapshot.namespaces:
        if namespace.system:
            continue
        for resource in snapshot.pool.resources:
            used = gpus(books.unattributed.get(namespace.name, ()), resource)
            put(series, catalog.USED, (namespace.name, "", snapshot.pool.name, resource), used)


def _pods(series: Series, snapshot: Snapshot, books: Books) -> None:
    members = {node.name for node in snapshot.nodes}
    request = _requests_of(books)
    for pod in snapshot.pods:
        if pod.node not in members or not pod.running:
            continue
        for resource in snapshot.pool.resources:
            if count := pod.gpus.get(resource, 0):
                booked = request.get((pod.key, resource), "")
                labels = (pod.key.namespace, pod.key.name, pod.node, booked, snapshot.pool.name, resource)
                put(series, catalog.POD, labels, count)


def _requests_of(books: Books) -> Mapping[tuple[Key, str], str]:
    """The request's name by pod and resource."""
    return {(p.key, r): key.name for key, pods in books.pods.items() for p in pods for r in p.gpus}


def merged(all_series: Iterable[Series]) -> Series:
    """The series of several pools as one; the last wins where two pools speak about one object."""
    found: Series = {}
    for series in all_series:
        for metric, values in series.items():
            found.setdefault(metric, {}).update(values)
    return found
