"""The guards that the chart installs around what is the operator's own: what stands of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GuardBinding:
    """A binding of a guard as it stands: the policy it names, and whether it refuses."""

    policy: str
    denies: bool


@dataclass(frozen=True, slots=True)
class ChartGuards:
    """What the chart installs, and what was read back of it.

    Attributes:
        installed: names of the bindings; none where the chart installs none (`policies.enabled: false`).
        policies: names of the policies that stand.
        bindings: those that stand, by name.
    """

    installed: tuple[str, ...] = ()
    policies: frozenset[str] = frozenset()
    bindings: Mapping[str, GuardBinding] = field(default_factory=dict)
