"""What an endpoint holds: bound pods, the pool's resource, the pool's price."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gpupool.model.economics import Holding
from gpupool.model.objects import Key, Pod
from gpupool.model.slo import Slo
from gpupool.policy.membership import Membership
from gpupool.runtime.holdings import holdings
from gpupool.runtime.workloads import by_owner
from support.builders import GPU, NOW, a_pool, a_share, pods
from support.standings import deployment

SLO = Slo(Key("vision", "chat"), "u", 1, NOW, deployment(), (), timedelta(days=28), 100)
PRICED = replace(a_pool(a_share("vision")), prices={GPU: 2.5}, currency="USD")
GOVERNED = Membership(pool_of_namespace={"vision": "lab"}, pools={"lab": PRICED})
NPU = "example.com/npu"


def held(found: tuple[Pod, ...], pool: Membership = GOVERNED) -> Holding:
    return holdings([SLO], by_owner(found), pool)[SLO.key]


def test_bound_pods_count_at_the_price_of_their_pool() -> None:
    waiting = pods(1, "chat", node=None, prefix="w")
    assert held((*pods(2, "chat", gpus=4), *waiting)) == Holding(GPU, 8, {GPU: 2.5}, "USD")
    assert held(()) == Holding("", 0, {GPU: 2.5}, "USD")


def test_the_pools_resource_is_counted_without_a_pool_nvidias_or_the_only_one() -> None:
    both = tuple(replace(p, gpus={GPU: 2, NPU: 1}) for p in pods(1, "chat"))
    other = replace(PRICED, resources=(NPU,))
    assert held(both, replace(GOVERNED, pools={"lab": other})).resource == NPU
    assert held(both, Membership()) == Holding(GPU, 2)
    assert held(pods(1, "chat", resource=NPU), Membership()) == Holding(NPU, 1)
