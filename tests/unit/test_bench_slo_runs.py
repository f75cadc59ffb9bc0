"""What `make bench-slo` runs: the same on one core and on two; its target; the bound of its frontier."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.slo import report, target
from benchmarks.slo.attainment import LOADS, Table
from benchmarks.slo.fluid import lanes
from benchmarks.slo.policies import KNOWS_WINDOW, window_oracle
from benchmarks.slo.runs import Bench, Run, Setting
from benchmarks.slo.trace import STEP, STEPS_OF_WINDOW, Lengths, TraceError, counts, read
from support.families import ANSWER, RATES, write_csv, write_tiny, write_tokens

FLAT = Table(10.0, 500, 100, *(((1.0,) * len(LOADS),) * 2), (0.5,) * len(LOADS))
RUNS = [Run("hpa-running-4", 30), Run("gpupool", 120, pool=3, sharing="by priority"), Run(KNOWS_WINDOW, 120)]


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    found = read(tmp_path, "tiny")
    setting = Setting(found, (FLAT, FLAT), counts(found, 1))
    one, two = (Bench(setting, workers).play("runs", RUNS) for workers in (1, 2))
    for alone, beside in zip(one, two, strict=True):
        assert (alone.good == beside.good).all()
        assert (alone.hours == beside.hours).all()
        assert alone.total.sum() > 0


def test_a_prompt_with_images_is_text_and_images(tmp_path: Path) -> None:
    write_csv(tmp_path / "seen_rates.csv.gz", RATES, [(0, 1, 2.0, 1.0, "Gamma", 1.0, 1.0)])
    flat = tuple(float(n) for n in range(11))
    text, image, number = Lengths(flat, 5), Lengths((100.0,) * 11, 100), Lengths((1.0,) * 10 + (3.0,), 1.5)
    kinds = {"text_tokens": text, "image_tokens": image, "image_count": number, "output_tokens": ANSWER}
    write_tokens(tmp_path / "seen_tokens_6h.csv.gz", [1], **kinds)
    prompt = read(tmp_path, "seen").tenants[0].mixes[0].prompt
    assert prompt.mean == 155
    assert (prompt.quantiles[0], prompt.quantiles[9], prompt.quantiles[10]) == (100, 109, 310)


def test_files_of_another_form_are_an_answer(tmp_path: Path) -> None:
    write_csv(tmp_path / "odd_rates.csv.gz", ("t_s", "client"), [(0, 1)])
    write_csv(tmp_path / "odd_tokens_6h.csv.gz", ("t_s", "client"), [(0, 1)])
    with pytest.raises(TraceError, match="odd is not of the form that is read here: KeyError"):
        read(tmp_path, "odd")


@pytest.mark.parametrize(("minutes", "kept"), [(0, 0), (7, 42), (20, 120)])
def test_who_knows_the_window_looks_to_its_end_and_not_into_the_next(minutes: int, kept: int) -> None:
    drawn = np.zeros((1, 1, 5 * STEPS_OF_WINDOW), dtype=np.int32)
    last = STEPS_OF_WINDOW + 30
    drawn[0, 0, last] = 45 * STEP
    side = lanes((FLAT,), 1, (30,), 0.99)
    plan = window_oracle(drawn, side, minutes * 60)._plan[0]
    up = np.nonzero(plan > 1)[0]
    assert (up[0], up[-1]) == (STEPS_OF_WINDOW, last + kept)
    assert set(plan[up]) == {5}


def _row(policy: str, split: str, changes: float = 20.0, **more: float) -> report.Row:
    numbers = {"attainment": 99.2, "worst_tenant": 97.5, "oracle_ratio": 1.19, **more}
    return report.Row(policy, "any", 120, split, gpu_hours_per_day=100.0, changes_per_hour=changes, **numbers)


def test_the_target_is_judged_on_the_days_held_out() -> None:
    rows = [_row("gpupool", "fit", worst_tenant=50), _row("gpupool", "heldout"), _row("hpa-a", "heldout", 21)]
    split, goals = target.goals([*rows, _row("hpa-b", "heldout", 40)])
    assert split == "heldout"
    assert all(goal.reached for goal in goals)
    assert str(goals[0]) == "GPU-hours over the oracle's 1.19 (at most 1.2): reached"


def test_what_misses_the_target_is_named() -> None:
    rows = [_row("gpupool", "fit", oracle_ratio=1.3, worst_tenant=90), _row("hpa-a", "fit", 19)]
    missed = [goal.what for goal in target.goals(rows)[1] if not goal.reached]
    assert [what.partition(" ")[0] for what in missed] == ["GPU-hours", "worst", "changes"]
    assert "MISSED" in str(target.goals(rows)[1][0])
    assert target.goals([_row("gpupool", "fit")], startup=30)[1] == [], "the target stands at 120 s"
