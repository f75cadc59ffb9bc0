"""Who belongs where in one snapshot, looked up once: shares of namespaces, walls, member nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.objects import Namespace
from gpupool.model.pool import Mode, Share
from gpupool.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Territory:
    """The pool's namespaces and nodes.

    Attributes:
        shares: namespace name -> its share; namespaces without a share are absent.
        walled: namespaces whose share has the quota layer enforced.
        nodes: names of the member nodes.
    """

    namespaces: Mapping[str, Namespace]
    shares: Mapping[str, Share]
    walled: frozenset[str]
    nodes: frozenset[str]


def territory_of(snapshot: Snapshot) -> Territory:
    """Look the snapshot over."""
    by_team = {s.team: s for s in snapshot.pool.shares}
    shares = {
        n.name: by_team[n.team] for n in snapshot.namespaces if n.team in by_team and n.team is not None
    }
    modes = {s.team: snapshot.pool.quota_for(s) for s in snapshot.pool.shares}
    return Territory(
        namespaces={n.name: n for n in snapshot.namespaces},
        shares=shares,
        walled=frozenset(n for n, s in shares.items() if modes[s.team] is Mode.ENFORCE),
        nodes=frozenset(n.name for n in snapshot.nodes),
    )
