"""Endpoints of which it is known what a replica carries, without the hour that learning takes."""

from collections.abc import Sequence
from functools import partial

from integration.steering.harbour import Harbour
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.runner.settings import NAMESPACE

OPERATOR = f"system:serviceaccount:{NAMESPACE}:gpupool"
CARRIES = 4.0
"""Requests/s that one replica is said to have carried: a replica here could do more."""


def taught(plane: Cluster, kube: Kube, harbours: Sequence[Harbour]) -> None:
    """As if ten windows had passed: what the operator learned is in status, and survives its restart."""
    for harbour in harbours:
        harbour.until(partial(learned, harbour), "a profile is begun")
    plane.stop("operator", "KILL")
    with kube.impersonating(OPERATOR) as operator:
        for harbour in harbours:
            profile = harbour.status()["profile"]
            for row in profile:
                row["requestsPerSecond"] = {"last": row["since"], "value": CARRIES, "samples": 99}
                row.pop("missed", None)
            operator.patch(f"{harbour.path}/status", {"status": {"profile": profile}})
    plane.start("operator")


def learned(harbour: Harbour) -> bool:
    """Whether a profile is begun, of a GPU that has its name: before that it begins anew."""
    profile = harbour.status().get("profile", ())
    return bool(profile) and all(row.get("gpu") for row in profile)
