"""The cluster as it was read, before anything is decided: projections of all pools' objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.model.objects import Counts, Demand, ForeignQuota, ObjectRef, Pod, Quota, Request
from gpupool.model.pool import Pool
from gpupool.model.selector import Selector
from gpupool.model.senses import Senses
from gpupool.model.standing import Standing


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node: `gpus` is allocatable of every resource whose name has a domain.

    `ours`: the pool's label or taint on it was written by us.
    """

    name: str
    labels: Mapping[str, str]
    gpus: Counts
    ready: bool = True
    schedulable: bool = True
    taints: tuple[str, ...] = ()
    uid: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """A namespace with the quotas that count GPUs in it, and the names of Kueue's LocalQueues.

    `ours`: the pool's label on it was written by us.
    """

    name: str
    labels: Mapping[str, str]
    quota: Quota | None = None
    foreign: tuple[ForeignQuota, ...] = ()
    uid: str = ""
    queues: tuple[str, ...] = ()
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Toleration:
    """One toleration of a pod template."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Whether a taint is tolerated, by Kubernetes' rules."""
        if self.effect and self.effect != effect:
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == key and (self.operator == "Exists" or self.value == value)


@dataclass(frozen=True, slots=True)
class DaemonSetFacts:
    """A DaemonSet: where it runs and what it tolerates."""

    namespace: str
    name: str
    node_selector: Selector | None
    tolerations: tuple[Toleration, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A template from which GPU pods are made, or the last pod that was made of one we cannot see.

    `text` is what admission judges of it; `loose` says that no controller makes the next pod, a person or
    a program does.
    """

    namespace: str
    owner: ObjectRef
    text: str
    loose: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """All that was read, at one moment.

    Attributes:
        ending: namespaces on their way out, which are in no other list: nothing can be made in them any
            more, and their quotas stand until their last pods are gone.
        unreadable_pools: names of pools that are there and break the rules of this version: they keep what
            carries their mark.
        queues_known: whether the namespaces' queues are all there are.
        demands, daemonsets, templates: of `namespaces` only.
        endpoints: where every InferenceSLO stands.
    """

    now: datetime
    pools: tuple[Pool, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    namespaces: tuple[NamespaceFacts, ...] = ()
    pods: tuple[Pod, ...] = ()
    requests: tuple[Request, ...] = ()
    demands: tuple[Demand, ...] = ()
    daemonsets: tuple[DaemonSetFacts, ...] = ()
    exempt_namespaces: frozenset[str] = field(default_factory=frozenset)
    templates: tuple[Template, ...] = ()
    ending: tuple[NamespaceFacts, ...] = ()
    unreadable_pools: frozenset[str] = field(default_factory=frozenset)
    queues_known: bool = True
    senses: Senses = field(default_factory=Senses)
    endpoints: tuple[Standing, ...] = ()
