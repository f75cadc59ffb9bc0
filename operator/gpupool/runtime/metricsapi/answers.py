"""What is answered to which path: discovery, values, and errors as Kubernetes writes them. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from gpupool.policy.slo.required import METRIC, NAMESPACE, SLO
from gpupool.runtime.metricsapi.board import Board
from gpupool.runtime.metricsapi.selecting import matches, requirements

Json = dict[str, Any]
GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"
_API: Final = f"/apis/{GROUP}"
_OPENAPI: Final[Mapping[str, Json]] = {
    "/openapi/v2": {"swagger": "2.0", "info": {"title": GROUP, "version": VERSION}, "paths": {}},
    "/openapi/v3": {"paths": {}},
}
"""Nobody reads more of it; without it the API server asks again and again, and logs that it did."""
_ONE: Final = re.compile(
    re.escape(f"{_API}/{VERSION}/namespaces/") + r"(?P<namespace>[^/]+)/(?P<metric>[^/]+)"
)


class Answer(NamedTuple):
    """A status and a body."""

    status: HTTPStatus
    body: Json


def answer(path: str, selector: str, board: Board, now: datetime) -> Answer:
    """Answer a GET.

    Args:
        path: from the root.
        selector: what the query says of labels; empty for none.
        board: what was decided.
        now: the server's time.
    """
    if path == _API:
        return Answer(HTTPStatus.OK, _group())
    if path == f"{_API}/{VERSION}":
        return Answer(HTTPStatus.OK, _resources())
    if path in _OPENAPI:
        return Answer(HTTPStatus.OK, _OPENAPI[path])
    found = _ONE.fullmatch(path)
    if found is None:
        return refusal(HTTPStatus.NOT_FOUND, "NotFound", f"there is nothing at {path}")
    if found["metric"] != METRIC:
        text = f"metric {found['metric']} is not served here; {METRIC} is"
        return refusal(HTTPStatus.NOT_FOUND, "NotFound", text)
    return _values(found["namespace"], selector, board, now)


def refusal(status: HTTPStatus, reason: str, message: str) -> Answer:
    """An error as the API server would say it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return Answer(status, {**body, "message": message, "reason": reason, "code": int(status)})


def _values(namespace: str, selector: str, board: Board, now: datetime) -> Answer:
    try:
        wanted = requirements(selector)
    except ValueError as error:
        return refusal(HTTPStatus.BAD_REQUEST, "BadRequest", str(error))
    values = board.values(namespace)
    if values is None:
        return _unknown("nothing was decided lately")
    chosen = {name: v for name, v in values.items() if matches(wanted, _labels(namespace, name))}
    # A sum that leaves one out would be a number about nobody.
    if missing := sorted(name for name, value in chosen.items() if value is None):
        return _unknown(f"it is not known how the users of InferenceSLO {missing[0]} fare")
    if not chosen:
        text = f"no InferenceSLO in namespace {namespace} has a value with labels {selector!r}"
        return refusal(HTTPStatus.NOT_FOUND, "NotFound", text)
    items = [_item(namespace, name, value or 0, now) for name, value in sorted(chosen.items())]
    return Answer(
        HTTPStatus.OK,
        {**_kind("ExternalMetricValueList", f"{GROUP}/{VERSION}"), "metadata": {}, "items": items},
    )


def _unknown(why: str) -> Answer:
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", f"{METRIC} has no value now: {why}")


def _item(namespace: str, name: str, value: int, now: datetime) -> Json:
    return {
        "metricName": METRIC,
        "metricLabels": dict(_labels(namespace, name)),
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": str(value),
    }


def _labels(namespace: str, name: str) -> Mapping[str, str]:
    return {NAMESPACE: namespace, SLO: name}


# ------------------------------------------------------------------ discovery


def _group() -> Json:
    served = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    return {**_kind("APIGroup", "v1"), "name": GROUP, "versions": [served], "preferredVersion": served}


def _resources() -> Json:
    metric = {
        "name": METRIC,
        "singularName": "",
        "namespaced": True,
        "kind": "ExternalMetricValueList",
        "verbs": ["get"],
    }
    return {
        **_kind("APIResourceList", "v1"),
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [metric],
    }


def _kind(kind: str, version: str) -> Json:
    return {"kind": kind, "apiVersion": version}
