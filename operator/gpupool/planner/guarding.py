"""What is written about a rollout that is bad: paused, turned back once, let go. Same snapshot, same plan.

Only with the owner's consent (law 11), only on a verdict of this very look, and never against somebody: a
pause of others is not touched, one that they lift is not set again, and a template that comes again after we
turned it back stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gpupool.model.objects import Key
from gpupool.model.rollout import (
    Acted,
    GuardMode,
    PauseRollout,
    ResumeRollout,
    Revision,
    Rollable,
    RollBack,
    RolloutWrite,
    Verdict,
)
from gpupool.model.rolloutnote import PAUSE, ROLLBACK
from gpupool.model.slo import Slo
from gpupool.model.steering import Target
from gpupool.planner.consent import dispute, same_target, unenforced
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.rollouts import Guarded, conditions
from gpupool.policy.slo.grant import NOWHERE, Place


@dataclass(frozen=True, slots=True)
class GuardScene:
    """One endpoint whose rollout is guarded.

    Attributes:
        slo: the promise.
        target: its workload; None where it is not there.
        place: what surrounds it.
        source: the ReplicaSet that keeps the good revision's template; empty where there is none.
    """

    slo: Slo
    target: Target | None = None
    place: Place = NOWHERE
    source: str = ""


@dataclass(frozen=True, slots=True)
class GuardSnapshot:
    """All that one turn of guarding is made of.

    Attributes:
        scenes: the endpoints.
        noted: Deployments that carry a note of ours.
        blind: why nothing may be written now; else empty.
        disputed: namespaces that two pools claim.
        unread: an InferenceSLO cannot be read: nothing is let go for want of one.
    """

    scenes: Mapping[Key, GuardScene] = field(default_factory=dict)
    noted: tuple[Target, ...] = ()
    blind: str = ""
    disputed: frozenset[str] = frozenset()
    unread: bool = False


class GuardPlan(NamedTuple):
    """The statuses with what was done, and what is written."""

    statuses: tuple[SloStatus, ...]
    writes: tuple[RolloutWrite, ...]


class _Step(NamedTuple):
    """What comes of one endpoint: a reason and a sentence, a write, whether what stands stays."""

    action: str = ""
    said: str = ""
    write: RolloutWrite | None = None
    keeps: bool = False


NOTHING = _Step()


def plan_guard(snapshot: GuardSnapshot, statuses: Iterable[SloStatus]) -> GuardPlan:
    """Decide for every endpoint; whatever we noted for nobody any more is taken off."""
    told: list[SloStatus] = []
    writes: list[RolloutWrite] = []
    kept: set[Key] = set()
    for status in statuses:
        scene = snapshot.scenes.get(status.key)
        if scene is None or status.guarded is None:
            told.append(status)
            continue
        step = _endpoint(snapshot, scene, status, status.guarded)
        told.append(_told(status, replace(status.guarded, action=step.action, said=step.said)))
        writes += [] if step.write is None else [step.write]
        if scene.target is not None and (step.keeps or step.write is not None):
            kept.add(scene.target.key)
    if not (snapshot.blind or snapshot.unread):
        writes += [let_go(t.key, t.rollable) for t in snapshot.noted if t.rollable and t.key not in kept]
    return GuardPlan(tuple(told), tuple(writes))


def _told(status: SloStatus, found: Guarded) -> SloStatus:
    return replace(status, guarded=found, conditions=(*status.conditions, *conditions(found)))


def let_go(target: Key, found: Rollable) -> ResumeRollout:
    """What takes us off a Deployment that nobody guards any more."""
    paused = found.paused and found.ours
    return ResumeRollout(None, target, found.uid, found.version, paused, "nobody guards it any more")


# ------------------------------------------------------------------ one endpoint


def _endpoint(snapshot: GuardSnapshot, scene: GuardScene, status: SloStatus, found: Guarded) -> _Step:
    mode = scene.slo.guard
    if mode not in {GuardMode.PAUSE, GuardMode.ROLLBACK}:
        return NOTHING
    if why := _unconsented(scene, status):
        return why if _bad(found) else NOTHING
    if unknown := snapshot.blind or dispute(scene.slo.key.namespace, snapshot.disputed):
        return _Step("NotKnown", unknown, keeps=True)
    if scene.target is None or scene.target.rollable is None:
        text = (
            f"{scene.slo.target} is no Deployment with GPUs: its rollout is judged, and nothing is written."
        )
        return _Step("NoDeployment", text) if _bad(found) else NOTHING
    step = _pausing if mode is GuardMode.PAUSE else _turning_back
    return step(scene, scene.target, scene.target.rollable, found)


def _unconsented(scene: GuardScene, status: SloStatus) -> _Step | None:
    if same_target(status):
        return _Step("SameTarget", "An older InferenceSLO answers for the workload: nothing is written.")
    text = unenforced(scene.place)
    return _Step("PoolNotEnforced", text) if text else None


def _bad(found: Guarded) -> Revision | None:
    """The revision that is bad and is what the template makes now."""
    memory = found.memory
    candidate = memory.candidate
    if memory.verdict is not Verdict.BAD or candidate is None or candidate.name != found.release.newest:
        return None
    return candidate


# ------------------------------------------------------------------ pause


def _pausing(scene: GuardScene, target: Target, now: Rollable, found: Guarded) -> _Step:
    bad = _bad(found)
    if _paused_by_us(now):
        if bad is not None and now.acted[-1].template == now.template:
            return _Step("Paused", f"Its rollout is paused by us. {_way_out(target)}", keeps=True)
        return _resumed(scene, target, now, _why(bad, found))
    if bad is None:
        return _Step(keeps=bool(now.acted))
    if reason := _no_pause(target, now, found, bad):
        return _Step(*reason, keeps=True)
    acted = (*now.acted, Acted(PAUSE, bad.name, now.template))
    write = PauseRollout(scene.slo.key, target.key, now.uid, now.version, acted)
    return _Step("Pausing", "Its rollout is being paused.", write)


def _no_pause(target: Target, now: Rollable, found: Guarded, bad: Revision) -> tuple[str, str] | None:
    """Why a rollout that is bad is not paused."""
    if any(a.action == PAUSE and a.revision == bad.name for a in now.acted):
        return "Overruled", "Somebody resumed what we paused: it is not paused again."
    if now.paused:
        return "PausedByOthers", "Its rollout is paused by somebody else already."
    if not found.release.of(_name(found.memory.stable)).pods:
        text = f"No pod of the old revision is left, so there is nothing to pause. {_way_out(target)}"
        return "RolledOut", text
    return None if found.watched.fresh else ("", "")


def _paused_by_us(now: Rollable) -> bool:
    return now.paused and now.ours and bool(now.acted) and now.acted[-1].action == PAUSE


def _why(bad: Revision | None, found: Guarded) -> str:
    if bad is not None:
        return "its template was changed"
    return "the revision is good" if found.memory.verdict is Verdict.PROMOTE else "another revision came"


def _resumed(scene: GuardScene, target: Target, now: Rollable, why: str) -> _Step:
    write = ResumeRollout(scene.slo.key, target.key, now.uid, now.version, paused=True, why=why)
    return _Step("Resuming", f"Its rollout goes on: {why}.", write)


def _way_out(target: Target) -> str:
    name, where = target.key.name, target.key.namespace
    return (
        f"To go back: kubectl -n {where} rollout resume deployment/{name} && kubectl -n {where} rollout undo"
        f" deployment/{name}; a new template is let through by itself."
    )


# ------------------------------------------------------------------ and back


def _turning_back(scene: GuardScene, target: Target, now: Rollable, found: Guarded) -> _Step:
    if _paused_by_us(now):
        return _resumed(scene, target, now, "rollout.guard is Rollback")
    bad, stable = _bad(found), _name(found.memory.stable)
    if bad is None:
        return _Step(*_back(now, found), keeps=bool(now.acted))
    if reason := _no_way_back(scene, now, found, bad):
        return _Step(*reason, keeps=True)
    acted = (*now.acted, Acted(ROLLBACK, bad.name, now.template, stable))
    write = RollBack(scene.slo.key, target.key, now.uid, now.version, scene.source, acted)
    return _Step("RollingBack", f"The template of revision {stable} is being set back.", write)


def _no_way_back(scene: GuardScene, now: Rollable, found: Guarded, bad: Revision) -> tuple[str, str] | None:
    """Why a revision that is bad is not turned back."""
    stable = _name(found.memory.stable)
    if any(a.action == ROLLBACK and a.revision == bad.name for a in now.acted):
        text = (
            f"We set the template of {stable} back once, and somebody wrote that of {bad.name} again: it"
            " stays. Mend it where it is kept (with GitOps: in the repository)."
        )
        return "Conflict", text
    if now.paused:
        return "PausedByOthers", "It is paused by somebody: a paused rollout cannot go back."
    if not scene.source:
        return "NoTemplate", f"The ReplicaSet of revision {stable} is gone: nothing to go back to."
    return None if found.watched.fresh else ("", "")


def _back(now: Rollable, found: Guarded) -> tuple[str, str]:
    """What is said of a revision that is turned back."""
    candidate = found.memory.candidate
    if candidate is None or found.memory.verdict is not Verdict.BAD:
        return "", ""
    done = [a for a in now.acted if a.action == ROLLBACK and a.revision == candidate.name]
    if not done:
        return "", ""
    return "RolledBack", f"The template of revision {done[-1].to} was set back by us, once."


def _name(revision: Revision | None) -> str:
    return "" if revision is None else revision.name
