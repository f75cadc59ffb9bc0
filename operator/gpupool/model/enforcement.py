"""What was read back from the API server about a pool's own objects, and how live templates fare there."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpupool.model.chartguards import ChartGuards
from gpupool.model.outsiders import OutsiderFacts


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a live pod template that was created again, as a dry run, under the pool's policies.

    `owner` is kind and name of its top controller, or of the pod itself. `refusal` is what the policies said
    against it, empty where it was let in, None where that is not known (yet, or any more).
    """

    namespace: str
    owner: str
    refusal: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace} {self.owner}"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What was read back from the API server about the pool's own objects.

    `probe` is None before the first probe, else the names of the attempts that were not refused. `bound` says
    that the policy which denies is bound to the pool's namespaces; `replays` has an entry for every live
    template of its namespaces; `outsiders` is about the policies that all pools share; `contested` names what
    somebody else rewrites again and again; `guards` is what the chart installs.
    """

    policies_current: bool = False
    mutate: bool = False
    probe: tuple[str, ...] | None = None
    bound: bool = False
    replays: tuple[Replay, ...] = ()
    outsiders: OutsiderFacts = field(default_factory=OutsiderFacts)
    contested: tuple[str, ...] = ()
    guards: ChartGuards = field(default_factory=ChartGuards)
