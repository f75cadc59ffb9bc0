"""Requests that arrive at an endpoint, step by step, from what its pods have counted. Pure.

What came is what ended since, and what is under way more than before: so a queue that grows is seen while it
grows. A pod that was not seen for a while brings what it did meanwhile evenly to the steps it missed. A pod
that is seen for the first time counts from then on, but one that began to serve under our eyes counts whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Final

from gpupool.policy.slo.demand import Arrivals, Peak, Tuning

STEP: Final = 30.0
"""Seconds of a step."""
STEPS: Final = 120
"""Steps that are kept one by one: an hour."""
MOST_PEAKS: Final = 60
JITTER: Final = 0.1
"""Part of a step by which a scrape may come late and still belong to it."""
PLAIN: Final = 300.0
"""Seconds of the evaluation window for which the rule's times are what they are."""


def tempo(window: float) -> float:
    """By how much the times of the rule are shorter: as the evaluation window is, for trials; never longer.

    Args:
        window: seconds.
    """
    return min(1.0, window / PLAIN)


def paced(tuning: Tuning, by: float) -> Tuning:
    """The rule with its times shortened."""
    return replace(
        tuning,
        near=tuning.near * by,
        spread_over=tuning.spread_over * by,
        trend_over=tuning.trend_over * by,
        hold=tuning.hold * by,
        peak_hold=tuning.peak_hold * by,
        peak_most=tuning.peak_most * by,
        peak_over=tuning.peak_over * by,
    )


@dataclass(frozen=True, slots=True)
class Count:
    """What a pod shows at a moment.

    Attributes:
        requests: that ended until then; that came, where its engine counts them as they come.
        running, waiting: under way.
        coming: its engine counts requests as they come.
    """

    requests: float
    running: float = 0.0
    waiting: float = 0.0
    coming: bool = False

    @property
    def came(self) -> float:
        """Requests that came until then."""
        return self.requests + (0.0 if self.coming else self.running + self.waiting)

    def since(self, before: Count) -> float:
        """Requests that came since; a counter that fell began anew."""
        return self.came if self.requests < before.requests else self.came - before.came


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of an endpoint. Moments are numbers of steps since 1970.

    Attributes:
        step: seconds.
        since: when we began to look.
        asked: up to when was looked.
        first, known: from and up to when requests are known; None before the first.
        requests: by the number of the step's end.
        last: the newest count of each pod, and when.
        peaks: of the time before the steps.
        running, waiting: requests under way at `known`.
    """

    step: float
    since: int
    asked: int
    first: int | None = None
    known: int | None = None
    requests: Mapping[int, float] = field(default_factory=dict)
    last: Mapping[str, tuple[int, Count]] = field(default_factory=dict)
    peaks: tuple[Peak, ...] = ()
    running: float = 0.0
    waiting: float = 0.0


def begun(step: float, at: int) -> Record:
    """Nothing is known yet."""
    return Record(step, at, at)


def fold(
    record: Record,
    at: int,
    counts: Mapping[str, Count],
    born: Mapping[str, float],
    tuning: Tuning,
    *,
    empty: bool = False,
) -> Record:
    """Add a moment.

    Args:
        record: what is remembered.
        at: the moment; one that was looked at already changes nothing.
        counts: of the pods that are seen.
        born: unix seconds at which pods began to serve, where that is known.
        tuning: of the rule.
        empty: the endpoint is known to have no pod: nothing comes.
    """
    if at <= record.asked:
        return record
    if not counts and not empty:
        return replace(record, asked=at)
    requests = dict(record.requests)
    for pod, count in counts.items():
        since, came = _came(record, at, count, record.last.get(pod), born.get(pod))
        for number in range(since + 1, at + 1):
            requests[number] = requests.get(number, 0.0) + came / (at - since)
    seen = {pod: (at, count) for pod, count in counts.items()}
    recent = {pod: pair for pod, pair in record.last.items() if at - pair[0] <= STEPS}
    grown = replace(
        record,
        asked=at,
        first=at if record.first is None else record.first,
        known=at,
        requests=requests,
        last=recent | seen,
        running=sum(c.running for c in counts.values()),
        waiting=sum(c.waiting for c in counts.values()),
    )
    return _aged(grown, at, tuning)


def with_peaks(record: Record, peaks: Iterable[Peak]) -> Record:
    """The record with peaks of the time before it began."""
    return replace(record, peaks=(*peaks, *record.peaks)[-MOST_PEAKS:])


def arrivals(record: Record, now: float, interval: float) -> Arrivals:
    """The steps as the rule takes them: none shorter than the time between two scrapes.

    Args:
        record: what is remembered.
        now: unix seconds.
        interval: seconds between two scrapes of its pods; 0 where that is not known.
    """
    width = max(1, ceil(interval / record.step - JITTER))
    if record.known is None or record.first is None:
        return Arrivals(record.step * width, ())
    count = (record.known - max(record.first, record.known - STEPS)) // width
    ends = range(record.known - (count - 1) * width, record.known + 1, width)
    return Arrivals(
        step=record.step * width,
        rates=tuple(_rate(record, end, width) for end in ends),
        age=max(0.0, now - record.known * record.step),
        peaks=record.peaks,
    )


def _came(
    record: Record, at: int, count: Count, before: tuple[int, Count] | None, born: float | None
) -> tuple[int, float]:
    """Since when, and how many."""
    if before is not None:
        return before[0], count.since(before[1])
    if born is None or born <= record.since * record.step:
        return at - 1, 0.0
    return min(at - 1, max(record.since, floor(born / record.step))), count.came


def _rate(record: Record, end: int, width: int) -> float:
    total = sum(record.requests.get(number, 0.0) for number in range(end - width + 1, end + 1))
    return max(0.0, total) / (width * record.step)


def _aged(record: Record, at: int, tuning: Tuning) -> Record:
    """Steps older than an hour become peaks; peaks that no rule looks at are forgotten."""
    per = max(1, round(tuning.peak_over / record.step))
    over = (at - STEPS) // per * per
    old: dict[int, float] = {}
    for number, requests in record.requests.items():
        end = -(-number // per) * per
        if number <= over and end - per >= (record.first or 0):
            old[end] = old.get(end, 0.0) + requests
    peaks = (*record.peaks, *(_peak(record, end, total, per) for end, total in sorted(old.items())))
    return replace(
        record,
        requests={number: n for number, n in record.requests.items() if number > over},
        peaks=tuple(p for p in peaks if at * record.step - p.ended < tuning.peak_most)[-MOST_PEAKS:],
    )


def _peak(record: Record, end: int, total: float, per: int) -> Peak:
    return Peak(end * record.step, max(0.0, total) / (per * record.step))
