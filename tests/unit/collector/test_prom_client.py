"""Questions to Prometheus: what is sent, what is read, and how each failure is named."""

import json
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpupool.collector.prometheus import client as module
from gpupool.collector.prometheus.answer import Sample, read_answer
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint, tls
from gpupool.collector.prometheus.errors import (
    PrometheusBadAnswer,
    PrometheusError,
    PrometheusMisconfigured,
    PrometheusPartial,
    PrometheusRefused,
    PrometheusSlow,
    PrometheusUnreachable,
)
from gpupool.collector.prometheus.signing import Signature
from localplane.certs import write_certificates

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
        def observe(outcome: str, seconds: float, samples: int) -> None:
            assert seconds >= 0
            assert samples >= 0
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


async def test_a_token_or_a_user_with_password_is_read_from_the_folder_and_sent(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("ada\n")
    (tmp_path / "password").write_text("pass\n")
    server = Server(ok(success([])), ok(success([])), ok(success([])))
    await server.ask(Endpoint(URL, tmp_path))
    (tmp_path / "token").write_text("secret\n")
    await server.ask(Endpoint(URL, tmp_path))
    await server.ask(Endpoint(URL))
    sent = [r.headers.get("Authorization") for r in server.requests]
    assert sent == [f"Basic {b64encode(b'ada:pass').decode()}", "Bearer secret", None]


async def test_a_refused_token_is_read_anew_and_an_empty_folder_keeps_the_last(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    clock = [0.0]
    signature = Signature(Endpoint(URL, tmp_path), lambda: clock[0])

    async def signed(*statuses: int) -> list[str]:
        sent = []
        flow = signature.async_auth_flow(httpx.Request("GET", URL))
        request = await anext(flow)
        for status in statuses:
            sent.append(request.headers["Authorization"])
            try:
                request = await flow.asend(httpx.Response(status))
            except StopAsyncIteration:
                break
        return sent

    assert await signed(200) == ["Bearer old"]
    (tmp_path / "token").write_text("new")
    assert await signed(401, 200) == ["Bearer old", "Bearer new"]
    (tmp_path / "token").unlink()
    clock[0] = 61.0
    assert await signed(200) == ["Bearer new"]


async def test_a_token_that_no_header_can_carry_is_an_error_of_the_question(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines")
    with pytest.raises(PrometheusMisconfigured, match="no HTTP header can carry"):
        await Server().ask(Endpoint(URL, tmp_path))


async def test_no_secret_is_left_in_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    echo = "your headers: Bearer s3cret, tenant-x"
    server = Server(httpx.Response(403, text=echo))
    with pytest.raises(PrometheusRefused) as caught:
        await server.ask(Endpoint(URL, tmp_path, headers={"X-Scope-OrgID": "tenant-x"}))
    assert "your headers: Bearer ***, ***" in str(caught.value)
    assert "s3cret" not in repr(caught.value)


async def test_more_headers_are_sent_with_every_question() -> None:
    server = Server(ok(success([])))
    await server.ask(Endpoint(URL, headers={"X-Scope-OrgID": "gpu"}))
    assert server.requests[0].headers["X-Scope-OrgID"] == "gpu"


async def test_a_long_question_is_posted() -> None:
    server = Server(ok(success([])))
    async with PrometheusClient(Endpoint(URL), transport=httpx.MockTransport(server)) as client:
        await client.query("up" + " " * 3000, 1.0)
    assert server.requests[0].method == "POST"
    assert server.requests[0].url.query == b""
    assert b"time=1.000" in server.requests[0].content


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
    with pytest.raises(
        PrometheusBadAnswer, match=r"is not Prometheus.*not JSON: <html>: check prometheus\.url"
    ):
        await Server(httpx.Response(200, text="<html>")).ask()


@pytest.mark.parametrize(
    ("status", "asked", "hint"),
    [
        (400, 1, "https://"),
        (401, 2, "prometheus.credentialsSecret"),
        (403, 1, "prometheus.credentialsSecret"),
        (404, 1, "base"),
        (422, 1, "samples"),
        (429, 1, "limit"),
        (500, 1, "log"),
    ],
)
async def test_a_refusal_is_not_tried_again(status: int, asked: int, hint: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    answer = {"status": "error", "errorType": "x", "error": "because"}
    server = Server(*(httpx.Response(status, json=answer) for _ in range(2)))
    with pytest.raises(PrometheusRefused, match=hint) as caught:
        await server.ask(Endpoint(URL, tmp_path))
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
    with pytest.raises(PrometheusSlow, match="does not answer within 10s"):
        await server.ask()
    assert len(server.requests) == 1
    assert server.outcomes == ["timeout"]


async def test_a_redirection_is_told_with_its_place_and_without_its_question() -> None:
    server = Server(httpx.Response(302, headers={"Location": "https://login.example/start?state=abc"}))
    with pytest.raises(PrometheusRefused, match=r"redirects to https://login\.example/start\)"):
        await server.ask()


@pytest.mark.parametrize(
    ("detail", "hint"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "put its CA as ca.crt"),
        ("[SSL: WRONG_VERSION_NUMBER]", "begin with http://"),
        ("[Errno -2] Name or service not known", "no such host"),
        ("[Errno -3] Temporary failure in name resolution", "DNS"),
        ("[Errno 111] Connection refused", "nothing listens there"),
        ("something else", "check prometheus.url and the network"),
    ],
)
async def test_each_way_of_not_connecting_says_what_to_do(detail: str, hint: str) -> None:
    with pytest.raises(PrometheusUnreachable, match=hint):
        await Server(httpx.ConnectError(detail), httpx.ConnectError(detail)).ask()


@pytest.mark.parametrize(
    "url",
    [
        *("", "prometheus:9090", "ftp://x", "http://", "http://[::1", "http://x/?a=b", "http://x/#y"),
        "http://ada:s3cret@x",
    ],
)
async def test_a_url_that_cannot_be_one_is_an_error_of_the_question(url: str) -> None:
    server = Server()
    with pytest.raises(PrometheusMisconfigured, match=r"prometheus\.url") as caught:
        await server.ask(Endpoint(url))
    assert "s3cret" not in str(caught.value)
    assert server.outcomes == ["misconfigured"]


async def test_broken_certificates_are_an_error_until_they_are_mended(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate")
    server = Server(ok(success([])), ok(success([])))
    async with PrometheusClient(Endpoint(URL, tmp_path), transport=httpx.MockTransport(server)) as client:
        with pytest.raises(PrometheusMisconfigured, match=r"ca\.crt .* is no PEM certificate"):
            await client.query("up")
        (tmp_path / "ca.crt").unlink()
        assert await client.query("up") == []
        write_certificates(tmp_path / "certs")
        (tmp_path / "ca.crt").write_bytes((tmp_path / "certs/ca.crt").read_bytes())
        assert await client.query("up") == []


def test_without_verification_no_certificate_is_asked_for() -> None:
    assert tls(Endpoint(URL)).verify_mode is ssl.CERT_REQUIRED
    assert tls(Endpoint(URL, insecure=True)).verify_mode is ssl.CERT_NONE


async def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(PrometheusMisconfigured, match=r"prometheus\.credentialsSecret: token cannot be read"):
        await Server().ask(Endpoint(URL, tmp_path))
    assert Endpoint(URL, tmp_path).hide("left as it is") == "left as it is"
