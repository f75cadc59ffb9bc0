"""Counters over time: one question whatever there is, the words of every engine, whole answers or none."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from gpupool.collector.engines.adapters import ADAPTERS
from gpupool.collector.engines.arrivals import (
    ArrivalReader,
    Grid,
    count,
    counts_query,
    requests,
    sums_query,
)
from gpupool.collector.engines.custom import adapter
from gpupool.collector.engines.meter import PodName
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.model.metrics import Metrics
from gpupool.policy.slo.arrivals import Count

POD = PodName("team", "chat-0")
LABELS = {"namespace": "team", "pod": "chat-0"}
TRT = "nv_trt_llm_request_metrics"
WAITING, SCHEDULED = (f"{TRT}{{request_type='{kind}'}}" for kind in ("waiting", "scheduled"))


class Server:
    """Answers with one matrix, and remembers what it was asked."""

    def __init__(self, *rows: tuple[dict[str, str], list[tuple[float, float]]]) -> None:
        self.rows = [
            {"metric": labels, "values": [[t, str(v)] for t, v in points]} for labels, points in rows
        ]
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        given = parse_qs(request.content.decode()) if request.method == "POST" else {}
        params = {k: v[0] for k, v in given.items()} or dict(request.url.params)
        self.asked.append(params)
        data = {"resultType": "matrix", "result": self.rows}
        return httpx.Response(200, json={"status": "success", "data": data})


def reader(answer: Any, **more: Any) -> ArrivalReader:
    client = PrometheusClient(Endpoint(url="http://prometheus"), transport=httpx.MockTransport(answer))
    return ArrivalReader(client, **more)


def test_one_question_gives_every_pod_at_every_step() -> None:
    done = {"__name__": "vllm:request_success_total", **LABELS}
    running = {"__name__": "vllm:num_requests_running", **LABELS}
    server = Server((done, [(270, 3), (300, 5), (330, 9)]), (running, [(330, 2)]))
    found = asyncio.run(reader(server).moments(["team"], Grid(30), 9, 11))
    assert found == {
        10: {POD: {"vllm:request_success_total": 5}},
        11: {POD: {"vllm:request_success_total": 9, "vllm:num_requests_running": 2}},
    }
    (asked,) = server.asked
    assert (asked["time"], asked["query"][-9:]) == ("330.000", "[60s:30s]")


def test_sums_come_by_the_end_of_their_stretch() -> None:
    server = Server(({"series": "tgi_request_count", **LABELS}, [(600, 30), (1200, 60)]))
    found = asyncio.run(reader(server).sums(["team"], Grid(30), 3600, 600, 40))
    assert found == {600: {POD: {"tgi_request_count": 30}}, 1200: {POD: {"tgi_request_count": 60}}}
    assert requests("TGI", found[600][POD]) == 30
    assert (requests("vLLM", found[600][POD]), requests("", found[600][POD])) == (0.0, 0.0)


def test_what_is_no_whole_answer_is_none() -> None:
    broken = reader(lambda _request: httpx.Response(500, text="oops"))
    with pytest.raises(PrometheusError):
        asyncio.run(broken.moments(["team"], Grid(30), 1, 2))

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(500)

    with pytest.raises(TimeoutError):
        asyncio.run(reader(slow, patience=0.05).moments(["team"], Grid(30), 1, 2))


def test_every_engine_is_asked_for() -> None:
    counts, sums = counts_query(["team"], 30, 300), sums_query(["team"], 3600, 600)
    for engine in ADAPTERS.values():
        for name in ("running", "waiting"):
            assert all(s.name in counts for s in engine.gauges[name])
        assert all(s.name in counts and s.word in sums for s in engine.counters["requests"])
    assert 'namespace="team"' in counts
    many = [f"ns-{n}" for n in range(500)]
    assert "ns-3" not in counts_query(many, 30, 300) + sums_query(many, 3600, 600)


@pytest.mark.parametrize(
    ("engine", "words", "found"),
    [
        ("vLLM", {"vllm:request_success_total": 7, "vllm:num_requests_running": 2}, Count(7, 2, 0)),
        ("vLLM", {"vllm:num_requests_waiting": 3}, Count(0, 0, 3)),
        ("TGI", {"tgi_request_count": 7, "tgi_queue_size": 3}, Count(7, 0, 3, coming=True)),
        ("Triton", {WAITING: 3, SCHEDULED: 2}, Count(0, 2, 3)),
        ("Triton", {"nv_inference_pending_request_count": 4}, Count(0, 0, 4)),
        ("vLLM", {"tgi_request_count": 7}, None),
        ("", {"vllm:request_success_total": 7}, None),
    ],
)
def test_what_a_pod_shows(engine: str, words: dict[str, float], found: Count | None) -> None:
    assert count(engine, words) == found


def test_running_and_waiting_of_one_metric_are_told_apart() -> None:
    rows = [({"__name__": TRT, "request_type": kind, **LABELS}, [(30.0, 4.0)]) for kind in ("waiting", "max")]
    found = asyncio.run(reader(Server(*rows)).moments(["team"], Grid(30), 0, 1))
    assert count("Triton", found[1][POD]) == Count(0, 0, 4)


def test_moments_are_at_whole_steps() -> None:
    grid = Grid(1 / 3)
    assert [grid.number(grid.at(n)) for n in range(3, 3000, 7)] == list(range(3, 3000, 7))
    assert grid.number(0.6) == 1


def test_names_that_an_owner_gives_are_asked_and_counted() -> None:
    own = adapter(Metrics("my_running", succeeded="my_done_total"))
    assert "my_running" in counts_query(["team"], 30, 300, [own])
    assert "increase(my_done_total" in sums_query(["team"], 3600, 600, [own])
    assert count("Custom", {"my_done_total": 5.0, "my_running": 2.0}, own) == Count(5.0, 2.0)
    assert requests("Custom", {"my_done_total": 5.0}, own) == 5.0
    blind = adapter(Metrics("my_running"))
    assert count("Custom", {"my_running": 2.0}, blind) is None, "nobody says what counts its requests"
    assert requests("Custom", {"my_running": 2.0}, blind) == 0.0
