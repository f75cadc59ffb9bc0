"""Lending out what was granted and never requested (laws 1, 3, 5, 7).

    under-used ─► Warned (deadline = now + grace) ─► proved again ─► Lent ─► wanted back, or released

Only `unheld` GPUs are lent: the allowance never falls below the peak of the lookback plus headroom. The
places for idle units (eviction after notice) come after `prove` in the list of rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gpupool.model.pool import Mode, weaker
from gpupool.model.reasons import DataState, Stage
from gpupool.model.snapshot import Key, Peak, Snapshot, Timer
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.measure import Measure, Measures

RESUME_GRACE = timedelta(minutes=10)
"""After downtime nothing is taken for under-use for the smaller of this and the window (law 5)."""


class Answer(StrEnum):
    """What a rule says about blaming a request for unheld GPUs."""

    NO = "No"
    """Good data says: nothing to blame."""
    UNKNOWN = "Unknown"
    """It cannot be known now; a deadline waits."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is not called under-used, machine reason and sentence."""

    answer: Answer
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules look at for one request."""

    snapshot: Snapshot
    claim: Claim
    measure: Measure
    around: Measure
    unattributed: int
    overdrawn: int
    peak: Peak | None
    granted_at: datetime | None
    quiet_since: datetime | None

    @property
    def window(self) -> timedelta:
        """The pool's window."""
        return self.snapshot.pool.reclaim.window

    @property
    def efficiency(self) -> int:
        """Busy GPU-hours over granted GPU-hours of the window, in percent."""
        granted = self.claim.granted * self.window.total_seconds()
        return 0 if granted <= 0 else min(100, int(100 * self.measure.busy_seconds / granted))

    @property
    def keep(self) -> int:
        """GPUs that are not lent: the lookback's peak and present use, plus headroom of at least one pod."""
        peak = max(self.peak.used if self.peak else 0, self.claim.used)
        percent = -(-peak * self.snapshot.pool.reclaim.headroom // 100)
        return min(self.claim.granted, peak + max(self.claim.pod_size, percent))

    @property
    def unheld(self) -> int:
        """GPUs that could be lent."""
        return max(0, self.claim.allowance - self.keep)


Rule = Callable[[Evidence], Objection | None]


def nothing_granted(e: Evidence) -> Objection | None:
    """A request without a grant has nothing to lend."""
    if e.claim.granted > 0:
        return None
    return Objection(Answer.NO, "NothingGranted", "Nothing is granted.")


def starting_up(e: Evidence) -> Objection | None:
    """A young grant, or one that changed lately, is left alone for its grace and one window."""
    young = max(e.snapshot.pool.reclaim.startup_grace, e.window)
    since = max((t for t in (e.granted_at, e.quiet_since) if t is not None), default=None)
    if since is not None and e.snapshot.now - since >= young:
        return None
    return Objection(Answer.NO, "StartingUp", f"The grant is younger than {_text(young)}.")


def telemetry_stale(e: Evidence) -> Objection | None:
    """Nothing is said about use unless Prometheus answers freshly in this cycle (law 1)."""
    if e.snapshot.usage.fresh:
        return None
    return Objection(Answer.UNKNOWN, "NoFreshTelemetry", f"Use is unknown: {e.snapshot.usage.problem}.")


def bad_data_nearby(e: Evidence) -> Objection | None:
    """Nothing is taken in a namespace where any held GPU's data is not OK (law 1)."""
    if e.around.state is DataState.OK and e.measure.state is DataState.OK:
        return None
    state = e.measure.state if e.measure.state is not DataState.OK else e.around.state
    return Objection(
        Answer.UNKNOWN,
        f"Data{state}",
        f"Use is unknown: samples in namespace {e.claim.key.namespace} are {state.lower()}"
        f" (coverage {min(e.measure.coverage, e.around.coverage)} %).",
    )


def short_history(e: Evidence) -> Objection | None:
    """Our own series of used GPUs must reach back one window, or nothing is taken."""
    if e.peak is not None and e.peak.history >= e.window.total_seconds():
        return None
    have = 0 if e.peak is None else int(e.peak.history)
    return Objection(Answer.UNKNOWN, "ShortHistory", f"Use is recorded for {have}s of {_text(e.window)}.")


def others_use_it(e: Evidence) -> Objection | None:
    """While a namespace has unattributed or overdrawn GPUs, no sibling is blamed for unheld ones."""
    if e.claim.unowned or e.unattributed + e.overdrawn == 0:
        return None
    return Objection(
        Answer.NO,
        "SharedWithOthers",
        f"{e.unattributed} unattributed and {e.overdrawn} overdrawn GPUs of the namespace run on its quota.",
    )


def wants_more(e: Evidence) -> Objection | None:
    """Refused demand is demand."""
    if e.claim.demand == 0:
        return None
    return Objection(Answer.NO, "InDemand", f"Its controllers want {e.claim.demand} GPUs more.")


def used_as_promised(e: Evidence) -> Objection | None:
    """Below `threshold` percent of the expected utilisation a request is under-used."""
    expected = e.claim.request.expected_utilization
    line = e.snapshot.pool.reclaim.threshold * expected // 100
    if e.efficiency < line:
        return None
    return Objection(Answer.NO, "UsedAsPromised", f"Efficiency {e.efficiency} % of {expected} % expected.")


def all_held(e: Evidence) -> Objection | None:
    """What is held, pending, or needed at the peak is never lent (law 3)."""
    if e.unheld > 0:
        return None
    return Objection(Answer.NO, "AllHeld", f"The peak of use and its headroom keep all {e.keep} GPUs.")


RULES: tuple[Rule, ...] = (
    nothing_granted,
    starting_up,
    wants_more,
    others_use_it,
    telemetry_stale,
    bad_data_nearby,
    short_history,
    used_as_promised,
    all_held,
)
"""In this order, first objection wins. Eviction for idleness will stand beside `all_held`."""


def object_to(evidence: Evidence) -> Objection | None:
    """The first objection against calling the request under-used; None means: proved."""
    return next((o for rule in RULES if (o := rule(evidence)) is not None), None)


def overdrafts(desk: Desk) -> dict[str, int]:
    """GPUs per namespace that requests hold beyond what they may."""
    found: dict[str, int] = defaultdict(int)
    for claim in desk.claims:
        if not claim.unowned:
            found[claim.key.namespace] += max(0, claim.held - claim.allowance)
    return found


def evidence(
    snapshot: Snapshot, books: Books, measures: Measures, overdrawn: Mapping[str, int], claim: Claim
) -> Evidence:
    """Collect what the rules look at."""
    namespace = claim.key.namespace
    memory = claim.request.remembered
    own = max(0, claim.held - claim.allowance)
    return Evidence(
        snapshot=snapshot,
        claim=claim,
        measure=measures.of(claim.key),
        around=measures.around(namespace),
        unattributed=gpus(books.unattributed.get(namespace, ()), claim.request.resource),
        overdrawn=overdrawn.get(namespace, 0) - own,
        peak=snapshot.usage.peaks.get(claim.key),
        granted_at=_quota_created(snapshot, namespace) if claim.unowned else memory.granted_at,
        quiet_since=memory.quiet_since,
    )


def _quota_created(snapshot: Snapshot, namespace: str) -> datetime | None:
    found = next((n.quota for n in snapshot.namespaces if n.name == namespace), None)
    return None if found is None else found.created


@dataclass(frozen=True, slots=True)
class Finding:
    """What reclaim says of one request in this cycle, whatever it does."""

    claim: Claim
    evidence: Evidence
    objection: Objection | None
    mode: Mode

    @property
    def under_used(self) -> bool:
        """Proved in this cycle."""
        return self.objection is None


def advance(snapshot: Snapshot, desk: Desk, books: Books, measures: Measures) -> dict[Key, Finding]:
    """Move every request's taking one step; returns what was found per request."""
    overdrawn = overdrafts(desk)
    findings = {}
    for claim in desk.claims:
        proof = evidence(snapshot, books, measures, overdrawn, claim)
        mode = weaker(snapshot.pool.reclaim_for(claim.share), snapshot.pool.quota_for(claim.share))
        finding = Finding(claim, proof, object_to(proof), mode)
        findings[claim.key] = finding
        _step(snapshot, desk, finding)
    return findings


def _step(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    claim = finding.claim
    if claim.stage is Stage.RECALLING:
        return
    if finding.mode is not Mode.ENFORCE:
        if claim.timer is not None:
            desk.mark(replace(claim, timer=None))
        desk.give_back(claim.key, claim.lent)
        return
    match claim.stage:
        case Stage.NONE:
            _warn(snapshot, desk, finding)
        case Stage.WARNED:
            _prove_again(snapshot, desk, finding)
        case Stage.LENT:
            _release(snapshot, desk, claim)


def _warn(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    if not finding.under_used:
        return
    deadline = snapshot.now + snapshot.pool.reclaim.grace
    timer = Timer(Stage.WARNED, since=snapshot.now, deadline=deadline, target=finding.evidence.keep)
    desk.mark(replace(finding.claim, timer=timer))


def _prove_again(snapshot: Snapshot, desk: Desk, finding: Finding) -> None:
    """At the deadline the verdict must hold on fresh data; a deadline only ever moves later (law 5)."""
    claim, timer = finding.claim, finding.claim.timer
    if timer is None or timer.deadline is None:
        return
    if finding.objection is not None and finding.objection.answer is Answer.NO:
        desk.mark(replace(claim, timer=None))
        return
    if snapshot.now < timer.deadline:
        return
    resumed = snapshot.uninterrupted_since + min(RESUME_GRACE, finding.evidence.window)
    if finding.objection is not None or snapshot.now < resumed:
        later = max(resumed, snapshot.now + min(snapshot.pool.reclaim.grace, finding.evidence.window))
        desk.mark(replace(claim, timer=replace(timer, deadline=later)))
        return
    keep = finding.evidence.keep
    ends = snapshot.now + snapshot.pool.reclaim.release_after
    desk.mark(replace(claim, timer=Timer(Stage.LENT, since=snapshot.now, deadline=ends, target=keep)))
    desk.lend(claim.key, keep)


def _release(snapshot: Snapshot, desk: Desk, claim: Claim) -> None:
    """Lent without demand until `releaseAfter`: the claim to the lent part ends (law 7)."""
    timer = claim.timer
    if timer is None or timer.deadline is None or snapshot.now < timer.deadline or claim.demand > 0:
        return
    desk.mark(replace(claim, timer=None))
    desk.cut(claim.key, claim.allowance)


def settle(desk: Desk) -> None:
    """End the takings whose GPUs are all back with their owner."""
    for claim in desk.claims:
        if claim.stage is Stage.LENT and claim.lent == 0:
            desk.mark(replace(claim, timer=None))
        elif claim.stage is Stage.LENT and claim.timer is not None and claim.timer.target != claim.allowance:
            desk.mark(replace(claim, timer=replace(claim.timer, target=claim.allowance)))


def _text(duration: timedelta) -> str:
    """A duration as people write it: 90s, 10m, 24h, 7d."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
