"""What each request has now, and the order in which requests are served.

A claim starts from what the status remembers; `adoption` then cuts it to what our quota says and fills in
what nothing was written about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gpupool.model.objects import Key, Quota, Request, Timer
from gpupool.model.plan import Verdict
from gpupool.model.pool import Share
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import Books, gpus, held
from gpupool.policy.ledger import Ledger
from gpupool.policy.territory import Territory


@dataclass(frozen=True, slots=True)
class Gate:
    """What an admission gate lets a request have.

    Attributes:
        most: GPUs that may be granted.
        verdict: why not more.
        within: only what the share guarantees; more than that waits.
        enforced: False where it is only said.
    """

    most: int
    verdict: Verdict
    within: bool = False
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """A request with the numbers a decision needs, all in GPUs of its resource.

    `ask` is what is asked for, `granted` the claim, `allowance` what may be used now; the latter two differ
    by what is lent out. `since` is when the present ask was made; `pod_size` the GPUs of its largest pod.
    `fresh`: no status was ever written. `slo`: an endpoint under an InferenceSLO stands behind it, which
    can always have `wake` GPUs again, and is `urgent` where its budget burns and more replicas would help.
    `surge` is lent to its rollouts beside the grant, `over` was and is not back.
    """

    request: Request
    share: Share
    ask: int
    granted: int
    allowance: int
    used: int
    held: int
    demand: int
    pod_size: int
    since: datetime
    timer: Timer | None = None
    walled: bool = False
    fresh: bool = False
    released: int | None = None
    slo: bool = False
    urgent: bool = False
    wake: int = 0
    gate: Gate | None = None
    surge: int = 0
    over: int = 0

    @property
    def key(self) -> Key:
        """The request's key."""
        return self.request.key

    @property
    def unowned(self) -> bool:
        """The implicit grant of a namespace: GPUs held without a request. Never a guarantee."""
        return self.request.key.name == ""

    @property
    def admitted(self) -> int:
        """GPUs that may be granted: those asked, as far as a gate lets them through."""
        most = self.gate.most if self.gate is not None and self.gate.enforced else self.ask
        return min(self.ask, max(self.granted, most))

    @property
    def missing(self) -> int:
        """GPUs asked, let through and not granted."""
        return max(0, self.admitted - self.granted)

    @property
    def least(self) -> int:
        """GPUs more that make a grant of use; what is no longer claimed does not count to `minGpus`."""
        return min(self.request.min_gpus, self.ask) - self.granted

    @property
    def declined(self) -> int:
        """GPUs asked that a gate does not let through."""
        return self.ask - self.admitted

    @property
    def held_back(self) -> bool:
        """Whether nothing above the guarantee is given, though it may borrow."""
        return self.gate is not None and self.gate.enforced and self.gate.within

    @property
    def may_borrow(self) -> bool:
        """Whether it may be given more than its share is guaranteed."""
        return self.request.preemptible and not self.held_back

    @property
    def lent(self) -> int:
        """GPUs granted and lent out right now."""
        return self.granted - self.allowance

    @property
    def overdraft(self) -> int:
        """GPUs that its pods ask beyond what may be used."""
        return max(0, self.used - self.allowance - self.surge)

    @property
    def asked_anew(self) -> bool:
        """Whether a higher number is asked since a part was lent out: its owner wants that part too."""
        return self.timer is not None and self.timer.asked is not None and self.ask > self.timer.asked

    @property
    def target(self) -> int:
        """The allowance that its notice said would be left; 0 without one."""
        return 0 if self.timer is None else self.timer.target or 0

    @property
    def stage(self) -> Stage:
        """Where a taking stands."""
        return Stage.NONE if self.timer is None else self.timer.stage

    def order(self) -> tuple[int, bool, datetime, Key]:
        """Inside a share: by priority, then what is urgent, then by the time of the ask, then by name."""
        return (-self.request.priority.rank, not self.urgent, self.since, self.key)


def limit_of(share: Share, ledger: Ledger) -> int:
    """The most a share may be granted: a cordon makes nobody's limit smaller."""
    most = max(ledger.usable, ledger.total)
    return min(share.limit.get(ledger.resource, most), most)


def guarantee_of(share: Share, resource: str) -> int:
    """What a share is promised."""
    return share.guaranteed.get(resource, 0)


def remembered(
    snapshot: Snapshot, territory: Territory, books: Books, request: Request, siblings: frozenset[str]
) -> Claim:
    """The claim as status and timers tell it.

    Args:
        snapshot: for its time.
        territory: shares, walls, nodes.
        books: the request's pods.
        request: of a namespace with a share.
        siblings: names and workloads of the namespace's live requests.
    """
    memory, name = request.remembered, request.key.namespace
    pods = books.pods.get(request.key, ())
    quota = territory.namespaces[name].quota
    walled = name in territory.walled
    timer = _timer(quota, request, siblings) if walled else memory.timer
    released = memory.released if memory.asked == request.gpus else None
    ask = request.gpus if released is None else min(released, request.gpus)
    granted = min(memory.granted or 0, ask)
    lent = timer is not None and timer.stage is Stage.LENT
    allowance = min(memory.allowance or 0, granted) if lent and memory.granted is not None else granted
    before = _asked(request)
    raised = before is not None and ask > before
    if timer is not None and lent:
        # A higher number than then is a new ask, also for what is lent out; a decrease ends the ask of then.
        then = before if timer.asked is None else timer.asked
        timer = replace(timer, asked=ask if then is None else min(then, ask))
    return Claim(
        request=request,
        share=territory.shares[name],
        ask=ask,
        granted=granted,
        allowance=allowance,
        used=gpus(pods, request.resource),
        held=held(pods, request.resource, territory.nodes),
        demand=books.demand.get(request.key, 0),
        pod_size=max(1, books.pod_size.get(request.key, 1)),
        since=snapshot.now if raised else (memory.queued_at or request.created),
        timer=timer,
        walled=walled,
        fresh=memory.granted is None,
        released=released,
    )


def _asked(request: Request) -> int | None:
    """What the last status was an answer to; of a claim that ended, what was left of it."""
    asked, released = request.remembered.asked, request.remembered.released
    return asked if asked is None or released is None else min(asked, released)


def _timer(quota: Quota | None, request: Request, siblings: frozenset[str]) -> Timer | None:
    """The timer that counts behind a wall: the one on our quota.

    What was only said before there was a wall is no notice: taking begins with a notice under Enforce. A
    request without a status takes over the timer that its workload left behind.
    """
    memory = request.remembered
    if quota is None:
        lent = memory.timer is not None and memory.timer.stage is Stage.LENT
        return memory.timer if lent else None
    own = quota.timers.get(request.key.name)
    if own is None and quota.left_out and memory.timer is not None and memory.timer.stage is Stage.LENT:
        return memory.timer  # there was no room for it, and a claim that is lent out does not end by that
    if own is not None or memory.granted is not None:
        return own
    left = ((n, t) for n, t in sorted(quota.timers.items()) if n not in siblings)
    return next((t for _, t in left if t.workload == request.workload), None)
