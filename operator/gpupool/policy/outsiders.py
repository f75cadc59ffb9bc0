"""Pods outside the pools' own rules: how strictly they are kept away from the pools (DESIGN.md 5).

The strictest isolation mode that acts in any pool decides: all Observe, nothing; Recommend, warnings;
Enforce, refusals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpupool.model.enforcement import Replay
from gpupool.model.marks import POOL_LABEL
from gpupool.model.outsiders import OutsiderPool, Outsiders, SetOutsiders
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Mode, Pool
from gpupool.model.world import Template, World
from gpupool.policy.membership import Membership

MOST_NAMED = 5
MOST_HOMES = 1000
"""Namespaces of pools that are not enforced and fit into the policies' text."""


def outsiders(
    world: World, found: Membership, modes: Mapping[str, Mode], setting: Outsiders, *, held: str = ""
) -> SetOutsiders | None:
    """What should stand; None where nothing is to be said to anybody.

    Args:
        world: all pools and namespaces.
        found: what belongs to which pool.
        modes: pool -> the isolation mode that acts in it.
        setting: the chart's.
        held: why nobody is to be refused yet; empty if nothing stands against it.
    """
    strictest = max(modes.values(), key=lambda m: m.strength, default=Mode.OBSERVE)
    if setting is Outsiders.OFF or strictest is Mode.OBSERVE:
        return None
    homes = _homes(world, found)
    if strictest is not Mode.ENFORCE:
        held = ""
    elif setting is Outsiders.WARN:
        held = "the chart value policies.outsiders is Warn"
    elif len(homes) > MOST_HOMES:
        held = (
            f"{len(homes)} namespaces of pools are not enforced, more than {MOST_HOMES} cannot be told apart"
        )
    return SetOutsiders(
        deny=strictest is Mode.ENFORCE and not held,
        pools=tuple(
            _facts(p, counts=modes.get(p.name) is strictest)
            for p in sorted(world.pools, key=lambda p: p.name)
        ),
        homes=dict(sorted(homes.items())[:MOST_HOMES]),
        held=held,
    )


def outside(world: World, found: Membership, apart: str) -> tuple[Template, ...]:
    """Live templates of namespaces that belong to no pool and not to the system; `apart` is our own one."""
    exempt = world.exempt_namespaces | {"kube-system", apart} | found.claimed_twice
    inside = exempt | set(found.pool_of_namespace)
    return tuple(t for t in world.templates if t.namespace not in inside)


def objection(replays: Iterable[Replay]) -> str:
    """Why pods outside the pools are not refused yet: who of those that run would be; empty if nobody."""
    rows = list(replays)
    denied = sorted({str(r) for r in rows if r.refusal})
    if denied:
        more = f" and {len(denied) - MOST_NAMED} more" if len(denied) > MOST_NAMED else ""
        return (
            "new pods of these workloads, whose namespaces no share lists, would be denied:"
            f" {', '.join(denied[:MOST_NAMED])}{more}"
        )
    if any(r.refusal is None for r in rows):
        return "the workloads of namespaces that no share lists are being tried"
    return ""


def acting(pool: Pool, asked: SetPolicies) -> Mode:
    """The isolation mode that acts in a pool: the policies that stand say whether it enforces already."""
    if asked.enforce:
        return Mode.ENFORCE
    modes = [pool.isolation_mode, *(pool.isolation_for(s) for s in pool.shares)]
    return Mode.RECOMMEND if any(m is not Mode.OBSERVE for m in modes) else Mode.OBSERVE


def _facts(pool: Pool, *, counts: bool) -> OutsiderPool:
    return OutsiderPool(pool.name, pool.uid, pool.resources, pool.cpu_pods, counts)


def _homes(world: World, found: Membership) -> dict[str, str]:
    """Namespaces that belong to a pool and carry no label of it; `-` where two pools claim one."""
    belongs = found.pool_of_namespace
    return {
        n.name: belongs.get(n.name, "-")
        for n in world.namespaces
        if (n.name in belongs and n.labels.get(POOL_LABEL) != belongs[n.name])
        or n.name in found.claimed_twice
    }
