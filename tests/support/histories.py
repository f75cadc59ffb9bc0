"""Random histories of a simulated cluster: what people, nodes, Prometheus and the operator may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.model.objects import Key, ObjectRef, Priority
from gpupool.model.pool import Mode, Pool, Recall
from gpupool.policy.attribution import REQUEST_LABEL
from gpupool.simulator.cluster import Cluster
from gpupool.simulator.engine import Engine
from gpupool.simulator.workloads import Samples, Template, Workload
from support.builders import GPU, HOUR, MINUTE, NOW, a_pool, a_request, a_share, nodes

TEAMS = ("vision", "nlp", "guests")
SLOTS = ("a", "b")
MODES = (Mode.ENFORCE, Mode.RECOMMEND, Mode.OBSERVE)


def the_pool(mode: Mode = Mode.ENFORCE, reserve: int = 0) -> Pool:
    """Three teams on sixteen GPUs, with hours instead of days."""
    return a_pool(
        a_share("vision", guaranteed=8, limit=16),
        a_share("nlp", guaranteed=4, weight=2),
        a_share("guests", limit=6),
        mode=mode,
        reserve=reserve,
        recall=Recall(within=12 * MINUTE, notice=4 * MINUTE),
        reclaim={
            "window": 20 * MINUTE,
            "lookback": HOUR,
            "grace": 20 * MINUTE,
            "startup_grace": 10 * MINUTE,
            "release_after": 6 * HOUR,
        },
    )


def an_engine(mode: Mode = Mode.ENFORCE, reserve: int = 0, *, declared: int = 0) -> Engine:
    """A cluster without any request or pod, and an operator that never ran.

    With declared capacity there is no node either until one comes.
    """
    cluster = Cluster(NOW, the_pool(mode, reserve))
    if declared:
        cluster.pool = replace(cluster.pool, declared={GPU: declared})
        return Engine(cluster)
    cluster.nodes = {n.name: replace(n, pool_label=None, taints=()) for n in nodes(2)}
    return Engine(cluster)


@dataclass(frozen=True)
class Event:
    """Something that happens; the cluster then goes on for `pause` in steps of `step`, and `undo` ends it."""

    what: str
    do: Callable[[Engine], object]
    pause: timedelta
    step: timedelta
    undo: Callable[[Engine], object] = lambda _: None

    def __repr__(self) -> str:
        return f"<{self.what}; {self.pause}>"


def _ask(team: str, slot: str, gpus: int, least: int, *, preemptible: bool, low: bool) -> Callable[..., None]:
    def do(engine: Engine) -> None:
        cluster = engine.cluster
        key = Key(team, slot)
        priority = Priority.LOW if low else Priority.NORMAL
        fresh = a_request(slot, gpus, team, created=cluster.now, priority=priority)
        old = cluster.requests.get(key, fresh)
        cluster.requests[key] = replace(
            old,
            generation=old.generation + 1,
            gpus=gpus,
            min_gpus=min(least, gpus),
            preemptible=preemptible,
        )

    return do


def _withdraw(team: str, slot: str) -> Callable[..., None]:
    return lambda engine: engine.cluster.requests.pop(Key(team, slot), None)


def _run(team: str, slot: str, replicas: int, template: Template) -> Callable[..., None]:
    def do(engine: Engine) -> None:
        key = Key(team, slot)
        labels = {"app": slot} if slot != "bare" else {}
        found = engine.cluster.workloads.get(key)
        if found is None:
            ref = ObjectRef("apps/v1", "Deployment", slot)
            made = Workload(team, ref, replicas, replace(template, labels=labels))
            engine.cluster.workloads[key] = made
        else:
            found.replicas = replicas
            found.template = replace(template, labels=labels)

    return do


def _label(team: str, slot: str) -> Callable[..., None]:
    """Somebody labels what runs: from now on a request answers for it."""

    def do(engine: Engine) -> None:
        for pod in engine.cluster.pods.values():
            if pod.key.namespace == team:
                pod.template = replace(pod.template, labels={REQUEST_LABEL: slot})

    return do


def _node(name: str, *, ready: bool, schedulable: bool, gone: bool) -> Callable[..., None]:
    def do(engine: Engine) -> None:
        if gone:
            engine.cluster.nodes.pop(name, None)
            return
        fresh = next(n for n in nodes(2) if n.name == name)
        node = engine.cluster.nodes.get(name, replace(fresh, pool_label=None, taints=()))
        engine.cluster.nodes[name] = replace(node, ready=ready, schedulable=schedulable)

    return do


def _mode(mode: Mode) -> Callable[..., None]:
    def do(engine: Engine) -> None:
        pool = engine.cluster.pool
        engine.cluster.pool = replace(
            pool,
            mode=mode,
            quota_mode=mode,
            isolation_mode=mode,
            reclaim=replace(pool.reclaim, mode=mode),
        )

    return do


def _set(name: str, *, value: bool) -> Callable[..., None]:
    def do(engine: Engine) -> None:
        target = {"works": engine.recorder, "quota_works": engine.cluster}.get(name, engine)
        setattr(target, name, value)

    return do


def _hire(
    team: str, slot: str, gpus: int, replicas: int, template: Template, **ask: Any
) -> Callable[..., None]:
    """Ask and run at once, as people do."""

    def do(engine: Engine) -> None:
        _ask(team, slot, gpus, **ask)(engine)
        _run(team, slot, replicas, template)(engine)

    return do


teams, slots = st.sampled_from(TEAMS), st.sampled_from(SLOTS)
templates = st.builds(
    Template,
    gpus=st.sampled_from((1, 1, 2, 4)),
    busy=st.sampled_from((0.0, 0.4, 1.0)),
    samples=st.sampled_from((*[Samples.OK] * 6, *Samples)),
    starts=st.sampled_from((True, True, True, False)),
    protected=st.booleans(),
    kind=st.sampled_from(("ReplicaSet", "ReplicaSet", "Job")),
    lingers=st.sampled_from((timedelta(), MINUTE)),
)


replicas = st.sampled_from((0, 1, 2, 4, 8, 12))
sizes = st.sampled_from((1, 2, 3, 4, 6, 8, 10, 16))
asking: dict[str, st.SearchStrategy[Any]] = {
    "least": st.sampled_from((1, 1, 2, 4, 16)),
    "preemptible": st.sampled_from((True, True, False)),
    "low": st.booleans(),
}
pauses = st.sampled_from(
    [
        (MINUTE, MINUTE),
        (6 * MINUTE, 2 * MINUTE),
        (30 * MINUTE, 2 * MINUTE),
        (HOUR, 4 * MINUTE),
        (2 * HOUR, 5 * MINUTE),
        (9 * HOUR, 30 * MINUTE),
    ]
)


@st.composite
def hires(draw: st.DrawFn, /, **fixed: Any) -> Event:
    """A team asks and runs something."""
    asked = {k: draw(v) for k, v in asking.items()} | fixed
    name, slot = draw(teams), draw(slots)
    gpus = asked.pop("gpus", None) or draw(sizes)
    count = asked.pop("replicas", None) or draw(replicas)
    do = _hire(name, slot, gpus, count, draw(templates), **asked)
    return Event(f"{name}/{slot} asks {gpus} {asked} and runs {count}", do, *draw(pauses))


@st.composite
def edits(draw: st.DrawFn) -> Event:
    """A team changes one thing: its ask, its replicas, its template, a label, or goes without a request."""
    team, slot = draw(teams), draw(slots)
    kind = draw(st.sampled_from(("ask", "scale", "scale", "scale", "withdraw", "bare", "label")))
    do: Callable[[Engine], object]
    if kind == "ask":
        do = _ask(team, slot, draw(sizes), **{k: draw(v) for k, v in asking.items()})
    elif kind == "scale":
        do = _run(team, slot, draw(replicas), draw(templates))
    elif kind == "withdraw":
        do = _withdraw(team, slot)
    elif kind == "label":
        do = _label(team, slot)
    else:
        do = _run(team, "bare", draw(st.integers(0, 3)), draw(templates))
    return Event(f"{team}/{slot} {kind}", do, *draw(pauses))


@st.composite
def outages(draw: st.DrawFn) -> Event:
    """Something does not work for a while."""
    name, bad = draw(
        st.sampled_from((("works", False), ("quota_works", False), ("down", True), ("loses_statuses", True)))
    )
    return Event(f"{name} {bad}", _set(name, value=bad), *draw(pauses), _set(name, value=not bad))


def _freeze(engine: Engine) -> None:
    engine.frozen = engine.pods()


def _thaw(engine: Engine) -> None:
    engine.frozen = None


@st.composite
def silences(draw: st.DrawFn) -> Event:
    """Nothing is heard of pods for a while, and meanwhile somebody changes what runs."""
    team, slot = draw(teams), draw(slots)
    count, template = draw(replicas), draw(templates)

    def do(engine: Engine) -> None:
        _freeze(engine)
        _run(team, slot, count, template)(engine)

    return Event(f"nobody hears that {team}/{slot} runs {count}", do, *draw(pauses), _thaw)


@st.composite
def absences(draw: st.DrawFn) -> Event:
    """Somebody works on what is granted while the operator is away, and is done before it is back."""
    team, slot = draw(teams), draw(slots)
    count, template = draw(replicas), draw(templates)

    def do(engine: Engine) -> None:
        engine.down = True
        _run(team, slot, count, template)(engine)

    def undo(engine: Engine) -> None:
        _run(team, slot, 0, template)(engine)
        engine.advance(MINUTE)
        engine.advance(2 * MINUTE)
        engine.down = False

    pause, step = draw(pauses.filter(lambda p: p[0] > MINUTE))
    return Event(f"nobody sees that {team}/{slot} runs {count}", do, pause, step, undo)


@st.composite
def upheavals(draw: st.DrawFn) -> Event:
    """A node comes, goes or is cordoned; the mode changes."""
    if draw(st.booleans()):
        mode = draw(st.sampled_from(MODES))
        back = draw(st.booleans())
        do, undo = _mode(mode), _mode(Mode.ENFORCE) if back else _mode(mode)
        return Event(f"mode {mode}", do, *draw(pauses), undo)
    name = draw(st.sampled_from(("node-1", "node-2")))
    state = {k: draw(st.booleans()) for k in ("ready", "schedulable")}
    gone = draw(st.sampled_from((False, False, True)))
    well = _node(name, ready=True, schedulable=True, gone=False)
    do, undo = (
        _node(name, **state, gone=gone),
        well if draw(st.booleans()) else _node(name, **state, gone=gone),
    )
    return Event(f"{name} {state} gone={gone}", do, *draw(pauses), undo)


@st.composite
def lenders(draw: st.DrawFn) -> list[Event]:
    """A team is granted much and uses little, others borrow it, and its demand comes back."""
    little = replace(draw(templates), gpus=1, samples=Samples.OK)
    firm = _hire("vision", "a", 8, 1, little, least=8, preemptible=False, low=False)
    others = draw(st.lists(hires(replicas=12, least=1, preemptible=True, gpus=16), min_size=1, max_size=2))
    back = _run("vision", "a", draw(st.sampled_from((2, 4, 8))), little)
    if draw(st.booleans()):
        back = _ask("vision", "a", 10, 8, preemptible=False, low=False)
    return [
        Event("vision/a asks 8 and runs 1", firm, 2 * HOUR, 10 * MINUTE),
        *others,
        Event("vision/a wants its GPUs", back, draw(st.sampled_from((HOUR, 3 * HOUR))), 2 * MINUTE),
    ]


@st.composite
def movers(draw: st.DrawFn) -> list[Event]:
    """A team borrows; when it is recalled it books its pods on a request that is refused."""
    template = replace(draw(templates), gpus=1)
    owner = _hire("vision", "a", 8, 8, template, least=8, preemptible=False, low=False)
    borrow = _hire("nlp", "a", 16, 12, template, least=1, preemptible=True, low=False)
    refused = _ask("nlp", "b", 16, 16, preemptible=False, low=False)
    return [
        Event("nlp/a asks 16 and runs 12", borrow, 6 * MINUTE, 2 * MINUTE),
        Event("nlp/b is refused", refused, MINUTE, MINUTE),
        Event("vision/a asks 8", owner, draw(st.sampled_from((MINUTE, 3 * MINUTE))), MINUTE),
        Event("nlp labels its pods b", _label("nlp", "b"), HOUR, 2 * MINUTE),
    ]


def _roll(team: str, slot: str, beyond: int) -> Callable[..., None]:
    """A rollout begins."""

    def do(engine: Engine) -> None:
        workload = engine.cluster.workloads.get(Key(team, slot))
        if workload is not None:
            workload.promised, workload.beyond, workload.stepped = True, beyond, engine.cluster.now

    return do


def _rolled(team: str, slot: str) -> Callable[..., None]:
    def undo(engine: Engine) -> None:
        workload = engine.cluster.workloads.get(Key(team, slot))
        if workload is not None:
            workload.beyond, workload.stepped = 0, None

    return undo


@st.composite
def rollouts(draw: st.DrawFn) -> Event:
    """A team rolls out what it runs; it comes to an end, or hangs."""
    anybody = st.tuples(teams, slots)
    (team, slot), beyond = draw(st.just(("vision", "a")) | anybody), draw(st.sampled_from((1, 1, 2, 4)))
    undo = draw(st.sampled_from((_rolled(team, slot), _rolled(team, slot), lambda _: None)))
    return Event(f"{team}/{slot} rolls {beyond}", _roll(team, slot, beyond), *draw(pauses), undo)


@st.composite
def histories(
    draw: st.DrawFn, size: int = 12, *, calm: bool = False, beside: st.SearchStrategy[Event] | None = None
) -> list[Event]:
    """Borrowers or lenders come first, so that there is something to bring back; then anything may happen.

    `beside` adds kinds of events.
    """
    borrowers = st.lists(hires(replicas=12, least=1, preemptible=True, gpus=16), max_size=2)
    prologue = draw(st.one_of(borrowers, borrowers, lenders(), movers()))
    kinds = [hires(), edits()]
    kinds += [] if calm else [edits(), outages(), upheavals(), silences(), absences()]
    kinds += [] if beside is None else [beside, beside]
    return prologue + draw(st.lists(st.one_of(*kinds), min_size=1, max_size=size))


@st.composite
def rolling(draw: st.DrawFn) -> list[Event]:
    """An endpoint at full grant rolls out; others may fill the pool before, and anything happens after."""
    template = replace(draw(templates), gpus=draw(st.sampled_from((1, 2))))
    count = draw(st.sampled_from((1, 2, 3, 4)))
    serve = _hire(
        "vision", "a", count * template.gpus, count, template, least=1, preemptible=False, low=False
    )
    others = draw(st.lists(hires(replicas=12, least=1, preemptible=True), max_size=2))
    first = Event(f"vision/a serves with {count}", serve, 2 * MINUTE, MINUTE)
    return [first, *others, draw(rollouts()), draw(rollouts()), *draw(histories(beside=rollouts()))]
