"""The engines' time: that of the traces, made to move forward only."""

from collections.abc import Callable

from localplane.exporter.traces import TraceClock


class EngineClock:
    """Seconds of the engines at a time of the world.

    A change of the replay's epoch moves the traces and not the engines; a change of its speed moves both.

    Args:
        replay: the clock of the traces as it is now.
        now: unix time.
    """

    def __init__(self, replay: Callable[[], TraceClock], now: float) -> None:
        self._replay = replay
        self._clock = replay()
        self._now = now
        self._time = self._clock.at(now)

    @property
    def speed(self) -> float:
        """Seconds of the engines per second of the world."""
        return self._clock.speed

    def at(self, now: float) -> float:
        """The engines' time; it never falls."""
        time = self._time + max(0.0, now - self._now) * self._clock.speed
        if (clock := self._replay()) is not self._clock:
            self._clock = clock
        self._now, self._time = max(now, self._now), time
        return time

    def traced(self, time: float) -> float:
        """The time of the traces at a time of the engines."""
        return self._clock.at(self._now) + (time - self._time)
