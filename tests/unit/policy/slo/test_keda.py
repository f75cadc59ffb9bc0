"""What is different about a ScaledObject."""

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Limits, Scaler, ScalerKind
from gpupool.policy.slo.keda import fewest, idle_too_high, idles, in_the_way

REF = ObjectRef("apps/v1", "Deployment", "chat")


def a_scaler(kind: ScalerKind = ScalerKind.SCALED_OBJECT, **given: object) -> Scaler:
    fields = {"kind": kind, **given}
    return Scaler(Key("vision", "chat"), "uid", "7", REF, Limits(0, 100), **fields)  # type: ignore[arg-type] # given by name


@pytest.mark.parametrize(
    ("kind", "own", "idle", "floor", "written"),
    [
        (ScalerKind.HPA, 0, None, 0, 1),
        (ScalerKind.HPA, 1, None, 3, 3),
        (ScalerKind.SCALED_OBJECT, 0, None, 1, 0),
        (ScalerKind.SCALED_OBJECT, 0, None, 3, 3),
        (ScalerKind.SCALED_OBJECT, 2, None, 1, 1),
        (ScalerKind.SCALED_OBJECT, 5, 0, 1, 1),
        (ScalerKind.SCALED_OBJECT, 5, 2, 1, 3),
        (ScalerKind.SCALED_OBJECT, 5, 2, 4, 4),
    ],
)
def test_the_fewest_replicas_leave_its_owner_the_sleep(
    kind: ScalerKind, own: int, idle: int | None, floor: int, written: int
) -> None:
    assert fewest(a_scaler(kind, idle=idle), Limits(own, 9), floor) == written


def test_an_idle_count_above_what_is_allowed_is_named() -> None:
    scaler = a_scaler(idle=4)
    assert idle_too_high(scaler, Limits(4, 4)) == ""
    assert "lower it below 4" in idle_too_high(scaler, Limits(5, 4))


def test_it_is_told_what_keda_keeps() -> None:
    assert idles(a_scaler(ScalerKind.HPA), Limits(0, 9)) == ""
    assert idles(a_scaler(), Limits(1, 9)) == ""
    assert "KEDA keeps 0" in idles(a_scaler(), Limits(0, 9))
    assert "KEDA keeps 2" in idles(a_scaler(idle=2), Limits(3, 9))


def test_a_pause_wins_and_an_hpa_of_keda_is_never_written() -> None:
    assert in_the_way(a_scaler(), known=True) is None
    assert in_the_way(a_scaler(), known=False) is None
    reason, message = in_the_way(a_scaler(paused="autoscaling.keda.sh/paused"), known=True) or ("", "")
    assert (reason, "until it is taken off" in message) == ("Paused", True)
    owned = a_scaler(ScalerKind.HPA, keda="so")
    assert (in_the_way(owned, known=True) or [""])[0] == "NoScaledObject"
    assert (in_the_way(owned, known=False) or [""])[0] == "NotKnown"
