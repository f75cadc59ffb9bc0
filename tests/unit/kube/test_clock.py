"""The server's clock as seen from here: bounded by its answers, never running backwards."""

from datetime import UTC, datetime, timedelta

import pytest

from gpupool.kube.clock import ServerClock


class Time:
    """Monotonic seconds and a wall clock that a test moves."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.wall = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()

    def pass_by(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> ServerClock:
    return ServerClock(monotonic=lambda: time.monotonic, wall=lambda: time.wall)


def date(second: int, minute: int = 0) -> str:
    return f"Sat, 21 Nov 2026 12:{minute:02}:{second:02} GMT"


def at(second: float, minute: int = 0) -> datetime:
    return datetime(2026, 11, 21, 12, minute, int(second), round(second % 1 * 1e6), tzinfo=UTC)


def answer(clock: ServerClock, time: Time, text: str | None, took: float = 0.0) -> None:
    sent = clock.sent()
    time.pass_by(took)
    clock.observe(text, sent)


def test_before_the_first_answer_there_is_no_time(clock: ServerClock) -> None:
    assert not clock.known
    assert clock.skew() is None
    with pytest.raises(LookupError):
        clock.now()


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_an_answer_without_a_readable_date_teaches_nothing(
    clock: ServerClock, time: Time, text: str | None
) -> None:
    answer(clock, time, text)
    assert not clock.known


def test_between_answers_the_time_goes_on(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(10))
    time.pass_by(2.5)
    assert clock.now() == at(12.5)


def test_a_date_cut_to_seconds_does_not_set_the_time_back(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(10))
    time.pass_by(0.9)
    answer(clock, time, date(10))
    assert clock.now() == at(10.9)


def test_a_later_date_moves_the_time_forward(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(10))
    time.pass_by(0.2)
    answer(clock, time, date(11))
    assert clock.now() == at(11)


def test_a_slow_answer_does_not_look_like_a_clock_set_back(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(10))
    answer(clock, time, date(10), took=8.0)
    assert clock.now() == at(18)


def test_time_stands_still_until_a_clock_that_was_set_back_catches_up(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(30))
    assert clock.now() == at(30)
    answer(clock, time, date(20))
    assert clock.now() == at(30)
    time.pass_by(5)
    assert clock.now() == at(30)
    time.pass_by(7)
    assert at(30) < clock.now() <= at(33)


HOUR = 3600.0


def on(hour: int, second: int = 0) -> str:
    return f"Sat, 21 Nov 2026 {hour:02}:00:{second:02} GMT"


@pytest.mark.parametrize("hour", [11, 13])
def test_a_server_that_leaps_alone_is_not_believed_and_time_goes_on(
    clock: ServerClock, time: Time, hour: int
) -> None:
    answer(clock, time, on(12))
    time.pass_by(5)
    answer(clock, time, on(hour, 5))
    assert clock.now() == at(5)
    assert clock.skew() == pytest.approx((hour - 12) * HOUR, abs=1)
    time.pass_by(5)
    answer(clock, time, on(12, 10))
    assert clock.now() == at(10)


def test_a_leap_that_the_local_clock_made_too_is_believed(clock: ServerClock, time: Time) -> None:
    """A machine that slept: monotonic time stood still, both clocks went on."""
    answer(clock, time, on(12))
    time.wall += HOUR
    answer(clock, time, on(13))
    assert clock.now() == at(0) + timedelta(hours=1)


def test_a_leap_is_measured_against_a_local_clock_that_was_always_off(clock: ServerClock, time: Time) -> None:
    time.wall += 7 * HOUR
    answer(clock, time, on(12))
    time.wall += HOUR
    answer(clock, time, on(13))
    assert clock.now() == at(0) + timedelta(hours=1)


def test_a_local_clock_that_leaps_alone_changes_nothing(clock: ServerClock, time: Time) -> None:
    answer(clock, time, on(12))
    time.wall += HOUR
    answer(clock, time, on(12, 1))
    assert clock.now() == at(1)


@pytest.mark.parametrize(("server", "believed"), [(13, 12), (11, 11)])
def test_at_the_first_answer_the_earlier_of_two_clocks_counts(
    clock: ServerClock, time: Time, server: int, believed: int
) -> None:
    answer(clock, time, on(server))
    assert clock.now() == at(0) + timedelta(hours=believed - 12)
    answer(clock, time, on(12))
    assert clock.now() == at(0), "both agree now"


def test_the_skew_is_how_far_the_server_is_ahead(clock: ServerClock, time: Time) -> None:
    answer(clock, time, date(0, minute=2))
    assert clock.skew() == pytest.approx(120)
