"""Keeps pods from outside away from the pools: what belongs to no single pool, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from gpupool.applier.outsiderset import OutsiderSet
from gpupool.applier.policies.outside_probe import kept_name
from gpupool.applier.policyset import PolicySet
from gpupool.model.objects import Pod
from gpupool.model.outsiders import OutsiderFacts, Outsiders, SetOutsiders
from gpupool.model.pool import Mode
from gpupool.model.world import Template, World
from gpupool.policy.membership import Membership
from gpupool.policy.outsiders import acting, objection, outside, outsiders
from gpupool.runtime.proof import RETRY, Proof
from gpupool.runtime.rehearsal import Rehearsal, Scene

PATIENCE = 60.0
"""Seconds for which all wait for a pool whose policies could not be written once."""


class OutsiderWatch:
    """Decides, writes and proves.

    Args:
        kept: the policies and pods.
        policies: what the pools have asked for; their modes follow from it.
        setting: the chart's.
        denies: whether the binding that stands refuses, for a process that has just begun.

    Attributes:
        facts: what was read back.
    """

    def __init__(
        self,
        kept: OutsiderSet,
        policies: PolicySet,
        setting: Outsiders,
        denies: Callable[[], bool] = lambda: False,
    ) -> None:
        self.facts = OutsiderFacts(known=())
        self._undecided: dict[str, float] = {}
        self._denies = denies
        self._rehearsal = Rehearsal(lambda: None)  # the next turn comes soon by itself
        self._trying = False
        self._kept = kept
        self._policies = policies
        self._setting = setting
        self._asked: SetOutsiders | None = None
        self._proof = Proof()

    async def turn(self, world: World, found: Membership, *, epoch: int) -> bool:
        """One turn; True when what was read back is other than before, which concerns every pool.

        Nothing is changed before every pool was decided once: after a restart nobody's mode is known. One
        that is not for long counts as what stands of it, so that it does not keep others from being released.
        """
        modes = self._modes(world)
        if modes is None:
            return False
        before, known = self.facts, self._asked
        templates = outside(world, found, self._kept.probe_namespace)
        free = outsiders(world, found, modes, self._setting)
        held = "" if free is None else self._held(world, modes, templates, free)
        asked = outsiders(world, found, modes, self._setting, held=held)
        await self._kept.ensure(asked, epoch=epoch)
        await self._keep_pods(world, modes, epoch)
        current = self._kept.current(asked)
        self._asked = asked
        if not (current and known == asked):
            self._proof.forget()
        self.facts = OutsiderFacts(
            stands=asked is not None,
            current=current,
            held="" if asked is None else asked.held,
            probe=self._proof.found,
            known=tuple(sorted(p.uid for p in world.pools)),
        )
        if asked is not None and current:
            await self._prove(asked)
        await self._rehearse(asked, templates)
        return self.facts != before

    def _held(
        self, world: World, modes: Mapping[str, Mode], templates: tuple[Template, ...], asked: SetOutsiders
    ) -> str:
        """Why pods are warned and not refused yet. A gate for entering: once they are refused it is open."""
        refused = self._denies() if self._asked is None else self._asked.deny
        hurry = any(p.enforce_now and modes.get(p.name) is Mode.ENFORCE for p in world.pools)
        free = refused or hurry or self._setting is not Outsiders.AUTO
        if not free:  # what was said before resources were governed that now are counts no more
            self._rehearsal.look(self._scene(asked, proved=False), templates)
        replays = () if free else self._rehearsal.replays(templates)
        self._trying = any(r.refusal is None for r in replays)
        return objection(replays)

    async def _rehearse(self, asked: SetOutsiders | None, templates: tuple[Template, ...]) -> None:
        """Try what runs outside the pools, as long as nobody there is refused."""
        proved = self.facts.current and self._proof.complete
        stands = None if asked is None or asked.deny else self._scene(asked, proved=proved)
        self._rehearsal.look(stands, templates)
        await self._rehearsal.turn()

    def _scene(self, asked: SetOutsiders, *, proved: bool) -> Scene:
        """What templates are tried under. Pools and homes come and go without changing an answer."""
        return Scene("outsiders", asked.counting, self._kept.rehearse, proved=proved)

    def pause(self, longest: float) -> float:
        """Seconds until the next turn, when nothing happens."""
        unproved = self.facts.stands and not self._proof.complete
        return min(longest, RETRY) if unproved or self._trying else longest

    def _modes(self, world: World) -> Mapping[str, Mode] | None:
        modes: dict[str, Mode] = {}
        now = time.monotonic()
        asked = [(p, self._policies.asked(p)) for p in world.pools]
        self._undecided = {p.uid: self._undecided.get(p.uid, now) for p, a in asked if a is None}
        for pool, said in asked:
            if said is not None:
                modes[pool.name] = acting(pool, said)
            elif now - self._undecided[pool.uid] < PATIENCE:
                return None
            else:
                modes[pool.name] = Mode.ENFORCE if self._policies.bound(pool.name) else Mode.OBSERVE
        return modes

    async def _prove(self, asked: SetOutsiders) -> None:
        if self._proof.due():
            self._proof.note(await self._kept.probe(asked))
            self.facts = replace(self.facts, probe=self._proof.found)

    async def _keep_pods(self, world: World, modes: Mapping[str, Mode], epoch: int) -> None:
        kept = {kept_name(p.name) for p in world.pools}
        present: dict[str, Pod] = {
            p.key.name: p
            for p in world.pods
            if p.key.namespace == self._kept.probe_namespace and p.key.name in kept and not p.terminating
        }
        enforced = [p for p in world.pools if modes.get(p.name) is Mode.ENFORCE]
        await self._kept.keep_pods(enforced, present, epoch=epoch)
