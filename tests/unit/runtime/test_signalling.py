"""How often signals are read, and what the API server says of start-ups."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from gpupool.collector.engines.signals import Births, SignalReader
from gpupool.collector.engines.subject import Subject
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.signals import SignalReading, Started, Starting
from gpupool.model.slo import Objective, Sli, Slo
from gpupool.runtime.births import births
from gpupool.runtime.signalling import Signalling
from support.builders import NOW, pods

CHAT = ObjectRef("apps/v1", "Deployment", "chat")


def slo(name: str = "chat") -> Slo:
    return Slo(Key("team", name), "u", 1, NOW, CHAT, (Objective(Sli.TTFT, 99, 0.5),), timedelta(days=1), 100)


class Reader:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, *_: Any) -> SignalReading:
        self.asked += 1
        return SignalReading(problem=f"reading {self.asked}")


def test_signals_are_read_a_few_times_in_a_window_and_at_once_for_a_new_endpoint() -> None:
    now, reader = [0.0], Reader()
    signalling = Signalling(cast("SignalReader", reader), 300.0, lambda: now[0])

    def look(*names: str) -> str:
        subjects = [Subject(slo(name)) for name in names]
        return asyncio.run(signalling.look(subjects, {}, {})).problem

    assert [look("a"), look("a")] == ["reading 1", "reading 1"]
    now[0] = 15.0
    assert look("a") == "reading 2"
    assert [look("a", "b"), look("b")] == ["reading 3", "reading 3"]
    assert look() == ""


def test_without_prometheus_there_are_none() -> None:
    assert asyncio.run(Signalling(None, 300.0).look([Subject(slo())], {}, {})) == SignalReading()


def test_start_ups_are_told_by_the_api_server() -> None:
    def pod(name: str, **more: Any) -> Any:
        made = NOW - timedelta(seconds=100)
        return replace(
            pods(1, name, "team")[0], key=Key("team", name), **{"owner": CHAT, "created": made, **more}
        )

    own = (
        pod("old", ready=True, ready_at=NOW - timedelta(seconds=30), recipe="r1"),
        pod("new", ready=False, created=NOW - timedelta(seconds=5), recipe="r2"),
        pod("unbound", ready=False, node=None),
        pod("gone", terminating=True),
        pod("timeless", created=None),
        pod("long", ready=True, ready_at=None),
    )
    found = births([slo(), slo("other")], {("team", CHAT): own}, NOW)[Key("team", "chat")]
    assert found.starting == (Starting("new", 5), Starting("unbound", 100, bound=False))
    assert found.started == (Started(NOW.timestamp() - 30, 70, "old", 30),)
    assert found.recipe == "r2"
    assert births([slo()], {}, NOW) == {Key("team", "chat"): Births()}
