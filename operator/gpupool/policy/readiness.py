"""Readiness by rehearsal: a share enters Enforce once none of its live templates would be denied there.

The gate is for entering only. A share that is judged already stays judged, whatever templates come later: the
API server tells their owners. Shares that wait are treated as in Recommend, all of them until all are ready,
and `gpupool.dev/enforce-now` on the pool opens the gate at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gpupool.model.enforcement import Replay
from gpupool.model.objects import Namespace
from gpupool.model.pool import Mode, Pool, Share, weaker
from gpupool.model.snapshot import Snapshot

ISOLATION, QUOTA, RECLAIM = "isolation", "quota", "reclaim"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of live templates: refused, let in, not known (yet, or any more)."""

    denied: tuple[Replay, ...] = ()
    passed: tuple[Replay, ...] = ()
    unknown: tuple[Replay, ...] = ()

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.denied) + len(self.passed) + len(self.unknown)

    @property
    def clear(self) -> bool:
        """Whether every one of them was let in."""
        return not self.denied and not self.unknown


def hold(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the modes that may act now: where shares must wait, they stand at Recommend."""
    pool = snapshot.pool
    entering = {s.team for s in pool.shares if _enters(snapshot, s)}
    if not entering or pool.enforce_now or _of(snapshot, entering).clear:
        return snapshot
    shares = tuple(replace(s, waits=_layers(snapshot, s)) if s.team in entering else s for s in pool.shares)
    return replace(snapshot, pool=_lowered(replace(pool, shares=shares)))


def waiting(pool: Pool) -> tuple[Share, ...]:
    """The shares that are held back."""
    return tuple(s for s in pool.shares if s.waits)


def rehearsed(snapshot: Snapshot) -> Rehearsed:
    """The templates of all shares whose isolation is more than observed."""
    pool = snapshot.pool
    return _of(snapshot, {s.team for s in pool.shares if pool.isolation_for(s) is not Mode.OBSERVE})


def _of(snapshot: Snapshot, teams: set[str]) -> Rehearsed:
    names = {n.name for n in snapshot.namespaces if n.team in teams}
    found = [r for r in snapshot.enforcement.replays if r.namespace in names]
    return Rehearsed(
        denied=tuple(r for r in found if r.refusal),
        passed=tuple(r for r in found if r.refusal == ""),
        unknown=tuple(r for r in found if r.refusal is None),
    )


def _enters(snapshot: Snapshot, share: Share) -> bool:
    """Whether a share's pods are to be judged and are not yet.

    Judged are namespaces with the label. One that lost it while our quota and the denying policy stand was
    judged before: it gets its label back, whatever its templates say.
    """
    if snapshot.pool.isolation_for(share) is not Mode.ENFORCE:
        return False
    own = tuple(_own(snapshot, share))
    bound = snapshot.enforcement.bound and _walled(snapshot, own)
    return not bound and not any(n.pool_label == snapshot.pool.name for n in own)


def _layers(snapshot: Snapshot, share: Share) -> frozenset[str]:
    """What waits: everything, save a wall that stands already."""
    walled = _walled(snapshot, _own(snapshot, share))
    return frozenset({ISOLATION} if walled else {ISOLATION, QUOTA, RECLAIM})


def _own(snapshot: Snapshot, share: Share) -> Iterable[Namespace]:
    return (n for n in snapshot.namespaces if n.team == share.team)


def _walled(snapshot: Snapshot, namespaces: Iterable[Namespace]) -> bool:
    return any(n.quota is not None and n.quota.pool == snapshot.pool.name for n in namespaces)


def _lowered(pool: Pool) -> Pool:
    """The pool's own modes follow where nobody is left whom they could concern."""
    if Mode.ENFORCE in {pool.isolation_for(s) for s in pool.shares}:
        return pool
    whole = all(QUOTA in s.waits for s in waiting(pool))
    quota = weaker(pool.quota_mode, Mode.RECOMMEND) if whole else pool.quota_mode
    reclaim = weaker(pool.reclaim.mode, Mode.RECOMMEND) if whole else pool.reclaim.mode
    return replace(
        pool,
        mode=weaker(pool.mode, Mode.RECOMMEND),
        isolation_mode=weaker(pool.isolation_mode, Mode.RECOMMEND),
        quota_mode=quota,
        reclaim=replace(pool.reclaim, mode=reclaim),
    )
