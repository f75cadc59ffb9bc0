"""From what is remembered to what is believed.

The effective grant is the smaller of what the status says and what our quota says, so that a forged status
mints nothing. Where the status is missing (a new request over running pods, a restore, delete and
recreate), GPUs already held are granted before any new ask, as far as the wall that stands reaches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpupool.model.objects import Key, Namespace, ObjectRef, Priority, Request
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import Books, gpus, held
from gpupool.policy.claims import Claim, guarantee_of, limit_of, remembered
from gpupool.policy.desk import Desk
from gpupool.policy.ledger import Ledger
from gpupool.policy.territory import Territory

UNOWNED_REF = ObjectRef("", "Namespace", "unattributed")
"""Stands for the workload of an implicit grant."""


def timer_name(claim: Claim) -> str:
    """Where a claim's timer stands on the quota; the implicit grant has one per resource."""
    return f"{UNOWNED_REF}/{claim.request.resource}" if claim.unowned else claim.key.name


def claims(snapshot: Snapshot, territory: Territory, books: Books, ledger: Ledger) -> tuple[Claim, ...]:
    """The claims of one resource in serving order, owners' own decreases applied."""
    live: dict[str, set[str]] = defaultdict(set)
    for request in snapshot.requests:
        live[request.key.namespace].add(request.key.name)
    names = {namespace: frozenset(found) for namespace, found in live.items()}
    by_namespace: dict[str, list[Claim]] = defaultdict(list)
    for request in snapshot.requests:
        namespace = request.key.namespace
        if request.resource == ledger.resource and namespace in territory.shares:
            claim = remembered(snapshot, territory, books, request, names[namespace])
            by_namespace[namespace].append(claim)
    claims = [c for name, own in by_namespace.items() for c in _believed(own, ledger, name)]
    adopted = _adopted(sorted(claims, key=Claim.order), ledger)
    return (*adopted, *_implicit(snapshot, territory, books, ledger, adopted))


def _believed(claims: Sequence[Claim], ledger: Ledger, namespace: str) -> list[Claim]:
    """Cut what the status says to what our quota says, in serving order.

    A wall that must not rise yet says nothing of it (`reopen`).
    """
    book = ledger.books[namespace]
    rising = book.opening and ledger.unwalled
    if not book.walled or rising or not any(c.walled for c in claims):
        return list(claims)
    left = max(0, book.allowed - book.implicit)
    believed = []
    for claim in sorted(claims, key=Claim.order):
        allowance = min(claim.allowance, left)
        left -= allowance
        lent_of = claim.timer.granted if claim.timer and claim.stage is Stage.LENT else None
        granted = max(allowance, min(claim.granted, lent_of)) if lent_of is not None else allowance
        believed.append(replace(claim, granted=granted, allowance=allowance))
    return believed


def reopen(desk: Desk) -> None:
    """Behind walls that may rise again, give back what was granted before, ahead of every new ask.

    What no longer fits (somebody took it while no wall stood, or nodes are gone) waits like any other ask.
    """
    if desk.ledger.unwalled:
        return
    known = [c for c in desk.claims if desk.ledger.books[c.key.namespace].opening and not c.unowned]
    for claim in sorted(known, key=lambda c: c.request.preemptible):
        said = claim.request.remembered.allowance
        if claim.stage is Stage.RECALLING or said is None:
            continue
        back = min(said, claim.ask) - claim.allowance
        amount = max(0, min(back, desk.affordable(claim.key.namespace)))
        returned = min(amount, claim.lent)
        desk.give_back(claim.key, returned)
        desk.give(claim.key, amount - returned)


@dataclass(slots=True)
class _Taken:
    """What is spoken for while requests without a status are filled in."""

    granted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    firm: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    walls: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def take(self, claim: Claim, times: int = 1) -> None:
        """Count a claim, or with -1 no more."""
        self.granted[claim.share.team] += times * claim.granted
        self.firm[claim.share.team] += 0 if claim.request.preemptible else times * claim.granted
        self.walls[claim.key.namespace] += times * claim.allowance


