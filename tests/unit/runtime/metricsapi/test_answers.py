"""What is answered to which path: discovery, values, and errors instead of numbers about nobody."""

from dataclasses import dataclass
from http import HTTPStatus

import pytest

from gpupool.model.objects import Key
from gpupool.model.steering import Decision, Pace
from gpupool.planner.endpoints import SloStatus
from gpupool.runtime.metricsapi.answers import Answer, answer
from gpupool.runtime.metricsapi.board import LEAST, Board
from support.builders import NOW

ROOT = "/apis/external.metrics.k8s.io"
ONE = f"{ROOT}/v1beta1/namespaces/vision/gpupool_required_replicas"


@dataclass
class Clock:
    """Seconds that a test moves on."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def a_status(name: str, floor: int | None, pace: Pace = Pace.STEADY, namespace: str = "vision") -> SloStatus:
    decision = None if floor is None else Decision(floor, 9, "MaxReplicas", "", pace, needed=floor)
    return SloStatus(Key(namespace, name), f"uid-{name}", 1, "", 1, 1, (), (), decision=decision)


def a_board(*statuses: SloStatus, clock: Clock | None = None) -> Board:
    board = Board(1.0, clock or Clock())
    board.publish(statuses)
    return board


CHAT, CODE = a_status("chat", 3), a_status("code", 12)
ELSEWHERE = a_status("chat", 7, namespace="lab")


def asked(board: Board, path: str = ONE, selector: str = "") -> Answer:
    return answer(path, selector, board, NOW)


def test_discovery_names_the_metric_and_nothing_that_can_be_listed_or_deleted() -> None:
    status, group = asked(a_board(), ROOT)
    assert (status, group["kind"], group["preferredVersion"]["version"]) == (
        HTTPStatus.OK,
        "APIGroup",
        "v1beta1",
    )
    status, found = asked(a_board(), f"{ROOT}/v1beta1")
    assert (status, found["kind"]) == (HTTPStatus.OK, "APIResourceList")
    (metric,) = found["resources"]
    assert (metric["name"], metric["namespaced"], metric["verbs"]) == (
        "gpupool_required_replicas",
        True,
        ["get"],
    )


def test_a_description_is_there_to_be_merged() -> None:
    for version in ("v2", "v3"):
        status, found = asked(a_board(), f"/openapi/{version}")
        assert (status, found["paths"]) == (HTTPStatus.OK, {})


def test_a_value_says_whose_it_is() -> None:
    status, found = asked(a_board(CHAT, CODE, ELSEWHERE), selector="namespace=vision,slo=chat")
    assert (status, found["kind"]) == (HTTPStatus.OK, "ExternalMetricValueList")
    assert found["items"] == [
        {
            "metricName": "gpupool_required_replicas",
            "metricLabels": {"namespace": "vision", "slo": "chat"},
            "timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": "3",
        }
    ]


def test_without_a_selector_it_is_all_of_the_namespace() -> None:
    _, found = asked(a_board(CODE, CHAT, ELSEWHERE))
    assert [(i["metricLabels"]["slo"], i["value"]) for i in found["items"]] == [("chat", "3"), ("code", "12")]


@pytest.mark.parametrize(
    ("path", "selector", "status", "says"),
    [
        ("/", "", HTTPStatus.NOT_FOUND, "nothing at /"),
        (f"{ROOT}/v1beta1/namespaces/vision", "", HTTPStatus.NOT_FOUND, "nothing at"),
        (f"{ROOT}/v1beta1/namespaces/vision/queue", "", HTTPStatus.NOT_FOUND, "queue is not served here"),
        (ONE, "slo in (chat", HTTPStatus.BAD_REQUEST, "cannot be read"),
        (ONE, "slo=other", HTTPStatus.NOT_FOUND, "no InferenceSLO in namespace vision"),
    ],
)
def test_what_is_not_there_is_an_error(path: str, selector: str, status: HTTPStatus, says: str) -> None:
    found, body = asked(a_board(CHAT), path, selector)
    assert (found, body["code"], body["kind"]) == (status, int(status), "Status")
    assert says in body["message"]


def test_where_users_are_not_seen_there_is_no_value_and_no_sum_without_it() -> None:
    board = a_board(CHAT, a_status("code", 12, Pace.HOLD))
    assert asked(board, selector="slo=chat").status == HTTPStatus.OK
    for selector in ("slo=code", ""):
        status, body = asked(board, selector=selector)
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "users of InferenceSLO code" in body["message"]
    assert asked(a_board(a_status("chat", None))).status == HTTPStatus.SERVICE_UNAVAILABLE


def test_what_was_decided_long_ago_is_no_value() -> None:
    clock = Clock()
    board = a_board(CHAT, clock=clock)
    clock.at += LEAST
    assert asked(board).status == HTTPStatus.OK
    clock.at += 1
    assert "nothing was decided lately" in asked(board).body["message"]
    assert asked(Board(1.0, clock)).status == HTTPStatus.SERVICE_UNAVAILABLE
