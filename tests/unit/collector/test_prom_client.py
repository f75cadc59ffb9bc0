"""Questions to Prometheus: what is sent, what is read, and how each failure is named."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpupool.collector.prometheus import client as module
from gpupool.collector.prometheus.answer import Sample, read_answer
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.errors import (
    PrometheusBadAnswer,
    PrometheusError,
    PrometheusPartial,
    PrometheusRefused,
    PrometheusUnreachable,
)
from gpupool.errors import SettingsError

URL = "http://prometheus.example:9090/base/"


def success(result: list[Any], kind: str = "vector", **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


class Server:
    """Answers in turn what it was given, and remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.outcomes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self, endpoint: Endpoint | None = None, at: float | None = None) -> list[Sample]:
        def observe(outcome: str, seconds: float) -> None:
            assert seconds >= 0
            self.outcomes.append(outcome)

        async with PrometheusClient(
            endpoint or Endpoint(URL), observe=observe, transport=httpx.MockTransport(self)
        ) as client:
            found = await client.query("up", at)
            self.dropped = client.dropped
            return found


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(body))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)


async def test_a_question_goes_below_the_base_url_with_its_time() -> None:
    server = Server(ok(success([{"metric": {"job": "a"}, "value": [12.5, "3"]}])))
    assert await server.ask(at=12.5) == [Sample({"job": "a"}, 3.0, 12.5)]
    assert server.requests[0].url.path == "/base/api/v1/query"
    assert dict(server.requests[0].url.params) == {"query": "up", "time": "12.500"}
    assert server.outcomes == ["ok"]


async def test_without_a_time_prometheus_takes_its_own() -> None:
    server = Server(ok(success([])))
    assert await server.ask() == []
    assert "time" not in server.requests[0].url.params


async def test_a_token_file_is_read_and_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    server = Server(ok(success([])), ok(success([])))
    await server.ask(Endpoint(URL, token_file=tmp_path / "token"))
    await server.ask(Endpoint(URL, token="fixed"))  # noqa: S106 - an example
    sent = [r.headers["Authorization"] for r in server.requests]
    assert sent == ["Bearer secret", "Bearer fixed"]


async def test_a_missing_token_file_is_an_error_of_the_question(tmp_path: Path) -> None:
    with pytest.raises(PrometheusError, match="cannot read the token"):
        await Server().ask(Endpoint(URL, token_file=tmp_path / "none"))


async def test_numbers_that_are_none_are_dropped_and_counted() -> None:
    rows = [{"metric": {"n": v}, "value": [1, v]} for v in ("NaN", "+Inf", "-Inf", "2")]
    server = Server(ok(success(rows)))
    assert [s.value for s in await server.ask()] == [2.0]
    assert server.dropped == 3


def test_a_matrix_is_flattened_and_a_scalar_has_no_labels() -> None:
    matrix = read_answer(success([{"metric": {"a": "b"}, "values": [[1, "5"], [2, "6"]]}], "matrix"))
    assert [(s.value, s.timestamp) for s in matrix.samples] == [(5, 1), (6, 2)]
    scalar = read_answer({"status": "success", "data": {"resultType": "scalar", "result": [7, "8"]}})
    assert scalar.samples == (Sample({}, 8.0, 7.0),)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (success([], warnings=["store x is missing"]), PrometheusPartial, "store x is missing"),
        ({"status": "error", "error": "boom"}, PrometheusBadAnswer, "boom"),
        ([], PrometheusBadAnswer, "something else"),
        (success([{"metric": {}}]), PrometheusBadAnswer, "not known"),
        (success([{"metric": {}, "value": [1, "x"]}]), PrometheusBadAnswer, "not known"),
        (success([], "string"), PrometheusBadAnswer, "result type"),
        ({"status": "success"}, PrometheusBadAnswer, "not known"),
    ],
)
async def test_an_answer_that_is_not_whole_is_refused(
    body: Any, kind: type[PrometheusError], says: str
) -> None:
    server = Server(ok(body))
    with pytest.raises(kind, match=says):
        await server.ask()
    assert server.outcomes == [kind.kind]
    assert len(server.requests) == 1


async def test_a_page_that_is_not_json_is_named() -> None:
    with pytest.raises(PrometheusBadAnswer, match=r"not JSON: <html>: check prometheus\.url"):
        await Server(httpx.Response(200, text="<html>")).ask()


@pytest.mark.parametrize(
    ("status", "asked", "hint"),
    [(401, 2, "token"), (403, 1, "token"), (404, 1, "base"), (422, 1, "samples"), (500, 1, "log")],
)
async def test_a_refusal_is_not_tried_again(status: int, asked: int, hint: str) -> None:
    answer = {"status": "error", "errorType": "x", "error": "because"}
    server = Server(*(httpx.Response(status, json=answer) for _ in range(2)))
    endpoint = Endpoint(URL, token="t")  # noqa: S106 - an example
    with pytest.raises(PrometheusRefused, match=hint) as caught:
        await server.ask(endpoint)
    assert caught.value.status == status
    assert "because" in str(caught.value)
    assert len(server.requests) == asked  # 401: the token is asked for anew, once


@pytest.mark.parametrize(
    "first", [httpx.ConnectError("refused"), httpx.Response(503), httpx.ReadError("cut")]
)
async def test_what_may_pass_in_a_moment_is_tried_once_more(first: httpx.Response | Exception) -> None:
    server = Server(first, ok(success([])))
    assert await server.ask() == []
    assert server.outcomes == ["ok"]


async def test_there_is_no_third_try() -> None:
    server = Server(*(httpx.ConnectError("refused") for _ in range(3)))
    with pytest.raises(PrometheusUnreachable, match="does not answer") as caught:
        await server.ask()
    assert "http://prometheus.example:9090/base" in str(caught.value)
    assert (len(server.requests), server.outcomes) == (2, ["unreachable"])


async def test_silence_is_not_waited_for_twice() -> None:
    server = Server(httpx.ReadTimeout(""), ok(success([])))
    with pytest.raises(PrometheusUnreachable, match="ReadTimeout"):
        await server.ask()
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://x", "http://", "http://[::1"])
def test_a_url_that_cannot_be_one_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"prometheus\.url"):
        PrometheusClient(Endpoint(url))


def test_certificates_that_are_missing_are_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="certificates"):
        PrometheusClient(Endpoint("https://x", ca_file=tmp_path / "none"))
