"""The parts of `make bench-loop` that need no plane: the hour, both simulators, what is read and said."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.loop import agreement
from benchmarks.loop.__main__ import aim, main
from benchmarks.loop.agreement import Row
from benchmarks.loop.hour import Hour, Play, choose, play
from benchmarks.loop.onebyone import OneByOne
from benchmarks.loop.simulated import LIMITS, Flow, simulate
from benchmarks.loop.steering import Learned, Scaled, Steered
from benchmarks.loop.tables import Tables, tables
from benchmarks.loop.watch import Look, Watched, look
from benchmarks.slo.trace import STEP, TraceError, counts, read
from gpupool.model.slo import Objective, Sli
from gpupool.model.steering import Pace
from gpupool.policy.slo.arrivals import paced
from gpupool.policy.slo.sizing import TUNING
from localplane.engines.lengths import Mix
from support.engines import said
from support.families import write_tiny

SPEED = 10.0
MIX = Mix(1_500.0, 900.0, 0.5)
OBJECTIVES = tuple(Objective(Sli(sli), 99.0, limit) for sli, limit in LIMITS.items())


@pytest.fixture(scope="module")
def measured() -> Tables:
    return tables(MIX, 2, 1_500)


def steps(*rates: float) -> tuple[float, ...]:
    """An hour of stretches of equal length."""
    return tuple(rate for rate in rates for _ in range(360 // len(rates)))


def played(*rates: float, carried: float, lead: float = 600) -> Play:
    return play(Hour("tiny", "7", 3, steps(*rates), MIX), carried, lead, 0.9)


def steered(found: Tables, it: Play, since: float = 0.0) -> Steered:
    learned = Learned(0.9 * found.carried(99), 120.0, since)
    return Steered(OBJECTIVES, 360.0, SPEED, paced(TUNING, 1 / SPEED), learned, 32, it.replicas)


# ------------------------------------------------------------------ the hour


def test_the_hour_is_the_one_that_moves_most_without_leaps(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    found = read(tmp_path, "tiny")
    drawn = counts(found, 1)[0]
    drawn[0] = np.repeat([60, 40, 40, 90, 60, 60] * 24, 60)
    drawn[0, 360 * 5 : 360 * 6] = np.repeat([60, 65, 75, 90, 100, 105], 60)
    hour = choose(found, drawn)
    assert (hour.tenant, hour.number) == ("7", 5)
    assert len(hour.rates) == 360
    assert (hour.first, hour.rates[-1]) == (6.0, 10.5)
    assert 300 < hour.mix.prompt < 800
    assert "day 1), 6.0 to 10.5 requests/s" in str(hour)
    with pytest.raises(TraceError, match="no tenant 9 among its largest: 7, 3"):
        choose(found, drawn, "9")
    with pytest.raises(TraceError, match="no requests in hour 24 of 24"):
        choose(found, drawn, number=24)


def test_the_lead_is_played_before_the_hour(tmp_path: Path) -> None:
    it = played(20.0, 40.0, carried=8.0)
    assert it.replicas == 3
    assert it.rate == pytest.approx(21.6)
    file = it.write(tmp_path)
    with gzip.open(file, "rt", newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == 60 + 360
    assert [float(rows[n]["value"]) for n in (0, 59, 60, 419)] == [21.6, 21.6, 20.0, 40.0]
    assert {row["pod"] for row in rows} == {"7"}
    assert file.name == "hour.csv.gz"
    assert it.name == "trace:hour/7"


# ------------------------------------------------------------------ the simulators


def test_both_simulators_agree_and_the_planner_follows_the_load(measured: Tables) -> None:
    carried = measured.carried(99)
    it = played(2.2 * carried, 3 * carried, 4.2 * carried, carried=carried)
    arrived = [rate * STEP for rate in it.rates]
    flow = simulate(it, arrived, Flow(measured), steered(measured, it), startup=120)
    annotations = said(load=it.name, prompt=MIX.prompt, output=MIX.output, spread=MIX.spread)
    single = OneByOne(it, annotations, "team/chat", 30)
    one = simulate(it, arrived, single, steered(measured, it), startup=120)
    assert flow.replica_hours == pytest.approx(one.replica_hours, rel=0.12)
    assert flow.replicas[5] < flow.replicas[-1] <= 7
    for place in range(2):
        assert flow.attainment(place) == pytest.approx(one.attainment(place), abs=1.5)
        assert one.attainment(place) > 97
    assert one.total[0] == pytest.approx(sum(arrived[60:]), rel=0.05)
    assert single.lost <= 1e-4 * sum(arrived), "a replica that is stopped ends what it has, but what is stuck"


def test_until_it_has_learned_nothing_moves_and_a_burning_budget_lets_none_go(measured: Tables) -> None:
    carried = measured.carried(99)
    it = played(4 * carried, 1.2 * carried, carried=carried)
    arrived = [rate * STEP for rate in it.rates]
    late = simulate(it, arrived, Flow(measured), steered(measured, it, since=1e6), startup=120)
    assert set(late.replicas) == {it.replicas}
    it = Play(it.hour, it.lead, 1, it.rate)
    mine = steered(measured, it)
    short = simulate(it, arrived, Flow(measured), mine, startup=120)
    assert short.attainment(0) < 99
    assert Pace.PROTECT in mine.paces
    assert max(short.replicas) > 1


def test_the_hpa_follows_what_runs(measured: Tables) -> None:
    carried = measured.carried(99)
    it = played(2 * carried, 4 * carried, carried=carried)
    went = simulate(it, [rate * STEP for rate in it.rates], Flow(measured), Scaled(8, 32), startup=30)
    assert went.replicas[-1] > went.replicas[10]
    assert went.changes > 0


# ------------------------------------------------------------------ what is read, and what is said


def test_a_look_counts_who_stays_and_takes_the_world_off_the_rates() -> None:
    ready: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods: list[dict[str, Any]] = [
        {"metadata": {"name": "a"}, "status": ready},
        {"metadata": {"name": "b"}, "status": {}},
        {"metadata": {"name": "c", "deletionTimestamp": "now"}, "status": ready},
    ]
    learned = {"requestsPerSecond": {"value": 85.0, "samples": 11}}
    status = {"decision": {"floor": 3, "pace": "Save"}, "profile": [learned]}
    assert look(5.0, pods, status, SPEED) == Look(5.0, 2, 1, 3, "Save", 11, 8.5)
    assert look(5.0, [], {}, SPEED) == Look(5.0, 0, 0)


def test_replica_hours_are_those_of_the_hour() -> None:
    looks = [
        Look(-30.0, 9, 9, samples=10, rate=7.0),
        Look(0.0, 2, 2, samples=10, rate=8.0),
        Look(1800.0, 4, 4),
    ]
    watched = Watched(looks, {"a": 120.0, "b": 140.0, "c": 130.0})
    assert (watched.replica_hours, watched.changes, watched.startup) == (3.0, 1, 130.0)
    assert watched.learned(10) == (-30.0, 8.0)
    assert watched.learned(11) is None
    assert (watched.replicas[0], watched.replicas[30]) == (2, 4)


def row(side: str, hours: float, ttft: float = 99.5, tpot: float = 99.4, carried: float = 8.0) -> Row:
    return Row(side, "gpupool", "tiny", "7", 3, ttft, tpot, hours, 5, 125.0, carried, (5,) * 60)


@pytest.mark.parametrize(
    ("hours", "tpot", "word"),
    [(10.4, 98.5, "plane and simulator agree"), (10.6, 99.4, "DO NOT"), (10.0, 98.3, "DO NOT")],
)
def test_they_agree_within_five_percent_and_a_point(hours: float, tpot: float, word: str) -> None:
    good, text = agreement.verdict([row(agreement.PLANE, 10.0), row(agreement.SIMULATOR, hours, tpot=tpot)])
    assert word in text
    assert good is (word != "DO NOT")


def test_where_they_differ_is_said_part_by_part(tmp_path: Path) -> None:
    sides = (
        agreement.PLANE,
        agreement.SIMULATOR,
        agreement.SPREAD,
        agreement.ONE_BY_ONE,
        agreement.BY_TABLES,
    )
    rows = [row(side, 10.0 + n, carried=8.0 + n) for n, side in enumerate(sides)]
    lines = agreement.why(rows, 0.25, (99.5, 99.25))
    assert "the plane's way it would be +9.1% replica-hours" in lines[0]
    assert "request by request it would be +18.2% replica-hours" in lines[1]
    assert "that is +30.0% replica-hours" in lines[1]
    assert "learned 9.00 requests/s of a replica, the tables say 12.00" in lines[2]
    assert "no replica answered 0.250 %" in lines[3]
    assert "99.50 and 99.25 %" in lines[4]
    agreement.save(rows, tmp_path / "out" / "rows.json")
    found = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert [each["side"] for each in found] == list(sides)
    assert agreement.table(rows, "an hour", "told").row_count == 5


def test_bad_input_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "has no servegen_m-large_rates.csv.gz" in capsys.readouterr().err
    for wrong in (["--policy", "hpa-running-0"], ["--policy", "mine"], ["--speed", "100"]):
        with pytest.raises(SystemExit):
            main([str(tmp_path), *wrong])
    assert "100 is not from 1 to 30" in capsys.readouterr().err
    assert (aim("gpupool"), aim("hpa-running-16")) == (0, 16)
