"""The annotation `fake.gpupool.dev/gpu-utilization`, read."""

import pytest

from localplane.exporter.use import IDLE, BadUseError, Kind, Use, parse_use


@pytest.mark.parametrize(
    ("text", "use"),
    [
        (None, IDLE),
        ("0", Use(Kind.MOVING, 0, 0)),
        ("35", Use(Kind.MOVING, 35, 35)),
        (" 100 ", Use(Kind.MOVING, 100, 100)),
        ("0.5", Use(Kind.MOVING, 0.5, 0.5)),
        ("10-30", Use(Kind.MOVING, 10, 30)),
        ("none", Use(Kind.NONE)),
        ("gone", Use(Kind.GONE)),
        ("stale", Use(Kind.STALE)),
        ("trace:gentd26/17", Use(Kind.TRACE, trace="gentd26/17")),
    ],
)
def test_every_documented_value_is_understood(text: str | None, use: Use) -> None:
    assert parse_use(text) == use


@pytest.mark.parametrize("text", ["", "busy", "-5", "101", "30-10", "10-", "10-130", "35%", "trace:", "None"])
def test_a_bad_value_is_named_together_with_the_fix(text: str) -> None:
    with pytest.raises(BadUseError, match="gpu-utilization") as caught:
        parse_use(text)
    assert repr(text) in str(caught.value)
    assert '"10-30"' in str(caught.value)


def test_a_steady_value_never_moves() -> None:
    use = parse_use("35")
    assert {use.percent("pod", float(second)) for second in range(100)} == {35.0}


def test_a_range_is_swept_whole_and_its_mean_is_the_middle() -> None:
    use = parse_use("10-30")
    values = [use.percent("pod", second / 10) for second in range(400)]
    assert 10.0 <= min(values) < 10.5
    assert 29.5 < max(values) <= 30.0
    assert sum(values) / len(values) == pytest.approx(20.0, abs=0.01)


def test_a_range_reads_the_same_at_the_same_time_and_differs_between_pods() -> None:
    use = parse_use("10-30")
    assert use.percent("one", 1000.0) == use.percent("one", 1000.0)
    assert use.percent("one", 1000.0) != use.percent("two", 1000.0)
