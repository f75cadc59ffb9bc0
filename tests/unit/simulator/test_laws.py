"""The laws of DESIGN.md over random histories of a simulated cluster."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gpupool.model import recording
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.pool import Mode, SloGate
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import Engine
from gpupool.simulator.workloads import Template, Workload
from support.builders import DAY, HOUR, MINUTE, a_request
from support.histories import MODES, Event, an_engine, histories, rolling
from support.laws import Observer
from support.upheavals import upset


@given(history=histories(), mode=st.sampled_from(MODES), reserve=st.sampled_from((0, 2)))
def test_laws_hold_whatever_happens(history: list[Event], mode: Mode, reserve: int) -> None:
    Observer(an_engine(mode, reserve)).live(history)


@given(
    history=histories(beside=upset()), reserve=st.sampled_from((0, 2)), declared=st.sampled_from((0, 0, 24))
)
def test_laws_hold_through_restores_moves_edits_and_old_leaders(
    history: list[Event], reserve: int, declared: int
) -> None:
    observer = Observer(an_engine(reserve=reserve, declared=declared))
    observer.live(history)
    snapshot = observer.engine.snapshot()
    assert make_plan(recording.read(recording.write(snapshot))) == make_plan(snapshot), "law 9"


@given(history=rolling(), reserve=st.sampled_from((0, 2)))
def test_laws_hold_through_rollouts(history: list[Event], reserve: int) -> None:
    engine = an_engine(reserve=reserve)
    engine.cluster.pool = replace(engine.cluster.pool, slo_gate=SloGate.OFF)
    Observer(engine).live(history)


@given(
    use=st.integers(0, 8),
    size=st.sampled_from((1, 2, 4)),
    busy=st.sampled_from((0.0, 0.3, 1.0)),
    expected=st.integers(1, 100),
    headroom=st.integers(0, 50),
)
def test_after_a_shrink_a_steady_load_changes_nothing_for_a_day(
    use: int, size: int, busy: float, expected: int, headroom: int
) -> None:
    engine = an_engine()
    cluster = engine.cluster
    cluster.pool = replace(cluster.pool, reclaim=replace(cluster.pool.reclaim, headroom=headroom))
    asked = a_request("a", 8, created=cluster.now, expected_utilization=expected)
    cluster.requests[asked.key] = asked
    template = Template(gpus=size, busy=busy, labels={"app": "a"})
    owner = ObjectRef("apps/v1", "Deployment", "a")
    cluster.workloads[asked.key] = Workload("vision", owner, use // size, template)
    observer = Observer(engine)
    observer.go_on(3 * HOUR, 5 * MINUTE)
    del observer.changes[:]
    before = observer.seen[asked.key].allowance
    observer.go_on(DAY, 20 * MINUTE)
    # Only the end of the claim after releaseAfter may come, and it takes nothing that may be used.
    assert observer.changes == []
    assert before >= use // size * size


@given(history=histories(calm=True))
def test_a_cluster_left_alone_comes_to_rest(history: list[Event]) -> None:
    observer = Observer(an_engine())
    observer.live(history)
    observer.go_on(30 * MINUTE, 2 * MINUTE)
    observer.go_on(30 * HOUR, HOUR)
    last = observer.engine.cluster.now - 12 * HOUR
    assert [c for c in observer.changes if c[0] > last] == []


def _granted_and_idle(engine: Engine) -> Key:
    """A request of eight that runs one pod."""
    asked = a_request("a", 8, created=engine.cluster.now)
    engine.cluster.requests[asked.key] = asked
    ref = ObjectRef("apps/v1", "Deployment", "a")
    engine.cluster.workloads[asked.key] = Workload("vision", ref, 1, Template(labels={"app": "a"}))
    return asked.key


def _until_warned(observer: Observer, key: Key) -> None:
    while not observer.seen or observer.seen[key].timer is None:
        observer.go_on(2 * MINUTE, 2 * MINUTE)


def test_what_ran_while_the_operator_was_away_is_kept_for_a_window() -> None:
    engine = an_engine()
    key, observer = _granted_and_idle(engine), Observer(engine)
    _until_warned(observer, key)
    engine.down = True
    engine.cluster.workloads[key].replicas = 8
    observer.go_on(16 * MINUTE, 2 * MINUTE)
    engine.cluster.workloads[key].replicas = 1
    observer.go_on(4 * MINUTE, 2 * MINUTE)
    engine.down = False
    observer.go_on(18 * MINUTE, 2 * MINUTE)
    assert observer.seen[key].allowance == 8
    observer.go_on(HOUR, 2 * MINUTE)
    assert observer.seen[key].allowance == 2


def test_what_ran_behind_a_silent_mirror_is_kept_for_a_window() -> None:
    engine = an_engine()
    key, observer = _granted_and_idle(engine), Observer(engine)
    _until_warned(observer, key)
    engine.frozen = engine.pods()
    engine.cluster.workloads[key].replicas = 8
    observer.go_on(HOUR, 2 * MINUTE)
    assert observer.seen[key].allowance == 8
    engine.cluster.workloads[key].replicas = 1
    observer.go_on(4 * MINUTE, 2 * MINUTE)
    engine.frozen = None
    observer.go_on(HOUR, 2 * MINUTE)
    assert observer.seen[key].allowance == 2
