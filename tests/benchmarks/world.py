"""How large a benchmark's cluster is."""

from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from benchmarks.things import GROUP, create_all
from localplane.kube import Kube
from localplane.nodes import node_manifest

NAME: Final = "scale"
GPUS: Final = 8
LEAST: Final = 20


@dataclass(frozen=True, slots=True)
class Shape:
    """Nodes of eight GPUs, requests, and the teams that share them.

    Attributes:
        nodes: how many.
        requests: that stand before anything is measured.
        teams: each with a namespace and a share of its own.
        size: what the numbers were multiplied by; a try-out is small.
    """

    nodes: int
    requests: int
    teams: int = 20
    size: float = 1.0

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.nodes * GPUS

    def at(self, size: float) -> "Shape":
        """The same, smaller."""
        nodes, requests = (max(LEAST, round(n * size)) for n in (self.nodes, self.requests))
        return Shape(nodes, requests, self.teams, size)

    def scaled(self, number: float) -> int:
        """A further number of the same benchmark at this size."""
        return max(LEAST, round(number * self.size))

    @override
    def __str__(self) -> str:
        return f"{self.nodes:,} nodes, {self.requests:,} requests"


def nodes_of(kube: Kube, shape: Shape) -> None:
    """Write the nodes: unmanaged, Ready for a day, without heartbeats."""
    names = (f"{NAME}-{number}" for number in range(shape.nodes))
    create_all(kube, [node_manifest(n, GPUS, labels={GROUP: NAME}, managed=False) for n in names])
