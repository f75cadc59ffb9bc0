"""The arithmetic of giving: walls, commitments and room while one cycle decides.

A desk lives inside one call of the planner. Lowering a wall here gives nothing back: a lowering frees GPUs
only when a later snapshot shows that the quota is in force and use has fallen (law 2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from gpupool.model.objects import Key, Loan
from gpupool.policy.claims import Claim, guarantee_of, limit_of
from gpupool.policy.ledger import Ledger


class Desk:
    """Claims of one resource on the way from the snapshot to the decision.

    Attributes:
        overdue: by namespace, GPUs of loans that are over for longer than a recall may take.
    """

    def __init__(
        self, ledger: Ledger, claims: Iterable[Claim], loans: Mapping[Key, Loan] | None = None
    ) -> None:
        self.ledger = ledger
        self._loans: dict[Key, Loan] = {}
        self._surge: dict[str, int] = defaultdict(int)
        self._over: dict[str, int] = defaultdict(int)
        self.overdue: dict[str, int] = {}
        ordered = sorted(claims, key=Claim.order)
        self._claims = {c.key: c for c in ordered}
        self._homes: dict[str, list[Key]] = defaultdict(list)
        for claim in ordered:
            self._homes[claim.key.namespace].append(claim.key)
        self._walls: dict[str, int] = dict.fromkeys(ledger.books, 0)
        self._granted: dict[str, int] = defaultdict(int)
        self._firm: dict[str, int] = defaultdict(int)
        for claim in self._claims.values():
            self._count(claim, claim.granted, claim.allowance)
        for key, loan in (loans or {}).items():
            self._note(key, loan)
        self._commitment = {n: max(b.commitment, self._behind(n)) for n, b in ledger.books.items()}
        self._kept = self._out = self._committed = 0
        for namespace in ledger.books:
            self._weigh(namespace)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims as they stand now, in serving order (which no decision changes)."""
        return tuple(self._claims.values())

    def of_namespace(self, namespace: str) -> tuple[Claim, ...]:
        """The claims of one namespace, in serving order."""
        return tuple(self._claims[k] for k in self._homes[namespace])

    def claim(self, key: Key) -> Claim:
        """One claim as it stands now."""
        return self._claims[key]

    @property
    def walls(self) -> Mapping[str, int]:
        """What each namespace's quota should say."""
        return self._walls

    def firm(self, team: str) -> int:
        """GPUs granted to a share's requests that are not preemptible."""
        return self._firm[team]

    def slack(self, namespace: str) -> int:
        """GPUs of a namespace that are committed already without a claim on them."""
        return max(0, self._commitment[namespace] - self._behind(namespace) - self.coming_back(namespace))

    @property
    def room(self) -> int:
        """GPUs neither committed nor kept, negative where more is; loans of surge use the reserve."""
        return self.ledger.usable + self.reserve_lent - self._committed - self._kept

    @property
    def committed(self) -> int:
        """GPUs that are or could be taken, lent ones included."""
        return self._committed

    def settling(self) -> int:
        """GPUs that come free by themselves once lowered quotas are in force."""
        books, reserved = self.ledger.books, self.reserved()
        return sum(
            max(0, c - max(self._behind(n), books[n].used) - reserved.get(n, 0))
            for n, c in self._commitment.items()
        )

    @property
    def free(self) -> int:
        """Room before anything was set aside."""
        return self.room + self._kept

    def affordable(self, namespace: str) -> int:
        """The most that may be given in a namespace without breaking law 2."""
        return self.slack(namespace) + max(0, self.room)

    def spare(self, namespace: str) -> int:
        """The most a borrower may be given: nothing while a guarantee is owed, not even slack of its own."""
        return 0 if self.room < 0 else self.affordable(namespace)

    def guarantee_left(self, claim: Claim) -> int:
        """GPUs of the share's guarantee this claim may still take.

        A request that is not preemptible counts before the preemptible ones of its own share, which then
        count as borrowed.
        """
        guaranteed = guarantee_of(claim.share, self.ledger.resource)
        taken = self._granted if claim.request.preemptible else self._firm
        return max(0, min(guaranteed - taken[claim.share.team], self.limit_left(claim)))

    def guaranteed_parts(self) -> dict[Key, int]:
        """GPUs of each claim within its share's guarantee: firm claims first, then in serving order."""
        left: dict[str, int] = {}
        parts: dict[Key, int] = {}
        for claim in sorted(self._claims.values(), key=lambda c: c.request.preemptible):
            team = claim.share.team
            most = left.setdefault(team, guarantee_of(claim.share, self.ledger.resource))
            parts[claim.key] = 0 if claim.unowned else min(most, claim.granted)
            left[team] = most - parts[claim.key]
        return parts

    def beyond_guarantee(self, claim: Claim) -> int:
        """GPUs the firm claims of its share have above the guarantee, after an edit of either."""
        return max(0, self._firm[claim.share.team] - guarantee_of(claim.share, self.ledger.resource))

    def guarantee_owed(self, claim: Claim) -> int:
        """GPUs that borrowers of other shares may be asked to return for this claim."""
        guaranteed = guarantee_of(claim.share, self.ledger.resource)
        return max(0, guaranteed - self._granted[claim.share.team])

    def limit_left(self, claim: Claim) -> int:
        """GPUs up to the share's limit."""
        return max(0, limit_of(claim.share, self.ledger) - self._granted[claim.share.team])

    def borrowed(self, claim: Claim) -> int:
        """GPUs of the claim's share above its guarantee."""
        return max(0, self._granted[claim.share.team] - guarantee_of(claim.share, self.ledger.resource))

    def keep(self, amount: int) -> None:
        """Set room aside for a guarantee; what is missing makes the room negative."""
        self._kept += amount

    def give(self, key: Key, amount: int) -> None:
        """Raise a claim's grant and allowance."""
        claim = self._claims[key]
        self._change(claim, granted=claim.granted + amount, allowance=claim.allowance + amount)

    def give_back(self, key: Key, amount: int) -> None:
        """Return lent GPUs to their owner: the allowance rises, the grant stays."""
        claim = self._claims[key]
        self._change(claim, granted=claim.granted, allowance=claim.allowance + amount)

    def lend(self, key: Key, allowance: int) -> None:
        """Lower what may be used; the claim stays (law 7)."""
        claim = self._claims[key]
        self._change(claim, granted=claim.granted, allowance=min(allowance, claim.allowance))

    def cut(self, key: Key, granted: int) -> None:
        """Lower grant and allowance: an owner's decrease, a recall, a release."""
        claim = self._claims[key]
        kept = min(granted, claim.granted)
        self._change(claim, granted=kept, allowance=min(claim.allowance, kept))

    # ------------------------------------------------------------------ surge

    @property
    def loans(self) -> Mapping[Key, Loan]:
        """Loans of surge by namespace, workload and resource."""
        return self._loans

    @property
    def on_loan(self) -> int:
        """GPUs of all loans, those included that are over and still committed."""
        return self._out

    @property
    def surge(self) -> int:
        """GPUs of the loans that stand."""
        return sum(self._surge.values())

    @property
    def reserve_lent(self) -> int:
        """GPUs of the reserve that are lent to rolling updates."""
        return min(self.ledger.reserve, self._out)

    def coming_back(self, namespace: str) -> int:
        """GPUs of loans that are over, as far as they are still committed."""
        return min(self._over[namespace], max(0, self._commitment[namespace] - self._behind(namespace)))

    def reserved(self) -> dict[str, int]:
        """By namespace, GPUs of loans that are over and go back to the reserve: nobody else gains by them."""
        back = {n: found for n in self.ledger.books if (found := self.coming_back(n))}
        left = sum(back.values()) - self.gained(self._out) + self.gained(self.surge)
        kept: dict[str, int] = {}
        for namespace, gpus in back.items():
            kept[namespace] = min(gpus, left)
            left -= kept[namespace]
        return kept

    def gained(self, loans: int) -> int:
        """GPUs that are free for others once so many that are lent are back."""
        return max(0, loans - self.ledger.reserve)

    def lend_surge(self, key: Key, loan: Loan | None) -> None:
        """Let a rolling update have GPUs beside all grants, or end that; None forgets what is back."""
        with self._weighed(key.namespace):
            self._note(key, loan)

    def _note(self, key: Key, loan: Loan | None) -> None:
        before = self._loans.pop(key, None)
        for found, times in ((before, -1), (loan, 1)):
            if found is not None:
                name = key.namespace
                self._surge[name] += times * found.gpus
                self._over[name] += times * found.over
                self._walls[name] = self._walls.get(name, 0) + times * found.gpus
        if loan is not None:
            self._loans[key] = loan

    # ------------------------------------------------------------------ books

    def mark(self, claim: Claim) -> None:
        """Replace a claim's timer, or what it asks for; grant and allowance must not change here."""
        self._claims[claim.key] = claim

    def _behind(self, namespace: str) -> int:
        """What may be used behind a wall: what it says, and pods that it does not count any more."""
        return self._walls[namespace] + self.ledger.books[namespace].lingering

    def _weigh(self, namespace: str, times: int = 1) -> None:
        """Count a namespace's commitment and loans, or with -1 no more."""
        self._committed += times * self._commitment[namespace]
        self._out += times * (self._surge[namespace] + self.coming_back(namespace))

    @contextmanager
    def _weighed(self, namespace: str) -> Iterator[None]:
        """A change behind a wall: what is committed only grows by it (law 2)."""
        self._weigh(namespace, -1)
        yield
        self._commitment[namespace] = max(self._commitment[namespace], self._behind(namespace))
        self._weigh(namespace)

    def _change(self, claim: Claim, *, granted: int, allowance: int) -> None:
        with self._weighed(claim.key.namespace):
            self._count(claim, granted - claim.granted, allowance - claim.allowance)
        self._claims[claim.key] = replace(claim, granted=granted, allowance=allowance)

    def _count(self, claim: Claim, granted: int, allowance: int) -> None:
        if not claim.unowned:
            self._granted[claim.share.team] += granted
        if not claim.request.preemptible:
            self._firm[claim.share.team] += granted
        self._walls[claim.key.namespace] = self._walls.get(claim.key.namespace, 0) + allowance


def queues(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """Claims per share, each list in serving order."""
    found: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        found[claim.share.team].append(claim)
    return found
