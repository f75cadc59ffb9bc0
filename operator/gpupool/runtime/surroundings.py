"""What one look at the endpoints stands on: looked up once, for whoever decides about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from gpupool.model.slo import Slo
from gpupool.model.world import World
from gpupool.policy.membership import Membership
from gpupool.policy.slo.grant import NOWHERE, Place
from gpupool.runtime.places import places
from gpupool.runtime.workloads import Owned, by_owner

NEEDED: Final = frozenset(
    {
        *("pods", "nodes", "namespaces", "resourcequotas", "gpupools", "capacityrequests"),
        *("inferenceslos", "deployments", "statefulsets", "horizontalpodautoscalers"),
    }
)
"""What must be heard of before anything is written."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The cluster as the endpoints have it.

    Attributes:
        world: all of it.
        owned: its pods by namespace and top owner.
        places: what surrounds endpoints, by namespace.
        disputed: namespaces that two pools claim.
    """

    world: World
    owned: Owned
    places: Mapping[str, Place]
    disputed: frozenset[str]

    def place(self, namespace: str) -> Place:
        """What surrounds the endpoints of a namespace."""
        return self.places.get(namespace, NOWHERE)

    def blind(self, needed: AbstractSet[str] = NEEDED) -> str:
        """Why nothing may be written now: what is not known would be taken for absent."""
        if unheard := sorted(needed & set(self.world.senses.unheard)):
            return f"{', '.join(unheard)} cannot be read now: nothing is written."
        if self.world.unreadable_pools:
            return f"GpuPool {min(self.world.unreadable_pools)} cannot be read: nothing is written."
        return ""


def surroundings(world: World, found: Membership, slos: Iterable[Slo]) -> Surroundings:
    """The cluster around the endpoints.

    Args:
        world: the cluster.
        found: what belongs to which pool.
        slos: the promises.
    """
    around = places(world, found, {s.key.namespace for s in slos})
    return Surroundings(world, by_owner(world.pods), around, found.claimed_twice)
