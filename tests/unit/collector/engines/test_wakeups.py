"""Series that wake: one question, one that is refused spoils no other, what is not there is not zero."""

import asyncio
from typing import Any

import httpx

from gpupool.collector.engines.wakeups import AGAIN, Heard, WakeReader, question
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint

QUEUE, BROKEN = 'queue{model="chat"}', "queue{model}"


class Server:
    """Refuses what is broken, knows some series, and remembers what it was asked."""

    def __init__(self, **values: float) -> None:
        self.values = values
        self.asked: list[str] = []
        self.down = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params["query"]
        self.asked.append(asked)
        if self.down:
            return httpx.Response(503, text="later")
        if "{model}" in asked:
            return httpx.Response(400, json={"status": "error", "error": "parse error: bad matcher"})
        rows = [
            {"metric": {"series": text}, "value": [1.0, str(value)]}
            for name, value in self.values.items()
            for text in (name, QUEUE)
            if f"max({text})" in asked and text.startswith(name)
        ]
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "vector", "result": rows}}
        )


class Rig:
    def __init__(self, **values: float) -> None:
        self.server = Server(**values)
        self.now = 0.0
        self.reader = self._reader(self.server)

    def _reader(self, answer: Any, **more: Any) -> WakeReader:
        client = PrometheusClient(Endpoint(url="http://prometheus"), transport=httpx.MockTransport(answer))
        return WakeReader(client, monotonic=lambda: self.now, **more)

    def read(self, *series: str) -> dict[str, Heard]:
        return dict(asyncio.run(self.reader.read(series)))


def test_one_question_for_all_and_none_for_none() -> None:
    rig = Rig(queue=3.0, other=0.0)
    assert rig.read(QUEUE, "other") == {QUEUE: Heard(3.0), "other": Heard(0.0)}
    assert len(rig.server.asked) == 1
    assert rig.read() == {}
    assert len(rig.server.asked) == 1


def test_a_question_keeps_every_series_in_its_place() -> None:
    asked = question(['q{a="b$1"}', "r"])
    assert asked == (
        'label_replace(max(q{a="b$1"}), "series", "q{a=\\"b$$1\\"}", "", "")'
        ' or label_replace(max(r), "series", "r", "", "")'
    )


def test_what_is_not_there_is_not_zero_and_says_what_to_name() -> None:
    (heard,) = Rig().read("queue").values()
    assert (heard.value, heard.reason) == (None, "NoSeries")
    assert "name a gauge that is there also while no pod runs" in heard.problem


def test_one_that_is_refused_spoils_no_other_and_is_asked_again_later() -> None:
    rig = Rig(queue=3.0)
    found = rig.read(BROKEN, QUEUE)
    assert found[QUEUE] == Heard(3.0)
    assert (found[BROKEN].value, found[BROKEN].reason) == (None, "BadSeries")
    assert "bad matcher" in found[BROKEN].problem
    asked = len(rig.server.asked)
    assert rig.read(BROKEN, QUEUE) == found
    assert len(rig.server.asked) == asked + 1
    rig.now = AGAIN
    assert rig.read(BROKEN)[BROKEN].reason == "BadSeries"
    assert BROKEN in rig.server.asked[-1]
    assert rig.read(QUEUE) == {QUEUE: Heard(3.0)}
    assert rig.reader._refused == {}


def test_without_prometheus_nothing_is_known_of_any() -> None:
    rig = Rig(queue=3.0)
    rig.server.down = True
    (heard,) = rig.read(QUEUE).values()
    assert (heard.value, heard.reason) == (None, "NotRead")
    assert "503" in heard.problem

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(500)

    rig.reader = rig._reader(slow, patience=0.05)
    (heard,) = rig.read(QUEUE).values()
    assert "more than 0.05s" in heard.problem
