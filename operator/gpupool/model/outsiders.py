"""What keeps pods outside the pools' own rules away from the pools: one set of policies for the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outsiders(StrEnum):
    """How far the operator may go with pods outside the pools: the chart value `policies.outsiders`."""

    AUTO = "Auto"
    WARN = "Warn"
    OFF = "Off"


@dataclass(frozen=True, slots=True)
class OutsiderPool:
    """What the policies know of a pool: `counts`: its mode is among those that brought them about."""

    name: str
    uid: str
    resources: tuple[str, ...]
    cpu_pods: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class SetOutsiders:
    """The policies about pods outside the pools, as they should be.

    Attributes:
        deny: refuse; else warn.
        pools: all pools, by name.
        homes: namespaces that a share lists and no label marks yet -> their pool.
        held: why what a pool's mode asks for is not refused but warned about; empty where nothing is held.
    """

    deny: bool
    pools: tuple[OutsiderPool, ...]
    homes: Mapping[str, str] = field(default_factory=dict)
    held: str = ""

    @property
    def counting(self) -> tuple[str, ...]:
        """Resources that a pool which counts governs: pods of no pool are judged by nothing else of these."""
        return tuple(sorted({r for p in self.pools if p.counts for r in p.resources}))


@dataclass(frozen=True, slots=True)
class OutsiderFacts:
    """What was read back of the policies about pods outside the pools.

    Attributes:
        stands: there is something that is to stand.
        current: it stands as it was written.
        held: why pods are warned and not refused; empty where they are refused.
        probe: attempts that were not answered as they must be; None before the first probe.
        known: uids of the pools that all of this was decided for; None where that is not told.
    """

    stands: bool = False
    current: bool = False
    held: str = ""
    probe: tuple[str, ...] | None = None
    known: tuple[str, ...] | None = None

    def misses(self, uid: str) -> bool:
        """Whether a pool came later than what is said here."""
        return self.known is not None and uid not in self.known
