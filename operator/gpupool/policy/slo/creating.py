"""An HPA that we make: on our own metric, one a workload, and never beside somebody else's.

Two HPAs on one workload stop each other, so where there is one already its owner says which stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from gpupool.model.objects import Key
from gpupool.model.scalerwrites import Adopt, Make
from gpupool.model.slo import Slo
from gpupool.model.steering import Limits, Originals, Scaler
from gpupool.policy.naming import some
from gpupool.policy.slo.adoption import Fight, adopt
from gpupool.policy.slo.required import METRIC

PREFIX: Final = "gpupool-"
LONGEST: Final = 63
"""Characters of a label's value, by which an HPA asks for the metric of one InferenceSLO."""


def name_of(slo: Slo) -> str:
    """The name of an HPA that we make."""
    return f"{PREFIX}{slo.key.name}"


def no_metric(unserved: str) -> str:
    """Why nothing can be scaled on, and what to do.

    Args:
        unserved: why our own metrics API does not serve, where it should; else empty.
    """
    text = f"No metrics API serves {METRIC} now, which a created HPA scales on."
    if unserved:
        return f"{text} {unserved}"
    return (
        f"{text} Set metricsApi.enabled in the chart, or have your adapter serve it; or make an HPA on a"
        " metric that is served, and set scaling.hpa: Adopt."
    )


def obstacle(
    slo: Slo, others: Sequence[Scaler], *, taken: bool, bounded: bool
) -> tuple[str, str, bool] | None:
    """What is in the way of an HPA of ours: reason, message, and whether one that stands stays.

    Args:
        slo: whose it would be.
        others: HPAs on the same workload that are not ours.
        taken: another HPA has its name.
        bounded: a grant says how many replicas there may be.
    """
    if others:
        names = some(s.key.name for s in others)
        text = f"HPA {names} scales {slo.target} already: delete it, or set scaling.hpa: Adopt."
        return ("ForeignHpa", text, False)
    if taken:
        text = f"HPA {name_of(slo)} is there and is not ours: delete or rename it."
        return ("NameTaken", text, False)
    if len(slo.key.name) > LONGEST:
        text = f"Its name has {len(slo.key.name)} characters, and HPAs ask for a metric by {LONGEST} at most."
        return ("NameTooLong", f"{text} Give the InferenceSLO a shorter one.", False)
    if not bounded and slo.scaling.high is None:
        text = (
            "Neither a GpuPool nor scaling.maxReplicas says how many replicas there may be: set maxReplicas."
        )
        return ("NoMaximum", text, True)
    return None


def write(slo: Slo, made: Scaler | None, wanted: Limits, now: datetime) -> Make | Adopt | Fight | None:
    """What makes our HPA say what is wanted; None where it does.

    Somebody else's changes of it are borne as those of an adopted one.
    """
    if made is None:
        key = Key(slo.key.namespace, name_of(slo))
        return Make(slo.key, slo.uid, key, slo.target, Originals(wanted, wanted))
    found = adopt(slo.key, made, wanted, now)
    # It is ours whole: its fields are written whatever version it has, and whoever made it say otherwise.
    return replace(found, force=True, version="", made=True) if isinstance(found, Adopt) else found


def stands(name: str, wanted: Limits, made: Scaler | None) -> str:
    """What stands, in a sentence."""
    text = f"HPA {name} on {METRIC}: minReplicas {wanted.low}, maxReplicas {wanted.high}."
    if made is None or made.exact:
        return text
    return (
        f"{text} This API server knows no tolerance: the HPA keeps up to a tenth more replicas than are"
        " needed; minReplicas sees to it that none is missing."
    )
