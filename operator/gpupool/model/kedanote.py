"""What we steer of a KEDA ScaledObject, in the words of an HPA, and the note on it.

KEDA copies the annotations of a ScaledObject to the HPA that it makes. So ours has a name of its own: a note
that is found on an HPA was written to that HPA.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from gpupool.model.annotations import GROUP
from gpupool.model.hpanote import HIGH, LOW, read_note, rules_of
from gpupool.model.steering import Limits, Originals

ORIGINALS: Final = f"{GROUP}scaledobject-originals"
"""The annotation."""
FEWEST: Final = 0
"""KEDA's minReplicaCount where none is written."""
MOST: Final = 100
"""And its maxReplicaCount."""
CONFIG: Final = ("advanced", "horizontalPodAutoscalerConfig")
"""Where a ScaledObject has the behaviour of its HPA."""


def limits_of(spec: Mapping[str, Any]) -> Limits:
    """The fields of a ScaledObject's spec that we steer.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: these are none.
    """
    config = (spec.get(CONFIG[0]) or {}).get(CONFIG[1]) or {}
    return _read(spec.get("minReplicaCount"), spec.get("maxReplicaCount"), config.get("behavior"))


def fields_of(limits: Limits) -> dict[str, Any]:
    """The same as fields of a spec; what was not written is left out."""
    numbers = {"minReplicaCount": limits.low, "maxReplicaCount": limits.high}
    said = dict(zip(numbers, (LOW not in limits.unsaid, HIGH not in limits.unsaid), strict=True))
    found: dict[str, Any] = {name: n for name, n in numbers.items() if said[name]}
    if limits.behavior:
        found[CONFIG[0]] = {CONFIG[1]: {"behavior": json.loads(limits.behavior)}}
    return found


def note_of(text: str) -> Originals | None:
    """A note; None where there is none, or somebody broke it by hand."""
    return read_note(text, lambda row: _read(row.get(LOW), row.get(HIGH), row.get("behavior")))


def _read(low: Any, high: Any, behavior: Any) -> Limits:
    unsaid = frozenset(name for name, value in ((LOW, low), (HIGH, high)) if value is None)
    return Limits(
        FEWEST if low is None else int(low),
        MOST if high is None else int(high),
        rules_of(behavior),
        unsaid,
    )
