"""What must be true of every decision, whatever led to the snapshot it was made of."""

import re
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gpupool.model import recording
from gpupool.model.objects import Request
from gpupool.model.plan import RequestStatus
from gpupool.model.pool import Mode, Visibility
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.histories import MODES, Event, an_engine, hires, histories


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """What the operator sees at the end of a history, telemetry and recalls included."""
    engine = an_engine(draw(st.sampled_from(MODES)), draw(st.sampled_from((0, 2))))
    history: list[Event] = draw(histories(6))
    for event in history:
        event.do(engine)
        engine.run(event.pause, 2 * event.step)
        event.undo(engine)
    visibility = draw(st.sampled_from(list(Visibility)))
    return replace(engine.snapshot(), pool=replace(engine.cluster.pool, visibility=visibility))


@given(snapshot=snapshots())
def test_a_recorded_snapshot_is_the_same_and_leads_to_the_same_plan_byte_for_byte(snapshot: Snapshot) -> None:
    text = recording.write(snapshot)
    again = recording.read(text)
    assert again == snapshot
    assert recording.write(again) == text
    assert recording.dump(make_plan(again)) == recording.dump(make_plan(snapshot))
    assert str(make_plan(again)) == str(make_plan(snapshot))


@given(snapshot=snapshots())
def test_applying_the_same_manifests_again_changes_nothing(snapshot: Snapshot) -> None:
    applied = tuple(replace(r, generation=r.generation + 1) for r in snapshot.requests)
    again = make_plan(replace(snapshot, requests=applied))
    first = make_plan(snapshot)
    assert again.actions == first.actions
    assert [replace(r, generation=r.generation - 1) for r in again.requests] == list(first.requests)


@st.composite
def queues(draw: st.DrawFn) -> Snapshot:
    """A pool whose queues are full of large and small asks."""
    engine = an_engine(reserve=draw(st.integers(0, 4)))
    for _ in range(draw(st.integers(1, 8))):
        event = draw(hires(replicas=None, least=draw(st.sampled_from((1, 4, 16)))))
        event.do(engine)
        engine.run(timedelta(minutes=draw(st.integers(0, 6))), timedelta(minutes=1))
    return engine.snapshot()


@given(snapshot=st.one_of(queues(), snapshots()))
@settings(max_examples=80)
def test_what_is_called_grantable_now_is_granted_when_asked_instead(snapshot: Snapshot) -> None:
    for status in make_plan(snapshot).requests:
        now = status.verdict.grantable_now
        if now > 0:
            instead = replace(snapshot, requests=tuple(_asking(r, status, now) for r in snapshot.requests))
            found = next(s for s in make_plan(instead).requests if s.key == status.key)
            assert found.granted == status.granted + now, f"{status.verdict}\n{found.verdict}"


def _asking(request: Request, status: RequestStatus, more: int) -> Request:
    """The request with a smaller number in the place of its own."""
    if request.key != status.key:
        return request
    asked = status.granted + more
    memory = (
        request.remembered if request.remembered.asked is None else replace(request.remembered, asked=asked)
    )
    return replace(request, gpus=asked, min_gpus=asked, remembered=memory)


@given(snapshot=snapshots())
def test_the_arithmetic_adds_up(snapshot: Snapshot) -> None:
    for status in make_plan(snapshot).requests:
        for sum_, result in re.findall(
            r"((?:-?\d+ [a-z ]+ - )+-?\d+ [a-z ]+) = (-?\d+)", status.verdict.arithmetic
        ):
            first, *rest = (int(n) for n in re.findall(r"(?<![\w.])-?\d+(?= [a-z])", sum_))
            assert first - sum(rest) == int(result), status.verdict.arithmetic


@given(snapshot=snapshots(), mode=st.sampled_from(MODES[1:]))
def test_outside_enforce_nothing_is_written_but_what_takes_back(snapshot: Snapshot, mode: Mode) -> None:
    pool = replace(
        snapshot.pool,
        mode=mode,
        quota_mode=mode,
        isolation_mode=mode,
        reclaim=replace(snapshot.pool.reclaim, mode=mode),
    )
    for action in make_plan(replace(snapshot, pool=pool)).actions:
        text = str(action)
        assert text.startswith(("drop quota", "policies: enforce=False")) or "none" in text, text
