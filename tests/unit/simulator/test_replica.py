"""The replica model: what it must keep, and how near it is to its closed form."""

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.simulator.replica import SPEEDS, Ask, Replica, Served, Speed

SPEED = SPEEDS["llama-70b-fp8/4xH100"]
SMALL = Speed(alpha=0.01, beta=0.0001, gamma=1e-6, delta=1e-4, kv_tokens=1_000, max_seqs=4)
ASKS = st.lists(
    st.tuples(st.floats(0, 2), st.integers(1, 600), st.integers(1, 400), st.integers(0, 100)), max_size=30
)


def stream(rate: float, seconds: float, prompt: float = 1_000, output: float = 250) -> list[Ask]:
    """Poisson arrivals with exponential lengths."""
    rng, asks, at = random.Random(7), [], 0.0  # noqa: S311 - the same again
    while at < seconds:
        at += rng.expovariate(rate)
        asks.append(Ask(at, 1 + int(rng.expovariate(1 / prompt)), 1 + int(rng.expovariate(1 / output))))
    return asks


def serve(replica: Replica, asks: Iterable[Ask], after: float = 1e5) -> list[Served]:
    """Everything, until all have ended."""
    last = 0.0
    for ask in asks:
        replica.advance(ask.at)
        replica.offer(ask)
        last = ask.at
    replica.advance(last + after)
    return replica.take()[0]


@pytest.mark.parametrize("rate", [1, 5, 9])
def test_the_time_per_token_is_that_of_the_closed_form(rate: float) -> None:
    found = serve(Replica(SPEED), stream(rate, 2_000))
    measured = fmean(s.tpot for s in found if s.ask.output > 20)
    assert measured == pytest.approx(SPEED.per_token(rate, 1_000, 250), rel=0.1)


def test_what_cannot_be_carried_has_no_time_per_token() -> None:
    assert SPEED.load(20, 1_000, 250) > 1
    assert SPEED.per_token(20, 1_000, 250) == math.inf


@given(ASKS)
def test_every_request_is_served_once_or_refused_and_in_order(raw: list[tuple[float, int, int, int]]) -> None:
    gaps = [Ask(0, *rest) for _, *rest in raw]
    asks = [replace(a, at=sum(r[0] for r in raw[: n + 1])) for n, a in enumerate(gaps)]
    replica = Replica(SMALL)
    found = serve(replica, asks)
    assert (replica.running, replica.waiting, replica.context) == (0, 0, 0)
    assert len(found) + replica.refused == len(asks)
    for served in found:
        assert served.ask.at - 1e-9 <= served.admitted <= served.first <= served.ended + 1e-9
        assert served.queue >= -1e-9
        assert served.ttft >= SMALL.delta * served.prompt - 1e-9
        assert 0 <= served.stood <= served.ended - served.first + 1e-9
    if not replica.refused:
        assert sorted((s.prompt, s.output) for s in found) == sorted((a.prompt, a.output) for a in asks)


def test_a_request_alone_takes_its_prompt_and_its_tokens() -> None:
    (served,) = serve(Replica(SMALL), [Ask(1.0, 100, 50)])
    assert served.ttft == pytest.approx(100 * SMALL.delta + SMALL.step(1, 100))
    assert served.tpot == pytest.approx(SMALL.step(1, 125), rel=0.03)
    assert served.queue == 0


def test_who_waits_behind_a_prompt_has_its_place_and_who_waits_for_a_place_has_not() -> None:
    crowd = serve(Replica(SMALL), [Ask(0.0, 100, 50), *(Ask(0.001, 50, 20) for _ in range(4))])
    by_place = sorted(crowd, key=lambda s: s.admitted)
    assert [s.placed - s.ask.at for s in by_place[:4]] == [0, 0, 0, 0]
    assert by_place[3].queue > 0.01
    last = by_place[4]
    assert last.placed == pytest.approx(min(s.ended for s in by_place[:4]))


def test_who_was_held_up_elsewhere_says_since_when_it_could_be_taken() -> None:
    replica = Replica(SMALL)
    replica.advance(3.0)
    replica.offer(Ask(1.0, 10, 10), since=3.0)
    (served,) = serve(replica, [])
    assert (served.placed, served.admitted) == (3.0, 3.0)


def test_other_numbers_hold_at_once_and_put_back_what_has_no_room() -> None:
    replica = Replica(SMALL)
    for _ in range(4):
        replica.offer(Ask(0.0, 100, 200))
    replica.advance(0.5)
    replica.retune(replace(SMALL, kv_tokens=350))
    assert (replica.running, replica.waiting, replica.preempted) == (2, 2, 2)
    replica.retune(replace(SMALL, max_seqs=1))
    assert replica.running == 1
    assert len(serve(replica, [])) == 4