def _adopted(claims: Sequence[Claim], ledger: Ledger) -> tuple[Claim, ...]:
    """Fill in requests without a status: first all that they hold, then what is left of our own quota.

    Nobody who runs is cut because an older request that runs nothing is filled in before it.
    """
    taken, found = _Taken(), {c.key: c for c in claims}
    for claim in claims:
        taken.take(claim)
    for fill in (_keep_running, _rebuild):
        for claim in [c for c in found.values() if c.fresh]:
            taken.take(claim, -1)
            found[claim.key] = fill(claim, ledger, taken)
            taken.take(found[claim.key])
    return tuple(found.values())


def _rule(claim: Claim, ledger: Ledger, taken: _Taken) -> int:
    """The most that a request may be given by its share's numbers."""
    team = claim.share.team
    if claim.request.preemptible:
        return max(0, limit_of(claim.share, ledger) - taken.granted[team])
    return max(0, guarantee_of(claim.share, ledger.resource) - taken.firm[team])


def _keep_running(claim: Claim, ledger: Ledger, taken: _Taken) -> Claim:
    """Grant what is held. Behind a wall we granted it ourselves, so numbers edited since do not matter."""
    book = ledger.books[claim.key.namespace]
    if claim.walled and book.walled:
        most = max(0, book.allowed - taken.walls[claim.key.namespace])
    else:
        most = _rule(claim, ledger, taken)
    kept = min(claim.request.gpus, claim.held, most)
    return replace(claim, granted=kept, allowance=kept)


def _rebuild(claim: Claim, ledger: Ledger, taken: _Taken) -> Claim:
    """Add what the quota still says beyond that, and the claim to what is lent out."""
    rule = _rule(claim, ledger, taken)
    allowance = max(claim.allowance, min(claim.request.gpus, rule, _said(claim, ledger, taken)))
    timer = claim.timer
    if timer is None or timer.stage is not Stage.LENT or timer.granted is None:
        return replace(claim, granted=allowance, allowance=allowance)
    # Deleting a request does not end its lending: recreated, it has its claim back and no more.
    return replace(
        claim, granted=max(allowance, min(claim.request.gpus, timer.granted, rule)), allowance=allowance
    )


def _said(claim: Claim, ledger: Ledger, taken: _Taken) -> int:
    """What the quota says beyond others' grants and GPUs without a request, where that is of any use."""
    book = ledger.books[claim.key.namespace]
    if not (claim.walled and book.walled):
        return 0
    left = max(0, book.allowed - taken.walls[claim.key.namespace] - book.implicit)
    return left if left >= claim.request.min_gpus else 0


def _implicit(
    snapshot: Snapshot, territory: Territory, books: Books, ledger: Ledger, claims: Sequence[Claim]
) -> Iterable[Claim]:
    """One unowned claim per walled namespace."""
    by_namespace: Mapping[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_namespace[claim.key.namespace].append(claim)
    for name in sorted(territory.walled):
        yield _unowned(snapshot, territory, books, ledger, territory.namespaces[name], by_namespace[name])


def _unowned(  # noqa: PLR0917 - each source is read
    snapshot: Snapshot,
    territory: Territory,
    books: Books,
    ledger: Ledger,
    namespace: Namespace,
    own: Sequence[Claim],
) -> Claim:
    """The implicit grant: a first quota covers what runs; from then on it only shrinks."""
    book, quota = ledger.books[namespace.name], namespace.quota
    covered = sum(c.allowance for c in own)
    implicit = (
        min(book.implicit, max(0, book.allowed - covered)) if book.walled else max(0, book.used - covered)
    )
    pods = books.unattributed.get(namespace.name, ())
    claim = Claim(
        request=_unowned_request(snapshot, namespace.name, ledger.resource),
        share=territory.shares[namespace.name],
        ask=0,
        granted=implicit,
        allowance=implicit,
        used=gpus(pods, ledger.resource),
        held=held(pods, ledger.resource, territory.nodes),
        demand=0,
        pod_size=max([1, *(p.gpus.get(ledger.resource, 0) for p in pods)]),
        since=snapshot.now,
        walled=True,
    )
    return claim if quota is None else replace(claim, timer=quota.timers.get(timer_name(claim)))


def _unowned_request(snapshot: Snapshot, namespace: str, resource: str) -> Request:
    return Request(
        key=Key(namespace, ""),
        uid="",
        generation=0,
        created=snapshot.now,
        gpus=0,
        min_gpus=0,
        team="",
        contact="",
        expected_utilization=100,
        resource=resource,
        ref=UNOWNED_REF,
        priority=Priority.LOW,
        preemptible=True,
    )
