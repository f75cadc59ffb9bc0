"""What a decision is made of: one pool at one moment, frozen and recordable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.model.enforcement import Enforcement
from gpupool.model.objects import Demand, Namespace, Node, Pod, Request
from gpupool.model.pool import Pool
from gpupool.model.senses import Senses
from gpupool.model.standing import Standing
from gpupool.model.usage import Usage


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision may look at.

    Attributes:
        now: the API server's time, monotone per pool.
        uninterrupted_since: since when cycles of this pool have followed each other without a gap.
        nodes, namespaces: members only; of namespaces also those that hold GPUs on member nodes, or had.
        requests: those of member namespaces, and those that name this pool.
        pods: non-terminal pods requesting a governed resource, on member nodes or in member namespaces.
        nodes_elsewhere, namespaces_elsewhere: what the pool's spec names and another pool has -> that pool.
        moving: member namespaces that no share lists any more -> the pool whose share does.
        stray_nodes, stray_namespaces: no members, and they carry this pool's label (or quota): it goes.
        senses: how far all of it may be rested on.
        endpoints: where the InferenceSLOs of member namespaces stand.
    """

    now: datetime
    uninterrupted_since: datetime
    pool: Pool
    nodes: tuple[Node, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    requests: tuple[Request, ...] = ()
    pods: tuple[Pod, ...] = ()
    demands: tuple[Demand, ...] = ()
    usage: Usage = field(default_factory=Usage)
    enforcement: Enforcement = field(default_factory=Enforcement)
    nodes_claimed_twice: tuple[str, ...] = ()
    namespaces_claimed_twice: tuple[str, ...] = ()
    nodes_elsewhere: Mapping[str, str] = field(default_factory=dict)
    namespaces_elsewhere: Mapping[str, str] = field(default_factory=dict)
    moving: Mapping[str, str] = field(default_factory=dict)
    intolerant_daemonsets: tuple[str, ...] = ()
    intolerant_system: tuple[str, ...] = ()  # those of them in exempt namespaces
    stray_nodes: tuple[Node, ...] = ()
    stray_namespaces: tuple[Namespace, ...] = ()
    unsure: tuple[str, ...] = ()  # shares that wait until Kueue's queues can be listed
    senses: Senses = field(default_factory=Senses)
    endpoints: tuple[Standing, ...] = ()