def test_a_single_token_has_no_time_between_tokens() -> None:
    (served,) = serve(Replica(SMALL), [Ask(0.0, 10, 1)])
    assert served.tpot == 0


def test_cached_tokens_take_room_and_no_time() -> None:
    (read,) = serve(Replica(SMALL), [Ask(0.0, 600, 10)])
    (found,) = serve(Replica(SMALL), [Ask(0.0, 0, 10, cached=600)])
    assert found.ttft < read.ttft / 4
    replica = Replica(SMALL)
    replica.offer(Ask(0.0, 0, 10, cached=600))
    assert replica.context == 600


def test_who_does_not_fit_waits_for_a_sequence_or_for_room() -> None:
    by_count, by_room = Replica(SMALL), Replica(SMALL)
    for _ in range(6):
        by_count.offer(Ask(0.0, 10, 100))
    for _ in range(2):
        by_room.offer(Ask(0.0, 500, 100))
    assert (by_count.running, by_count.waiting) == (4, 2)
    assert (by_room.running, by_room.waiting) == (1, 1)


def test_context_that_outgrows_the_cache_sends_the_youngest_back_to_be_read_again() -> None:
    replica = Replica(SMALL)
    found = serve(replica, [Ask(0.0, 300, 400), Ask(0.0, 300, 400)])
    assert replica.preempted == 1
    assert [s.ask.prompt > 300 for s in found] == [False, True]
    assert [(s.prompt, s.output) for s in found] == [(300, 400)] * 2
    assert found[1].ttft < 0.1, "its first token was out before"
    assert found[0].stood == 0
    assert 1 < found[1].stood < found[0].ended, "it stood while the other wrote"
    assert found[1].tpot * 399 == pytest.approx(found[1].ended - found[1].first)


def test_time_and_work_are_kept_while_they_are_watched_in_pieces() -> None:
    whole, pieces = Replica(SMALL, keep_spans=True), Replica(SMALL, keep_spans=True)
    asks = [Ask(0.0, 50, 80), Ask(0.0, 50, 40)]
    for replica in (whole, pieces):
        for ask in asks:
            replica.offer(ask)
    whole.advance(5.0)
    for n in range(500):
        pieces.advance(n / 100)
    pieces.advance(5.0)
    ends = [[s.ended for s in replica.take()[0]] for replica in (whole, pieces)]
    assert ends[0] == pytest.approx(ends[1], rel=0.02)
    assert whole.busy == pytest.approx(pieces.busy, rel=0.02)
    assert pieces.time == 5.0


@pytest.mark.parametrize("step", [0.001, 0.01, 0.05])
def test_a_prompt_that_is_read_over_a_look_costs_all_its_time(step: float) -> None:
    one = replace(SMALL, max_seqs=1)
    asks = [Ask(0.0, 10, 10), Ask(0.0, 600, 10), Ask(0.0, 600, 10)]
    whole, pieces = serve(Replica(one), asks), Replica(one, keep_spans=True)
    for ask in asks:
        pieces.offer(ask)
    last = 0.0
    for n in range(round(2 / step)):
        pieces.advance(n * step)
        assert pieces.time >= last, "time does not run back"
        last = pieces.time
    found, spans = pieces.take()
    assert sum(span.seconds for span in spans) == pytest.approx(pieces.busy)
    assert sum(span.steps for span in spans) == pytest.approx(30)
    assert [s.first for s in found] == pytest.approx([s.first for s in whole], rel=0.02)
    assert [s.ended for s in found] == pytest.approx([s.ended for s in whole], rel=0.02)


def test_spans_say_what_was_done_and_are_taken_once() -> None:
    replica = Replica(SMALL, keep_spans=True)
    replica.offer(Ask(0.0, 100, 20))
    replica.advance(10.0)
    served, spans = replica.take()
    assert (spans[0].running, spans[0].steps) == (0, 0.0)
    assert spans[0].seconds == pytest.approx(0.01)
    assert sum(s.steps for s in spans) == pytest.approx(20)
    assert sum(s.seconds for s in spans) == pytest.approx(replica.busy)
    assert len(served) == 1
    assert replica.take() == ([], [])


def test_a_request_that_could_never_fit_is_refused() -> None:
    replica = Replica(SMALL)
    replica.offer(Ask(0.0, 900, 200))
    assert (replica.refused, replica.running, replica.waiting) == (1, 0, 0)


def test_who_is_put_back_before_its_first_token_begins_anew() -> None:
    replica = Replica(SMALL)
    asks = [Ask(0.0, 100, 50), Ask(0.0, 100, 50)]
    for ask in asks:
        replica.offer(ask)
    replica.retune(replace(SMALL, max_seqs=1))
    found = serve(replica, [])
    assert [(s.ask, s.stood) for s in found] == [(asks[0], 0.0), (asks[1], 0.0)]
    assert found[1].placed == pytest.approx(found[0].ended)
