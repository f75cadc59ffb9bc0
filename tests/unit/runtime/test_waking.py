"""Whether somebody asks: who may sleep is asked about, and how long it has not been known is remembered."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import cast

from gpupool.collector.engines.wakeups import Heard, WakeReader
from gpupool.model.objects import Key
from gpupool.model.steering import Scaling, Wake
from gpupool.runtime.waking import Waking
from unit.planner.test_steering import KEY, SLO

SLEEPY = replace(SLO, scaling=Scaling(0, 4, wake="queue"))
LOST = Heard(None, "NotRead", "nobody answers")


class Reader:
    def __init__(self) -> None:
        self.heard = Heard(0.0)
        self.asked: list[set[str]] = []
        self.now = 0.0

    async def read(self, series: Collection[str]) -> Mapping[str, Heard]:
        self.asked.append(set(series))
        return dict.fromkeys(series, self.heard)


def waking(reader: Reader) -> Waking:
    return Waking(cast("WakeReader", reader), lambda: reader.now)


async def test_only_who_may_sleep_is_asked_about_and_one_series_once() -> None:
    reader = Reader()
    other = replace(SLEEPY, key=Key("vision", "code"))
    awake = replace(SLO, key=Key("vision", "awake"), scaling=Scaling(1, 4, wake="queue"))
    found = await waking(reader).look([SLEEPY, other, awake])
    assert found.keys() == {KEY, other.key}
    assert reader.asked == [{"queue"}]
    assert await waking(reader).look([awake]) == {}
    assert len(reader.asked) == 1


async def test_above_zero_somebody_asks() -> None:
    reader = Reader()
    look = waking(reader)
    assert (await look.look([SLEEPY]))[KEY] == Wake("queue", False, 0.0, quiet=True)
    reader.heard = Heard(0.5)
    assert (await look.look([SLEEPY]))[KEY] == Wake("queue", True)


async def test_what_was_known_last_is_remembered_and_how_long_ago() -> None:
    reader = Reader()
    look = waking(reader)
    reader.heard = LOST
    never = (await look.look([SLEEPY]))[KEY]
    assert (never.asked, never.quiet, never.age, never.reason) == (None, False, float("inf"), "NotRead")
    reader.heard = Heard(0.0)
    await look.look([SLEEPY])
    reader.heard, reader.now = LOST, 50.0
    lost = (await look.look([SLEEPY]))[KEY]
    assert (lost.asked, lost.quiet, lost.age, lost.problem) == (None, True, 50.0, "nobody answers")
    await look.look([])
    assert look._known == {}


async def test_without_prometheus_it_is_said() -> None:
    found = (await Waking(None).look([SLEEPY]))[KEY]
    assert "set prometheus.url" in found.problem
