"""Whose past is nobody's event: pods that were there before their promise, until they are heard."""

from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.strangers import Strangers
from gpupool.collector.engines.subject import Subject
from unit.planner.test_endpoints import a_slo

SLO = a_slo()
OLD, NEW = (PodName(SLO.key.namespace, name) for name in ("old", "new"))
BORN = {"old": 100.0, "new": 900.0}


def test_pods_that_were_there_before_their_endpoint_was_read_are_strangers_once() -> None:
    found, subject = Strangers(), Subject(SLO, ready=("old",), born=BORN)
    assert found.meet([subject], 500.0, {OLD: True}) == {OLD}
    assert found.meet([subject], 515.0, {OLD: True}) == frozenset()


def test_a_pod_whose_target_was_down_stays_one_until_it_is_heard() -> None:
    found, subject = Strangers(), Subject(SLO, ready=("old",), born=BORN)
    for up in ({OLD: False}, {}, {OLD: True}):
        assert found.meet([subject], 500.0, up) == {OLD}
    assert found.meet([subject], 515.0, {OLD: False}) == frozenset()


def test_a_pod_that_starts_beside_its_promise_is_no_stranger_when_it_serves() -> None:
    found = Strangers()
    assert found.meet([Subject(SLO, others=("new",), born=BORN)], 910.0, {}) == {NEW}
    assert found.meet([Subject(SLO, ready=("new",), born=BORN)], 925.0, {NEW: True}) == frozenset()


def test_a_pod_made_after_a_moment_that_is_read_again_counts_whole() -> None:
    found, subject = Strangers(), Subject(SLO, ready=("old", "new"), born=BORN)
    assert found.meet([subject], 500.0, {}) == {OLD}
    assert found.meet([subject], 1000.0, {OLD: True, NEW: True}) == {OLD}


def test_a_promise_made_anew_meets_its_pods_anew_and_one_that_is_gone_forgets_them() -> None:
    found = Strangers()
    found.meet([Subject(SLO, ready=("old",))], 500.0, {})
    assert found.meet([], 515.0, {}) == frozenset()
    assert found.meet([Subject(a_slo(uid="again"), ready=("old",))], 530.0, {OLD: True}) == {OLD}
