"""What is said of the chart's guards: what is open, what brings it back, and that none are installed."""

from __future__ import annotations

from collections.abc import Collection

from gpupool.model.objects import Key
from gpupool.model.plan import Notice
from gpupool.model.snapshot import Snapshot
from gpupool.policy.chartguards import opened
from gpupool.policy.naming import some

REMEDY = "`helm upgrade` with the same values brings them back (without Helm: apply install.yaml again)."
NONE = (
    " The chart's guards are switched off (policies.enabled): RBAC alone keeps quotas, labels and statuses."
)


def lost(snapshot: Snapshot) -> tuple[str, ...]:
    """Guards that are open while the pool enforces anything."""
    pool = snapshot.pool
    return opened(snapshot.enforcement.guards) if pool.walls or pool.isolates else ()


def sentence(names: Collection[str]) -> str:
    """What is open, and what to do."""
    return f"Guards of the chart are open: {some(names)}. {REMEDY}"


def notice(snapshot: Snapshot, names: Collection[str]) -> Notice:
    """The Event of guards that were found open."""
    pool = snapshot.pool
    return Notice("GpuPool", Key("", pool.name), pool.uid, "GuardOpen", sentence(names), warning=True)
