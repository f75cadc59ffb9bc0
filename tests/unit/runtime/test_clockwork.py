"""Waking up and continuity, on clocks of the tests' own."""

import asyncio
from datetime import timedelta
from itertools import count

import pytest

from gpupool.runtime import clockwork
from gpupool.runtime.clockwork import LONGEST_WAIT, Alarm, Continuity, Laps
from support.builders import HOUR, MINUTE, NOW

SECOND = timedelta(seconds=1)


class Clock:
    """Seconds that move by `step` whenever they are read."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        self.now += self.step
        return self.now


@pytest.fixture(autouse=True)
def _short_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockwork, "QUIET", 0.02)


async def test_without_a_change_the_interval_ends_the_wait() -> None:
    async with asyncio.timeout(5):
        await Alarm(Clock()).wait(0.01)


async def test_a_change_ends_the_wait_long_before_the_interval() -> None:
    alarm = Alarm(Clock())
    alarm.ring()
    async with asyncio.timeout(5):
        await alarm.wait(3600)


async def test_changes_that_came_during_a_wait_are_not_told_again() -> None:
    alarm = Alarm(Clock())
    for _ in range(3):
        alarm.ring()
    await alarm.wait(3600)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await alarm.wait(3600)


async def test_a_storm_of_changes_ends_a_wait_within_the_longest_wait() -> None:
    clock = Clock(step=0.25)
    alarm = Alarm(clock)

    async def storm() -> None:
        for _ in count():
            alarm.ring()
            await asyncio.sleep(0)

    storming = asyncio.create_task(storm())
    async with asyncio.timeout(5):
        await alarm.wait(3600)
    storming.cancel()
    assert clock.now >= LONGEST_WAIT
    assert clock.reads <= 20, "it waits no longer than that"


async def test_a_change_from_long_ago_waits_for_no_quiet() -> None:
    clock = Clock()
    alarm = Alarm(clock)
    alarm.ring()
    clock.now = LONGEST_WAIT + 1
    ringing = asyncio.create_task(alarm.wait(3600))
    async with asyncio.timeout(5):
        await ringing
    alarm.ring()
    assert clock.reads == 3, "first ring, one look at the clock, next ring"


# ------------------------------------------------------------------ continuity


def ticked(*seconds: float, interval: float = 10.0) -> Continuity:
    found = Continuity(interval)
    for moment in seconds:
        found.tick(NOW + moment * SECOND)
    return found


def test_before_the_first_cycle_nothing_has_lasted() -> None:
    assert Continuity(10).since(NOW) == NOW


def test_cycles_without_a_gap_are_one_run() -> None:
    assert ticked(0, 10, 20, 21, 43).since(NOW + MINUTE) == NOW


@pytest.mark.parametrize(("gap", "broken"), [(20.0, False), (22.0, False), (22.5, True), (3600.0, True)])
def test_more_than_two_missed_cycles_are_a_gap(gap: float, broken: bool) -> None:
    later = NOW + (10 + gap) * SECOND
    assert ticked(0, 10, 10 + gap).since(later) == (later if broken else NOW)


def test_time_goes_on_where_an_earlier_process_left_it_and_its_cycles_do_not_count() -> None:
    found = Continuity(10.0)
    found.not_before(NOW)
    found.not_before(NOW - MINUTE)
    found.tick(NOW - HOUR)
    assert found.monotone(NOW - HOUR) == NOW
    assert found.since(NOW) == NOW, "after a restart nothing has lasted, however soon it came"


def test_time_never_runs_backwards_and_a_step_back_is_no_gap() -> None:
    found = ticked(0, 10)
    assert found.monotone(NOW) == NOW + 10 * SECOND
    found.tick(NOW - MINUTE)
    assert found.monotone(NOW) == NOW + 10 * SECOND
    assert found.since(NOW + MINUTE) == NOW


def test_steps_that_come_twice_count_together() -> None:
    laps = Laps()
    for step in ("plan", "apply", "apply"):
        laps.lap(step)
    assert list(laps.seconds) == ["plan", "apply"]
    assert all(seconds >= 0 for seconds in laps.seconds.values())
