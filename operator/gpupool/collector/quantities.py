"""GPUs as Kubernetes writes them: quantities, and what a pod's containers add up to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def extended(quantities: Mapping[str, Any]) -> dict[str, int]:
    """The extended resources among some quantities: names with a domain that is not Kubernetes' own."""
    return {
        name: count
        for name, value in quantities.items()
        if "/" in name and "kubernetes.io/" not in name and (count := count_of(value)) > 0
    }


_QUANTITY = re.compile(r"(\d+)(?:\.(\d*))?(?:[eE](\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_BINARY = {f"{letter}i": 1024 ** (n + 1) for n, letter in enumerate("KMGTPE")}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def count_of(value: Any) -> int:
    """A quantity of an extended resource, a whole number; what is none counts as 0.

    The API server writes quantities in its shortest form: a quota of 2000 is read back as `2k`.
    """
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return 0
    whole, fraction, exponent, suffix = found.group(1), found.group(2) or "", found.group(3), found.group(4)
    number = int(whole + fraction)
    if suffix in _BINARY:
        return int(number * _BINARY[suffix] // 10 ** len(fraction))
    power = int(exponent or _DECIMAL[suffix or ""]) - len(fraction)
    return int(number * 10**power) if power >= 0 else int(number // 10**-power)


def pod_gpus(spec: Mapping[str, Any]) -> dict[str, int]:
    """Extended resources of a pod, as the scheduler and quota count them.

    Containers and sidecars run together; an init container runs with the sidecars before it.
    """
    running: dict[str, int] = {}
    for container in spec.get("containers", ()):
        _add(running, _asks(container))
    beside: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers", ()):
        asks = _asks(container)
        if container.get("restartPolicy") == "Always":
            _add(beside, asks)
            asks = {}
        for name in {*beside, *asks}:
            peak[name] = max(peak.get(name, 0), beside.get(name, 0) + asks.get(name, 0))
    _add(running, beside)
    return {n: max(running.get(n, 0), peak.get(n, 0)) for n in {*running, *peak}}


def _asks(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources", {})
    return extended({**resources.get("limits", {}), **resources.get("requests", {})})


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
