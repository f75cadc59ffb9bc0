"""Keeps pods from outside away from the pools: what belongs to no single pool, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from gpupool.applier.outsiderset import OutsiderSet
from gpupool.applier.policies.outside_probe import kept_name
from gpupool.applier.policyset import PolicySet
from gpupool.model.outsiders import OutsiderFacts, Outsiders, SetOutsiders
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Pod
from gpupool.model.world import World
from gpupool.policy.membership import Map
from gpupool.policy.outsiders import acting, outsiders

PROBE_PAUSE = 30.0
"""Seconds between two probes of policies that nobody touched."""
PROBE_RETRY = 1.0
"""Seconds until policies that do not deny yet are probed again: they take effect a moment after writing."""


class OutsiderWatch:
    """Decides, writes and proves.

    Args:
        kept: the policies and pods.
        policies: what the pools have asked for; their modes follow from it.
        setting: the chart's.

    Attributes:
        facts: what was read back.
        held: why nobody is to be refused yet, and pods are warned about instead; empty if nothing is against
            it. Whoever finds out that a running controller would be denied sets it.
    """

    def __init__(self, kept: OutsiderSet, policies: PolicySet, setting: Outsiders) -> None:
        self.facts = OutsiderFacts()
        self.held = ""
        self._kept = kept
        self._policies = policies
        self._setting = setting
        self._asked: SetOutsiders | None = None
        self._probed = 0.0

    async def turn(self, world: World, found: Map, *, epoch: int) -> bool:
        """One turn; True when what was read back is other than before, which concerns every pool.

        Nothing is changed before every pool was decided once: after a restart nobody's mode is known.
        """
        modes = self._modes(world)
        if modes is None:
            return False
        before, known = self.facts, self._asked
        asked = outsiders(world, found, modes, self._setting, held=self.held)
        await self._kept.ensure(asked, epoch=epoch)
        await self._keep_pods(world, modes, epoch)
        current = self._kept.current(asked)
        self._asked = asked
        same = current and known == asked
        self.facts = OutsiderFacts(
            stands=asked is not None,
            current=current,
            held="" if asked is None else asked.held,
            probe=before.probe if same else None,
        )
        if asked is not None and current:
            await self._prove(asked)
        return self.facts != before

    def pause(self, longest: float) -> float:
        """Seconds until the next turn, when nothing happens."""
        unproved = self.facts.stands and self.facts.probe != ()
        return min(longest, PROBE_RETRY) if unproved else longest

    def _modes(self, world: World) -> Mapping[str, Mode] | None:
        asked = [(p, self._policies.asked(p)) for p in world.pools]
        if any(a is None for _, a in asked):
            return None
        return {p.name: acting(p, a) for p, a in asked if a is not None}

    async def _prove(self, asked: SetOutsiders) -> None:
        pause = PROBE_PAUSE if self.facts.probe == () else PROBE_RETRY
        if self.facts.probe is not None and time.monotonic() - self._probed < pause:
            return
        found = await self._kept.probe(asked)
        self._probed = time.monotonic()
        self.facts = replace(self.facts, probe=found)

    async def _keep_pods(self, world: World, modes: Mapping[str, Mode], epoch: int) -> None:
        kept = {kept_name(p.name) for p in world.pools}
        present: dict[str, Pod] = {
            p.key.name: p
            for p in world.pods
            if p.key.namespace == self._kept.probe_namespace and p.key.name in kept and not p.terminating
        }
        enforced = [p for p in world.pools if modes.get(p.name) is Mode.ENFORCE]
        await self._kept.keep_pods(enforced, present, epoch=epoch)
