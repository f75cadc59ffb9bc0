"""`make bench-slo` on a family of two made-up tenants; its two engines against each other."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.slo import limited, report, target
from benchmarks.slo.__main__ import main
from benchmarks.slo.attainment import LOADS, SPEED, Table, good, lengths, table
from benchmarks.slo.engine import Chunked
from benchmarks.slo.fluid import Lanes, Lookup, Outcome, lanes, simulate
from benchmarks.slo.policies import POLICIES, Known
from benchmarks.slo.trace import (
    STEP,
    Mix,
    Tenant,
    Trace,
    TraceError,
    Window,
    counts,
    read,
)
from gpupool.simulator.replica import Ask
from support.families import ANSWER, PROMPT, write_csv, write_tiny

KEYS = {
    "policy",
    "family",
    "startup_s",
    "split",
    "attainment",
    "worst_tenant",
    "gpu_hours_per_day",
    "oracle_ratio",
    "changes_per_hour",
}
FLAT = ((1.0,) * len(LOADS), (1.0,) * len(LOADS), (0.5,) * len(LOADS))
CHAT = Tenant("chat", {0: Window(8.0, 1.0, "Gamma", 1.0)}, (Mix(PROMPT, ANSWER, 1.0),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A family of one day: two tenants."""
    write_tiny(tmp_path)
    return tmp_path


