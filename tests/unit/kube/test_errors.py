"""A refusal's type comes from its code and its machine-readable reason."""

import pytest

from gpupool.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Conflict,
    Failure,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    kube_error,
)
from gpupool.kube.transport import failure_from_status


@pytest.mark.parametrize(
    ("status", "reason", "kind", "retry"),
    [
        (0, "", Unreachable, True),
        (400, "BadRequest", BadRequest, False),
        (401, "Unauthorized", Unauthorized, False),
        (403, "Forbidden", Forbidden, False),
        (404, "NotFound", NotFound, False),
        (405, "MethodNotAllowed", BadRequest, False),
        (409, "Conflict", Conflict, False),
        (409, "AlreadyExists", AlreadyExists, False),
        (410, "Expired", Gone, False),
        (415, "UnsupportedMediaType", BadRequest, False),
        (422, "Invalid", Invalid, False),
        (429, "TooManyRequests", TooManyRequests, True),
        (500, "InternalError", ServerError, True),
        (504, "Timeout", ServerError, True),
        (302, "", ServerError, True),
    ],
)
def test_each_code_has_its_type(status: int, reason: str, kind: type[KubeError], retry: bool) -> None:
    error = kube_error("GET /x", Failure(status, reason))
    assert type(error) is kind
    assert error.retry is retry
    assert isinstance(error.fault, Fault)


def test_an_error_names_the_call_the_code_and_the_server_s_words() -> None:
    error = kube_error("PATCH /api/v1/nodes/n", Failure(409, "Conflict", "try again"))
    assert str(error) == "PATCH /api/v1/nodes/n: 409 try again"
    assert str(kube_error("GET /x", Failure(message="ConnectError"))) == "GET /x: no answer ConnectError"


def test_a_conflict_names_the_contested_fields_only() -> None:
    causes = (Cause("FieldManagerConflict", ".spec.hard", "by kubectl"), Cause("Other", ".spec"))
    error = kube_error("PATCH /x", Failure(409, "Conflict", causes=causes))
    assert isinstance(error, Conflict)
    assert error.contested == (".spec.hard",)
    assert error.has_cause("FieldManagerConflict")
    assert not error.has_cause("DisruptionBudget")


def test_a_status_object_is_read_whole() -> None:
    status = {
        "kind": "Status",
        "code": 429,
        "reason": "TooManyRequests",
        "message": "held",
        "details": {
            "retryAfterSeconds": 10,
            "causes": [{"reason": "DisruptionBudget", "message": "the budget b needs 1"}],
        },
    }
    assert failure_from_status(status) == Failure(
        429, "TooManyRequests", "held", (Cause("DisruptionBudget", "", "the budget b needs 1"),), 10.0
    )


def test_the_header_s_retry_after_wins_and_a_date_in_it_is_ignored() -> None:
    assert failure_from_status({}, code=429, after="3").retry_after == 3.0
    assert failure_from_status({}, code=429, after="Sat, 21 Nov 2026 12:00:00 GMT").retry_after is None


@pytest.mark.parametrize("status", [{}, {"details": None}, {"code": None, "details": {"causes": None}}])
def test_a_poor_status_object_is_a_server_error(status: dict[str, object]) -> None:
    assert failure_from_status(status).status == 500
