"""What is remembered of a container's use, and the bounds that follow."""

import pytest

from gpupool.model.diagnosis import Cause, Confidence, Diagnosis
from gpupool.model.resources import UNSEEN, Bounds, Use, UseDay
from gpupool.model.signals import ContainerUse, PodSignals, Signals
from gpupool.model.slo import DAY
from gpupool.policy.slo.containers import KEPT, bounds, learn, learned, within

GIB = 2.0**30
WINDOW = 300.0
BOUND = Diagnosis(Cause.CPU_BOUND, Confidence.MEDIUM)


def seen(*uses: ContainerUse) -> Signals:
    return Signals(WINDOW, tuple(PodSignals(f"chat-{n}", containers=(use,)) for n, use in enumerate(uses)))


def main(cpu: float | None = 1.0, memory: float | None = GIB, limit: float | None = None) -> ContainerUse:
    return ContainerUse("main", cpu, memory, limit)


def test_the_most_of_all_replicas_and_looks_of_a_day_is_kept() -> None:
    use = learn(UNSEEN, "main", seen(main(1.0), main(2.0, 3 * GIB)), None, DAY)
    use = learn(use, "main", seen(main(1.5, 4 * GIB)), None, DAY + 60)
    assert use == Use("main", DAY, DAY + 60, (UseDay(DAY, 2.0, 4 * GIB),))
    assert (use.cpu, use.memory, use.raised) == (2.0, 4 * GIB, 0.0)


def test_days_that_are_long_ago_go() -> None:
    use = UNSEEN
    for day in range(KEPT + 3):
        use = learn(use, "main", seen(main(10.0 - day)), None, (1 + day) * DAY)
    assert [d.at / DAY for d in use.days] == [4, 5, 6, 7, 8, 9, 10]
    assert use.cpu == 7.0


@pytest.mark.parametrize("use", [main(cpu=None), main(memory=None), ContainerUse("proxy", 1.0, GIB)])
def test_what_is_not_seen_changes_nothing(use: ContainerUse) -> None:
    before = Use("main", 1.0, 2.0, (UseDay(0.0, 1.0, GIB),))
    assert learn(before, "main", seen(use), None, DAY) == before


def test_another_container_begins_anew() -> None:
    before = Use("old", 1.0, 2.0, (UseDay(DAY, 9.0, GIB),))
    assert learn(before, "main", seen(main()), None, DAY) == Use("main", DAY, DAY, (UseDay(DAY, 1.0, GIB),))


def test_it_is_learned_after_three_windows_and_then_no_longer_counted() -> None:
    use = learn(UNSEEN, "main", seen(main()), None, DAY)
    assert not learned(use, WINDOW)
    use = learn(use, "main", seen(main()), None, DAY + 3 * WINDOW)
    assert learned(use, WINDOW)
    assert learn(use, "main", seen(main()), None, DAY + 9 * WINDOW).until == DAY + 3 * WINDOW
    assert not learned(UNSEEN, WINDOW)


@pytest.mark.parametrize(
    ("found", "limit", "raised"),
    [
        (BOUND, 2.0, 3.0),
        (BOUND, None, 1.5),
        (Diagnosis(Cause.CPU_BOUND, Confidence.LOW), 2.0, 0.0),
        (Diagnosis(Cause.QUEUE_BOUND, Confidence.HIGH), 2.0, 0.0),
        (None, 2.0, 0.0),
    ],
)
def test_a_diagnosis_of_cpu_raises_it(found: Diagnosis | None, limit: float | None, raised: float) -> None:
    use = learn(UNSEEN, "main", seen(main(limit=limit)), found, DAY)
    assert use.raised == raised
    quiet = learn(use, "main", seen(main(0.1)), None, DAY + 60)
    assert quiet.raised == raised, "it holds for those days"


def test_bounds_follow_from_the_most_and_move_in_steps() -> None:
    use = Use("main", 0, DAY, (UseDay(0.0, 1.0, GIB), UseDay(DAY, 0.5, 2 * GIB)))
    found = bounds(use)
    assert (found.low, found.high) == (
        {"cpu": "1200m", "memory": "2560Mi"},
        {"cpu": "2300m", "memory": "4864Mi"},
    )
    assert found.why.startswith("at most 1.00 cores and 2048 MiB in 2 days, and 15% more")
    assert bounds(use, ["memory"]).low == {"memory": "2560Mi"}
    nothing = bounds(Use("main", 0, DAY, (UseDay(0.0),)))
    assert nothing.low == {"cpu": "100m", "memory": "256Mi"}
    assert "in 1 day," in nothing.why


def test_what_was_raised_says_why() -> None:
    found = bounds(Use("main", 0, DAY, (UseDay(0.0, 2.0, GIB, 3.0),)))
    assert (found.low["cpu"], found.high["cpu"]) == ("3000m", "6000m")
    assert "1.5 times what it is held at is 3.00 cores" in found.why


@pytest.mark.parametrize(
    ("low", "high", "cpu"),
    [
        ({}, {}, ("1200m", "2300m")),
        ({"cpu": "2"}, {}, ("2", "2300m")),
        ({"cpu": "3"}, {}, ("3", "3")),
        ({}, {"cpu": "2"}, ("1200m", "2")),
        ({}, {"cpu": "700m"}, ("700m", "700m")),
        ({"cpu": "100m"}, {"cpu": "9"}, ("1200m", "2300m")),
    ],
)
def test_what_its_owner_bounds_holds(low: dict[str, str], high: dict[str, str], cpu: tuple[str, str]) -> None:
    found = within(Bounds({"cpu": "1200m"}, {"cpu": "2300m"}), low, high)
    assert (found.low["cpu"], found.high["cpu"]) == cpu
