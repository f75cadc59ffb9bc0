"""What the API server accepted, decided by the planner in this process, and its statuses written out."""

from dataclasses import replace
from typing import Any

from gpupool.api import convert, inference, statuses
from gpupool.api import v1alpha1 as api
from gpupool.model.objects import Request
from gpupool.model.plan import Plan
from gpupool.model.pool import Pool, Share
from gpupool.model.slo import Endpoint, Reading, Slo, SloSnapshot, SloState
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.endpoints import plan_endpoints
from gpupool.planner.orphans import plan_orphans
from gpupool.planner.planner import make_plan
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import GPU, NOW, a_pool, a_share

Json = dict[str, Any]


def decide(accepted: Json) -> int:
    """Convert, plan and write the statuses of one object; returns how many statuses it came to."""
    if accepted["kind"] == "GpuPool":
        return _judge(convert.pool(accepted), (_asking(),))
    if accepted["kind"] == "InferenceSLO":
        return _promise(inference.read(accepted))
    request = convert.request(accepted)
    space = request.key.namespace
    resource = request.resource or GPU
    governing = a_pool(
        replace(a_share(space, 8), guaranteed={resource: 8}),
        name=request.pool or "lab",
        resources=(resource,),
    )
    return _judge(governing, (request,))


def _promise(slo: Slo) -> int:
    """Judge a promise that nobody has measured yet, one that was kept, and one without any data."""
    reading = Reading(SloState.OK, 990, 1000, 15.0)
    measured = {slo.key: Endpoint((reading,) * len(slo.objectives), "vLLM", pods=3, ready=2)}
    stages = (
        SloSnapshot(NOW, 15.0, (slo,)),
        SloSnapshot(NOW, 15.0, (slo,), measured),
        SloSnapshot(NOW, 15.0, (slo,), problem="Prometheus is down."),
    )
    for snapshot in stages:
        decided = plan_endpoints(snapshot)
        assert decided == plan_endpoints(snapshot), "the same snapshot gave two plans"
        for status in decided.statuses:
            api.InferenceSLOStatus.model_validate(inference.status(status, {}, NOW))
    return len(stages)


def _asking() -> Request:
    """A request of a namespace that pools may list."""
    spec = {
        "gpus": 2,
        "owner": {"team": "a", "contact": "c"},
        "workload": {"selector": {"matchLabels": {"app": "x"}}},
        "expectedUtilization": 80,
    }
    metadata = {"name": "asks", "namespace": "a", "uid": "u", "generation": 1}
    return convert.request({"metadata": metadata, "spec": spec})


def _judge(pool: Pool, requests: tuple[Request, ...]) -> int:
    world = _world(pool, requests)
    found = resolve(world)
    decided = make_plan(view(world, found, pool, uninterrupted_since=NOW))
    again = make_plan(view(world, found, pool, uninterrupted_since=NOW))
    assert decided == again, "the same snapshot gave two plans"
    told = [*decided.requests, *plan_orphans(world, found)]
    for status in told:
        api.CapacityRequestStatus.model_validate(statuses.request_status(status, {}, NOW))
    _pool_status(pool, decided)
    return len(told) + 1


def _pool_status(pool: Pool, decided: Plan) -> None:
    assert decided.status is not None
    api.GpuPoolStatus.model_validate(statuses.pool_status(pool, decided.status, {}, NOW))


def _world(pool: Pool, requests: tuple[Request, ...]) -> World:
    """Nodes that the pool selects, namespaces that it lists."""
    labels = dict(pool.node_selector.labels) if pool.node_selector else {}
    names = [*pool.node_names[:3], "node-1"]
    gpus = dict.fromkeys(pool.resources, 8)
    spaces = {name: _labels(share) for share in pool.shares for name in (*share.namespaces, share.team)}
    spaces |= {r.key.namespace: spaces.get(r.key.namespace, {}) for r in requests}
    return World(
        now=NOW,
        pools=(pool,),
        nodes=tuple(NodeFacts(name, labels, gpus) for name in dict.fromkeys(names)),
        namespaces=tuple(NamespaceFacts(name, found) for name, found in sorted(spaces.items())),
        requests=requests,
    )


def _labels(share: Share) -> dict[str, str]:
    return dict(share.selector.labels) if share.selector else {}
