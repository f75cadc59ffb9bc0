"""The laws of DESIGN.md over random histories of a simulated cluster."""

from hypothesis import given
from hypothesis import strategies as st

from gpupool.model.pool import Mode
from support.builders import DAY, HOUR, MINUTE
from support.histories import MODES, Event, an_engine, histories
from support.laws import Observer


@given(history=histories(), mode=st.sampled_from(MODES), reserve=st.sampled_from((0, 2)))
def test_laws_hold_whatever_happens(history: list[Event], mode: Mode, reserve: int) -> None:
    Observer(an_engine(mode, reserve)).live(history)


@given(history=histories(calm=True))
def test_a_cluster_left_alone_comes_to_rest(history: list[Event]) -> None:
    observer = Observer(an_engine())
    observer.live(history)
    observer.go_on(30 * MINUTE, 2 * MINUTE)
    observer.go_on(2 * DAY, 30 * MINUTE)
    last = observer.engine.cluster.now - 12 * HOUR
    assert [c for c in observer.changes if c[0] > last] == []
