"""What goes wrong with the exporter of a node: it is gone, it hangs, it has no values, or other names.

Set by POST /control: `{"faults": {"node-1": {"silent": true}, "node-2": {"frozen": true}}}` replaces all;
`{"faults": {}}` mends everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from localplane.exporter.families import FAMILIES
from localplane.exporter.fleet import Reading

NOT_A_NUMBER: Final = "NaN"
NAMES: Final = frozenset(family.name for family in FAMILIES)


@dataclass(frozen=True, slots=True)
class Fault:
    """The faults of one node's exporter."""

    silent: bool = False
    """It is not there: no series of the node."""

    frozen: bool = False
    """It hangs: what it said when the fault began is said for ever, with the time of each scrape."""

    nan: bool = False
    """It has no values."""

    missing: tuple[str, ...] = ()
    """Names of metrics that it does not have."""


class Faults:
    """The faults of all nodes."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._frozen: dict[str, list[Reading]] = {}

    def set(self, change: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace all faults.

        Raises:
            ValueError: A metric that there is not.
            TypeError: An unknown fault.
        """
        found = {
            node: Fault(**{**fault, "missing": tuple(fault.get("missing", ()))})
            for node, fault in change.items()
        }
        if unknown := {name for fault in found.values() for name in fault.missing} - NAMES:
            raise ValueError(f"control: faults: no metrics {sorted(unknown)}")
        self._faults = found
        self._frozen = {n: kept for n, kept in self._frozen.items() if n in found and found[n].frozen}

    def apply(self, readings: Sequence[Reading]) -> list[Reading]:
        """The readings as the broken exporters show them."""
        if not self._faults:
            return list(readings)
        nodes: dict[str, list[Reading]] = {node: [] for node in self._faults}
        for reading in readings:
            nodes.setdefault(reading.device.node, []).append(reading)
        return [shown for node, own in nodes.items() for shown in self._shown(node, own)]

    def _shown(self, node: str, own: list[Reading]) -> list[Reading]:
        fault = self._faults.get(node, Fault())
        if fault.silent:
            return []
        if fault.frozen:
            own = self._frozen.setdefault(node, own)
        return [replace(reading, values=_values(fault, reading.values)) for reading in own]


def _values(fault: Fault, values: list[str]) -> list[str]:
    """Values in the order of FAMILIES; empty where there is no series."""
    return [
        "" if family.name in fault.missing else NOT_A_NUMBER if fault.nan else value
        for family, value in zip(FAMILIES, values, strict=True)
    ]
