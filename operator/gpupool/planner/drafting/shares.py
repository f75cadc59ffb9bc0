"""The shares of a draft: who is promised how much, and what people should look at before they apply it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gpupool.model.pool import Share
from gpupool.model.snapshot import Snapshot
from gpupool.planner.drafting.draft import Draft


def shares(
    snapshot: Snapshot, teams: Mapping[str, str], drafts: Sequence[Draft]
) -> tuple[tuple[Share, ...], dict[str, tuple[str, ...]]]:
    """Shares for namespaces without one, and shares that get more namespaces."""
    bare = {n.name for n in snapshot.namespaces if n.team is None and not n.system}
    by_team: dict[str, list[str]] = defaultdict(list)
    for name in sorted(bare & {d.workload.namespace for d in drafts}):
        by_team[teams[name]].append(name)
    known = {s.team: s for s in snapshot.pool.shares}
    widened = {t: tuple(n) for t, n in by_team.items() if t in known and known[t].selector is None}
    added = []
    for team, names in sorted(by_team.items()):
        if team not in widened:
            # A share that selects its namespaces by label cannot list more: this one stands beside it.
            label = f"{team[:50]}-adopted" if team in known else team
            added.append(Share(label, tuple(names), guaranteed=_asked(drafts, names)))
    return tuple(added), widened


def _asked(drafts: Iterable[Draft], namespaces: Sequence[str]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for draft in drafts:
        if draft.workload.namespace in namespaces:
            total[draft.workload.resource] += draft.gpus
    return dict(total)


def fitting(snapshot: Snapshot, added: Sequence[Share]) -> tuple[tuple[Share, ...], bool]:
    """The new shares with guarantees that the pool can keep; whether all that is asked could be."""
    room = {r: _room(snapshot, r) for r in snapshot.pool.resources}
    total: dict[str, int] = defaultdict(int)
    for share in added:
        for resource, count in share.guaranteed.items():
            total[resource] += count
    if all(total[r] <= room[r] for r in total):
        return tuple(added), True
    left, kept = dict(room), []
    for share in added:
        given = {r: min(n, max(0, left[r])) for r, n in share.guaranteed.items()}
        left = {r: n - given.get(r, 0) for r, n in left.items()}
        kept.append(replace(share, guaranteed=given))
    return tuple(kept), False


def _room(snapshot: Snapshot, resource: str) -> int:
    """What may still be guaranteed."""
    pool = snapshot.pool
    total = pool.declared.get(resource, sum(n.gpus.get(resource, 0) for n in snapshot.nodes))
    promised = sum(s.guaranteed.get(resource, 0) for s in pool.shares)
    return total - pool.reserve.get(resource, 0) - promised


def remarks(
    snapshot: Snapshot,
    added: Sequence[Share],
    drafts: Sequence[Draft],
    teams: Mapping[str, str],
    *,
    fits: bool,
) -> Iterable[str]:
    """What people should look at, a sentence each."""
    if not fits:
        yield (
            "The drafts ask for more than the pool can guarantee, so the last shares are promised less:"
            " divide the guarantees by hand, or let some requests be preemptible."
        )
    for share in snapshot.pool.shares:
        names = [n for n, team in teams.items() if team == share.team]
        for resource, asked in sorted(_asked(drafts, names).items()):
            kept = share.guaranteed.get(resource, 0)
            if asked > kept:
                yield (
                    f"Share {share.team} guarantees {kept} {resource}, its drafts ask for {asked}:"
                    " raise it, or let some requests be preemptible, or they are refused."
                )
    if not drafts:
        yield "Every GPU that is held has a request that answers for it: there is nothing to draft."
    unknown = sum(1 for d in drafts if d.contact is None)
    if unknown:
        yield f"{unknown} drafts name nobody to talk to: replace UNKNOWN before you apply them."
    if any(s.team.endswith("-adopted") for s in added):
        yield "Shares that end in -adopted stand beside one that selects its namespaces by label: merge them."
