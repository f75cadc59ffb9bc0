"""Plan time over unlike shapes of clusters in three sizes: what grows faster than the cluster stands out.

`python -m benchmarks.plan_time` prints a table; `planning.py` gives the headline of `make bench`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.planner import make_plan
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import (
    DAY,
    GPU,
    HOUR,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    nodes,
    pods,
    sampled,
)

SIZES: Final = ((100, 200), (1_000, 2_000), (5_000, 10_000))
"""Nodes of 8 GPUs, and requests."""

Shape = Callable[[int, int], Callable[[], object]]


def many_teams(count: int, requests: int) -> Callable[[], object]:
    """A team and a namespace per twenty requests; all hold what they were granted, with samples."""
    teams = [f"team-{n}" for n in range(max(1, requests // 20))]
    own = [granted(f"run-{n}", 4, teams[n % len(teams)]) for n in range(requests)]
    running = [
        p
        for n, r in enumerate(own)
        for p in pods(1, r.key.name, r.key.namespace, gpus=4, node=f"node-{n // 2 + 1}")
    ]
    quotas = {team: a_quota(80, 80) for team in teams}
    usage = sampled(running, peaks={r.key: 4 for r in own})
    pool = a_pool(*(a_share(team, 80) for team in teams))
    return _planned(a_snapshot(pool, *own, nodes=nodes(count), pods=running, quotas=quotas, usage=usage))


def one_namespace(count: int, requests: int) -> Callable[[], object]:
    """Everything in one namespace of one team, half of it waiting."""
    own = [granted(f"run-{n}", 4, "vision") for n in range(requests // 2)]
    new = [
        a_request(f"new-{n}", 8, "vision", created=NOW - n * timedelta(seconds=1))
        for n in range(requests // 2)
    ]
    running = [p for n, r in enumerate(own) for p in pods(2, r.key.name, gpus=2, node=f"node-{n // 2 + 1}")]
    pool = a_pool(a_share("vision", 8 * count))
    quotas = {"vision": a_quota(2 * requests, 2 * requests)}
    return _planned(a_snapshot(pool, *own, *new, nodes=nodes(count), pods=running, quotas=quotas))


def all_borrowed(count: int, requests: int) -> Callable[[], object]:
    """Every GPU of the pool is lent GPU by GPU to fifty teams at once."""
    teams = [f"team-{n}" for n in range(50)]
    new = [a_request(f"new-{n}", 64, teams[n % 50], preemptible=True, min_gpus=1) for n in range(requests)]
    return _planned(a_snapshot(a_pool(*(a_share(t) for t in teams)), *new, nodes=nodes(count)))


def owners_return(count: int, requests: int) -> Callable[[], object]:
    """Borrowers hold all, owners want half of it back: notices, and pods of those whose notice ran out."""
    borrowers = [f"lab-{n}" for n in range(50)]
    timer = a_timer(Stage.RECALLING, -timedelta(minutes=1), target=0, forced_at=NOW + HOUR)
    each = 8 * count // (requests // 2)
    lent = [
        granted(f"run-{n}", each, borrowers[n % 50], preemptible=True, timer=timer if n % 4 == 0 else None)
        for n in range(requests // 2)
    ]
    own = [a_request(f"own-{n}", each, f"owner-{n % 50}") for n in range(requests // 4)]
    running = [
        p
        for n, r in enumerate(lent)
        for p in pods(each, r.key.name, r.key.namespace, node=f"node-{n * each // 8 + 1}")
    ]
    held = each * (requests // 2) // 50
    quotas = {
        b: a_quota(
            held,
            held,
            timers={r.key.name: timer for r in lent if r.key.namespace == b and r.remembered.timer},
        )
        for b in borrowers
    }
    shares = [a_share(f"owner-{n}", 8 * count // 100) for n in range(50)] + [a_share(b) for b in borrowers]
    return _planned(a_snapshot(a_pool(*shares), *lent, *own, nodes=nodes(count), pods=running, quotas=quotas))


def much_lent(count: int, requests: int) -> Callable[[], object]:
    """Every request lends a part and asks for it again."""
    teams = [f"team-{n}" for n in range(50)]
    timer = a_timer(Stage.LENT, DAY, target=1, granted=4)
    own = [
        granted(f"run-{n}", 4, teams[n % 50], allowance=1, timer=timer, preemptible=True)
        for n in range(requests)
    ]
    running = [
        p for n, r in enumerate(own) for p in pods(1, r.key.name, r.key.namespace, node=f"node-{n // 8 + 1}")
    ]
    quotas = {
        t: a_quota(
            requests // 50, requests // 50, timers={r.key.name: timer for r in own if r.key.namespace == t}
        )
        for t in teams
    }
    shares = [a_share(t, 4 * requests // 50) for t in teams]
    return _planned(a_snapshot(a_pool(*shares), *own, nodes=nodes(count), pods=running, quotas=quotas))


def only_looked_at(count: int, requests: int) -> Callable[[], object]:
    """What becomes of the world: who belongs where, for five pools of a hundred shares each."""
    pools = []
    for p in range(5):
        shares = tuple(
            a_share(
                f"team-{p}-{s}", namespaces=tuple(f"ns-{p}-{s}-{n}" for n in range(max(1, requests // 500)))
            )
            for s in range(100)
        )
        pools.append(
            a_pool(
                *shares,
                name=f"pool-{p}",
                node_selector=None,
                node_names=tuple(f"node-{n}" for n in range(p, count, 5)),
            )
        )
    names = [n for pool in pools for s in pool.shares for n in s.namespaces]
    world = World(
        now=NOW,
        pools=tuple(pools),
        nodes=tuple(NodeFacts(f"node-{n}", {}, {GPU: 8}) for n in range(count)),
        namespaces=tuple(NamespaceFacts(n, {}) for n in names),
        pods=tuple(
            p
            for n in range(count)
            for p in pods(1, "a", names[n % len(names)], node=f"node-{n}", prefix=f"p{n}")
        ),
        requests=tuple(a_request("a", 1, n) for n in names),
    )
    found = resolve(world)
    return lambda: [view(world, resolve(world), p, uninterrupted_since=NOW) for p in pools] and found


SHAPES: Final[tuple[Shape, ...]] = (
    many_teams,
    one_namespace,
    all_borrowed,
    owners_return,
    much_lent,
    only_looked_at,
)


def _planned(snapshot: Snapshot) -> Callable[[], object]:
    return lambda: make_plan(snapshot)


def seconds(work: Callable[[], object]) -> float:
    """The better of two runs."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> None:
    """Print a row per shape: seconds per size, and growth over the growth of the cluster."""
    print(
        f"{'shape':<16}" + "".join(f"{n:>8,} nodes" for n, _ in SIZES) + "   growth of time / growth of size"
    )
    for shape in SHAPES:
        took = [seconds(shape(*size)) for size in SIZES]
        growth = [took[i + 1] / took[i] / (SIZES[i + 1][1] / SIZES[i][1]) for i in range(len(SIZES) - 1)]
        row = "".join(f"{t:>13.3f}s" for t in took)
        print(f"{shape.__name__:<16}{row}   " + "  ".join(f"{g:.2f}" for g in growth))


if __name__ == "__main__":
    main()
