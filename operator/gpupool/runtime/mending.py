"""What others changed of what we keep: told once, set back, and more slowly where it is a fight.

A wall, a label or a policy of ours is set back for as long as it takes: it is what keeps the pool's promises.
The taint is one entry of a list that others write too, and the policies hold without it; so it is left alone
for a while after two rewrites (law 11).
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from gpupool.model.marks import TAINT
from gpupool.model.objects import Key, Node
from gpupool.model.plan import Action, LabelNamespace, MarkNode, Notice, SetPolicies, SetQuota
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Snapshot
from gpupool.policy.naming import some

Target = tuple[str, str]
"""What is kept, and on which object."""
Marks = dict[Target, str]

LABEL, TAINTED, SPACE, WALL = "label of node", "taint of node", "label of namespace", "quota of namespace"
WINDOW = 600.0
"""Seconds for which a rewrite counts."""
BEARABLE = 2
"""Rewrites within the window after which it is a fight."""
LONGEST = 10.0
"""Seconds between two repairs in a fight, at most; walls never wait."""


@dataclass(slots=True)
class Mending:
    """Of one pool.

    Args:
        monotonic: seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    _stood: Marks = field(default_factory=dict)
    _undone: set[Target] = field(default_factory=set)
    _rewrites: defaultdict[Target, list[float]] = field(default_factory=lambda: defaultdict(list))

    def sift(self, snapshot: Snapshot, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Note which actions set back what somebody changed; returns those that may be done now."""
        stands, wanted, kept = _stands(snapshot), dict[Target, str](), list[Action]()
        for action in actions:
            marks = _wanted(action)
            wanted |= marks
            for target, mark in marks.items():
                if mark and self._stood.get(target) == mark != stands.get(target):
                    self._note(target)
            kept += self._now(action, snapshot)
        self._undone &= wanted.keys()
        self._stood = dict(self._still(snapshot.pool.name, stands, wanted))
        return tuple(kept)

    def done(self, pool: Pool, actions: Iterable[Action], policies: Iterable[Target]) -> tuple[Notice, ...]:
        """What was set back, as Events.

        Args:
            pool: whose.
            actions: those the server confirmed.
            policies: kind and name of admission objects that were written back.
        """
        written: Marks = {}
        for action in actions:
            written |= _wanted(action)
        self._stood |= {t: m for t, m in written.items() if m}
        mended = [t for t in written if t in self._undone]
        for target in policies:
            self._note(target)
            mended.append(target)
        self._undone -= set(mended)
        told: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for target in mended:
            told[target[0], min(len(self._recent(target)), BEARABLE + 1)].append(target[1])
        return tuple(_notice(pool, *about, names) for about, names in told.items())

    def contested(self) -> tuple[str, ...]:
        """What is being fought over."""
        return tuple(sorted(" ".join(t) for t in list(self._rewrites) if self._fights(t)))

    def _still(self, pool: str, stands: Marks, wanted: Marks) -> Iterable[tuple[Target, str]]:
        """What stands as it should, or did before somebody changed it."""
        for target, mark in stands.items():
            before = self._stood.get(target, "")
            others = target[0] in {LABEL, SPACE} and mark != pool
            if target not in wanted and mark and not others:
                yield target, mark
            elif before and wanted.get(target, before) == before:
                yield target, before
        yield from ((t, m) for t, m in self._stood.items() if t not in stands and wanted.get(t) == m)

    def _note(self, target: Target) -> None:
        if target not in self._undone:
            self._rewrites[target] = [*self._recent(target), self.monotonic()]
            self._undone.add(target)

    def _recent(self, target: Target) -> list[float]:
        now = self.monotonic()
        return [at for at in self._rewrites.get(target, ()) if now - at < WINDOW]

    def _fights(self, target: Target) -> bool:
        return len(self._recent(target)) > BEARABLE

    def _waits(self, target: Target) -> bool:
        """Whether a contested thing is left as it is for now."""
        times = self._recent(target)
        if target[0] == WALL or len(times) <= BEARABLE:
            return False
        pause = WINDOW if target[0] == TAINTED else min(LONGEST, 2.0 ** (len(times) - BEARABLE))
        return self.monotonic() - times[-1] < pause

    def _now(self, action: Action, snapshot: Snapshot) -> list[Action]:
        """The action, or what of it need not wait."""
        match action:
            case LabelNamespace():
                return [] if self._waits((SPACE, action.namespace)) else [action]
            case SetPolicies():
                return [] if any(self._waits(t) for t in list(self._rewrites) if _admission(t)) else [action]
            case MarkNode() if self._waits((LABEL, action.node)):
                return []
            case MarkNode() if self._waits((TAINTED, action.node)):
                node = next((n for n in snapshot.nodes if n.name == action.node), None)
                labelled = node is not None and node.pool_label == action.pool
                return [] if labelled else [replace(action, taint=node is not None and bool(_taint(node)))]
            case _:
                return [action]


def _admission(target: Target) -> bool:
    return target[0] not in {LABEL, TAINTED, SPACE, WALL}


def _stands(snapshot: Snapshot) -> Marks:
    """What the pool's objects carry of ours."""
    found: Marks = {}
    for node in snapshot.nodes:
        found[LABEL, node.name] = node.pool_label or ""
        found[TAINTED, node.name] = _taint(node)
    for namespace in snapshot.namespaces:
        found[SPACE, namespace.name] = namespace.pool_label or ""
        if namespace.quota is not None:
            unmarked = "" if namespace.quota.labelled else " without labels"
            found[WALL, namespace.name] = _wall(namespace.quota.hard) + unmarked
    return found


def _taint(node: Node) -> str:
    return ",".join(t for t in node.taints if t.startswith(f"{TAINT}="))


def _wall(hard: Mapping[str, int]) -> str:
    return json.dumps(dict(hard), sort_keys=True)


def _wanted(action: Action) -> Marks:
    """What an action makes of its object; empty marks are taken away."""
    match action:
        case MarkNode():
            taint = f"{TAINT}={action.pool}:NoSchedule" if action.taint else ""
            return {(LABEL, action.node): action.pool or "", (TAINTED, action.node): taint}
        case LabelNamespace():
            return {(SPACE, action.namespace): action.pool or ""}
        case SetQuota():
            return {(WALL, action.namespace): _wall(action.hard)}
        case _:
            return {}


def _notice(pool: Pool, what: str, times: int, names: list[str]) -> Notice:
    told = f"Somebody else changed the {what} {some(sorted(names))}: it"
    if times > BEARABLE:
        left = "is left for ten minutes" if what == TAINTED else "is set back, more slowly from now on"
        return _tell(pool, "Conflict", f"{told} is rewritten again and again, and {left}.")
    again = " for the second time within ten minutes" if times == BEARABLE else ""
    return _tell(pool, "Repaired", f"{told} was set back{again}.")


def _tell(pool: Pool, reason: str, message: str) -> Notice:
    return Notice("GpuPool", Key("", pool.name), pool.uid, reason, message, warning=True)