def test_all_policies_run_and_the_document_has_its_shape(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "out" / "rows.json"
    asked = [
        "--family",
        "tiny",
        "--seeds",
        "1",
        "--startups",
        "30",
        "120",
        "--requests",
        "150",
        "--jobs",
        "1",
    ]
    assert main([str(folder), *asked, "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    assert {frozenset(row) for row in rows} == {frozenset(KEYS)}
    assert {(row["policy"], row["startup_s"], row["split"]) for row in rows} == {
        (policy, startup, "fit") for policy in POLICIES for startup in (30, 120)
    }, "one day has nothing to hold out"
    for row in rows:
        assert row["family"] == "tiny"
        assert 0 < row["worst_tenant"] <= row["attainment"] <= 100
        assert row["oracle_ratio"] == (1 if row["policy"] == "oracle" else pytest.approx(row["oracle_ratio"]))
        assert row["gpu_hours_per_day"] >= 2 * 4 * 24 - 1, "two replicas of four GPUs are the least"
    said = capsys.readouterr().out
    assert "start-up 120 s" in said
    assert "SHA-256" in said
    assert "high" in said
    assert "target at 120 s, 1 to 3 (fit): worst tenant" in said


def test_a_folder_without_the_family_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--family", "none"]) == 1
    assert "has no none_rates.csv.gz and no none_tokens_6h.csv.gz" in capsys.readouterr().err


def test_what_is_read(folder: Path) -> None:
    found = read(folder, "tiny")
    assert [t.name for t in found.tenants] == ["7", "3"], "largest first"
    assert (found.days, found.gaps) == (1, frozenset({30}))
    assert sorted(found.hashes) == ["tiny_rates.csv.gz", "tiny_tokens_6h.csv.gz"]
    drawn = counts(found, 2)
    assert drawn.shape == (2, 2, 8_640)
    assert drawn[0, 0, :60].sum() == 3_600, "a window has as many requests as were recorded"
    assert (drawn[0] != drawn[1]).any()
    assert (counts(found, 1)[0] == drawn[0]).all(), "the same seed draws the same"


def test_a_family_without_tokens_is_refused(folder: Path) -> None:
    write_csv(folder / "tiny_tokens_6h.csv.gz", ("model", "client", "t_s"), [])
    with pytest.raises(TraceError, match="no tenant of tiny"):
        read(folder, "tiny")


def test_lengths_have_the_mean_that_was_measured() -> None:
    drawn = lengths(CHAT.mixes, 20_000, random.Random(1))  # noqa: S311 - the same again
    assert np.mean([p for p, _ in drawn]) == pytest.approx(PROMPT.mean, rel=0.03)
    assert np.mean([a for _, a in drawn]) == pytest.approx(ANSWER.mean, rel=0.03)


# ------------------------------------------------------------------ the two engines


@pytest.fixture(scope="module")
def measured() -> Table:
    return table(CHAT, 3_000)


def _arrivals(rates: list[float]) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.poisson(np.array(rates) * STEP).astype(np.int32).reshape(1, 1, -1)


def _fluid(measured: Table, drawn: np.ndarray, replicas: int) -> float:
    side = lanes((measured,), 1, (10,), 0.99)
    plan = Known(np.full((1, drawn.shape[2]), replicas))
    outcome = simulate(side, Lookup((measured,)), drawn, frozenset(), plan)
    return float(outcome.good.sum() / outcome.total.sum())


def _requests(drawn: np.ndarray, replicas: int) -> float:
    """The same arrivals, request by request, over replicas that take turns at random."""
    rng = random.Random(9)  # noqa: S311 - the same again
    fleet = [Chunked(SPEED) for _ in range(replicas)]
    total = int(drawn.sum())
    tokens = iter(lengths(CHAT.mixes, total, rng))
    for step, number in enumerate(drawn[0, 0]):
        for at in sorted(step * STEP + rng.random() * STEP for _ in range(number)):
            replica = rng.choice(fleet)
            replica.advance(at)
            replica.offer(Ask(at, *next(tokens)))
    for replica in fleet:
        replica.advance(1e7)
    served = [s for replica in fleet for s in replica.take()[0]]
    assert len(served) == total
    return sum(map(good, served)) / total


@pytest.mark.parametrize("load", [0.3, 0.5, 0.65])
def test_under_a_steady_load_both_engines_agree(measured: Table, load: float) -> None:
    drawn = _arrivals([0.0] * 9 + [3 * load * measured.saturation] * 60)
    assert _fluid(measured, drawn, 3) == pytest.approx(_requests(drawn, 3), abs=0.04)


def test_through_an_overload_and_its_queue_both_engines_agree(measured: Table) -> None:
    sat = measured.saturation
    drawn = _arrivals([0.0] * 9 + [0.4 * sat] * 30 + [1.5 * sat] * 6 + [0.3 * sat] * 30)
    fluid, single = _fluid(measured, drawn, 1), _requests(drawn, 1)
    assert fluid == pytest.approx(single, abs=0.06)
    assert fluid < 0.85


def test_prompts_that_come_together_are_read_together() -> None:
    replica = Chunked(SPEED)
    for _ in range(3):
        replica.offer(Ask(0.0, 1_000, 50))
    replica.advance(60)
    served, _ = replica.take()
    early, late = min(s.first for s in served), max(s.first for s in served)
    assert len(served) == 3
    assert early < late, "the first was alone, the others waited for its step"
    assert sorted(s.first for s in served)[1] == late


# ------------------------------------------------------------------ sums


def _week() -> tuple[Trace, Lanes, dict[str, Outcome]]:
    flat = Table(10.0, 500, 100, *FLAT)
    side = lanes((flat, flat), 1, (120,), 0.99)
    found = Trace("servegen_m-large", (CHAT, CHAT), 7, frozenset(range(144 * 6, 144 * 6 + 72)), {})
    total = np.full((2, 7), 1_000.0)
    bad = np.array([[0.0] * 7, [10.0] * 3 + [100.0] * 4])
    ours = Outcome(total, total - bad, np.full((2, 7), 30.0), np.full((2, 7), 12.0))
    best = Outcome(total, total, np.full((2, 7), 24.0), np.full((2, 7), 24.0))
    return found, side, {"gpupool": ours, "hpa-running-16": ours, "oracle": best}


def test_the_later_days_are_reported_apart_and_gaps_do_not_count() -> None:
    found, side, outcomes = _week()
    rows = {(r.policy, r.split): r for r in report.rows(found, side, outcomes)}
    fit, held = rows["gpupool", "fit"], rows["gpupool", "heldout"]
    assert (fit.attainment, fit.worst_tenant, fit.gpu_hours_per_day) == (99.5, 99.0, 240.0)
    assert (held.attainment, held.worst_tenant, held.oracle_ratio) == (95.0, 90.0, 1.25)
    assert held.gpu_hours_per_day == pytest.approx(4 * 240 / 3.5, abs=0.1), "half of the last day is missing"
    assert held.changes_per_hour == pytest.approx(4 * 24 / 3.5 / 24, abs=0.01)


def test_a_baseline_off_the_reference_names_where_it_differs() -> None:
    found, side, outcomes = _week()
    flat = Table(10.0, 500, 5, *FLAT)
    rows = report.rows(found, side, outcomes)
    beside = target.compared(rows, outcomes, side, {"a": flat, "b": flat})
    assert [row.policy for row in beside] == ["hpa-running-16", "oracle"]
    assert "DIFFERS" in beside[0].why
    assert "points are tenant b, with 5 tokens an answer" in beside[0].why


@pytest.mark.parametrize(
    ("wanted", "present", "strict", "first"),
    [
        ((3, 3, 3), (1, 1, 1), (3, 2, 1), (3, 2, 1)),
        ((1, 1, 9), (1, 1, 1), (1, 1, 4), (1, 1, 4)),
        ((5, 1, 1), (1, 1, 4), (4, 1, 1), (4, 1, 1)),
        ((5, 1, 4), (1, 1, 4), (4, 1, 1), (1, 1, 4)),
    ],
)
def test_who_gives_way_in_a_pool_of_six(
    wanted: tuple[int, ...], present: tuple[int, ...], strict: tuple[int, ...], first: tuple[int, ...]
) -> None:
    asked = np.array(wanted), np.array(present)
    assert tuple(limited.by_priority(6, 3)(0, *asked)) == strict
    assert tuple(limited.first_come(6, 3)(0, *asked)) == first
