"""What an endpoint's GPUs wrote and cost: exact sums, a bounded memory, and nothing where nothing is told."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gpupool.model.economics import Holding, Ledger
from gpupool.model.signals import Signals
from gpupool.model.slo import Endpoint, Reading, SloState
from gpupool.policy.slo.economics import PARTS, account, economics
from support.builders import GPU
from support.signals import a_pod, seen

WINDOW = 600.0
START = 1_000_000.0
HELD = Holding(GPU, 2, {GPU: 2.5}, "USD")
OK = Reading(SloState.OK, 90, 100, 15.0)
POWERED = seen(*(a_pod(f"chat-{n}", watts=300.0, devices=1) for n in range(2)))


def looked(tokens: float | None = 1000.0, *readings: Reading, seconds: float = 15.0) -> Endpoint:
    """A look that lasted 15 seconds."""
    return Endpoint(readings or (OK,), "vLLM", 2, 2, tokens=tokens, seconds=seconds)


def counted(*looks: Endpoint, holding: Holding = HELD, signals: Signals | None = None) -> Ledger:
    """What looks every 15 seconds leave."""
    ledger = Ledger()
    for number, look in enumerate(looks):
        now = START + 15 * number
        ledger = account(ledger, look, holding, signals, now=now, window=WINDOW)
    return ledger


def test_tokens_by_gpu_hour_all_and_those_that_met_the_objectives() -> None:
    found = economics(counted(*[looked()] * 4), HELD)
    assert found is not None
    hours = 4 * 15 * 2 / 3600
    assert found.gpu_hours == pytest.approx(hours)
    assert found.per_hour == pytest.approx(4000 / hours)
    assert found.per_hour_at_slo == pytest.approx(3600 / hours)
    assert found.cost == pytest.approx(2.5 * hours)
    assert found.currency == "USD"
    assert found.per_million == pytest.approx(2.5 * hours / 4000 * 1e6)
    assert found.joules is None
    assert found.since == START


def test_the_objective_that_fared_worst_counts_and_what_is_not_known_met_none() -> None:
    worse = replace(OK, good=50)
    idle = Reading(SloState.NO_TRAFFIC)
    for readings, part in (
        ((OK, worse), 0.5),
        ((OK, idle), 0.9),
        ((idle,), 1.0),
        ((OK, Reading(SloState.STALE)), 0.0),
        ((replace(OK, good=101),), 1.0),
    ):
        assert counted(looked(1000.0, *readings)).parts[0].good == pytest.approx(1000 * part)


def test_without_tokens_there_are_hours_and_money_and_nothing_else() -> None:
    found = economics(counted(looked(None), looked(None)), HELD)
    assert found is not None
    assert (found.per_hour, found.per_hour_at_slo, found.per_million, found.joules) == (None,) * 4
    assert found.cost is not None
    silent = economics(counted(looked(0.0)), HELD)
    assert silent is not None
    assert (silent.per_hour, silent.per_million) == (0.0, None)


def test_without_a_price_nothing_is_said_of_money() -> None:
    for holding in (Holding(GPU, 2), Holding(GPU, 2, {"example.com/npu": 1.0}, "EUR")):
        found = economics(counted(looked(), holding=holding), holding)
        assert found is not None
        assert (found.cost, found.per_million, found.currency) == (None, None, "")


def test_joules_by_token_where_every_gpu_tells_its_power() -> None:
    found = economics(counted(looked(), looked(None), signals=POWERED), HELD)
    assert found is not None
    assert found.joules == pytest.approx(600 * 15 / 1000), "the look without tokens is left out"
    unmetered = [
        None,
        seen(a_pod("chat-0", watts=300.0, devices=1), a_pod("chat-1", watts=None, devices=1)),
        seen(a_pod("chat-0", watts=300.0, devices=1)),
        replace(POWERED, pods=()),
    ]
    for signals in unmetered:
        found = economics(counted(looked(), signals=signals), HELD)
        assert found is not None
        assert found.joules is None


def test_a_pause_adds_neither_hours_nor_tokens() -> None:
    assert counted(looked(seconds=0.0)).parts == ()
    assert counted(looked(seconds=301.0)).parts == ()
    assert economics(Ledger(), HELD) is None
    assert economics(counted(looked(), holding=Holding(GPU, 0)), HELD) is None


def test_other_gpus_begin_anew_and_scale_zero_does_not() -> None:
    before = counted(looked())
    asleep = account(
        before, looked(0.0), Holding("", 0, HELD.prices, "USD"), None, now=START + 15, window=WINDOW
    )
    assert (asleep.resource, asleep.parts[0].held) == (GPU, 30.0)
    other = account(before, looked(), Holding("example.com/npu", 1), None, now=START + 15, window=WINDOW)
    assert (other.resource, len(other.parts), other.parts[0].held) == ("example.com/npu", 1, 15.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_memory_is_bounded_and_holds_the_window(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same again
    ledger, now, rows = Ledger(), START, list[tuple[float, float]]()
    for _ in range(400):
        seconds = dice.uniform(1, 60)
        now += seconds
        tokens = dice.uniform(0, 1000)
        rows.append((now, tokens))
        ledger = account(ledger, looked(tokens, seconds=seconds), HELD, None, now=now, window=WINDOW)
        assert len(ledger.parts) <= PARTS + 2
        total = sum(p.tokens for p in ledger.parts)
        least = sum(n for at, n in rows if at > now - WINDOW)
        most = sum(n for at, n in rows if at > now - WINDOW - 2 * WINDOW / PARTS)
        assert least - 1e-6 <= total <= most + 1e-6
        starts = [p.start for p in ledger.parts]
        assert starts == sorted(set(starts))
        found = economics(ledger, HELD)
        assert found is not None
        assert (found.per_hour_at_slo or 0.0) <= (found.per_hour or 0.0)
