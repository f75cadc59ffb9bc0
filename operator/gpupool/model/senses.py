"""What is known to be unknown: kinds nobody has told of lately, and objects that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

PODS, NODES, QUOTAS = "pods", "nodes", "resourcequotas"


@dataclass(frozen=True, slots=True)
class Unread:
    """An object that is there and could not be understood; `node` is where a pod is bound."""

    kind: str
    name: str
    namespace: str = ""
    node: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Senses:
    """How far a decision may rest on what it looks at.

    Attributes:
        unheard: kinds, by their plural, of which the API server has told nothing for too long.
        unread: objects that would count and are not counted.
    """

    unheard: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
