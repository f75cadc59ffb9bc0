"""What one resource's steps came to, with everything needed to explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpupool.model.objects import Key
from gpupool.model.plan import Evict
from gpupool.policy.allocation import Outcome
from gpupool.policy.desk import Desk
from gpupool.policy.recall import Need
from gpupool.policy.reclaim import Finding
from gpupool.policy.slo.stake import Stake


@dataclass(frozen=True, slots=True)
class Decision:
    """The desk as it was left, what guarantees are owed, what reclaim found, which pods must leave.

    `provisioning` counts the GPUs of a claim for which there is no node yet; `stakes` are the endpoints that
    stand behind requests.
    """

    desk: Desk
    outcome: Outcome
    need: Need
    findings: Mapping[Key, Finding]
    evictions: tuple[Evict, ...]
    provisioning: Mapping[Key, int] = field(default_factory=dict)
    stakes: Mapping[Key, Stake] = field(default_factory=dict)
