"""What arrives at simulated engines is what the arrivals say, of every engine, also while a queue grows."""

import re
from collections import defaultdict
from statistics import fmean

import pytest

from gpupool.collector.engines.adapters import Series
from gpupool.collector.engines.arrivals import TYPE, count
from gpupool.policy.slo.arrivals import STEP, arrivals, begun, fold
from gpupool.policy.slo.demand import Tuning
from support.engines import Rig, live_engine

LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
KIND = re.compile(rf'(?:^|,){TYPE}="([^"]*)"')
ENGINES = {"vllm": "vLLM", "sglang": "SGLang", "tgi": "TGI", "triton": "Triton", "nim": "NIM"}


def words(page: str) -> dict[str, float]:
    """Values of a page as the question gives them: summed by name and request type."""
    found: dict[str, float] = defaultdict(float)
    for name, labels, value in LINE.findall(page):
        kind = KIND.search(labels)
        found[Series(name, f'{TYPE}="{kind[1]}"').word if kind else name] += float(value)
    return found


def measured(engine: str, load: float, steps: int) -> tuple[float, ...]:
    """Rates of so many steps, of two pods."""
    rig = Rig(*(live_engine(name, engine=engine, load=load) for name in ("a", "b")))
    first = int(rig.now / STEP)
    record = begun(STEP, first)
    for number in range(1, steps + 2):
        rig.run(STEP)
        counts = {name: count(ENGINES[engine], words(rig.text(name))) for name in ("a", "b")}
        known = {name: found for name, found in counts.items() if found is not None}
        assert len(known) == 2
        record = fold(record, first + number, known, {}, Tuning())
    return arrivals(record, (first + steps + 1) * STEP, 1.0).rates


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("load", "steps"), [(4.0, 20), (60.0, 3)], ids=["served", "queues grow"])
def test_what_arrives_is_measured_whatever_is_served(engine: str, load: float, steps: int) -> None:
    rates = measured(engine, load, steps)
    assert len(rates) == steps
    assert fmean(rates) == pytest.approx(load, rel=0.1)
    assert max(rates) < 1.5 * load


def test_what_is_served_alone_would_not_show_it() -> None:
    rig = Rig(*(live_engine(name, load=60.0) for name in ("a", "b")))
    rig.run(120)
    done = sum(rig.value(name, "vllm:request_success_total") for name in ("a", "b"))
    assert done / 120 < 0.6 * 60
